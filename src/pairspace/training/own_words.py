"""The words that items hold themselves, in training: expansion control (Nguyen et al., ECIR 2024).

The terms that a projector finds for a text are masked with a probability p that falls over training, all but those that
the text holds itself: these are learnt first, and what is added to them keeps to their meaning.

    texts:  with probability p a whole batch may use own words only         (caption-level in the paper)
    words:  each other term of each text is kept with probability 1 - p     (word-level)

p falls from 1 to 0 over the first 95 % of training, or stays at a fixed rate. Items that are no texts are never masked.
Of two sides of texts one is masked in a batch, drawn by chance: the other then learns to say the words that its
partners hold. Were both masked, nothing would be learnt about terms that a text does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

__all__ = ["Expansion", "OwnWords", "draw_masks"]

_FALLS = 0.95  # share of training after which nothing is masked

Level = Literal["texts", "words"]


class Expansion:
    """How much of the expansion is masked at this point of training.

    Args:
        level: whole batches of texts, or single words.
        rate: p for the whole training; None lets it fall.
    """

    def __init__(self, level: Level, *, rate: float | None = None) -> None:
        self.level, self.rate = level, rate
        self.share, self.masks = 0.0, False

    @property
    def probability(self) -> float:
        """P now."""
        return self.rate if self.rate is not None else max(0.0, 1 - self.share / _FALLS)

    def draw(self, rng: np.random.Generator) -> None:
        """Decide for a whole batch, before its texts are embedded in chunks or by several processes."""
        self.masks = self.level == "words" or rng.random() < self.probability

    def allowed(self, own: Tensor) -> Tensor | None:
        """Which terms each text may use, bool like `own`; None for all.

        Args:
            own: bool (n, terms), the words of the texts themselves.
        """
        if not self.masks or self.level == "texts":
            return own if self.masks else None
        return own | (torch.rand(own.shape, device=own.device) >= self.probability)


def draw_masks(sides: Sequence[Expansion], rng: np.random.Generator) -> None:
    """Decide for a batch which of the controlled sides is masked, and how."""
    for side in sides:
        side.masks = False
    if sides:
        sides[int(rng.integers(len(sides)))].draw(rng)


class OwnWords:
    """Own words of the items of a tower.

    Args:
        counts: CSR (items, terms and columns of unknown words).
        terms: how many columns are terms.
        expansion: how much is masked.
        device: where to compute.
    """

    def __init__(
        self,
        counts: sparse.csr_array,
        terms: int,
        expansion: Expansion,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.counts, self.terms, self.expansion = counts, terms, expansion
        self.device = torch.device(device)

    def allowed(self, rows: np.ndarray, partners: np.ndarray | None = None) -> Tensor | None:
        """Which terms items may have in this batch, bool (n, terms); None for all.

        Args:
            rows: (n,), which items.
            partners: (n,), those that they are mixed with: a mixture has the own words of both.
        """
        if not self.expansion.masks:
            return None
        own = torch.zeros(len(rows), self.terms, dtype=torch.bool, device=self.device)
        for some in (rows,) if partners is None else (rows, partners):
            counts = self.counts[some]
            known = counts.indices < self.terms
            owner = np.repeat(np.arange(len(some)), np.diff(counts.indptr))
            own[self._tensor(owner[known]), self._tensor(counts.indices[known])] = True
        return self.expansion.allowed(own)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.int64)).to(self.device)
