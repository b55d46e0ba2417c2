from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pairspace.errors import PairspaceError, ShapeError
from pairspace.neighbours import Ranking, learn_scale, learn_weight, reciprocal_rank_fusion, top_k, zscore_fusion

NONE = -np.inf


def _ranking(*rows: list[tuple[int, float]], width: int = 4) -> Ranking:
    scores, indices = np.full((len(rows), width), NONE, np.float32), np.full((len(rows), width), -1)
    for row, found in enumerate(rows):
        for place, (index, score) in enumerate(found):
            scores[row, place], indices[row, place] = score, index
    return Ranking(scores, indices)


def _plain_zscores(rankings: list[Ranking], weights: list[float], row: int) -> list[tuple[float, int]]:
    """Candidates of one query by the words of the definition: (-score, index), best first."""
    fused: dict[int, float] = {}
    candidates = {int(i) for ranking in rankings for i in ranking.indices[row] if i >= 0}
    for ranking, weight in zip(rankings, weights, strict=True):
        own = {int(i): float(s) for i, s in zip(ranking.indices[row], ranking.scores[row], strict=True) if i >= 0}
        mean, std = (np.mean(list(own.values())), np.std(list(own.values()))) if own else (0, 1)
        z = {i: (s - mean) / (std if std > 1e-12 else 1) for i, s in own.items()}
        lowest = min(z.values(), default=0)
        for candidate in candidates:
            fused[candidate] = fused.get(candidate, 0) + weight / sum(weights) * z.get(candidate, lowest)
    return sorted((-score, index) for index, score in fused.items())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.lists(st.floats(0.1, 5), min_size=1, max_size=3))
def test_zscores_equal_the_definition(seed: int, k: int, weights: list[float]):
    draw = np.random.default_rng(seed)
    rankings = []
    for _ in weights:
        vectors = sparse.random_array((9, 6), density=0.4, rng=draw, format="csr", dtype=np.float32)
        rankings.append(top_k(vectors[:3], vectors, int(draw.integers(1, 8)), similarity="dot"))
    fused = zscore_fusion(rankings, weights, k)
    for row in range(3):
        expected = _plain_zscores(rankings, weights, row)[:k]
        found = fused.indices[row] >= 0
        assert found.sum() == len(expected)
        scores = [-score for score, _ in expected]
        np.testing.assert_allclose(fused.scores[row, : len(expected)], scores, atol=1e-5)
        # Where two fused scores agree but for rounding, either order is right.
        apart = np.abs(np.diff([np.inf, *scores, -np.inf])) > 1e-9
        clear = apart[1:] & apart[:-1]
        assert (fused.indices[row, : len(expected)] == [index for _, index in expected])[clear].all()


def test_scale_and_shift_of_a_list_do_not_matter():
    one = _ranking([(3, 0.9), (1, 0.5), (2, 0.1)])
    two = _ranking([(2, 7.0), (3, 5.0)])
    wide = Ranking(one.scores * 100 - 30, one.indices)
    assert zscore_fusion([one, two], [0.5, 0.5], 4).indices.tolist() == [[3, 2, 1, -1]]
    np.testing.assert_allclose(
        zscore_fusion([wide, two], [0.5, 0.5], 4).scores, zscore_fusion([one, two], [2, 2], 4).scores, atol=1e-5
    )


def test_reciprocal_rank_is_the_formula_and_ties_go_to_the_lower_index():
    one, two = _ranking([(5, 3.0), (2, 2.0)], []), _ranking([(2, 0.2), (5, 0.1), (7, 0.0)], [])
    fused = reciprocal_rank_fusion([one, two], 5)
    assert fused.indices.tolist() == [[2, 5, 7, -1, -1], [-1] * 5]
    assert fused.scores[0, :3] == pytest.approx([1 / 61 + 1 / 62, 1 / 61 + 1 / 62, 1 / 63])


def test_weight_goes_to_the_list_that_is_right():
    good, bad = _ranking(*[[(1, 2.0), (2, 1.0)]] * 6), _ranking(*[[(2, 2.0), (1, 1.0)]] * 6)
    relevant = [np.array([1])] * 6
    # From one half (where 1 wins the tie) every weight puts 1 first: the plateau 0.5 .. 1 has its middle at 0.75.
    assert learn_weight(good, bad, relevant) == 0.75
    assert learn_weight(bad, good, relevant) == 0.25
    assert learn_weight(good, good, relevant) == 0.5
    as_matrix = sparse.csr_array((np.ones(6), ([*range(6)], [1] * 6)), shape=(6, 3))
    assert learn_weight(good, bad, as_matrix) == 0.75


def test_weight_finds_the_best_mixture():
    draw = np.random.default_rng(0)
    truth = np.eye(200, dtype=np.float32)
    one, two = (truth + draw.normal(0, s, truth.shape).astype(np.float32) for s in (0.35, 0.45))
    rankings = [Ranking(-np.sort(-x, axis=1), np.argsort(-x, axis=1)) for x in (one, two)]
    relevant = [np.array([i]) for i in range(200)]

    def mrr(weight: float) -> float:
        found = zscore_fusion(rankings, [weight, 1 - weight], 10).indices == np.arange(200)[:, None]
        return float((found / np.arange(1, 11)).sum(1).mean())

    weight = learn_weight(*rankings, relevant)
    assert 0.4 < weight < 0.8
    assert mrr(weight) >= max(mrr(w) for w in np.linspace(0, 1, 21)) - 0.0006
    assert mrr(weight) > max(mrr(0.0), mrr(1.0)) + 0.02


def test_right_answers_that_no_list_found_count_nothing():
    one = _ranking([(0, 1.0)], [(0, 1.0)])
    assert learn_weight(one, one, [np.array([9]), np.array([], np.int64)]) == 0.5


def test_bad_input():
    one, two = _ranking([(0, 1.0)]), _ranking([(0, 1.0)], [(1, 1.0)])
    with pytest.raises(ShapeError, match=r"\[1, 2\] queries"):
        zscore_fusion([one, two], [1, 1], 3)
    with pytest.raises(ShapeError, match="2 weights, got 1"):
        zscore_fusion([one, one], [1], 3)
    with pytest.raises(PairspaceError, match="not all 0"):
        zscore_fusion([one, one], [0, 0], 3)
    with pytest.raises(PairspaceError, match="at least one"):
        reciprocal_rank_fusion([], 3)
    with pytest.raises(ShapeError, match="2 queries for rankings of 1"):
        learn_weight(one, one, [np.array([0])] * 2)


def test_the_scale_learnt_is_the_one_by_which_the_sum_is_best():
    rng = np.random.default_rng(0)
    signal = np.eye(200)
    first = signal + 0.3 * rng.standard_normal((200, 200))
    second = 50 * (signal + 0.3 * rng.standard_normal((200, 200)))
    best, relevant = [], [np.array([n]) for n in range(200)]
    for scores in (first, second):
        order = np.argsort(-scores, 1)
        best.append(Ranking(np.take_along_axis(scores, order, 1).astype(np.float32), order))
    scale = learn_scale(*best, relevant)
    assert 0.4 / 50 < scale < 2.5 / 50  # equally good parts, one written in larger numbers
    hits = [(np.argmax(first + a * second, 1) == np.arange(200)).mean() for a in (0, scale, 1e6)]
    assert hits[1] > max(hits[0], hits[2])


def test_a_part_without_scores_has_the_scale_one():
    there, nothing = _ranking([(0, 1.0), (1, 0.5)]), _ranking([])
    assert learn_scale(there, nothing, [np.array([0])]) == 1.0


def test_a_list_with_room_gives_what_it_lacks_nothing():
    """A rare word that one document alone holds is all the second part says, and it is right."""
    first = _ranking([(0, 1.0), (1, 0.9), (2, 0.8)])
    second = _ranking([(1, 5.0)])
    scale = learn_scale(first, second, [np.array([1])])
    assert 0.9 + 5.0 * scale > 1.0
