"""Features: what an encoder gave for some items, joined into one vector an item.

Each asked layer is L2-normalised and the layers are concatenated in their order, so a projector sees one vector and no
layer outweighs another by its mere scale. The vectors stay where they are (a memory-mapped cache or an array) until
`rows` asks for some of them, and equal items share one stored vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from pairspace.encoders import Encoder
from pairspace.encoders.pictures import numbered
from pairspace.errors import FeatureError
from pairspace.features.keys import distinct, item_keys

__all__ = ["Features", "JoinedFeatures", "Stored", "compute_features", "take", "unit_rows"]


@dataclass(frozen=True)
class Stored:
    """Where the vectors of one layer lie: blocks (rows, dimension), and each item's row over all of them."""

    blocks: Sequence[np.ndarray]
    starts: np.ndarray
    places: np.ndarray

    def take(self, indices: np.ndarray) -> np.ndarray:
        """float32 (len(indices), dimension)."""
        places = self.places[indices]
        if len(self.blocks) == 1:
            return np.asarray(self.blocks[0][places], np.float32)
        out = np.empty((len(places), self.blocks[0].shape[1] if self.blocks else 0), np.float32)
        owner = np.searchsorted(self.starts, places, "right") - 1
        order = np.argsort(owner, kind="stable")
        bounds = np.searchsorted(owner[order], np.arange(len(self.blocks) + 1))
        for block, (start, stop) in enumerate(pairwise(bounds)):
            if stop > start:
                own = order[start:stop]
                out[own] = self.blocks[block][places[own] - self.starts[block]]
        return out


class Features:
    """The layered features of some items, in the items' order.

    Args:
        stored: layer -> where its vectors lie; the order of the layers is the order of the blocks in `rows`.
        dimensions: layer -> width.
        lengths: tokens of each item before truncation (n,).
        max_length: tokens kept, or None.
    """

    def __init__(
        self, stored: Mapping[str, Stored], dimensions: Mapping[str, int], lengths: np.ndarray, max_length: int | None
    ) -> None:
        self._stored = dict(stored)
        self.layers = tuple(stored)
        self.dimensions = {layer: dimensions[layer] for layer in self.layers}
        self.dimension = sum(self.dimensions.values())
        self.lengths, self.max_length = lengths, max_length

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def truncated(self) -> float:
        """The share of items that are longer than the encoder reads."""
        if self.max_length is None or not len(self):
            return 0.0
        return float((self.lengths > self.max_length).mean())

    def slices(self) -> dict[str, slice]:
        """Where each layer stands in a row of `rows`."""
        ends = np.cumsum([0, *self.dimensions.values()])
        return {layer: slice(int(ends[i]), int(ends[i + 1])) for i, layer in enumerate(self.layers)}

    def rows(self, indices: Any = None) -> np.ndarray:
        """Joined vectors.

        Args:
            indices: rows, a slice or a mask; None for all.

        Returns:
            float32 (n, dimension), every layer's part of unit length (or zero where the encoder gave zeros).

        Raises:
            FeatureError: a vector has NaN or infinite values; names the item's row.
        """
        chosen = np.arange(len(self)) if indices is None else np.atleast_1d(np.arange(len(self))[indices])
        out = np.empty((len(chosen), self.dimension), np.float32)
        for layer, place in self.slices().items():
            for start in range(0, len(chosen), 1024):  # few enough to stay in the processor's cache
                part = slice(start, start + 1024)
                vectors = self._stored[layer].take(chosen[part])
                norms = _norms(vectors, chosen[part], layer)
                np.multiply(vectors, 1 / np.maximum(norms, 1e-30), out=out[part, place])
        return out


class JoinedFeatures:
    """The features of several encoders for the same items, side by side in a row.

    Args:
        parts: one an encoder.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = tuple(parts)
        self.dimension = sum(part.dimension for part in parts)

    def __len__(self) -> int:
        return len(self.parts[0])

    @property
    def truncated(self) -> float:
        """The largest share of items that are longer than one of the encoders reads."""
        return float(max(part.truncated for part in self.parts))

    def rows(self, indices: Any = None) -> np.ndarray:
        """Joined vectors, float32 (n, dimension); see `Features.rows`."""
        return np.concatenate([part.rows(indices) for part in self.parts], 1)


def unit_rows(vectors: np.ndarray, *, names: np.ndarray | None = None, layer: str = "") -> np.ndarray:
    """L2-normalise rows; zero rows stay zero.

    Args:
        vectors: float32 (n, dim).
        names: what to call a row in a message, where that is not its number.
        layer: for the message.

    Raises:
        FeatureError: NaN or infinity.
    """
    vectors = np.asarray(vectors, np.float32)
    norms = _norms(vectors.astype(np.float64), names, layer)
    return np.asarray(vectors / np.maximum(norms, 1e-30), np.float32)


def _norms(vectors: np.ndarray, names: np.ndarray | None, layer: str) -> np.ndarray:
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    if not np.isfinite(norms).all():
        bad = np.flatnonzero(~np.isfinite(norms[:, 0]))
        name = bad[0] if names is None else names[bad[0]]
        raise FeatureError(
            f"the features of item {name} have NaN or infinite values (layer {layer or 'last'!r}, {len(bad):,} such); "
            "look at the item, or leave it out"
        )
    return np.asarray(norms)


def compute_features(encoder: Encoder, items: Any, layers: Sequence[str], *, progress: bool | None = None) -> Features:
    """Encode without any cache, to the same values that the cache would have kept.

    Args:
        encoder: any encoder.
        items: a sequence or an Arrow array of what the encoder takes.
        layers: names, as `resolve_layers` gives them.
        progress: see `progress_bar`.
    """
    if encoder.modality in ("row", "id"):
        first = codes = np.arange(len(items))
        encoded = encoder.encode(items, layers, progress=progress)
    else:
        first, codes = distinct(item_keys(encoder, items))
        with numbered(first):
            encoded = encoder.encode(take(items, first), layers, progress=progress)
    starts = np.array([0, len(first)])
    stored = {}
    for layer in layers:
        vectors = unit_rows(encoded.vectors[layer], names=first, layer=layer)
        stored[layer] = Stored([vectors.astype(encoder.dtype)], starts, codes)
    return Features(stored, encoder.dimensions, encoded.lengths[codes], encoder.max_length)


def take(items: Any, rows: np.ndarray) -> list[Any]:
    """Some items of a sequence or an Arrow array, as a list."""
    if isinstance(items, pa.Array | pa.ChunkedArray):
        return list(items.take(pa.array(rows)).to_pylist())
    return [items[row] for row in rows]
