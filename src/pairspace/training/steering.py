"""Steer the number of terms: a threshold a side, moved a little after every step towards the number that is wanted.

    theta <- theta + rate * spread * log(terms now / terms wanted)

Users think in terms per document, not in weights of a regulariser, and a weight says little about what comes out of it.
A threshold that all scores of a side must pass does: where the scores are about normal, the logarithm of the number of
terms falls by some 2.3 for each standard deviation (`spread`) that it rises, so the loop is a damped one. Which terms
pass is left to the loss; how many, to this. The numbers are those of the whole batch, so several processes steer alike.

At the start of training twice as many terms are wanted, and from a third on the number itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pairspace.training.towers import Tower

__all__ = ["Steering"]

_RATE = 0.2
_WIDE, _SETTLED = 2.0, 0.3  # how many times as many terms at the start, and the share of training until then
_MASKED = 0.8  # share of the expansion that is masked from which on it says nothing about the rest


class Steering:
    """Moves the thresholds of the lexical projectors of two towers.

    Args:
        towers: of the query side and the document side.
        terms: mean number of terms that is wanted of either; () for no steering.
    """

    def __init__(self, towers: Sequence[Tower], terms: Sequence[float]) -> None:
        self.towers, self.terms = tuple(towers), tuple(terms)
        self.share = 0.0

    @torch.no_grad()
    def __call__(self, vectors: Sequence[Tensor]) -> None:
        """Look at the vectors (n, dimension) of a batch of either side, and move its thresholds."""
        wide = _WIDE ** max(0.0, 1 - self.share / _SETTLED)
        for tower, found, wanted in zip(self.towers, vectors, self.terms, strict=False):
            masked = 0.0 if tower.words is None else tower.words.masked
            if masked > _MASKED or not len(found):
                continue
            count = float((tower.weights_of(found) > 0).sum()) / len(found) / (1 - masked)
            step = _RATE * math.log(max(count, 0.1) / (wanted * wide))
            for projector in _steered(tower):
                projector.threshold += step * projector.spread


def _steered(tower: Tower) -> list[Any]:
    """The tower's projectors that have a threshold, each once."""
    found: dict[int, Any] = {id(branch.projector): branch.projector for branch in tower.branches}
    return [projector for projector in found.values() if hasattr(projector, "threshold")]
