"""What a search asks with where a space knows pictures: words, a picture, or both; and which side each is of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pairspace.errors import IndexingError
from pairspace.index.planning import reads_pictures

if TYPE_CHECKING:
    from pairspace.index.index import Index

__all__ = ["ask"]


def ask(index: Index, words: Sequence[str], picture: Path | None = None, *, weight: float = 0.5) -> dict[str, Any]:
    """The arguments `query` and `side` of `Index.search`, for words, a picture or both.

    Args:
        index: with one space at least.
        words: texts; beside a picture one at most.
        picture: path to one.
        weight: of the picture beside words, 0 to 1.

    Raises:
        IndexingError: the space has no side for words or for pictures, there is nothing to ask with, or the weight is
            out of range.
        DataError: there is no such picture.
    """
    from pairspace.data.pictures import read_bytes
    from pairspace.space.pictures import mix_queries

    if picture is None and not words:
        raise IndexingError("nothing to ask with: give words, a picture (--image), or both")
    name, note = next(iter(index.manifest.spaces.items()), (None, None))
    if name is None or note is None:
        if picture is not None:
            raise IndexingError(f"{index.path} holds words only: ask with words")
        return {"query": list(words)}
    space: Any = index.space(name)
    sides = {kind: [side for side in space.sides if reads_pictures(space, side) == kind] for kind in (True, False)}
    if picture is None:
        usual = space.query_side if space.query_side != note.side else space.document_side
        return {"query": list(words), "side": usual if usual in sides[False] else _first(index, sides[False], "words")}
    shown, content = _first(index, sides[True], "pictures"), read_bytes(picture)
    if not words:
        return {"query": [content], "side": shown}
    if len(words) > 1 or not 0 <= weight <= 1:
        raise IndexingError("beside a picture one query of words, and a weight from 0 to 1")
    told = _first(index, sides[False], "words")
    mixed = mix_queries(space, {shown: content, told: words[0]}, {shown: weight, told: 1 - weight})
    return {"query": mixed if space.sparse else mixed[None]}


def _first(index: Index, sides: Sequence[str], what: str) -> str:
    if not sides:
        raise IndexingError(f"the space of {index.path} has no side of {what}")
    return sides[0]
