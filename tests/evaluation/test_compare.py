from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from pairspace.data import write_run
from pairspace.errors import DataError
from pairspace.evaluation import METRICS, compare_runs


def _run(seed: int, better: float) -> dict[str, dict[str, float]]:
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=(40, 20))
    scores[:, 0] += better  # d0 is always right
    return {f"q{i}": {f"d{j}": float(s) for j, s in enumerate(row)} for i, row in enumerate(scores)}


QRELS = {f"q{i}": {"d0": 1} for i in range(40)}


def test_difference_interval_and_p_are_scipys():
    found = compare_runs(_run(0, 0.5), _run(1, 1.5), QRELS, metrics=["MRR@10"], resamples=5000)
    a, b = found.per_query[..., 0]
    assert found.difference[0] == pytest.approx((b - a).mean())
    exact = stats.permutation_test(
        (b - a,), np.mean, permutation_type="samples", n_resamples=5000, rng=np.random.default_rng(0)
    )
    assert found.p[0] == pytest.approx(exact.pvalue, abs=0.02)
    interval = stats.bootstrap((b - a,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    assert found.difference_interval[0] == pytest.approx(list(interval), abs=0.01)
    assert found.intervals[0, 0, 0] < a.mean() < found.intervals[0, 0, 1]


def test_files_and_dictionaries_give_the_same(tmp_path):
    runs = _run(0, 0.5), _run(1, 1.5)
    for name, run in zip("ab", runs, strict=True):
        write_run(tmp_path / f"{name}.run", run, "tag")
    (tmp_path / "q.qrels").write_text("".join(f"q{i} 0 d0 1\n" for i in range(40)))
    from_files = compare_runs(tmp_path / "a.run", str(tmp_path / "b.run"), tmp_path / "q.qrels", resamples=100)
    assert from_files.to_json() == compare_runs(*runs, QRELS, resamples=100).to_json()
    assert from_files.names == ("a", "b")
    assert (
        json.loads(from_files.to_json())["metrics"]["R@1"]["runs"][1]["value"] == from_files.per_query[1, :, 0].mean()
    )


def test_queries_that_one_run_misses_count_nothing():
    short = {query: answers for query, answers in _run(0, 9).items() if query != "q3"}
    found = compare_runs(_run(0, 9), short, QRELS | {"q99": {"d0": 0}}, metrics=["R@1"], resamples=100)
    assert (found.unanswered, found.left_out, len(found.query_ids)) == ((0, 1), 1, 40)
    assert found.difference[0] == pytest.approx(-1 / 40)
    assert "1 not answered by b; 1 without a right answer left out" in str(found)


def test_equal_runs_do_not_differ():
    found = compare_runs(_run(0, 1), _run(0, 1), QRELS, resamples=100)
    assert found.p.tolist() == [1.0] * len(METRICS) and not found.difference.any()
    assert found.metrics == METRICS


def test_table_is_narrow_and_complete():
    text = str(
        compare_runs(_run(0, 0.5), _run(1, 1.5), QRELS, resamples=100, names=("bm25", "space after two hundred epochs"))
    )
    assert max(map(len, text.splitlines())) <= 120
    for part in ("| bm25", "| space after two…", "| difference", "   p", "better / worse", "40 queries"):
        assert part in text


def test_runs_of_other_queries_are_refused():
    with pytest.raises(DataError, match=r"b answers none of the 40 judged queries.*'x1'.*'q0'"):
        compare_runs(_run(0, 1), {"x1": {"d0": 1.0}}, QRELS)
    with pytest.raises(DataError, match="no right answer"):
        compare_runs(_run(0, 1), _run(0, 1), {"q0": {"d0": 0}})
