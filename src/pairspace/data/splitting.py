"""Which rows go to the test part, so that nothing straddles the split.

Rows that share a group stay together. Where no groups are given, rows that share an item on any side do (connected
components of the graph whose nodes are items and whose edges are rows): a title that is tested was never trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pairspace.errors import DataError, warn

__all__ = ["choose_test_rows", "components", "fall_back_to_rows", "group_codes"]


def group_codes(column: pa.ChunkedArray) -> np.ndarray:
    """Groups numbered from 0; each row without a group is its own."""
    chunks = [chunk.indices.fill_null(-1).to_numpy() for chunk in column.dictionary_encode().chunks]
    codes = np.concatenate(chunks).astype(np.int64)
    alone = codes < 0
    codes[alone] = int(codes.max(initial=-1)) + 1 + np.arange(alone.sum())
    return codes


def components(codes: Sequence[np.ndarray]) -> np.ndarray:
    """The connected component of each row, numbered from 0.

    Args:
        codes: for each side, the number of each row's item, from 0 (int64, one entry a row).
    """
    sizes = [int(code.max(initial=-1)) + 1 for code in codes]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    first = codes[0]
    edges_from = np.concatenate([first for _ in codes[1:]])
    edges_to = np.concatenate([code + start for code, start in zip(codes[1:], starts[1:], strict=False)])
    ones = np.ones(len(edges_from), dtype=np.int8)
    graph = coo_array((ones, (edges_from, edges_to)), shape=(starts[-1], starts[-1]))
    _, labels = connected_components(graph, directed=False)
    return np.unique(labels[first], return_inverse=True)[1].astype(np.int64)


def choose_test_rows(groups: np.ndarray, test: float | int, seed: int) -> np.ndarray:
    """A mask of the rows of a random choice of whole groups that hold about as many rows as wanted.

    Args:
        groups: group of each row, numbered from 0 without gaps (int64).
        test: wanted rows: a float is a share of all, an int a number.
        seed: the same seed chooses the same groups.

    Raises:
        DataError: `test` out of range, or one of the parts would be empty.
    """
    count = len(groups)
    target = _target(test, count)
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        raise DataError(f"{count} rows cannot be split: all of them belong together (one group, or shared items)")
    order = np.random.default_rng(seed).permutation(len(sizes))
    left, chosen, wanted = order, np.zeros(len(sizes), dtype=bool), target
    while wanted > 0:  # each round takes, in random order, groups that still fit
        left = left[sizes[left] <= wanted]
        taken = int(np.searchsorted(np.cumsum(sizes[left]), wanted, side="right"))
        if taken == 0:
            break
        chosen[left[:taken]] = True
        wanted -= int(sizes[left[:taken]].sum())
        left = left[taken:]
    others = order[~chosen[order]]
    over = others[np.argmin(sizes[others])]  # the smallest group left: nearer from above than from below?
    if (not chosen.any() or sizes[over] - wanted < wanted) and len(others) > 1:
        chosen[over] = True
    return np.asarray(chosen[groups])


def fall_back_to_rows(groups: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`groups`, or the source rows instead where one group of shared items holds more than half of all."""
    largest = int(np.bincount(groups).max())
    if largest * 2 <= len(groups) or len(groups) < 2:
        return groups
    warn(
        f"{largest} of {len(groups)} rows are linked by shared items, so they cannot be kept on one side of a split: "
        "rows are split at random, and an item may be on both sides; give a group column to avoid that"
    )
    return np.unique(rows, return_inverse=True)[1].astype(np.int64)


def _target(test: float | int, count: int) -> int:
    if count < 2:
        raise DataError("one pair only: there is nothing to split")
    if isinstance(test, bool) or test <= 0 or (isinstance(test, float) and test >= 1) or test >= count:
        raise DataError(f"test={test!r}: a share between 0 and 1, or a number of rows below {count}, is needed")
    return min(max(1, round(test * count)), count - 1) if isinstance(test, float) else int(test)
