"""What tag, classify and train-tagger share: how items, classes and labels are read, and how tags are printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.items import Items, read_items
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Template", "known_labels", "listed_labels", "print_tags", "read_kinds", "templates_of"]

Template = Annotated[
    list[str] | None,
    typer.Option(
        help="A sentence with {} where the class goes, a file of such, or one of photo, plain, clip7, clip80, scene. "
        "Repeatable."
    ),
]


def read_kinds(
    path: Path,
    kinds: Sequence[str],
    column: str | None,
    text: str | None,
    wanted: Sequence[str | None],
    **how: Any,
) -> Items:
    """Pictures, texts, or both, and beside them those of the wanted columns that the file has.

    Args:
        path: of the file.
        kinds: "image", "text", or both in this order.
        column: of pictures, or where texts alone are read and `text` names none of these.
        text: column of texts.
        wanted: further columns, or what is none.
        **how: see `read_items`.
    """
    from pairspace.data.tables import column_names

    pictures, beside = "image" in kinds, text if len(kinds) == 2 else None
    payload = [name for name in column_names(path) if name in {beside, *wanted}]
    how |= {"pictures": pictures, "beside": beside, "no_blanks": not pictures}
    return read_items(path, kinds[0], column=column if pictures else column or text, payload=payload, **how)


def templates_of(values: Sequence[str] | None, usual: str) -> list[str]:
    """The sentences that are meant.

    Raises:
        PairspaceError: neither a sentence with `{}`, nor a file, nor a known name.
    """
    from pairspace.tagging.labels import read_classes
    from pairspace.tagging.templates import CLIP_7, CLIP_80, PHOTO, SCENE

    known = {"photo": PHOTO, "plain": ("{}",), "clip7": CLIP_7, "clip80": CLIP_80, "scene": (*CLIP_80, *SCENE)}
    found: list[str] = []
    for value in values or [usual]:
        if value in known:
            found += known[value]
        elif "{}" in value:
            found.append(value)
        elif Path(value).is_file():
            found += read_classes(value)
        else:
            raise PairspaceError(
                f"--template {value}: give a sentence with {{}}, a file of such sentences, or one of {', '.join(known)}"
            )
    return list(dict.fromkeys(found))


def listed_labels(what: str, option: str, read: Items) -> tuple[np.ndarray, list[list[str]]]:
    """Labels of a column of the items' file, or of a file of its own, for those items of which they are known.

    A column that holds nothing for an item (null) does not say that it has no label; an empty list or text does.

    Args:
        what: a column's name, or a path.
        option: for messages.
        read: the items.

    Returns:
        Numbers of the items that are labelled, and the labels of each.

    Raises:
        DataError: the file cannot be read.
        PairspaceError: neither a column nor a file, or one that knows no item.
    """
    import numpy as np

    from pairspace.tagging.labels import lists_of, read_labels

    if read.payload is not None and what in read.payload.column_names:
        column = read.payload[what]
        rows = np.flatnonzero(column.is_valid().to_numpy())
        return rows, lists_of(column.filter(column.is_valid()), f"column {what!r}")
    if not Path(what).is_file():
        raise PairspaceError(f"{option} {what}: neither a column of the items' file nor a file of labels")
    known = read_labels(what)
    rows = np.array([row for row, key in enumerate(read.ids) if key in known], np.int64)
    if not len(rows):
        raise PairspaceError(
            f"{option} {what}: none of the {len(read.ids):,} items' ids, such as {read.ids[0]!r}, stands there"
            + (f", where {next(iter(known))!r} does" if known else "")
        )
    return rows, [known[read.ids[row]] for row in rows]


def known_labels(what: str, option: str, read: Items, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """As `listed_labels`, the labels as bool (labelled, classes).

    Raises:
        DataError: the file cannot be read.
        PairspaceError: neither a column nor a file, or no item has one of the classes.
    """
    from pairspace.tagging.labels import label_matrix

    rows, lists = listed_labels(what, option, read)
    labels = label_matrix(lists, classes)
    if not labels.any():
        raise PairspaceError(
            f"{option} {what}: none of the {len(read.ids):,} items has one of the {len(classes):,} classes there; do "
            "ids and names agree?"
        )
    return rows, labels


def print_tags(ids: Sequence[str], tags: Sequence[Sequence[tuple[str, float]]]) -> None:
    """A line an item."""
    for name, own in zip(ids, tags, strict=True):
        print(f"{name}\t{', '.join(f'{tag} {score:.3f}' for tag, score in own) or '-'}")
