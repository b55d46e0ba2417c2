"""Doubtful pairs of a translation memory: what a space and the texts say against them.

    score      the margin among the file's own texts is below the threshold: not nearer to each other than to anything
    nearer     another text of the file is nearer than the translation, by more than `NEARER`: swapped
    length     much longer or shorter than translations of this file are: cut off, or run together
    language   unlike the language of its side: its runs of three letters are rare there
    script     in another script than its side

A pair has a doubt for each of these that it fails. Languages are told apart by the file itself: a model of runs of
three letters is made of each side, and a text counts as unlike where its mean log-probability is far below that of the
side's other texts of such a length. So no list of languages is needed, and what most of a side is written in is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pairspace.bitext.filters import filter_pairs
from pairspace.bitext.pairing import pair_scores

__all__ = ["DOUBTS", "Scored", "score_pairs", "unlikeness"]

DOUBTS = ("score", "nearer", "length", "language", "script")
THRESHOLD = 0.9  # of the margin
NEARER = 0.1  # of the cosine
RATIO = 1.5  # times the usual ratio of lengths
UNLIKE = 3.5  # standard deviations below the mean of texts as long
_RUN = 3
_LETTERS = 12  # fewer say nothing about the language
_SETTLED = 50  # runs from which on a longer text says little more: texts differ in their subject too


class Scored(NamedTuple):
    """What was found of each pair.

    Attributes:
        score: float32 (n,), the margin.
        cosine: float32 (n,).
        doubts: names out of `DOUBTS` for each pair; none for a good one.
    """

    score: np.ndarray
    cosine: np.ndarray
    doubts: list[tuple[str, ...]]

    @property
    def doubtful(self) -> np.ndarray:
        """Whether each pair has a doubt, bool (n,)."""
        return np.array([bool(one) for one in self.doubts], bool)


def score_pairs(
    space: Any,
    left: Sequence[str],
    right: Sequence[str],
    *,
    left_side: str | None = None,
    right_side: str | None = None,
    threshold: float = THRESHOLD,
    progress: bool | None = None,
) -> Scored:
    """Score the pairs of a memory and say which are doubtful, and why.

    Args:
        space: a `Space` with a side a language.
        left: texts.
        right: their translations, row by row.
        left_side: see `mine`.
        right_side: likewise.
        threshold: the least margin of a pair without a doubt.
        progress: show bars.

    Raises:
        PairspaceError: sides of unequal length, or a side that the space does not have.
    """
    sides: dict[str, Any] = {"left_side": left_side, "right_side": right_side}
    score, cosine, nearer = pair_scores(space, left, right, **sides, progress=progress)
    found = {
        "score": score < threshold,
        "nearer": nearer > NEARER,
        "length": ~filter_pairs(left, right, ["length"], ratio=RATIO).kept,
        "language": np.maximum(unlikeness(left), unlikeness(right)) > UNLIKE,
        "script": ~filter_pairs(left, right, ["script"]).kept,
    }
    doubts = [tuple(name for name in DOUBTS if found[name][row]) for row in range(len(left))]
    return Scored(score, cosine, doubts)


def unlikeness(texts: Sequence[str]) -> np.ndarray:
    """By how many standard deviations each text is less probable than the others of its length, float64 (n,).

    The mean log-probability of a text's runs of three letters, in a model of all the texts with the text itself taken
    out, is compared with that of the texts; the deviation is taken to fall with the root of the number of runs. Zero
    for texts too short to tell.
    """
    runs = [_runs(text) for text in texts]
    total = Counter(run for one in runs for run in one)
    starts = Counter(run[:-1] for one in runs for run in one)
    kinds = len({run[-1] for run in total}) or 1
    means, sizes = np.zeros(len(texts)), np.array([len(one) for one in runs], float)
    for row, one in enumerate(runs):
        if sizes[row] < _LETTERS:
            continue
        own, own_starts = Counter(one), Counter(run[:-1] for run in one)
        means[row] = np.mean(
            [
                np.log((total[run] - own[run] + 0.1) / (starts[run[:-1]] - own_starts[run[:-1]] + 0.1 * kinds))
                for run in one
            ]
        )
    long = sizes >= _LETTERS
    if long.sum() < 3:
        return np.zeros(len(texts))
    middle = np.median(means[long])
    away = (middle - means) * np.sqrt(sizes / (1 + sizes / _SETTLED))
    spread = 1.4826 * np.median(np.abs(away[long] - np.median(away[long])))
    return np.where(long, away / max(float(spread), 1e-9), 0.0)


def _runs(text: str) -> list[str]:
    """Runs of three characters of the text's words, lower case; digits and punctuation left out."""
    letters = " ".join("".join(c if c.isalpha() else " " for c in text.lower()).split())
    padded = f" {letters} "
    return [padded[i : i + _RUN] for i in range(len(padded) - _RUN + 1)] if letters else []
