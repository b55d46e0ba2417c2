"""A weighted sum of objectives: a loss and its regularisers, or several losses.

L = sum_k weight_k * L_k(batch)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pairspace.errors import TrainingError
from pairspace.objectives.batch import Batch
from pairspace.objectives.objective import Objective

__all__ = ["Sum"]


class Sum(Objective):
    """Several objectives as one.

    Args:
        terms: (weight, objective), at least one.

    Raises:
        TrainingError: no term, or a weight that is no finite number.
    """

    def __init__(self, terms: Sequence[tuple[float, Objective]]) -> None:
        super().__init__()
        if not terms or not all(math.isfinite(weight) for weight, _ in terms):
            raise TrainingError(f"a sum needs finite weights, at least one, got {[weight for weight, _ in terms]}")
        self.weights = tuple(weight for weight, _ in terms)
        self.terms = nn.ModuleList(objective for _, objective in terms)
        self.needs = frozenset().union(*(objective.needs for _, objective in terms))

    def loss(self, batch: Batch) -> Tensor:
        """The weighted sum."""
        return torch.stack([w * term(batch) for w, term in zip(self.weights, self.terms, strict=True)]).sum()

    def missing(self, batch: Batch) -> list[str]:
        """What any of the terms lacks."""
        return sorted({name for term in self.terms for name in term.missing(batch)})  # type: ignore[operator]
