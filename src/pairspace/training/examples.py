"""What training learns from: for each pair the rows of its items in the towers, and all that was given beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pairspace.errors import ShapeError, TrainingError
from pairspace.training.towers import FeatureRows

__all__ = ["Examples"]


@dataclass(frozen=True)
class Examples:
    """Pairs as rows of two towers.

    Attributes:
        query: (n,) the row of each pair's query in its tower; equal rows are equal items and never each other's
            negatives.
        document: (n,) the same for its document.
        negatives: (n, k) rows of documents known to be wrong for the pair, -1 where it has fewer than k.
        scores: (n, 1 + k) what a teacher gives the pair and its own negatives; NaN where it gave nothing.
        sources: (n,) which data set a pair is from, where there are several.
        teacher: vectors of a teacher space, one row an item of each tower: arrays, or CSR of weights of terms.
        guide: features of the encoders as they came, one row an item of each tower; for objectives that look at them.
    """

    query: np.ndarray
    document: np.ndarray
    negatives: np.ndarray | None = None
    scores: np.ndarray | None = None
    sources: np.ndarray | None = None
    teacher: tuple[Any, Any] | None = None
    guide: tuple[FeatureRows, FeatureRows] | None = None

    def __len__(self) -> int:
        return len(self.query)

    def check(self) -> None:
        """See that there is something to learn from.

        Raises:
            ShapeError: arrays of different lengths.
            TrainingError: fewer than two pairs, or no negatives because one side has a single distinct item.
        """
        for name in ("document", "negatives", "scores", "sources"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self):
                raise ShapeError(
                    f"a pair has one row in each array, but there are {len(self)} queries and {len(value)} of {name}"
                )
        if len(self) < 2:
            raise TrainingError(f"{len(self)} pair(s) to train on: at least 2 are needed, better thousands")
        for which, one in (("first", self.query), ("second", self.document)):
            if (one == one[0]).all():
                raise TrainingError(
                    f"all {len(one)} pairs have the same item on the {which} side, so no negatives are left to learn "
                    "from: check which columns were given as sides"
                )
