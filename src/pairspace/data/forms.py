"""Column layouts that other tools write, recognised by name, so that their files need no mapping.

| layout | columns | sides |
|---|---|---|
| sentence-transformers | anchor, positive, negative or negative_1, negative_2, ... | anchor, positive |
| sentence-transformers | query or question, positive, answer, passage or document, negative... | as named |
| FlagEmbedding | query, pos (list), neg (list) | query, positive |
| open_clip | filepath, title | image, caption |
| image and text | image, caption or text | as named |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pairspace.errors import DataError

__all__ = ["Form", "recognise"]


class Form(NamedTuple):
    """Which column is which side, and which columns hold negatives."""

    sides: dict[str, str]
    negatives: list[str]


_FIRST = ("anchor", "query", "question")
_SECOND = ("positive", "pos", "answer", "passage", "document")
_PICTURES = (("filepath", "title"), ("filepath", "caption"), ("image", "caption"), ("image", "text"))
_NAMES = {"pos": "positive", "filepath": "image"}


def recognise(columns: Sequence[str], path: Path | str) -> Form:
    """The layout of a file with these columns.

    Raises:
        DataError: none of the known ones, or two at once; lists the columns and shows how to name the sides.
    """
    found = [(a, b) for a in _FIRST for b in _SECOND if a in columns and b in columns]
    found += [pair for pair in _PICTURES if pair[0] in columns and pair[1] in columns]
    if len(found) != 1:
        why = "which columns are the sides is not clear" if found else "no known layout of columns"
        two = list(columns)[:2] if len(columns) > 1 else ["title", "body"]
        raise DataError(
            f"{path}: {why}; its columns are: {', '.join(columns) or 'none'}. Name the sides, for example "
            f"--side query={two[0]} --side document={two[1]} (sides={{'query': {two[0]!r}, 'document': {two[1]!r}}})"
        )
    (first, second) = found[0]
    if first == "filepath":
        sides = {"image": first, "caption": second}
    else:
        sides = {_NAMES.get(name, name): name for name in (first, second)}
    negatives = [name for name in columns if re.fullmatch(r"neg|negatives?|negative_?\d+", name)]
    return Form(sides, sorted(negatives, key=_natural))


def _natural(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)
