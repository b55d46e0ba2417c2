"""Items to vectors: what `Space.encode` does with one item, many, or features that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pairspace.data.pictures import is_picture
from pairspace.errors import SpaceError
from pairspace.space.side import Side, project

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["encode_items", "ready_part"]


def encode_items(
    space: Space, items: Any, side: str, *, cache: bool, progress: bool | None, start: bool = False
) -> Any:
    """Vectors of items; see `Space.encode`.

    Args:
        space: whose encoders and projectors to use.
        items: one item, a sequence or Arrow array of them, or a float array (n, features).
        side: of the items.
        cache: keep and reuse the features on disk.
        progress: show a bar.
        start: as they were before any training.

    Raises:
        SpaceError: two encoders of different origin that were not yet fit on pairs.
    """
    if isinstance(items, str | bytes | Path) or (space.part(side).encoder.modality == "image" and is_picture(items)):
        found = encode_items(space, [items], side, cache=False, progress=progress, start=start)
        return found if space.sparse else found.reshape(-1)
    part = ready_part(space, side, start=start)
    if isinstance(items, np.ndarray) and items.dtype.kind == "f" and items.ndim < 4:
        return project(part, part.given_features(items), space.device, start=start)
    features = space.features(items, side, start=start, cache=cache, progress=progress)
    return project(part, features, space.device, start=start)


def ready_part(space: Space, side: str, *, start: bool) -> Side:
    """A side whose vectors mean something.

    Raises:
        SpaceError: a sparse space without terms, encoders that share no space yet, or no start to go back to.
    """
    part = space.part(side)
    if space.sparse:
        _ = space.lexicon
    if not space.started:
        raise SpaceError(
            "the sides' encoders are of different origin and share no space yet: fit it on pairs, or give "
            "projector='identity' if they do"
        )
    if start:
        part.starting_or_refuse(side)
    return part
