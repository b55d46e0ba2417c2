"""What beads and deletions cost, from the vectors of runs of sentences and, where they are known, their lengths.

The distance of a run x of p sentences of one text and a run y of q of the other is that of vecalign,

    d(x, y) = (1 - cos(x, y)) / (1/(2S) * (sum_s (1 - cos(x, y_s)) + sum_s (1 - cos(x_s, y))))

where x_s and y_s are S randomly drawn runs: 1 is what runs of no relation have, and a text with many friends is no
nearer than others. Two texts of one sentence each have no other runs to draw than those that are to be judged: of them
d(x, y) is 1 - cos(x, y). By vectors alone, as in vecalign,

    cost(x, y)  = p q d(x, y)
    cost(s, -)  = t

where t is a quantile of what randomly drawn pairs of single sentences cost. Of these pairs up to one in max(n, m) are
translations: quantile f of the others is taken, f + (1 - f) / max(n, m) of all. With lengths, in characters,

    cost(x, y)  = (w(x) + w(y)) / 2 * (d(x, y) + a (1 - shorter / longer)) + b ((p + q) / 2 - 1)
    cost(s, -)  = t w(s)

where w(s) is the square root of a sentence's length, 1 on average, w(x) the sum over a run, and lengths are compared
after division by the usual ratio of the two languages. Longer sentences count more, stray letters and page numbers are
cheap to leave out, and a bead that is cut in the wrong place shows by its lengths. The factor p q, or b, keeps large
beads from swallowing small ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pairspace.bitext.banding import Step
from pairspace.errors import ShapeError

__all__ = ["AlignmentOptions", "BeadCosts", "RunLengths"]

_EPSILON = 1e-6
_ROUNDING = 1e-5  # the least distance: of equal texts, small beads cost less than large ones
_SHORTEST = 3.0  # characters; shorter sentences weigh as much as these


@dataclass(frozen=True)
class AlignmentOptions:
    """How texts are aligned. `deletion`, `length` and `merge` were tuned on one article with e5.

    Attributes:
        most_left, most_right: sentences a bead may have on each side.
        most: sentences a bead may have on both sides together (vecalign's `alignment_max_size`).
        deletion: quantile of the costs of random pairs that a deletion costs; larger keeps more (vecalign's
            `del_percentile_frac`, there 0.2; with e5, whose distances vary less, gaps are then filled with what is
            near).
        length: how much unlike lengths count; a in the formula.
        merge: what each sentence more than one a side costs; b in the formula.
        centre: subtract each text's mean vector first; for encoders whose vectors all lie in one direction. Where
            one text is a single sentence neither is centred.
        band: nodes looked at on either side of the coarser path.
        exact: a pair of texts of up to so many sentences each is searched whole.
        samples: runs drawn to normalise with.
        pairs: pairs drawn for the cost of a deletion.
        seed: of the drawing; equal seeds give equal alignments.
    """

    most_left: int = 4
    most_right: int = 4
    most: int = 8
    deletion: float = 0.02
    length: float = 0.3
    merge: float = 0.35
    centre: bool = True
    band: int = 20
    exact: int = 500
    samples: int = 100
    pairs: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        """See that all of it makes sense.

        Raises:
            ShapeError: a size below 1, a quantile outside 0 to 1, or a weight below 0.
        """
        for name in ("most_left", "most_right", "band", "exact", "samples", "pairs"):
            if getattr(self, name) < 1:
                raise ShapeError(f"{name}={getattr(self, name)}: at least 1 is needed")
        if self.most < 2:
            raise ShapeError(f"most={self.most}: a bead has at least 2 sentences, one on each side")
        if not 0 <= self.deletion <= 1:
            raise ShapeError(f"deletion={self.deletion}: a quantile is between 0 and 1")
        if not (self.length >= 0 and self.merge >= 0):
            raise ShapeError(f"length={self.length}, merge={self.merge}: what something costs is not below 0")

    @property
    def steps(self) -> list[Step]:
        """The sizes (p, q) a bead may have, small ones first."""
        sizes = [(p, q) for p in range(1, self.most_left + 1) for q in range(1, self.most_right + 1)]
        return sorted((one for one in sizes if sum(one) <= self.most), key=lambda size: (sum(size), size))


class RunLengths:
    """Lengths of all runs of one text, and what they weigh: (most, n) each; a run beyond the end stops there."""

    def __init__(self, lengths: np.ndarray, most: int) -> None:
        weights = np.sqrt(np.maximum(lengths, _SHORTEST)).astype(np.float32)
        self.weights = _run_sums(weights / weights.mean() if len(weights) else weights, most)
        self.characters = _run_sums(lengths.astype(np.float32), most)


def _run_sums(values: np.ndarray, most: int) -> np.ndarray:
    upto = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    start = np.arange(len(values))
    return np.stack([upto[np.minimum(start + k, len(values))] - upto[start] for k in range(1, most + 1)]).astype("f4")


class BeadCosts:
    """The formulas at the head of the file, for one pair of texts.

    Attributes:
        deletion: t in the formula.
    """

    def __init__(self, left: np.ndarray, right: np.ndarray, options: AlignmentOptions) -> None:
        """Costs by the first formula, of unit vectors of runs as `align_vectors` takes them."""
        random = np.random.default_rng(options.seed)
        self._lengths: tuple[RunLengths, RunLengths] | None = None
        self._ratio = 1.0
        self._left, self._right, self._options = left, right, options
        drawn_left, drawn_right = (_drawn(side, options.samples, random) for side in (left, right))
        self._mean_left = 1.0 - left @ drawn_right.mean(0)
        self._mean_right = 1.0 - right @ drawn_left.mean(0)
        if left.shape[1] == right.shape[1] == 1:
            self._mean_left[:] = self._mean_right[:] = 1.0
        self.deletion = self._quantile(random)

    def weigh(self, lengths: tuple[RunLengths, RunLengths], ratio: float) -> None:
        """From now on, costs by the second formula.

        Args:
            lengths: of the left and the right text.
            ratio: characters of the left text for one of the right.
        """
        self._lengths, self._ratio = lengths, ratio

    @property
    def deletions(self) -> tuple[np.ndarray, np.ndarray]:
        """What leaving out each sentence of the left and of the right text costs."""
        if self._lengths is not None:
            return self.deletion * self._lengths[0].weights[0], self.deletion * self._lengths[1].weights[0]
        sizes = self._left.shape[1], self._right.shape[1]
        return np.full(sizes[0], self.deletion, np.float32), np.full(sizes[1], self.deletion, np.float32)

    def distance(self, p: int, i: np.ndarray, q: int, j: np.ndarray) -> np.ndarray:
        """Normalised distance d of runs of p sentences from i on and of q from j on, pair by pair."""
        far = 1.0 - np.einsum("nd,nd->n", self._left[p - 1, i], self._right[q - 1, j])
        mean = (self._mean_left[p - 1, i] + self._mean_right[q - 1, j]) / 2
        return np.asarray(np.maximum(far, _ROUNDING) / np.maximum(mean, _EPSILON))

    def tile(self, i0: int, i1: int, j0: int, j1: int) -> np.ndarray:
        """Costs of all beads that start in a window, as `cheapest_steps` asks for them."""
        left, right = self._left[:, i0:i1], self._right[:, j0:j1]
        (most_p, n, dimension), (most_q, m, _) = left.shape, right.shape
        far: np.ndarray = 1.0 - (left.reshape(-1, dimension) @ right.reshape(-1, dimension).T).reshape(
            most_p, n, most_q, m
        )
        mean = (self._mean_left[:, i0:i1, None, None] + self._mean_right[None, None, :, j0:j1]) / 2
        np.maximum(far, _ROUNDING, out=far)
        far /= np.maximum(mean, _EPSILON)
        p = np.arange(1, most_p + 1, dtype=np.float32)[:, None, None, None]
        q = np.arange(1, most_q + 1, dtype=np.float32)[:, None]
        if self._lengths is None:
            far *= p * q
            return far
        one, other = self._lengths
        a = one.characters[:most_p, i0:i1, None, None]
        b = other.characters[None, None, :most_q, j0:j1] * np.float32(self._ratio)
        far += self._options.length * (1 - np.minimum(a, b) / np.maximum(np.maximum(a, b), 1))
        far *= (one.weights[:most_p, i0:i1, None, None] + other.weights[None, None, :most_q, j0:j1]) / 2
        far += self._options.merge * ((p + q) / 2 - 1)
        return far

    def _quantile(self, random: np.random.Generator) -> float:
        n, m = self._left.shape[1], self._right.shape[1]
        if not n or not m:
            return 1.0
        if n * m <= self._options.pairs:
            i, j = (index.reshape(-1) for index in np.indices((n, m)))
        else:
            i, j = random.integers(n, size=self._options.pairs), random.integers(m, size=self._options.pairs)
        related, unrelated = 1 / max(n, m), self._options.deletion
        return float(np.quantile(self.distance(1, i, 1, j), unrelated + (1 - unrelated) * related))


def _drawn(blocks: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """About `count` runs, as many of each size; all there are where they are no more than that."""
    n = blocks.shape[1]
    each = -(-count // len(blocks))
    drawn = []
    for k, block in enumerate(blocks):
        there = max(n - k, 0)
        drawn.append(block[:there] if there <= each else block[random.choice(there, each, replace=False)])
    runs = np.concatenate(drawn)
    return runs if len(runs) else np.zeros((1, blocks.shape[2]), np.float32)
