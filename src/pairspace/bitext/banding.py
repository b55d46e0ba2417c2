"""The cheapest way from the start of two texts to their ends, within a band around a path that is roughly known.

A node (i, j) means that i sentences of the left text and j of the right are done. A step (p, q) takes p and q more:

    D(i, j) = min over (p, q) of D(i - p, j - q) + cost of the step

Nodes with the same i + j lie on one anti-diagonal, and none of them depends on another: an anti-diagonal is one NumPy
call, whatever its width. Only `width` nodes of each are looked at, so time and memory grow with the length of the texts
and not with its square. A band as wide as the shorter text is the whole table, and the result is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["Band", "Step", "Tile", "cheapest_steps"]

Step = tuple[int, int]
Tile = Callable[[int, int, int, int], np.ndarray]

_ROWS = 64  # anti-diagonals whose costs are computed at once
_CELLS = 1 << 22  # of a whole table whose costs are all computed at once


class Band:
    """Which nodes are looked at: on anti-diagonal a those with j in first[a] ... first[a] + width - 1.

    Attributes:
        n, m: sentences of the left and of the right text.
        first: int64 (n + m + 1,), growing by 0 or 1.
        width: nodes an anti-diagonal.
    """

    def __init__(self, n: int, m: int, first: np.ndarray, width: int) -> None:
        self.n, self.m, self.first, self.width = n, m, first, width

    @classmethod
    def whole(cls, n: int, m: int) -> Band:
        """Every node there is."""
        return cls(n, m, np.maximum(np.arange(n + m + 1) - n, 0), min(n, m) + 1)

    @classmethod
    def around(cls, n: int, m: int, nodes: np.ndarray, half: int) -> Band:
        """Nodes at most `half` away from the straight lines between the given ones.

        Args:
            n: sentences of the left text.
            m: of the right one.
            nodes: (k, 2), growing; start and end are added.
            half: so many nodes either way.
        """
        if 2 * half >= min(n, m):
            return cls.whole(n, m)
        every = np.concatenate([[[0, 0]], np.minimum(nodes, [n, m]), [[n, m]]])
        centre = np.rint(np.interp(np.arange(n + m + 1), every.sum(1), every[:, 1])).astype(np.int64)
        return cls(n, m, centre - half, 2 * half + 1)


def cheapest_steps(
    band: Band,
    steps: Sequence[Step],
    tile: Tile,
    *,
    deletions: tuple[np.ndarray, np.ndarray],
    advance: Callable[[int], None] = lambda count: None,
) -> tuple[list[Step], float]:
    """The steps of the cheapest path within a band.

    Args:
        band: the nodes to look at.
        steps: (p, q) of p and q sentences that may be one bead; steps (1, 0) and (0, 1) are added.
        tile: `tile(i0, i1, j0, j1)`: what steps cost that start at i in i0 ... i1 - 1 and j in j0 ... j1 - 1: float32
            (largest p, i1 - i0, largest q, j1 - j0). Costs of steps that lead beyond the ends are never read.
        deletions: (n,) and (m,): what the steps (1, 0) and (0, 1) cost from each sentence.
        advance: told how many more anti-diagonals are done.

    Returns:
        The steps from start to end, and their cost in all. Of equal costs the first step in the list wins.
    """
    every = [*steps, (1, 0), (0, 1)]
    p, q = np.array(every, np.int64).T
    deepest = int((p + q).max())
    rows, width = band.n + band.m + 1, band.width
    # infinite margins on all sides stand for the nodes that are not there
    margin = int(max(p.max(), q.max()))
    stride = width + 2 * margin
    total = np.full((rows + deepest, stride), np.inf)
    came = np.zeros((rows, width), np.min_scalar_type(len(every)))
    total[deepest, margin - int(band.first[0])] = 0.0
    flat, across = total.reshape(-1), np.arange(width)
    height = rows if width > min(band.n, band.m) and rows * width <= _CELLS else _ROWS
    for start in range(0, rows, height):
        diagonals = np.arange(start, min(start + height, rows))
        costs = _costs(band, every, tile, deletions, diagonals)
        before = diagonals[:, None] - p - q
        shift = band.first[diagonals][:, None] - q - band.first[np.maximum(before, 0)]
        shift[before < 0] = 0
        origins = (before + deepest) * stride + margin + shift
        for a, origin, cost in zip(diagonals.tolist(), origins, costs, strict=True):
            if a == 0:
                continue
            reached = flat[origin[:, None] + across] + cost
            best = reached.argmin(0)
            total[a + deepest, margin : margin + width] = reached[best, across]
            came[a] = best
        advance(len(diagonals))
    return _trace(band, every, came), float(total[rows - 1 + deepest, margin + band.m - int(band.first[-1])])


def _costs(
    band: Band, steps: Sequence[Step], tile: Tile, deletions: tuple[np.ndarray, np.ndarray], diagonals: np.ndarray
) -> np.ndarray:
    """float32 (anti-diagonals, steps, width): what each step costs that ends at a node; infinite where none can."""
    j = band.first[diagonals][:, None] + np.arange(band.width)
    i = diagonals[:, None] - j
    there = (i >= 0) & (j >= 0) & (i <= band.n) & (j <= band.m)
    most_p, most_q = max(p for p, _ in steps), max(q for _, q in steps)
    i0, j0 = max(int(i[there].min()) - most_p, 0), max(int(j[there].min()) - most_q, 0)
    i1, j1 = int(i[there].max()), int(j[there].max())
    block = tile(i0, i1, j0, j1)
    costs = np.full((len(diagonals), len(steps), band.width), np.inf, np.float32)
    for number, (p, q) in enumerate(steps):
        can = there & (i >= p) & (j >= q)
        if p and q:
            costs[:, number][can] = block[p - 1, i[can] - p - i0, q - 1, j[can] - q - j0]
        else:
            costs[:, number][can] = deletions[0][i[can] - 1] if p else deletions[1][j[can] - 1]
    return costs


def _trace(band: Band, steps: Sequence[Step], came: np.ndarray) -> list[Step]:
    """The steps that led to the end."""
    taken = []
    i, j = band.n, band.m
    while i or j:
        step = steps[came[i + j, j - band.first[i + j]]]
        taken.append(step)
        i, j = i - step[0], j - step[1]
    return taken[::-1]
