"""Matryoshka: vectors that still work when they are cut short.

    L = sum_k weight_k * objective(batch with its vectors cut to the first size_k dimensions and made unit again)

Kusupati et al. 2022; summed over the sizes, as sentence-transformers' MatryoshkaLoss does. A teacher's vectors and
frozen features stay whole. Each size runs the objective once and keeps what that keeps until backward: with InfoNCE up
to 256 MiB a size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pairspace.errors import ShapeError, TrainingError
from pairspace.objectives.batch import Batch
from pairspace.objectives.objective import Objective

__all__ = ["Matryoshka", "cut"]


class Matryoshka(Objective):
    """An objective at several dimensions at once.

    Args:
        objective: any.
        sizes: dimensions to cut to; name the whole dimension too if whole vectors are to be trained.
        weights: one a size; 1 each by default.

    Raises:
        TrainingError: no size, one below 1 or twice, or another number of weights.
    """

    def __init__(self, objective: Objective, sizes: Sequence[int], *, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
            raise TrainingError(f"Matryoshka needs different sizes of at least 1, got {list(sizes)}")
        if weights is not None and len(weights) != len(sizes):
            raise TrainingError(f"Matryoshka needs one weight a size: {len(sizes)} sizes, {len(weights)} weights")
        self.objective, self.needs = objective, objective.needs
        self.sizes, self.weights = tuple(sizes), tuple(weights or [1.0] * len(sizes))

    def loss(self, batch: Batch) -> Tensor:
        """The weighted sum over sizes.

        Raises:
            ShapeError: a size exceeds the dimension of the vectors.
        """
        parts = [w * self.objective(cut(batch, size)) for size, w in zip(self.sizes, self.weights, strict=True)]
        return torch.stack(parts).sum()

    def missing(self, batch: Batch) -> list[str]:
        """What the objective inside lacks."""
        return self.objective.missing(batch)


def cut(batch: Batch, size: int) -> Batch:
    """The batch with its vectors cut to `size` dimensions, unit again.

    Raises:
        ShapeError: `size` exceeds their dimension.
    """
    dimension = batch.a.shape[1]
    if size > dimension:
        raise ShapeError(f"Matryoshka size {size} exceeds the dimension of the vectors, {dimension}")
    if size == dimension:
        return batch
    negatives = None if batch.negatives is None else normalize(batch.negatives[:, :size], dim=1)
    return replace(
        batch, a=normalize(batch.a[:, :size], dim=1), b=normalize(batch.b[:, :size], dim=1), negatives=negatives
    )
