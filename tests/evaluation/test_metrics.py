from __future__ import annotations

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.errors import PairspaceError
from pairspace.evaluation import METRICS, per_query, ranked_run

QRELS = {"q1": {"a": 1}, "q2": {"b": 2, "c": 1, "x": 0}, "q3": {"a": 1, "absent": 1}}


def test_values_by_hand():
    run = {"q1": {"b": 3.0, "a": 2.0}, "q2": {"a": 5.0, "c": 4.0, "b": 1.0}, "q3": {"a": 1.0}}
    values = per_query(run, QRELS)
    discount = np.log2([2, 3, 4])
    ideal = 2 / discount[0] + 1 / discount[1]
    expected = [
        [0, 1, 1, 1 / 2, 1 / discount[1], 1 / 2, 1],
        [0, 1, 1, 1 / 2, (1 / discount[1] + 2 / discount[2]) / ideal, (1 / 2 + 2 / 3) / 2, 1],
        [1, 1, 1, 1, 1 / (1 + 1 / discount[1]), 1 / 2, 1 / 2],
    ]
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_queries_that_a_run_misses_count_nothing():
    assert per_query({"q1": {"a": 1.0}, "q2": {}, "other": {"a": 1.0}}, QRELS).tolist() == [[1] * 7, [0] * 7, [0] * 7]
    assert per_query({}, QRELS).sum() == 0


def test_equal_scores_keep_the_order_given():
    qrels = {"q": {"m": 1}}
    for names, rank in ((["z", "m", "a"], 2), (["m", "a", "z"], 1), (["a", "z", "m"], 3)):
        assert per_query(dict.fromkeys(["q"], dict.fromkeys(names, 0.5)), qrels, ["MRR@10"])[0, 0] == pytest.approx(
            1 / rank
        )
    many = [f"d{i}" for i in range(200)]
    values = per_query({"q": {d: 0.5 + (i % 2) for i, d in enumerate(many)}}, {"q": {"d100": 1}}, ["MRR"])
    assert values[0, 0] == pytest.approx(1 / 151)
    assert per_query({"q": {"a": 0.1, "m": 0.9}}, qrels, ["R@1"])[0, 0] == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_pytrec_eval_on_raw_scores_without_ties(seed: int):
    draw = np.random.default_rng(seed)
    scores = draw.permuted(np.tile(np.arange(150.0), (5, 1)), axis=1)
    documents, queries = [f"d{i}" for i in range(150)], [f"q{i}" for i in range(5)]
    qrels = {
        q: {f"d{draw.integers(150)}": int(draw.integers(1, 4)) for _ in range(draw.integers(1, 6))} for q in queries
    }
    raw = {q: dict(zip(documents, row.tolist(), strict=True)) for q, row in zip(queries, scores, strict=True)}
    mine = per_query(ranked_run(queries, documents, np.argsort(-scores, axis=1)[:, :100]), qrels)
    names = ["success_1", "success_5", "success_10", "recip_rank", "ndcg_cut_10", "map_cut_100", "recall_100"]
    found = pytrec_eval.RelevanceEvaluator(
        qrels, {"success.1,5,10", "recip_rank", "ndcg_cut.10", "map_cut.100", "recall.100"}
    ).evaluate(raw)
    theirs = np.array([[found[q][name] for name in names] for q in queries])
    theirs[theirs[:, 3] < 0.0999, 3] = 0
    np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_success_is_ir_measures_own():
    draw = np.random.default_rng(0)
    run = {f"q{i}": {f"d{j}": float(s) for j, s in enumerate(draw.permutation(40))} for i in range(20)}
    qrels = {f"q{i}": {f"d{draw.integers(40)}": 1} for i in range(20)}
    for k in (1, 3, 10, 39):
        theirs = {m.query_id: m.value for m in ir_measures.iter_calc([ir_measures.Success @ k], qrels, run)}
        assert per_query(run, qrels, [f"R@{k}"])[:, 0].tolist() == [theirs[q] for q in qrels]


def test_other_metrics_of_ir_measures_and_repeats():
    run = {"q": {"a": 3.0, "b": 2.0, "c": 1.0}}
    names = ["P@2", "Rprec", "MRR", "MAP", "Success@2", "R@2", "R@2", "nDCG@3"]
    values = per_query(run, {"q": {"b": 1}}, names)[0]
    assert values == pytest.approx([0.5, 0, 0.5, 0.5, 1, 1, 1, 1 / np.log2(3)])


def test_unfilled_places_are_no_documents():
    run = ranked_run(["q1", "q2"], ["a", "b"], np.array([[1, 0, -1], [-1, -1, -1]]))
    assert list(run["q1"]) == ["b", "a"] and run["q2"] == {}
    assert run["q1"]["b"] > run["q1"]["a"]


@pytest.mark.parametrize("name", ["R@x", "best", "R@0", "nDCG@-1"])
def test_unknown_metric(name: str):
    with pytest.raises(PairspaceError, match=f"'{name}'.*{METRICS[0]}"):
        per_query({}, QRELS, [name])
