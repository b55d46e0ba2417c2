"""Sentence alignment against a gold alignment: strict and lax precision, recall and F1.

    strict    a bead is right if gold has the very same one
    lax       a bead is right if it shares a sentence on each side with one and the same pairing of gold
    P         right beads among those found
    R         gold's beads that are right when they are held against those found, deletions left out on both sides

The counting of vecalign's `score.py`, after Sennrich and Volk (NODALIDA 2011): in precision found deletions count, and
are right where gold has the same ones; in recall they are left out. Equal beads count once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["AlignmentScores", "alignment_scores"]

_Bead = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class AlignmentScores:
    """Shares between 0 and 1; 0 where there is nothing to divide by.

    Attributes:
        strict_precision, strict_recall, strict_f1: of beads that are gold's own.
        lax_precision, lax_recall, lax_f1: of beads that overlap with gold's on both sides.
    """

    strict_precision: float
    strict_recall: float
    strict_f1: float
    lax_precision: float
    lax_recall: float
    lax_f1: float

    def to_dict(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


def alignment_scores(found: Iterable[Sequence[Any]], gold: Iterable[Sequence[Any]]) -> AlignmentScores:
    """Scores of an alignment of one document, or of several whose indices do not collide.

    Args:
        found: beads, each left indices and right indices; whatever follows (a score) is not looked at.
        gold: the same, by hand.
    """
    ours, theirs = _beads(found), _beads(gold)
    strict_right, lax_right = _right(ours, theirs)
    both_ours, both_theirs = ({bead for bead in beads if all(bead)} for beads in (ours, theirs))
    strict_hit, lax_hit = _right(both_theirs, both_ours)
    strict = _shares(strict_right, len(ours), strict_hit, len(both_theirs))
    return AlignmentScores(*strict, *_shares(lax_right, len(ours), lax_hit, len(both_theirs)))


def _beads(beads: Iterable[Sequence[Any]]) -> set[_Bead]:
    made = {(tuple(bead[0]), tuple(bead[1])) for bead in beads}
    return {bead for bead in made if any(bead)}


def _right(asked: set[_Bead], truth: set[_Bead]) -> tuple[int, int]:
    """How many of the beads asked about are in the truth, and how many at least overlap with it."""
    partners: dict[int, set[int]] = defaultdict(set)
    for left, right in truth:
        for one in left:
            partners[one].update(right)
    strict = len(asked & truth)
    return strict, strict + sum(
        any(not partners[one].isdisjoint(right) for one in left) for left, right in asked - truth
    )


def _shares(right: int, found: int, hit: int, gold: int) -> tuple[float, float, float]:
    precision, recall = right / found if found else 0.0, hit / gold if gold else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0
