"""Deal pairs into batches so that no item meets itself.

Pairs are the edges of a bipartite multigraph, its nodes are the items of the two sides, and a batch is a colour: no
item twice in a batch is a proper edge colouring. One exists with as many colours as the most frequent item has pairs
(König 1916), also with classes whose sizes differ by one at most (de Werra 1971). To find it by augmenting paths alone
is a Python loop over all pairs, so array operations do most of the work: equal items are dealt round robin, or near
rows are put together, then whatever clashes is exchanged with rows of other batches, thousands at a time. Only what is
left is given its place by augmenting paths. Items with more pairs than there are batches are outside of all this:
chance spreads them about evenly.

Memory: about 100 bytes a pair beside the pairs themselves.
"""

from __future__ import annotations

import math

import numpy as np

from pairspace.training.colouring import Colouring

__all__ = ["Dealer"]

_TRIES = 8  # exchanges proposed to a clashing row between two sorts of all keys


class Dealer:
    """Rows of one data set, dealt into equal batches as often as wanted.

    Args:
        codes: of each row the item's number on either side, (rows,) integers each.
        batches: how many; at most half as many as there are rows.
        near: (rows, dim) float32 of which rows of one batch shall be near each other, or None for chance alone.
    """

    def __init__(
        self,
        codes: tuple[np.ndarray, np.ndarray],
        batches: int,
        *,
        near: np.ndarray | None = None,
    ) -> None:
        self.count, self.batches, self.near = len(codes[0]), batches, near
        first, second = (np.unique(code, return_inverse=True)[1].astype(np.int64) for code in codes)
        if int(second.max()) < int(first.max()):  # the side of fewer distinct items is dealt round robin
            first, second = second, first
        self._items, self._shared = (first, second), []
        for items in self._items:
            counts = np.bincount(items)[items]
            self._shared.append((counts > 1) & (counts <= batches))

    def deal(self, rng: np.random.Generator) -> list[np.ndarray]:
        """The rows of each batch, int64; batches and the rows in them are in random order."""
        batch = self._round_robin(rng) if self.near is None else self._by_nearness(self.near, rng)
        self._exchange(batch, rng)
        batch = rng.permutation(self.batches)[batch]
        rows = rng.permutation(self.count)
        rows = rows[np.argsort(batch[rows], kind="stable")]
        return np.split(rows, np.cumsum(np.bincount(batch, minlength=self.batches))[:-1])

    def _round_robin(self, rng: np.random.Generator) -> np.ndarray:
        """Equal items of the first side come one after the other, so each of their rows gets another batch."""
        rank = rng.permutation(int(self._items[0].max()) + 1)
        rows = rng.permutation(self.count)
        rows = rows[np.argsort(rank[self._items[0][rows]], kind="stable")]
        batch = np.empty(self.count, np.int64)
        batch[rows] = np.arange(self.count) % self.batches
        return batch

    def _by_nearness(self, near: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Halve all rows along the line between two of them, chosen by chance, and go on with the halves."""
        cuts = np.arange(self.batches + 1) * self.count // self.batches
        rows = rng.permutation(self.count)
        nodes = [(0, self.batches)]
        while nodes:
            low, high = nodes.pop()
            if high - low < 2:
                continue
            middle = (low + high) // 2
            here = rows[cuts[low] : cuts[high]]
            one, other = near[rng.choice(here, 2, replace=False)]
            rows[cuts[low] : cuts[high]] = here[np.argpartition(near[here] @ (one - other), cuts[middle] - cuts[low])]
            nodes += [(low, middle), (middle, high)]
        batch = np.empty(self.count, np.int64)
        batch[rows] = np.repeat(np.arange(self.batches), np.diff(cuts))
        return batch

    def _exchange(self, batch: np.ndarray, rng: np.random.Generator) -> None:
        """Rid `batch` (changed in place) of clashes; the sizes of the batches stay within one of each other."""
        reach = self.batches if self.near is None else 2
        before = math.inf
        while True:
            taken, bad = self._clashes(batch)
            if not len(bad):
                return
            if len(bad) > 0.9 * before:
                Colouring(self._items, self._shared, batch, self.batches).place(bad)
                return
            self._exchange_some(batch, bad, taken, reach, rng)
            before = len(bad) if reach >= self.batches else math.inf
            reach = min(2 * reach, self.batches)

    def _clashes(self, batch: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """For each side the sorted keys of what is in which batch, and the rows that are a second one of their key."""
        taken, bad = [], []
        for items, shared in zip(self._items, self._shared, strict=True):
            rows = np.flatnonzero(shared)
            keys = items[rows] * self.batches + batch[rows]
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            taken.append(keys)
            bad.append(rows[order[1:][keys[1:] == keys[:-1]]])
        return taken, np.unique(np.concatenate(bad))

    def _exchange_some(
        self, batch: np.ndarray, bad: np.ndarray, taken: list[np.ndarray], reach: int, rng: np.random.Generator
    ) -> None:
        """Exchange clashing rows with rows of batches at most `reach` away where neither would clash there.

        What was exchanged since the last sort is not looked at: the next one shows the few clashes that this makes.
        """
        members = np.argsort(batch, kind="stable")
        sizes = np.bincount(batch, minlength=self.batches)
        starts = np.cumsum(sizes) - sizes
        for _ in range(_TRIES):
            if not len(bad):
                return
            step = rng.integers(1, max(2, reach), len(bad)) * rng.choice((-1, 1), len(bad))
            target = (batch[bad] + step) % self.batches
            partner = members[starts[target] + rng.integers(0, sizes[target])]
            good = _first_of_each(partner) & ~np.isin(partner, bad)
            for items, shared, keys in zip(self._items, self._shared, taken, strict=True):
                for row, there in ((bad, partner), (partner, bad)):
                    good &= ~(shared[row] & _contains(keys, items[row] * self.batches + batch[there]))
            one, other = bad[good], partner[good]
            batch[one], batch[other] = batch[other], batch[one]
            bad = bad[~good]


def _contains(ordered: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Which keys are in a sorted array."""
    if not len(ordered):
        return np.zeros(len(keys), bool)
    return np.asarray(ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys)


def _first_of_each(values: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(values), bool)
    mask[np.unique(values, return_index=True)[1]] = True
    return mask
