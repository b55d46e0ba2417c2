"""One side in training: rows of its distinct items in, unit vectors with a gradient out.

A frozen encoder's tower reads cached features; what trains is its projector. The loop knows no more of a side than
this, so a tower that also runs an encoder can stand in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["FeatureRows", "FrozenTower"]

IN_MEMORY = 4 << 30  # bytes of float32 features kept in memory a side; more is gathered from disk step by step
SAMPLE = 64  # rows that stand for all where features are compared


class FeatureRows(Protocol):
    """What a tower needs of features, and `pairspace.features.Features` gives: their size and some of their rows."""

    @property
    def dimension(self) -> int:
        """Values a row."""
        ...

    @property
    def truncated(self) -> float:
        """Share of the items that were longer than the encoder reads."""
        ...

    def __len__(self) -> int: ...

    def rows(self, indices: np.ndarray | None = None) -> np.ndarray:
        """The rows asked for, float32 (n, dimension)."""
        ...


class FrozenTower:
    """Cached features and the projector over them.

    Args:
        features: of the side's distinct items.
        projector: the module that is trained; may be shared with another tower.
        device: where to compute.
    """

    def __init__(self, features: FeatureRows, projector: nn.Module, *, device: torch.device | str = "cpu") -> None:
        self.features, self.projector, self.device = features, projector.to(device), torch.device(device)
        self._held: Tensor | None = None
        if len(features) * features.dimension * 4 <= IN_MEMORY:
            self._held = torch.from_numpy(features.rows()).to(self.device)

    def __len__(self) -> int:
        return len(self.features)

    def modules(self) -> Sequence[nn.Module]:
        """What the optimiser trains."""
        return (self.projector,)

    def sample(self) -> np.ndarray:
        """A few feature rows, spread over all: what tells these features from others."""
        return self.features.rows(np.unique(np.linspace(0, len(self) - 1, SAMPLE).astype(np.int64)))

    def vectors(self, rows: np.ndarray) -> Tensor:
        """Unit vectors (n, dimension) of the items in `rows`."""
        if self._held is not None:
            x = self._held.index_select(0, torch.from_numpy(rows).to(self.device))
        else:
            x = torch.from_numpy(self.features.rows(rows)).to(self.device)
        return torch.nn.functional.normalize(self.projector(x), dim=1)

    @torch.inference_mode()
    def all_vectors(self, chunk: int = 16384) -> Tensor:
        """Unit vectors of every item, in order, without gradients."""
        parts = [self.vectors(np.arange(i, min(i + chunk, len(self)))) for i in range(0, len(self), chunk)]
        return torch.cat(parts)
