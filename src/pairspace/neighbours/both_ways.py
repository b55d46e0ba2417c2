"""Exact neighbours both ways at once: for all rows of x the nearest of y, and for all of y the nearest of x.

Each block of similarities is computed once and looked at twice. Choosing the k best of every row and column of a block
would take longer than the product itself, so only entries above the k-th best so far of their row (or column) are taken
out, of which there are soon few: a comparison, and a search for the bytes that are set, eight at a time.

The work goes on in stripes of x. After each the state is three arrays, so it can be kept and taken up again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pairspace.errors import FeatureError, PairspaceError, ShapeError
from pairspace.neighbours.similarity import check_shapes
from pairspace.neighbours.topk import Best, Ranking, dense_rows

__all__ = ["BothWays"]

_STRIPE, _BLOCK = 4096, 4096  # rows of x and of y in a block: 64 MiB of float32
_MANY = 4  # times k: with more entries a row above its k-th best, on average, the block's best are chosen instead


class BothWays:
    """The k nearest of y for every x, and of x for every y; by cosine, exact, equal ones by lower index.

    Args:
        x: float (n, dim), an array, a memory-mapped one or a tensor.
        y: float (m, dim).
        k: how many neighbours; fewer rows than that leave places empty (index -1, score -inf).
        device: where products are taken; the CPU if left out.

    Raises:
        ShapeError: dimensions differ.
        PairspaceError: k below 1.
    """

    def __init__(self, x: Any, y: Any, k: int, *, device: str | torch.device | None = None) -> None:
        check_shapes(x, y, ("the left", "the right"))
        if k < 1:
            raise PairspaceError(f"k must be at least 1, got {k}")
        self.x, self.y, self.k = x, y, k
        self.device = torch.device(device or "cpu")
        self.rows, self.columns = (Best(len(side), k, self.device) for side in (x, y))
        self.done = 0  # rows of x
        self._room = torch.empty(min(_STRIPE, len(x)) * min(_BLOCK, len(y)), device=self.device)

    def __len__(self) -> int:
        return len(self.x)

    def advance(self) -> int:
        """Take the next stripe of x against all of y; how many rows of x that were, 0 at the end.

        Raises:
            FeatureError: NaN in the vectors.
        """
        stop = min(self.done + _STRIPE, len(self))
        if stop == self.done:
            return 0
        left = self._read("left", self.x, self.done, stop)
        for start in range(0, len(self.y), _BLOCK):
            right = self._read("right", self.y, start, min(start + _BLOCK, len(self.y)))
            scores = self._room[: len(left) * len(right)].view(len(left), len(right))
            torch.mm(left, right.T, out=scores)
            self._offer(self.rows, slice(self.done, stop), scores, start)
            self._offer(self.columns, slice(start, start + len(right)), scores.T, self.done)
        taken, self.done = stop - self.done, stop
        return taken

    def _read(self, side: str, vectors: Any, start: int, stop: int) -> torch.Tensor:
        rows = dense_rows(vectors, slice(start, stop), True, self.device)
        if not bool(rows.isfinite().all()):
            row = start + int((~rows.isfinite().all(1)).nonzero()[0])
            raise FeatureError(f"vector {row} of the {side} side holds NaN or infinity")
        return rows

    def _offer(self, best: Best, rows: slice, scores: torch.Tensor, start: int) -> None:
        """Give what may be among the best of some rows: entries (rows, columns from `start` on)."""
        last = best.last(rows)
        some = None
        if not bool(torch.isneginf(last).any()):
            turned = not scores.is_contiguous()
            above = _set(last < scores.T if turned else scores > last[:, None], _MANY * self.k * len(last))
            some = above[::-1] if turned and above is not None else above
        if some is None:
            best.update(rows, scores.contiguous(), start)
        elif len(some[0]):
            best.add(rows.start + some[0], scores[some], some[1] + start)

    def result(self) -> tuple[Ranking, Ranking]:
        """The nearest of y for every x, and of x for every y."""
        return self.rows.ranking(), self.columns.ranking()

    def state(self) -> dict[str, np.ndarray]:
        """What `restore` needs to go on from here."""
        return {
            "done": np.array(self.done),
            "rows": self.rows.keys.cpu().numpy(),
            "columns": self.columns.keys.cpu().numpy(),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state of the same vectors and k.

        Raises:
            ShapeError: it is of others.
        """
        for best, name in ((self.rows, "rows"), (self.columns, "columns")):
            if state[name].shape != tuple(best.keys.shape):
                raise ShapeError(f"the state has {name} of shape {state[name].shape}, not {tuple(best.keys.shape)}")
            best.keys = torch.from_numpy(state[name]).to(self.device)
        self.done = int(state["done"])


def _set(mask: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Rows and columns of the true entries of a matrix; None where there may be more than so many."""
    flat = mask.reshape(-1)
    whole = len(flat) // 8 * 8
    eights = flat[:whole].view(torch.int64).nonzero()[:, 0]
    if len(eights) > most:
        return None
    found = (eights[:, None] * 8 + torch.arange(8, device=flat.device)).reshape(-1)
    found = torch.cat([found, torch.arange(whole, len(flat), device=flat.device)])
    found = found[flat[found]]
    return found.div(mask.shape[1], rounding_mode="floor"), found % mask.shape[1]
