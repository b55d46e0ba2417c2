"""Additive margin softmax: a partner must be nearer than all others, and by a margin.

    L = InfoNCE of s_ij = (cos_ij - margin [i = j]) / temperature

LaBSE (Feng et al. 2022) prints e^(phi(x, y) - m) with m = 0.3 and no temperature, and adds the two directions.
Here phi is the cosine, the margin is taken from it before the temperature divides, and the directions are averaged: at
temperature 1 this is half of the printed sum, and at temperature T it is the printed formula with phi = cos / T and
m = margin / T. A margin in units of the cosine keeps its meaning while the temperature is learnt.
"""

from __future__ import annotations

from torch import Tensor

from pairspace.errors import TrainingError
from pairspace.objectives.batch import Batch
from pairspace.objectives.info_nce import info_nce
from pairspace.objectives.masks import Near
from pairspace.objectives.objective import Objective
from pairspace.objectives.temperature import Temperature

__all__ = ["AdditiveMargin"]


class AdditiveMargin(Objective):
    """InfoNCE with a margin; hard negatives are used where the batch has them.

    Args:
        temperature: learnt along or fixed.
        margin: in units of the cosine; LaBSE's is 0.3.
        debias: as `InfoNce` takes it.

    Raises:
        TrainingError: a negative margin.
    """

    def __init__(self, temperature: Temperature, *, margin: float = 0.3, debias: float | None = None) -> None:
        super().__init__()
        if not margin >= 0:
            raise TrainingError(f"the margin is a cosine's distance, 0 or more, got {margin}")
        self.temperature, self.margin, self.debias = temperature, margin, debias
        self.needs = frozenset() if debias is None else frozenset({"features"})

    def loss(self, batch: Batch) -> Tensor:
        """The mean loss, in nats."""
        return info_nce(
            batch.a,
            batch.b,
            temperature=self.temperature(),
            same=batch.same,
            negatives=batch.negatives,
            near=None if self.debias is None or batch.features is None else Near(batch.features, above=self.debias),
            margin=self.margin,
        )
