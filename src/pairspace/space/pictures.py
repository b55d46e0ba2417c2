"""Spaces with pictures: which sides hold them, their paths made whole, and queries of a picture and words together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pairspace.data import Pairs
from pairspace.data.picture_paths import locate
from pairspace.errors import SpaceError
from pairspace.neighbours import normalise

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["located", "mix_queries", "picture_sides"]


def picture_sides(space: Space) -> list[str]:
    """The sides whose items are pictures."""
    return [side for side in space.sides if space.part(side).encoder.modality == "image"]


def located(space: Space, pairs: Pairs) -> Pairs:
    """The pairs with whole paths to pictures; see `locate`."""
    return locate(pairs, [side for side in picture_sides(space) if side in pairs.sides])


def mix_queries(space: Space, items: Mapping[str, Any], weights: Mapping[str, float] | None = None) -> Any:
    """One query of several items, such as a picture and words: the weighted mean of their vectors, at unit length.

    Args:
        space: trained.
        items: side -> one item of it.
        weights: side -> how much it counts; None for all the same.

    Returns:
        float32 (dimension,), or CSR (1, dimension) of a sparse space: what `Index.search` takes.

    Raises:
        SpaceError: no items, a weight below zero, or none above.
    """
    shares = {side: 1.0 if weights is None else float(weights.get(side, 0.0)) for side in items}
    if not items or min(shares.values()) < 0 or not sum(shares.values()) > 0:
        raise SpaceError(f"a query of several items needs items, and weights of 0 and more, got {shares or 'none'}")
    parts = [share * space.encode(items[side], side=side, cache=False) for side, share in shares.items() if share]
    total = sum(parts[1:], start=parts[0])
    if space.sparse:
        return normalise(total)
    return np.asarray(normalise(np.atleast_2d(total)), np.float32)[0]
