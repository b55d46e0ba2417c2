"""STRUCTURE: items that were neighbours in the encoder's own space stay neighbours in the shared one.

    R(X, A) = 1/L * sum_{l=1..L} 1/l * JS( P_X^l | P_A^l ),    P_X = row softmax( X^ @ X^.T / temperature )

    loss    = ( R(features of a, a) + R(features of b, b) ) / 2

X^ are rows made unit, then centred; P^l, a matrix power, reaches neighbours of neighbours; JS is the mean over rows of
the Jensen-Shannon divergence (Groeger et al. 2025). The authors' code takes the divergences the other way round,
KL(m | p) for KL(p | m); here they are as the name says. Its defaults are one level, the temperature of the contrastive
loss, and a weight of 10 that is reached over 500 steps. It is for few pairs, which it keeps from being overfitted.

On the first rows of a batch, at most `rows`: neighbourhoods are matrices of rows x rows, and so is the memory.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pairspace.errors import ShapeError, TrainingError
from pairspace.objectives.batch import Batch
from pairspace.objectives.objective import Objective

__all__ = ["Structure", "structure"]


class Structure(Objective):
    """The regulariser of both sides; its weight is that of its term in a `Sum`.

    Args:
        levels: how many steps from neighbour to neighbour are kept.
        temperature: of the neighbourhoods, fixed.
        rows: of a batch, at most, which are looked at.

    Raises:
        TrainingError: a setting out of its range.
    """

    needs = frozenset({"features"})

    def __init__(self, *, levels: int = 1, temperature: float = 0.07, rows: int = 512) -> None:
        super().__init__()
        if levels < 1 or rows < 2 or not temperature > 0:
            raise TrainingError(
                "structure needs levels of at least 1, rows of at least 2 and a temperature above 0, "
                f"got levels={levels}, rows={rows}, temperature={temperature}"
            )
        self.levels, self.temperature, self.rows = levels, temperature, rows

    def loss(self, batch: Batch) -> Tensor:
        """The mean of the two sides, in nats."""
        assert batch.features is not None
        parts = [
            structure(of[: self.rows], x[: self.rows], levels=self.levels, temperature=self.temperature)
            for of, x in zip(batch.features, (batch.a, batch.b), strict=True)
        ]
        return torch.stack(parts).mean()


def structure(features: Tensor, x: Tensor, *, levels: int, temperature: float) -> Tensor:
    """How much the neighbourhoods of `x` differ from those of `features`.

    Args:
        features: (n, d), which carry no gradient.
        x: vectors (n, dim) of the same items.
        levels: how many steps from neighbour to neighbour are kept.
        temperature: of the neighbourhoods.

    Returns:
        A scalar from 0, where all neighbourhoods are equal, to ln 2.

    Raises:
        ShapeError: the two differ in length.
    """
    if len(features) != len(x):
        raise ShapeError(f"structure needs features of the same items, got {len(features)} for {len(x)}")
    p, q = (_neighbourhoods(one, temperature) for one in (features.detach().to(x.dtype), x))
    p_power, q_power, total = p, q, _jensen_shannon(p, q)
    for level in range(2, levels + 1):
        p_power, q_power = p_power @ p, q_power @ q
        total = total + _jensen_shannon(p_power, q_power) / level
    return total / levels


def _neighbourhoods(x: Tensor, temperature: float) -> Tensor:
    x = normalize(x, dim=1)
    x = x - x.mean(0)
    return torch.softmax(x @ x.T / temperature, dim=1)


def _jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Mean over rows; shares below the smallest number count as it, which keeps the gradient finite."""
    tiny = torch.finfo(p.dtype).tiny
    middle = ((p + q) / 2).clamp_min(tiny).log()
    left, right = ((one * (one.clamp_min(tiny).log() - middle)).sum(1).mean() for one in (p, q))
    return (left + right) / 2
