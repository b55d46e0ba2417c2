"""What a new index will hold, settled before anything is written: its spaces and sides, words or not, the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pairspace.errors import IndexingError
from pairspace.index.edge import EdgeEngine
from pairspace.index.engine import Field
from pairspace.index.lexical import Lexical
from pairspace.index.manifest import Manifest, SpaceLike, is_sparse
from pairspace.index.seismic import SeismicEngine
from pairspace.index.vectors import BM25

__all__ = ["ENGINES", "fields_of", "plan", "reads_pictures"]

ENGINES = {"edge": EdgeEngine, "seismic": SeismicEngine}


def plan(
    path: Path,
    spaces: Mapping[str, SpaceLike],
    *,
    side: str | None,
    text: bool,
    language: str | None,
    store_text: bool,
    engine: str,
    **settings: Any,
) -> Manifest:
    """The manifest of a new index at `path`, over spaces by vector name.

    The options are those of `Index.create`, of pictures nothing is kept as text; `settings` are further fields of the
    manifest.

    Raises:
        IndexingError: nothing to index by, words where there are none, an unknown side, or an engine that does not fit.
    """
    if not spaces and not text:
        raise IndexingError("an index needs a space, or text=True for an index of words alone")
    sides = {name: _known_side(one, side) for name, one in spaces.items()}
    pictures = any(reads_pictures(one, sides[name]) for name, one in spaces.items())
    if pictures and text:
        raise IndexingError("pictures have no words that could be indexed: leave out text=True (--text)")
    if engine not in ENGINES:
        raise IndexingError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if engine == "seismic" and not any(is_sparse(one) for one in spaces.values()):
        raise IndexingError("the engine 'seismic' is for vectors of sparse spaces, and there are none")
    notes = {name: Manifest.note(one, sides[name], path) for name, one in spaces.items()}
    manifest = Manifest(notes, store_text=store_text and not pictures, engine=engine, **settings)
    if text:
        first = next(iter(spaces.values()), None)
        manifest.text = Lexical.fresh(language or (first.language if first else "english")).settings
    return manifest


def fields_of(manifest: Manifest) -> dict[str, Field]:
    """What the engine stores of an item, by vector name."""
    fields = {
        name: Field("sparse" if note.sparse else "multi" if manifest.passages else "dense", note.dimension)
        for name, note in manifest.spaces.items()
    }
    return fields | ({BM25: Field("terms")} if manifest.text is not None else {})


def reads_pictures(space: Any, side: str) -> bool:
    """Whether a side's items are pictures."""
    return hasattr(space, "part") and getattr(space.part(side).encoder, "modality", "") == "image"


def _known_side(space: SpaceLike, side: str | None) -> str:
    if side is not None and side not in space.sides:
        raise IndexingError(f"the space {space.name!r} has no side {side!r}; it has {', '.join(space.sides)}")
    return side or space.document_side
