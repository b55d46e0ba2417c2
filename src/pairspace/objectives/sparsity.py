"""What keeps sparse vectors sparse: L1 and FLOPS, a weight a side, with a warm-up.

    L1    = 1/n sum_i sum_v w_iv
    FLOPS = 1/(n (n-1)) sum_{i != j} w_i . w_j = ( |sum_i w_i|^2 - sum_i |w_i|^2 ) / (n (n-1))

L1 shortens every vector alike. FLOPS (Paria et al. 2020) is what two different items of a side cost each other in an
inverted index: it pushes down the terms that many items share, and leaves rare ones alone. In SPLADE it is written
sum_v (1/n sum_i w_iv)^2, which is (n-1)/n of the above plus 1/n of the mean |w_i|^2: there the loss depends on the size
of the batch and on how it is spread over processes, here it does not.

The weight rises over the first part of training as in the released code of SPLADE and Dense2Sparse, so that terms are
found before they are taken away:

    lambda_t = lambda min(1, t / T)^2
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pairspace.errors import TrainingError
from pairspace.objectives.batch import Batch
from pairspace.objectives.objective import Objective

__all__ = ["REGULARISERS", "Sparsity", "flops", "l1"]


def l1(weights: Tensor) -> Tensor:
    """Mean sum of the weights of a row; (n, terms) non-negative."""
    return weights.sum() / max(1, len(weights))


def flops(weights: Tensor) -> Tensor:
    """Mean dot product of two different rows; (n, terms) non-negative."""
    count = len(weights)
    if count < 2:
        return weights.sum() * 0.0
    found: Tensor = (weights.sum(0).square().sum() - weights.square().sum()) / (count * (count - 1))
    return found


REGULARISERS = {"l1": l1, "flops": flops}


class Sparsity(Objective):
    """A regulariser of the vectors of both sides.

    Args:
        kind: "l1" or "flops".
        weights: lambda of the query side and of the document side.
        warmup: share of all steps in which the weights rise.

    Raises:
        TrainingError: an unknown kind, or a weight below 0.
    """

    def __init__(
        self,
        kind: str = "l1",
        *,
        weights: tuple[float, float] = (1e-3, 1e-3),
        warmup: float = 0.2,
    ) -> None:
        super().__init__()
        if kind not in REGULARISERS:
            raise TrainingError(f"unknown regulariser '{kind}': choose one of {', '.join(REGULARISERS)}")
        if not all(0 <= weight < math.inf for weight in weights):
            raise TrainingError(f"weights of a regulariser must be 0 or more, got {weights}")
        self.kind, self.weights, self.warmup = kind, tuple(weights), warmup
        self.share = 0.0
        self.found: tuple[float, float] | None = None

    def loss(self, batch: Batch) -> Tensor:
        """The weighted sum over both sides; counts their terms on the way.

        Raises:
            TrainingError: a side has lost every term.
        """
        risen = min(1.0, self.share / self.warmup) ** 2 if self.warmup else 1.0
        sides = (batch.a, batch.b)
        counts = [float((side.detach() > 0).sum()) / max(1, len(side)) for side in sides]
        self.found = counts[0], counts[1]
        for name, count in zip(("query", "document"), counts, strict=True):
            if not count:
                raise TrainingError(
                    f"no item of the {name} side has a term left: the {self.kind} regulariser is too strong "
                    f"(weights {self.weights[0]:g} and {self.weights[1]:g}): lower it, or say how many terms to have; "
                    "or expansion is controlled and its texts hold no word of the lexicon"
                )
        values = [REGULARISERS[self.kind](side) for side in sides]
        parts = [risen * weight * value for weight, value in zip(self.weights, values, strict=True)]
        return torch.stack(parts).sum()

    def at(self, share: float) -> None:
        """See Objective."""
        self.share = share

    def scalars(self) -> dict[str, float]:
        """Mean terms of the items in the last batch, by side."""
        return {} if self.found is None else {"query_terms": self.found[0], "document_terms": self.found[1]}
