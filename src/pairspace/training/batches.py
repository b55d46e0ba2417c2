"""Who meets whom in a batch: the others of a batch are a pair's negatives.

Every pair comes once an epoch, in batches of equal size, and no item is twice in a batch as long as it occurs no more
often than there are batches (what is more frequent is spread evenly, and losses mask equal items anyway). Two variants
make the negatives harder or fairer: `near` puts rows with near features together, by a new random partition each epoch;
`sources` takes each batch from one data set, small ones more often than their share.

An epoch depends on the seed and its number alone, so a run that goes on after a stop needs no state.
"""

from __future__ import annotations

import math

import numpy as np

from pairspace.errors import ShapeError, TrainingError
from pairspace.training.dealing import Dealer

__all__ = ["Batches"]

_NEAR_SAMPLE = 8192  # rows the main axes of `near` are taken from
_NEAR_AXES = 32  # enough to halve by; what lies beyond tells topics apart no more, and costs memory


class Batches:
    """The batches of every epoch.

    Args:
        codes: of each pair the number of its item on either side, (rows,) integers each; equal numbers are equal items.
        batch_size: pairs a batch at most; at least two are in each.
        seed: with the number of an epoch all that its batches depend on.
        near: (rows, dim) float, features of each pair; batches then hold near topics.
        sources: (rows,) integers, the data set of each pair; each batch is then of one.
        mixing: temperature over the data sets: set i with n_i pairs gets a share of the batches in proportion to
            n_i^(1/mixing). 1 gives every pair once an epoch; above, pairs of small sets come several times and those of
            large ones partly wait for the next epoch.

    Raises:
        ShapeError: arrays of different lengths.
        TrainingError: fewer than two pairs (of a data set), batch_size below 2, mixing below 1.

    Memory: about 150 bytes a pair, and 128 more with `near` (its 32 main axes).
    """

    def __init__(
        self,
        codes: tuple[np.ndarray, np.ndarray],
        *,
        batch_size: int,
        seed: int,
        near: np.ndarray | None = None,
        sources: np.ndarray | None = None,
        mixing: float = 1.0,
    ) -> None:
        count = len(codes[0])
        for name, one in (("items of the second side", codes[1]), ("features", near), ("sources", sources)):
            if one is not None and len(one) != count:
                raise ShapeError(f"{len(one)} {name} for {count} pairs: one a pair is needed")
        if batch_size < 2:
            raise TrainingError(f"batch_size must be at least 2, got {batch_size}")
        if not 1 <= mixing < math.inf:
            raise TrainingError(f"mixing is a temperature of at least 1 (1: every pair once an epoch), got {mixing}")
        self.seed = seed
        axes = None if near is None else _main_axes(near)
        self._sets = [np.arange(count)] if sources is None else _rows_of_each(sources)
        self._dealers = []
        for rows in self._sets:
            if len(rows) < 2:
                which = "pairs to train on" if sources is None else f"pairs in data set {sources[rows[0]]}"
                raise TrainingError(f"{len(rows)} {which}: at least 2 are needed, or there are no negatives")
            self._dealers.append(
                Dealer(
                    (codes[0][rows], codes[1][rows]),
                    min(math.ceil(len(rows) / batch_size), len(rows) // 2),
                    near=None if axes is None else axes[rows],
                )
            )
        self.shares = self._share(mixing)

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return sum(self.shares)

    def epoch(self, number: int) -> list[np.ndarray]:
        """The rows of each batch of an epoch, int64, in the order in which they are to be used.

        A data set is an endless row of batches, pass after pass; an epoch takes the next of them.
        """
        batches: list[np.ndarray] = []
        for which, (dealer, rows, share) in enumerate(zip(self._dealers, self._sets, self.shares, strict=True)):
            start, stop = number * share, (number + 1) * share
            for turn in range(start // dealer.batches, (stop - 1) // dealer.batches + 1):
                dealt = dealer.deal(np.random.default_rng([self.seed, which, turn]))
                first = turn * dealer.batches
                batches += [rows[one] for one in dealt[max(0, start - first) : stop - first]]
        order = np.random.default_rng([self.seed, number]).permutation(len(batches))
        return [batches[i] for i in order]

    def _share(self, mixing: float) -> list[int]:
        """Batches an epoch of each data set, at least one; the sum stays what it is without mixing, where it can."""
        own = [dealer.batches for dealer in self._dealers]
        if mixing == 1 or len(own) == 1:
            return own
        weights = np.array([len(rows) for rows in self._sets], float) ** (1 / mixing)
        exact = sum(own) * weights / weights.sum()
        shares = np.maximum(1, np.floor(exact).astype(int))
        rest = max(0, sum(own) - int(shares.sum()))
        shares[np.argsort(shares - exact, kind="stable")[:rest]] += 1
        return [int(share) for share in shares]


def _rows_of_each(sources: np.ndarray) -> list[np.ndarray]:
    """The rows of each data set, by its number."""
    order = np.argsort(sources, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(sources[order])) + 1)


def _main_axes(near: np.ndarray) -> np.ndarray:
    """The features on their main axes, float32 (rows, at most 32)."""
    some = np.unique(np.linspace(0, len(near) - 1, _NEAR_SAMPLE).astype(np.int64))
    sample = np.asarray(near[some], np.float32)
    axes = np.linalg.eigh(np.cov(sample, rowvar=False).reshape(sample.shape[1], -1))[1][:, ::-1][:, :_NEAR_AXES]
    axes = np.ascontiguousarray(axes, np.float32)
    blocks = [np.asarray(near[i : i + 65536], np.float32) @ axes for i in range(0, len(near), 65536)]
    return np.concatenate(blocks)
