"""The band against a table filled cell by cell."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.bitext.banding import Band, cheapest_steps

STEPS = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 3)]


def problem(n, m, seed):
    """Random costs, (3, n, 3, m), and of deletions."""
    random = np.random.default_rng(seed)
    costs = random.uniform(0.5, 3, (3, n, 3, m)).astype(np.float32)
    return costs, (random.uniform(0.2, 1, n).astype(np.float32), random.uniform(0.2, 1, m).astype(np.float32))


def slow(costs, deletions):
    """Every cell, one after the other."""
    n, m = costs.shape[1], costs.shape[3]
    total = {(0, 0): (0.0, None)}
    for i in range(n + 1):
        for j in range(m + 1):
            ways = [
                (total[i - p, j - q][0] + float(costs[p - 1, i - p, q - 1, j - q]), (p, q))
                for p, q in STEPS
                if i >= p and j >= q
            ]
            ways += [(total[i - 1, j][0] + float(deletions[0][i - 1]), (1, 0))] if i else []
            ways += [(total[i, j - 1][0] + float(deletions[1][j - 1]), (0, 1))] if j else []
            if ways:
                total[i, j] = min(ways, key=lambda way: way[0])
    node, path = (n, m), []
    while node != (0, 0):
        step = total[node][1]
        path.append(step)
        node = node[0] - step[0], node[1] - step[1]
    return path[::-1], total[n, m][0]


def tile_of(costs, asked=None):
    def tile(i0, i1, j0, j1):
        if asked is not None:
            asked.append((i1 - i0) * (j1 - j0))
        return costs[:, i0:i1, :, j0:j1]

    return tile


@pytest.mark.parametrize(("n", "m", "seed"), [(1, 1, 0), (1, 7, 1), (9, 1, 2), (12, 15, 3), (40, 31, 4), (70, 90, 5)])
def test_a_band_that_covers_everything_finds_the_very_best_path(n, m, seed):
    costs, deletions = problem(n, m, seed)
    path, cost = slow(costs, deletions)
    assert cheapest_steps(Band.whole(n, m), STEPS, tile_of(costs), deletions=deletions) == (path, pytest.approx(cost))


def test_a_band_around_the_best_path_finds_it_and_looks_at_little_else():
    costs, deletions = problem(300, 330, 6)
    costs *= 2
    diagonal = np.minimum(np.arange(300), 329)
    costs[0, np.arange(300), 0, diagonal] = 0.01
    path, cost = slow(costs, deletions)
    nodes = np.cumsum(path, 0)[::10]
    asked = []
    band = Band.around(300, 330, nodes, 12)
    assert cheapest_steps(band, STEPS, tile_of(costs, asked), deletions=deletions) == (path, pytest.approx(cost))
    assert band.width == 25 and sum(asked) < 0.6 * 300 * 330


def test_the_whole_table_of_a_short_and_a_long_text_is_no_square():
    costs, deletions = problem(2, 500, 9)
    for n, m in ((2, 500), (500, 2)):
        band = Band.whole(n, m)
        assert (band.n + band.m + 1) * band.width < 4 * n * m
    found = cheapest_steps(Band.around(2, 500, np.array([[1, 1]]), 4), STEPS, tile_of(costs), deletions=deletions)
    path, cost = slow(costs, deletions)
    assert found == (path, pytest.approx(cost))


def test_beads_may_have_more_sizes_than_a_byte_counts():
    steps = [(p, q) for p in range(1, 13) for q in range(1, 13)]
    costs = np.full((12, 3, 12, 4), 9, np.float32)
    costs[0, [0, 2], 0, [0, 3]] = 0.1
    deletions = np.ones(3, np.float32), np.ones(4, np.float32)
    found, cost = cheapest_steps(Band.whole(3, 4), steps, tile_of(costs), deletions=deletions)
    assert (found[0], sorted(found[1:4]), found[4]) == ((1, 1), [(0, 1), (0, 1), (1, 0)], (1, 1))
    assert cost == pytest.approx(3.2)


def test_a_band_always_holds_a_path_to_the_end():
    costs, deletions = problem(60, 200, 7)
    steps, cost = cheapest_steps(
        Band.around(60, 200, np.array([[60, 0]]), 3), STEPS, tile_of(costs), deletions=deletions
    )
    assert np.sum(steps, 0).tolist() == [60, 200] and np.isfinite(cost)


def test_no_sentences_cost_nothing():
    empty = np.zeros((3, 0, 3, 0), np.float32), (np.zeros(0, np.float32),) * 2
    assert cheapest_steps(Band.whole(0, 0), STEPS, tile_of(empty[0]), deletions=empty[1]) == ([], 0.0)
    costs, deletions = np.zeros((3, 0, 3, 4), np.float32), (np.zeros(0, np.float32), np.ones(4, np.float32))
    assert cheapest_steps(Band.whole(0, 4), STEPS, tile_of(costs), deletions=deletions) == ([(0, 1)] * 4, 4.0)


def test_progress_counts_every_diagonal():
    costs, deletions = problem(100, 120, 8)
    done = []
    band = Band.around(100, 120, np.array([[50, 60]]), 5)
    cheapest_steps(band, STEPS, tile_of(costs), deletions=deletions, advance=done.append)
    assert sum(done) == 221 and len(done) > 1
