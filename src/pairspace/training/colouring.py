"""Proper edge colouring of a bipartite multigraph by augmenting paths, for the few rows that exchanges leave over.

A row's items u and v each have a batch without them, p at u and q at v. If there is no common one, the rows of p and q
form paths, and the one that starts at v never comes to u: with p and q exchanged along it, p is free at both (König's
proof). Paths of the same kind even out the sizes: two batches, one larger by two or more, have a path with one row more
of the larger (de Werra).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["Colouring"]

_PATIENCE = 300_000  # steps of search in Python; a few seconds


class Colouring:
    """Rows, their items, and the batch of each.

    Args:
        items: of each row its item's number on either side.
        shared: mask a side of the rows whose item must not be in a batch twice; none of these items has more rows than
            there are batches.
        batch: of each row; changed in place.
        batches: how many.
    """

    def __init__(
        self, items: Sequence[np.ndarray], shared: Sequence[np.ndarray], batch: np.ndarray, batches: int
    ) -> None:
        self.items, self.shared, self.batch, self.batches = items, shared, batch, batches
        self.sizes = np.bincount(batch, minlength=batches)
        self.patience = _PATIENCE
        self._rows = [np.argsort(one, kind="stable") for one in items]
        self._starts = [np.concatenate([[0], np.cumsum(np.bincount(one))]) for one in items]

    def place(self, bad: np.ndarray) -> None:
        """Give the rows `bad` batches in which none of their items is, and keep the sizes equal to within one.

        In graphs so tight that this would take minutes it ends early: the rest stays where it is, and a loss that masks
        equal items copes.
        """
        home = self.batch[bad]
        self.batch[bad] = -1
        for row, near in zip(bad.tolist(), home.tolist(), strict=True):
            chosen = self._free_batch(row, near) if self.patience > 0 else near
            self.batch[row] = chosen
            self.sizes[near] -= 1
            self.sizes[chosen] += 1
        while self.sizes.max() - self.sizes.min() > 1:
            self._even_out(int(self.sizes.argmax()), int(self.sizes.argmin()))

    def _free_batch(self, row: int, near: int) -> int:
        """A batch for the row: the nearest that is free at both items, else one freed by a path."""
        self.patience -= 1
        free = [self._free(side, row) for side in (0, 1)]
        common = np.flatnonzero(free[0] & free[1])
        if len(common):
            return int(common[np.abs(common - near).argmin()])
        p, q = int(free[0].argmax()), int(free[1].argmax())
        self._flip(self._path(1, row, p, q), p, q)
        return p

    def _even_out(self, large: int, small: int) -> None:
        """Move one row more from the large to the small batch than back."""
        rows = np.flatnonzero(self.batch == large)
        self.patience -= 1 + len(self.batch) // 50_000  # what a scan costs, in steps
        for row in rows.tolist():
            for side in (0, 1):
                if self._at(side, row, small) < 0 and self.patience > 0:
                    path = [row, *self._path(1 - side, row, small, large)]
                    if len(path) % 2:
                        self._flip(path, large, small)
                        return
        self._flip([int(rows[0])], large, small)  # patience ran out

    def _free(self, side: int, row: int) -> np.ndarray:
        """Mask of the batches without the row's item."""
        free = np.ones(self.batches, bool)
        if self.shared[side][row]:
            used = self.batch[self._same(side, row)]
            free[used[used >= 0]] = False
        return free

    def _same(self, side: int, row: int) -> np.ndarray:
        """The rows with the same item."""
        item = self.items[side][row]
        return self._rows[side][self._starts[side][item] : self._starts[side][item + 1]]

    def _at(self, side: int, row: int, batch: int) -> int:
        """The row of a batch with the same item as `row`, -1 if there is none."""
        if not self.shared[side][row]:
            return -1
        rows = self._same(side, row)
        found = np.flatnonzero(self.batch[rows] == batch)
        return int(rows[found[0]]) if len(found) else -1

    def _path(self, side: int, row: int, one: int, other: int) -> list[int]:
        """The rows of batches `one`, `other`, `one`, ... on the path that leaves the item that `row` has on a side."""
        path: list[int] = []
        while (row := self._at(side, row, one)) >= 0:
            self.patience -= 1
            path.append(row)
            side, one, other = 1 - side, other, one
        return path

    def _flip(self, path: list[int], one: int, other: int) -> None:
        """Exchange two batches along a path, whose first row is in `one`."""
        rows = np.array(path, np.int64)
        self.batch[rows] = one + other - self.batch[rows]
        self.sizes[one] -= len(path) % 2
        self.sizes[other] += len(path) % 2
