"""Sentence alignment of two texts that are translations of each other, in order: vectors in, beads out.

A bead is a run of sentences of one text and the run of the other that says the same; a deletion has nothing on one
side. A bead is judged by the vectors of its runs, each encoded as one text, x of p and y of q sentences:

    cost(x, y) = p q (1 - cos(x, y)) / (1/(2S) * (sum_s (1 - cos(x, y_s)) + sum_s (1 - cos(x_s, y))))

x_s and y_s are S randomly drawn runs, so that 1 is what runs of no relation cost and a text with many friends is no
cheaper than others; the factor p q keeps large beads from swallowing small ones. A deletion costs a quantile of what
randomly drawn pairs of single sentences cost. The beads of the least total cost are found by dynamic programming: on
vectors of two, four, ... sentences averaged first, then finer and finer within a band around what was found, so that
time and memory are linear in the length of the texts.

The method is vecalign's (Thompson and Koehn, EMNLP 2019). Different here: the randomly drawn runs are one half of the
formula each (a factor of 2 overall), the odd last sentence is averaged with nothing instead of being dropped, a pair of
texts of up to `exact` sentences a side is searched whole, and the band is wider.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pairspace.bitext.banding import Band, Step, cheapest_steps
from pairspace.errors import FeatureError, ShapeError
from pairspace.progress import progress_bar

__all__ = ["Alignment", "AlignmentOptions", "Bead", "align_vectors"]

_EPSILON = 1e-6


class Bead(NamedTuple):
    """Sentences that say the same.

    Attributes:
        left, right: their indices; one of the two is empty in a deletion.
        score: 1 for equal vectors, 0 for what has no relation, 0 for deletions.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class AlignmentOptions:
    """How texts are aligned.

    Attributes:
        most_left, most_right: sentences a bead may have on each side.
        most: sentences a bead may have on both sides together (vecalign's `alignment_max_size`).
        deletion: quantile of the costs of random pairs that a deletion costs; larger keeps more (vecalign's
            `del_percentile_frac`).
        centre: subtract each text's mean vector first; for encoders whose vectors all lie in one direction.
        band: nodes looked at on either side of the coarser path.
        exact: a pair of texts of up to so many sentences each is searched whole.
        samples: runs drawn to normalise with.
        pairs: pairs drawn for the cost of a deletion.
        seed: of the drawing; equal seeds give equal alignments.
    """

    most_left: int = 4
    most_right: int = 4
    most: int = 8
    deletion: float = 0.2
    centre: bool = True
    band: int = 20
    exact: int = 500
    samples: int = 100
    pairs: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        """See that all of it makes sense.

        Raises:
            ShapeError: a size below 1, or a quantile outside 0 to 1.
        """
        sizes = ("most_left", "most_right", "band", "exact", "samples", "pairs")
        for name in sizes:
            if getattr(self, name) < 1:
                raise ShapeError(f"{name}={getattr(self, name)}: at least 1 is needed")
        if self.most < 2:
            raise ShapeError(f"most={self.most}: a bead has at least 2 sentences, one on each side")
        if not 0 <= self.deletion <= 1:
            raise ShapeError(f"deletion={self.deletion}: a quantile is between 0 and 1")

    @property
    def steps(self) -> list[Step]:
        """The sizes (p, q) a bead may have, small ones first."""
        sizes = [(p, q) for p in range(1, self.most_left + 1) for q in range(1, self.most_right + 1)]
        return sorted((one for one in sizes if sum(one) <= self.most), key=lambda size: (sum(size), size))


@dataclass(frozen=True)
class Alignment:
    """What was found.

    Attributes:
        beads: in the order of the texts; every sentence is in exactly one.
        cost: of all of them.
        deletion: what each deleted sentence cost.
    """

    beads: list[Bead] = field(repr=False)
    cost: float
    deletion: float


def align_vectors(
    blocks_left: np.ndarray,
    blocks_right: np.ndarray,
    *,
    options: AlignmentOptions | None = None,
    progress: bool | None = False,
) -> Alignment:
    """Align two texts by the vectors of their runs of sentences.

    Args:
        blocks_left: float (most_left, n, dim): row i of block k is the vector of the k + 1 sentences from i on. The last
            k rows of block k, where the text is too short, are never read.
        blocks_right: float (most_right, m, dim), the same of the other text.
        options: the settings; by default those of the class, of as many blocks as are given.
        progress: show a bar; None where a person can see it.

    Returns:
        Beads that hold every sentence of both texts once, in order.

    Raises:
        ShapeError: no three dimensions, different ones, or fewer blocks than the options ask for.
        FeatureError: a value that is not finite.
    """
    left, right = np.asarray(blocks_left), np.asarray(blocks_right)
    for name, blocks in (("left", left), ("right", right)):
        if blocks.ndim != 3:
            raise ShapeError(f"{name} blocks have the shape {blocks.shape}: (blocks, sentences, dimensions) is needed")
    options = options or AlignmentOptions(most_left=max(left.shape[0], 1), most_right=max(right.shape[0], 1))
    for name, blocks, most in (("left", left, options.most_left), ("right", right, options.most_right)):
        if blocks.shape[0] < most:
            raise ShapeError(f"{name}: runs of up to {most} sentences are asked for, blocks of {blocks.shape[0]} given")
    if left.shape[2] != right.shape[2]:
        raise ShapeError(f"the sides have {left.shape[2]} and {right.shape[2]} dimensions: one space is needed")
    return _coarse_to_fine(
        _prepared(left, options.most_left, "left", options),
        _prepared(right, options.most_right, "right", options),
        options,
        progress,
    )


def _coarse_to_fine(
    left: np.ndarray, right: np.ndarray, options: AlignmentOptions, progress: bool | None
) -> Alignment:
    """The finest level's beads, found around those of coarser levels."""
    levels = [(left, right)]
    while np.prod([side.shape[1] for side in levels[-1]]) > options.exact**2 and min(levels[-1][0].shape[1:2]) > 1:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    work = sum(a.shape[1] + b.shape[1] + 1 for a, b in levels)
    nodes: np.ndarray | None = None
    with progress_bar("aligning", work, unit="diagonals", show=progress) as bar:
        for a, b in reversed(levels):
            costs = _Costs(a, b, options)
            n, m = a.shape[1], b.shape[1]
            band = Band.whole(n, m) if nodes is None else Band.around(n, m, nodes, options.band)
            sizes = options.steps if a is left else [(1, 1)]
            steps, cost = cheapest_steps(band, sizes, costs.tile, deletion=costs.deletion, advance=bar.advance)
            nodes = _matched(steps) * 2
    return Alignment(list(_beads(steps, costs)), cost, costs.deletion)


class _Costs:
    """What beads and deletions cost, by the formula at the head of the file."""

    def __init__(self, left: np.ndarray, right: np.ndarray, options: AlignmentOptions) -> None:
        random = np.random.default_rng(options.seed)
        self._left, self._right = left, right
        drawn_left, drawn_right = (_drawn(side, options.samples, random) for side in (left, right))
        self._mean_left = 1.0 - left @ drawn_right.mean(0)
        self._mean_right = 1.0 - right @ drawn_left.mean(0)
        self.deletion = self._quantile(options, random)

    def distance(self, p: int, i: np.ndarray, q: int, j: np.ndarray) -> np.ndarray:
        """Normalised distance of runs of p sentences from i on and of q from j on: 1 is no relation."""
        far = 1.0 - np.einsum("nd,nd->n", self._left[p - 1, i], self._right[q - 1, j])
        mean = (self._mean_left[p - 1, i] + self._mean_right[q - 1, j]) / 2
        return np.asarray(np.maximum(far, 0) / np.maximum(mean, _EPSILON))

    def tile(self, i0: int, i1: int, j0: int, j1: int) -> np.ndarray:
        """Costs of all runs that start in a window, as `cheapest_steps` asks for them."""
        left, right = self._left[:, i0:i1], self._right[:, j0:j1]
        (p, n, dimension), (q, m, _) = left.shape, right.shape
        far = 1.0 - (left.reshape(-1, dimension) @ right.reshape(-1, dimension).T).reshape(p, n, q, m)
        mean = (self._mean_left[:, i0:i1, None, None] + self._mean_right[None, None, :, j0:j1]) / 2
        np.maximum(far, 0, out=far)
        far /= np.maximum(mean, _EPSILON)
        far *= np.arange(1, p + 1, dtype=np.float32)[:, None, None, None]
        far *= np.arange(1, q + 1, dtype=np.float32)[:, None]
        return far

    def _quantile(self, options: AlignmentOptions, random: np.random.Generator) -> float:
        n, m = self._left.shape[1], self._right.shape[1]
        if not n or not m:
            return 1.0
        if n * m <= options.pairs:
            costs = self.tile(0, n, 0, m)[0, :, 0]
        else:
            costs = self.distance(1, random.integers(n, size=options.pairs), 1, random.integers(m, size=options.pairs))
        return float(np.quantile(costs, options.deletion))


def _drawn(blocks: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """About `count` runs, as many of each size; all there are where they are no more than that."""
    n = blocks.shape[1]
    each = -(-count // blocks.shape[0])
    drawn = []
    for k, block in enumerate(blocks):
        there = max(n - k, 0)
        drawn.append(block[:there] if there <= each else block[random.choice(there, each, replace=False)])
    runs = np.concatenate(drawn)
    return runs if len(runs) else np.zeros((1, blocks.shape[2]), np.float32)


def _prepared(blocks: np.ndarray, most: int, name: str, options: AlignmentOptions) -> np.ndarray:
    """Float32 unit vectors, centred where asked; zero where a run would go beyond the end."""
    vectors = np.array(blocks[:most], np.float32)
    for k in range(1, most):
        vectors[k, max(vectors.shape[1] - k, 0) :] = 0
    if not np.isfinite(vectors).all():
        k, row = np.argwhere(~np.isfinite(vectors).all(2))[0]
        raise FeatureError(f"{name}: the vector of the {k + 1} sentences from {row} on is not finite")
    _normalise(vectors)
    if options.centre and vectors.shape[1] > 1:
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
    pairs -= pairs.mean(0)
    return _normalise(pairs[None])


def _normalise(vectors: np.ndarray) -> np.ndarray:
    vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _EPSILON)
    return vectors


def _matched(steps: list[Step]) -> np.ndarray:
    """(k, 2): the nodes before and after every bead that is no deletion.

    The order of deletions among themselves means nothing, so between these nodes the finer search follows a straight
    line.
    """
    after = np.cumsum(np.array(steps, np.int64).reshape(-1, 2), 0)
    sizes = np.array(steps, np.int64).reshape(-1, 2)
    matched = sizes.all(1)
    ends = np.stack([(after - sizes)[matched], after[matched]], 1).reshape(-1, 2)
    return np.asarray(ends)


def _beads(steps: list[Step], costs: _Costs) -> Iterator[Bead]:
    """Steps as beads with scores; the right deletions of a run of deletions follow the left ones."""
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
