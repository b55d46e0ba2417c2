"""Texts to batches: tokenised together, sorted by length, cut by a budget of padded tokens.

Padding is wasted work. Sorted by length, the texts of a batch are nearly equal and almost nothing is padded; cut by
tokens instead of by rows, a batch of long texts has few rows and one of titles has many, so each costs about the same
time and memory. The longest come first: a batch that does not fit the memory fails at once, not after an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["batches", "pad"]


def batches(lengths: np.ndarray, *, tokens: int, rows: int = 1024) -> Iterator[np.ndarray]:
    """Cut rows into batches of near-equal length, longest first.

    Args:
        lengths: tokens of each row (n,), after truncation.
        tokens: most padded tokens in a batch; a single longer row still makes a batch.
        rows: most rows in a batch.

    Yields:
        int64 indices into `lengths`; every row occurs exactly once.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        count = max(1, min(rows, tokens // max(1, int(lengths[order[start]]))))
        yield order[start : start + count]
        start += count


def pad(ids: Sequence[Sequence[int]], *, value: int, left: bool = False) -> tuple[Any, Any]:
    """Pad token ids to the longest of them.

    Args:
        ids: token ids of each row.
        value: the padding token's id.
        left: pad in front, as some decoders want it.

    Returns:
        input_ids and attention_mask, int64 tensors (rows, longest).
    """
    import torch

    longest = max(map(len, ids))
    tokens = np.full((len(ids), longest), value, np.int64)
    mask = np.zeros((len(ids), longest), np.int64)
    for row, own in enumerate(ids):
        place = slice(longest - len(own), None) if left else slice(len(own))
        tokens[row, place] = own
        mask[row, place] = 1
    return torch.from_numpy(tokens), torch.from_numpy(mask)
