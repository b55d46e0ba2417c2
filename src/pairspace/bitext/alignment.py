"""Sentence alignment of two texts that are translations of each other, in order: vectors in, beads out.

A bead is a run of sentences of one text and the run of the other that says the same; a deletion has nothing on one
side. Runs are judged by vectors, each run encoded as one text (`bead_costs`), and the beads of the least total cost

    sum over beads of cost(x, y) + sum over deletions of cost(s, -)

are found by dynamic programming (`banding`): on vectors of two, four, ... sentences averaged first, one to one, then
finer and finer within a band around what was found, so that time and memory are linear in the length of the texts.

The method is vecalign's (Thompson and Koehn, EMNLP 2019). Different here: the odd last sentence is averaged with
nothing instead of being dropped, two texts of up to `exact` sentences each are searched whole, with all sizes of beads,
the band is wider, vectors are centred, and lengths may take part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pairspace.bitext.banding import Band, Step, cheapest_steps
from pairspace.bitext.bead_costs import AlignmentOptions, BeadCosts, RunLengths
from pairspace.errors import FeatureError, ShapeError
from pairspace.progress import progress_bar

__all__ = ["Alignment", "Bead", "align_vectors"]

_EPSILON = 1e-6
_ENOUGH = 10  # beads of one sentence a side that say what the usual ratio of lengths is


class Bead(NamedTuple):
    """Sentences that say the same.

    Attributes:
        left, right: their indices; one of the two is empty in a deletion.
        score: 1 for equal vectors, about 0 for texts that have nothing to do with each other, 0 for deletions.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class Alignment:
    """What was found.

    Attributes:
        beads: in the order of the texts; every sentence is in exactly one.
        cost: of all of them.
        deletion: what a deleted sentence cost, by vectors alone or if it is of mean weight.
    """

    beads: list[Bead] = field(repr=False)
    cost: float
    deletion: float


def align_vectors(
    blocks_left: np.ndarray,
    blocks_right: np.ndarray,
    *,
    lengths: tuple[Any, Any] | None = None,
    options: AlignmentOptions | None = None,
    progress: bool | None = False,
) -> Alignment:
    """Align two texts by the vectors of their runs of sentences.

    Args:
        blocks_left: float (most_left, n, dim): row i of block k is the vector of the k + 1 sentences from i on. The
            last k rows of block k, where the text is too short, are never read.
        blocks_right: float (most_right, m, dim), the same of the other text.
        lengths: characters of each sentence, (n,) and (m,); None goes by vectors alone, as vecalign does.
        options: the settings; by default those of the class, of as many blocks as are given.
        progress: show a bar; None where a person can see it.

    Returns:
        Beads that hold every sentence of both texts once, in order.

    Raises:
        ShapeError: no three dimensions, different ones, fewer blocks than the options ask for, or not a length for each
            sentence.
        FeatureError: a value that is not finite.
    """
    left, right = np.asarray(blocks_left), np.asarray(blocks_right)
    for name, blocks in (("left", left), ("right", right)):
        if blocks.ndim != 3 or not blocks.shape[0]:
            raise ShapeError(f"{name} blocks have the shape {blocks.shape}: (blocks, sentences, dimensions) is needed")
    options = options or AlignmentOptions(most_left=left.shape[0], most_right=right.shape[0])
    most = options.most_left, options.most_right
    for name, blocks, wanted in zip(("left", "right"), (left, right), most, strict=True):
        if blocks.shape[0] < wanted:
            raise ShapeError(f"{name}: runs of up to {wanted} sentences are asked for, {blocks.shape[0]} blocks given")
    if left.shape[2] != right.shape[2]:
        raise ShapeError(f"the sides have {left.shape[2]} and {right.shape[2]} dimensions: one space is needed")
    centre = options.centre and left.shape[1] > 1 < right.shape[1]  # nothing is left of the only vector less the mean
    one, other = (
        _prepared(blocks, wanted, name, centre)
        for name, blocks, wanted in zip(("left", "right"), (left, right), most, strict=True)
    )
    return _coarse_to_fine(one, other, None if lengths is None else _lengths(lengths, (one, other)), options, progress)


def _coarse_to_fine(
    left: np.ndarray,
    right: np.ndarray,
    lengths: tuple[RunLengths, RunLengths] | None,
    options: AlignmentOptions,
    progress: bool | None,
) -> Alignment:
    """Beads of the texts, found around those of coarser levels."""
    levels = [(left, right)]
    while levels[-1][0].shape[1] * levels[-1][1].shape[1] > options.exact**2:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    nodes: np.ndarray | None = None
    searched = levels if lengths is None else [(left, right), *levels]
    work = sum(a.shape[1] + b.shape[1] + 1 for a, b in searched)
    with progress_bar("aligning", work, unit="diagonals", show=progress) as bar:
        for a, b in reversed(levels):
            finest, n, m = a is left, a.shape[1], b.shape[1]
            costs = BeadCosts(a, b, options)
            band = Band.whole(n, m) if nodes is None else Band.around(n, m, nodes, options.band)
            sizes = options.steps if finest else [(1, 1)]
            steps, cost = cheapest_steps(band, sizes, costs.tile, deletions=costs.deletions, advance=bar.advance)
            nodes = _matched(steps) * 2
        if lengths is not None:
            # the usual ratio is that of what vectors alone have matched: half of one text may have no counterpart
            costs.weigh(lengths, _ratio(steps, lengths))
            steps, cost = cheapest_steps(band, sizes, costs.tile, deletions=costs.deletions, advance=bar.advance)
    return Alignment(list(_beads(steps, costs)), cost, costs.deletion)


def _lengths(lengths: tuple[Any, Any], blocks: tuple[np.ndarray, np.ndarray]) -> tuple[RunLengths, RunLengths]:
    made = []
    for name, given, vectors in zip(("left", "right"), lengths, blocks, strict=True):
        values = np.asarray(given, np.float64)
        if values.shape != vectors.shape[1:2]:
            raise ShapeError(f"{name}: {vectors.shape[1]} sentences, and lengths of the shape {values.shape}")
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise FeatureError(f"{name}: a length that is no number of characters")
        made.append(RunLengths(values, vectors.shape[0]))
    return made[0], made[1]


def _prepared(blocks: np.ndarray, most: int, name: str, centre: bool) -> np.ndarray:
    """Float32 unit vectors, centred where asked; zero where a run would go beyond the end."""
    vectors = np.array(blocks[:most], np.float32)
    for k in range(1, most):
        vectors[k, max(vectors.shape[1] - k, 0) :] = 0
    if not np.isfinite(vectors).all():
        k, row = np.argwhere(~np.isfinite(vectors).all(2))[0]
        raise FeatureError(f"{name}: the vector of the {k + 1} sentences from row {row} on is not finite")
    _normalise(vectors)
    if centre:
        mean = vectors[0].mean(0)
        for k in range(most):
            vectors[k, : max(vectors.shape[1] - k, 0)] -= mean
        _normalise(vectors)
    return vectors


def _halved(blocks: np.ndarray) -> np.ndarray:
    """Single sentences averaged two by two, without what all of them have in common: (1, (n + 1) // 2, dim)."""
    single = blocks[0]
    pairs = single[::2].copy()
    pairs[: len(single) // 2] += single[1::2]
    if len(pairs) > 1:
        pairs -= pairs.mean(0)
    return _normalise(pairs[None])


def _normalise(vectors: np.ndarray) -> np.ndarray:
    vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _EPSILON)
    return vectors


def _spans(steps: list[Step]) -> tuple[np.ndarray, np.ndarray]:
    """(k, 2) each: the nodes before and after every bead that is no deletion."""
    sizes = np.array(steps, np.int64).reshape(-1, 2)
    after = np.cumsum(sizes, 0)
    matched = sizes.all(1)
    return (after - sizes)[matched], after[matched]


def _matched(steps: list[Step]) -> np.ndarray:
    """(k, 2): the nodes around every bead that is no deletion.

    The order of deletions among themselves means nothing, so between these nodes the finer search follows a straight
    line.
    """
    return np.stack(_spans(steps), 1).reshape(-1, 2)


def _ratio(steps: list[Step], lengths: tuple[RunLengths, RunLengths]) -> float:
    """Characters of the left text for one of the right, in what was matched, one to one where that is often enough."""
    before, after = _spans(steps)
    single = (after - before == 1).all(1)
    if single.sum() >= _ENOUGH:
        before, after = before[single], after[single]
    totals = []
    for side, one in enumerate(lengths):
        upto = np.concatenate([[0.0], np.cumsum(one.characters[0], dtype=np.float64)])
        totals.append(float((upto[after[:, side]] - upto[before[:, side]]).sum()))
    return totals[0] / totals[1] if min(totals) > 0 else 1.0


def _beads(steps: list[Step], costs: BeadCosts) -> Iterator[Bead]:
    """Steps as beads with scores; in a run of deletions those of the left text come first."""
    i = j = 0
    for p, q in _ordered(steps):
        score = 0.0
        if p and q:
            score = 1.0 - float(costs.distance(p, np.array([i]), q, np.array([j]))[0])
        yield Bead(tuple(range(i, i + p)), tuple(range(j, j + q)), score)
        i, j = i + p, j + q


def _ordered(steps: list[Step]) -> Iterator[Step]:
    run: list[Step] = []
    for step in steps:
        if 0 in step:
            run.append(step)
            continue
        yield from sorted(run, reverse=True)
        run = []
        yield step
    yield from sorted(run, reverse=True)
