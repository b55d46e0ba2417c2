"""Classes and labels from files and columns: names a line, lists a row, or tags as `write_tags` writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairspace.data import read_table
from pairspace.data.source import missing_column, text_column
from pairspace.errors import DataError

__all__ = ["frequent_classes", "label_matrix", "lists_of", "read_classes", "read_labels"]


def read_classes(path: Path | str) -> list[str]:
    """Class names of a text file, one a line; blank lines are passed over.

    Raises:
        DataError: no name, or one that stands twice; names both lines.
    """
    lines = read_table(path, ["text"])["text"].to_pylist()
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name = (line or "").strip()
        if name in seen:
            raise DataError(f"{path}, line {number}: class {name!r} stands in line {seen[name]} already")
        if name:
            seen[name] = number
    if not seen:
        raise DataError(f"{path}: no class; one name a line is expected")
    return list(seen)


def read_labels(path: Path | str) -> dict[str, list[str]]:
    """Labels by the id of what they are of.

    Args:
        path: a table with a column `id`, and `tags` or `labels` (a list, also of tags with scores, or names between
            semicolons) or `tag` (a line a tag; an empty one says that there is none).

    Raises:
        DataError: a column is missing, or an id stands twice in a table of lists.
    """
    table = read_table(path)
    names = table.column_names
    column = next((name for name in ("tags", "labels", "tag") if name in names), None)
    if "id" not in names or column is None:
        raise missing_column(path, "id" if "id" not in names else "tags", names)
    ids = text_column(table["id"], f"{path}: column 'id'").to_pylist()
    found: dict[str, list[str]] = {}
    if column == "tag":
        for key, tag in zip(ids, text_column(table[column], f"{path}: column 'tag'").to_pylist(), strict=True):
            found.setdefault(key, []).extend([name] if (name := (tag or "").strip()) else [])
        return found
    for row, (key, tags) in enumerate(zip(ids, lists_of(table[column], f"{path}: column {column!r}"), strict=True)):
        if key in found:
            raise DataError(f"{path}, row {row} (from 0): the id {key!r} stands in an earlier row already")
        found[key] = tags
    return found


def lists_of(column: pa.ChunkedArray, what: str) -> list[list[str]]:
    """A column of labels as lists: of lists as they are, of texts cut at semicolons; a missing one is empty.

    Blanks around names are dropped, and so are names of blanks.

    Raises:
        DataError: the column holds something else.
    """
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner, rows = column.type.value_type, column.to_pylist()
        if pa.types.is_struct(inner) and "tag" in [field.name for field in inner]:  # scores beside them
            rows = [[one and one["tag"] for one in row or ()] for row in rows]
        elif len(column):
            text_column(column.combine_chunks().flatten(), what)
    else:
        rows = [(text or "").split(";") for text in text_column(column, what).to_pylist()]
    return [[name for one in row or () if (name := "" if one is None else str(one).strip())] for row in rows]


def label_matrix(labels: Iterable[Sequence[str]], classes: Sequence[str]) -> np.ndarray:
    """Lists of labels as bool (n, classes); labels that are no class are passed over."""
    place = {name: number for number, name in enumerate(classes)}
    rows = list(labels)
    out = np.zeros((len(rows), len(classes)), bool)
    for row, names in enumerate(rows):
        out[row, [place[name] for name in names if name in place]] = True
    return out


def frequent_classes(labels: Iterable[Sequence[str]], least: int) -> list[str]:
    """The labels that at least so many rows have, the most frequent first, equal ones by name.

    Raises:
        DataError: there are none.
    """
    counts: Mapping[str, int] = Counter(name for names in labels for name in set(names))
    found = sorted((name for name in counts if counts[name] >= least), key=lambda name: (-counts[name], name))
    if not found:
        most = max(counts.values(), default=0)
        raise DataError(f"no label stands in {least} rows or more; the most frequent one in {most}")
    return found
