"""One side of a space: its branches, each an encoder, the layers taken from it and a projector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pairspace.encoders import Encoder
from pairspace.errors import FeatureError
from pairspace.features import Features, JoinedFeatures
from pairspace.features.features import unit_rows
from pairspace.projectors import Projector, join_vectors

__all__ = ["Branch", "Side", "project"]

CHUNK = 8192  # rows projected at once


@dataclass
class Branch:
    """An encoder and its projector.

    Attributes:
        encoder: items to features; several branches may hold the same object.
        layers: which of its layers, the last one last.
        projector: features to vectors; several branches may hold the same object.
        start: the projector as it was before any training.
        trains: the encoder's weights change in training.
        origin: the encoder as it was before any training, where it is at hand; it may be `encoder` itself.
    """

    encoder: Any
    layers: tuple[str, ...]
    projector: Projector
    start: Projector
    trains: bool = False
    origin: Encoder | None = None

    @property
    def blocks(self) -> tuple[int, ...]:
        """Dimension of each layer's block in the features."""
        return tuple(self.encoder.dimensions[layer] for layer in self.layers)


@dataclass
class Side:
    """Branches whose vectors are added; mostly there is one.

    Attributes:
        branches: one an encoder, in the order they were named.
    """

    branches: tuple[Branch, ...]

    @property
    def encoder(self) -> Any:
        """The first branch's encoder: the one that says what the side's items are."""
        return self.branches[0].encoder

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return self.branches[0].projector.dimension

    @property
    def name(self) -> str:
        """Its encoders, as a user writes them."""
        return "+".join(branch.encoder.name for branch in self.branches)

    def starting(self) -> tuple[Branch, ...]:
        """The branches that mean something before training: those of encoders that came with weights."""
        return tuple(branch for branch in self.branches if branch.origin is not None)

    def given_features(self, array: np.ndarray) -> np.ndarray:
        """Features a caller brings, each block made a unit vector.

        Raises:
            FeatureError: the wrong dimension, or a value that is not finite.
        """
        layers = [
            (b.encoder.name, layer, size) for b in self.branches for layer, size in zip(b.layers, b.blocks, strict=True)
        ]
        sizes = [size for _, _, size in layers]
        if array.ndim != 2 or array.shape[1] != sum(sizes):
            raise FeatureError(
                f"features of {self.name} have {sum(sizes)} values a row "
                f"({' + '.join(f'{layer}: {size}' for _, layer, size in layers)}), got an array of shape {array.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(array).all(1))
        if len(bad):
            raise FeatureError(f"row {bad[0]} of the features given holds a value that is not finite (NaN or infinity)")
        return np.concatenate([unit_rows(part) for part in np.split(array, np.cumsum(sizes)[:-1], axis=1)], 1)


@torch.inference_mode()
def project(
    projectors: Sequence[Projector], features: Features | JoinedFeatures | np.ndarray, device: torch.device
) -> np.ndarray:
    """Unit vectors, float32 (n, dimension).

    Args:
        projectors: one a branch.
        features: of all branches, side by side in a row.
        device: where to compute.
    """
    sizes = [sum(projector.blocks) for projector in projectors]
    out = np.empty((len(features), projectors[0].dimension), np.float32)
    for start, rows in _chunks(features):
        parts = torch.split(torch.from_numpy(rows).to(device), sizes, dim=1)
        vectors: Tensor = join_vectors([one(part) for one, part in zip(projectors, parts, strict=True)])
        out[start : start + len(rows)] = vectors.cpu().numpy()
    return out


def _chunks(features: Features | JoinedFeatures | np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(features), CHUNK):
        stop = min(start + CHUNK, len(features))
        rows = features[start:stop] if isinstance(features, np.ndarray) else features.rows(np.arange(start, stop))
        yield start, rows
