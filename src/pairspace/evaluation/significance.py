"""How sure a mean over queries is, and whether two systems differ by more than chance.

Intervals: percentile bootstrap. Queries are drawn anew with replacement, and the middle 95 % of the means is the
interval. Differences: paired randomisation test, two-sided. If two systems were equal, each query's difference could
as well have had the other sign; p is the share of random signs that give a mean at least as far from 0 as the one
seen,

    p = (1 + count) / (1 + resamples)                  (Smucker et al. 2007; Phipson and Smyth 2010)

Both are one matrix product over all metrics and systems: counts of each query, or signs, times the per-query values.
So all columns see the same resamples, and 10,000 of them over 6,000 queries take about a second.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pairspace.errors import ShapeError

__all__ = ["bootstrap_counts", "bootstrap_intervals", "sign_flip_p_values"]

_CELLS = 4_000_000  # resamples x queries held at once: 32 MB


def bootstrap_intervals(
    values: np.ndarray, *, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap intervals of the column means.

    Args:
        values: (queries, columns).
        resamples: how many times the queries are drawn anew.
        level: share of the resampled means inside.
        seed: the same seed gives the same intervals.

    Returns:
        low and high, float64 (columns,) each.

    Raises:
        ShapeError: no queries, or not a matrix.
    """
    queries = _checked(values)
    means = np.concatenate(
        [counts @ values / queries for counts in bootstrap_counts(queries, resamples=resamples, seed=seed)]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def bootstrap_counts(
    queries: int, *, resamples: int = 10_000, seed: int = 0, cells: int = _CELLS
) -> Iterator[np.ndarray]:
    """How often each resample draws each query: for what is no mean over queries, such as mAP.

    Args:
        queries: how many there are to draw from, and are drawn.
        resamples: how many times they are drawn.
        seed: the same seed gives the same counts.
        cells: counts made at once; the counts themselves do not depend on it.

    Yields:
        float64 (some, queries), `resamples` rows in all.
    """
    draw = np.random.default_rng(seed)
    for start, stop in _chunks(resamples, queries, cells):
        drawn = draw.integers(0, queries, (stop - start, queries), dtype=np.int32).astype(np.int64)
        drawn += np.arange(stop - start)[:, None] * queries
        counts = np.bincount(drawn.ravel(), minlength=(stop - start) * queries).reshape(-1, queries)
        yield counts.astype(np.float64)


def sign_flip_p_values(differences: np.ndarray, *, resamples: int = 10_000, seed: int = 0) -> np.ndarray:
    """Two-sided p-values of paired differences: is their mean 0?

    Args:
        differences: (queries, columns), one system's values minus the other's.
        resamples: random sign patterns.
        seed: the same seed gives the same p-values.

    Returns:
        float64 (columns,), never below 1 / (1 + resamples); 1 where nothing differs.

    Raises:
        ShapeError: no queries, or not a matrix.
    """
    queries = _checked(differences)
    draw = np.random.default_rng(seed)
    total = differences.sum(0)
    # Sums that are equal in exact arithmetic must count as equal.
    reached = np.abs(total) - 1e-12 * np.abs(differences).sum(0)
    count = np.zeros(differences.shape[1])
    for start, stop in _chunks(resamples, queries):
        packed = draw.integers(0, 256, (stop - start, -(-queries // 8)), dtype=np.uint8)
        plus = np.unpackbits(packed, axis=1, count=queries).astype(np.float64)
        count += (np.abs(2 * (plus @ differences) - total) >= reached).sum(0)
    return (1 + count) / (1 + resamples)


def _checked(values: np.ndarray) -> int:
    if values.ndim != 2 or len(values) == 0:
        raise ShapeError(f"significance needs values (queries, columns) of at least one query, got {values.shape}")
    return len(values)


def _chunks(resamples: int, queries: int, cells: int = _CELLS) -> Iterator[tuple[int, int]]:
    step = max(1, cells // queries)
    yield from ((start, min(start + step, resamples)) for start in range(0, resamples, step))
