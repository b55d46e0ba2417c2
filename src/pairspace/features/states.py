"""Token states: what a block of an encoder gave for every token, so that the blocks above it can be trained alone.

The blocks below never change in such a run, so what they give is computed once and kept like any other feature, in
float16. An item has as many rows as tokens; they stay on disk until `take` asks for some.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["TokenStates"]


class TokenStates:
    """States of the tokens of some items, in the items' order.

    Args:
        blocks: arrays (tokens, width) that hold them.
        starts: int64 (blocks + 1,), where each block's items begin among all that are stored.
        counts: tokens of every stored item, one array a block.
        places: each item's row among the stored.
    """

    def __init__(
        self, blocks: Sequence[np.ndarray], starts: np.ndarray, counts: Sequence[np.ndarray], places: np.ndarray
    ) -> None:
        self._blocks = blocks
        self._ends = [np.cumsum(own) for own in counts]
        self._owner = np.searchsorted(starts, places, "right") - 1
        self._row = places - starts[self._owner]
        stored = np.concatenate([*counts, np.empty(0, np.int64)])
        self.counts = stored[places]

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The states of these items, one item after the other.

        Args:
            rows: (n,).

        Returns:
            (sum of `counts[rows]`, width), as they are stored.
        """
        parts = []
        for block, row, count in zip(self._owner[rows], self._row[rows], self.counts[rows], strict=True):
            end = self._ends[block][row]
            parts.append(self._blocks[block][end - count : end])
        return np.concatenate(parts)
