"""Measures of tags against scikit-learn's, against slow versions, and their intervals and tests."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as theirs

from pairspace.errors import DataError, PairspaceError, ShapeError
from pairspace.evaluation import LABEL_METRICS, evaluate_multilabel
from pairspace.evaluation.label_metrics import LabelMetrics
from pairspace.evaluation.significance import bootstrap_counts, bootstrap_intervals

NAMES = ["cat", "dog", "boat", "sky"]


def data(rows: int = 120, seed: int = 0, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.random((rows, 4)) < [0.5, 0.3, 0.2, 0.1]
    scores = 1 / (1 + np.exp(-(draw.normal(0, 1, labels.shape) + 1.5 * labels - 1)))
    return (np.round(scores, 1) if ties else scores), labels


def simple_ap(scores: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([truth[scores >= one].mean() for one in scores[truth]]))


def voc11(scores: np.ndarray, truth: np.ndarray) -> float:
    """VOC 2007's average, point by point."""
    points = []
    for recall in np.arange(11) / 10:
        best = 0.0
        for threshold in np.unique(scores):
            taken = scores >= threshold
            hits = (taken & truth).sum()
            if hits / truth.sum() >= recall - 1e-12:
                best = max(best, hits / taken.sum())
        points.append(best)
    return float(np.mean(points))


@pytest.mark.parametrize("ties", [True, False])
def test_values_are_those_of_scikit_learn(ties):
    scores, labels = data(ties=ties)
    report = evaluate_multilabel({"a": scores}, labels, NAMES, resamples=10)
    assert report.value("a") == pytest.approx(theirs.average_precision_score(labels, scores, average="macro"))
    assert report.value("a", "coverage") == pytest.approx(theirs.coverage_error(labels, scores))
    assert report.value("a", "ranking loss") == pytest.approx(theirs.label_ranking_loss(labels, scores))
    assert list(report.per_class("a").values()) == pytest.approx(
        theirs.average_precision_score(labels, scores, average=None)
    )
    own = report.results["a"].thresholds
    assert report.value("a", "F1 micro per class") == pytest.approx(
        theirs.f1_score(labels, scores >= own, average="micro")
    )
    for place, average in enumerate(("micro", "macro")):
        single = report.results["a"].threshold[place]
        value = theirs.f1_score(labels, scores >= single, average=average)
        assert report.value("a", f"F1 {average}") == pytest.approx(value)
        tried = [theirs.f1_score(labels, scores >= t, average=average) for t in np.quantile(scores, np.arange(30) / 30)]
        assert value >= max(tried) - 1e-12


def test_eleven_points_and_calibration_are_those_of_slow_versions():
    scores, labels = data(ties=False)
    report = evaluate_multilabel({"a": scores}, labels, NAMES, resamples=10)
    assert report.results["a"].eleven_points.tolist() == pytest.approx(
        [voc11(s, y) for s, y in zip(scores.T, labels.T, strict=True)]
    )
    assert report.value("a", "mAP11") == pytest.approx(report.results["a"].eleven_points.mean())
    cells = [[] for _ in range(15)]
    for score, label in zip(scores.ravel(), labels.ravel(), strict=True):
        cells[min(int(score * 15), 14)].append((score, label))
    error = sum(abs(sum(s - y for s, y in cell)) for cell in cells) / scores.size
    assert report.value("a", "ECE") == pytest.approx(error)


def test_perfect_scores_are_perfect():
    labels = data()[1]
    report = evaluate_multilabel({"a": labels.astype(float)}, labels, NAMES, resamples=20)
    perfect = {"mAP": 1, "mAP11": 1, "F1 micro": 1, "F1 macro": 1, "ranking loss": 0, "ECE": 0}
    assert {name: report.value("a", name) for name in perfect} == pytest.approx(perfect)
    assert report.interval("a") == (1, 1)


def test_weights_are_copies_of_pictures():
    scores, labels = data(120)
    weights = next(bootstrap_counts(120, resamples=3, seed=1))
    known = LabelMetrics(scores, labels, np.ones_like(labels), np.full(4, 0.5))
    for row, values in zip(weights, known.values(weights), strict=True):
        drawn = np.repeat(np.arange(120), row.astype(int))
        again = LabelMetrics(scores[drawn], labels[drawn], np.ones_like(labels), np.full(4, 0.5))
        np.testing.assert_allclose(values, again.values(np.ones((1, 120)))[0], atol=1e-12)


def test_what_is_not_judged_does_not_count():
    scores, labels = data(60)
    judged = np.random.default_rng(3).random(labels.shape) < 0.8
    report = evaluate_multilabel({"a": scores}, labels, NAMES, judged=judged, resamples=10)
    alone = [theirs.average_precision_score(y[j], s[j]) for s, y, j in zip(scores.T, labels.T, judged.T, strict=True)]
    assert list(report.per_class("a").values()) == pytest.approx(alone)
    changed = np.where(judged, scores, 1 - scores)
    again = evaluate_multilabel({"a": changed}, labels, NAMES, judged=judged, resamples=10)
    assert report.to_dict() == again.to_dict()
    flipped = evaluate_multilabel({"a": scores}, labels ^ ~judged, NAMES, judged=judged, resamples=10)
    assert report.to_dict() == flipped.to_dict()


def test_classes_without_a_positive_are_left_out_and_named():
    scores, labels = data()
    labels[:, 2] = False
    report = evaluate_multilabel({"a": scores}, labels, NAMES, resamples=10)
    assert report.left_out == ("boat",) and "left out: boat" in str(report)
    assert report.value("a") == pytest.approx(
        theirs.average_precision_score(labels[:, [0, 1, 3]], scores[:, [0, 1, 3]], average="macro")
    )
    with pytest.raises(DataError, match="no class has a positive"):
        evaluate_multilabel({"a": scores}, np.zeros_like(labels), NAMES)


def test_intervals_are_those_of_drawing_pictures_again():
    scores, labels = data(200)
    report = evaluate_multilabel({"a": scores}, labels, NAMES, resamples=300, seed=2)
    draw = np.random.default_rng(5)
    slow = []
    for _ in range(300):
        rows = draw.integers(0, 200, 200)
        slow.append(np.mean([simple_ap(s, y) for s, y in zip(scores[rows].T, labels[rows].T, strict=True)]))
    low, high = np.quantile(slow, [0.025, 0.975])
    assert report.interval("a") == pytest.approx((low, high), abs=0.25 * (high - low))
    # a mean over pictures: the room's own intervals hold for it
    values = np.array([[(s >= s[y].min()).sum() if y.any() else 0] for s, y in zip(scores, labels, strict=True)])
    theirs_low, theirs_high = bootstrap_intervals(values, resamples=300, seed=2)
    assert report.interval("a", "coverage") == pytest.approx((theirs_low[0], theirs_high[0]))


def test_tests_find_a_difference_and_none_where_there_is_none():
    scores, labels = data(300, ties=False)
    noise = scores + np.random.default_rng(1).normal(0, 0.5, scores.shape)
    systems = {"good": scores, "bad": noise, "same": scores}
    report = evaluate_multilabel(systems, labels, NAMES, compare=[("good", "bad"), ("good", "same")], resamples=300)
    assert report.p_value("good", "bad") == pytest.approx(1 / 301)
    assert report.p_value("good", "same") == 1
    first, second = report.contrasts
    assert (first.better, first.worse, second.better, second.worse) == (4, 0, 0, 0)
    assert first.p_classes == pytest.approx(2 / 16, abs=0.02)  # four classes cannot say more
    assert report.to_dict()["comparisons"][0]["metrics"]["ECE"]["p"] is None  # bad's scores are no probabilities


def test_p_is_honest_where_systems_are_equally_good():
    found = []
    for seed in range(30):
        _, labels = data(80, seed)
        draw = np.random.default_rng(1000 + seed)
        systems = {name: draw.normal(0, 1, labels.shape) + labels for name in "ab"}
        report = evaluate_multilabel(systems, labels, NAMES, compare=[("a", "b")], resamples=59, seed=seed)
        found.append(report.p_value("a", "b"))
    assert sum(p <= 0.05 for p in found) <= 5 and sum(p <= 0.5 for p in found) >= 7


def test_given_thresholds_are_used():
    scores, labels = data()
    limits = {"a": np.full(4, 0.5)}
    report = evaluate_multilabel({"a": scores}, labels, NAMES, thresholds=limits, resamples=10)
    assert report.value("a", "F1 macro per class") == pytest.approx(
        theirs.f1_score(labels, scores >= 0.5, average="macro")
    )
    assert np.isnan(report.value("a", "F1 micro")) and "given thresholds" in str(report)


def test_report_prints_and_is_json():
    scores, labels = data()
    report = evaluate_multilabel({"a": scores, "b": scores * 3}, labels, NAMES, compare=[("b", "a")], resamples=20)
    text = str(report)
    assert all(name in text for name in (*NAMES, *LABEL_METRICS, "120 pictures"))
    read = json.loads(report.to_json())
    assert read["systems"]["b"]["metrics"]["ECE"]["value"] is None
    assert read["systems"]["a"]["metrics"]["mAP"]["value"] == report.value("a")
    assert (
        str(evaluate_multilabel({"a": scores, "b": scores * 3}, labels, NAMES, compare=[("b", "a")], resamples=20))
        == text
    )


def test_bad_input_is_named():
    scores, labels = data()
    with pytest.raises(DataError, match="'dog' stands twice, at 1 and 3"):
        evaluate_multilabel({"a": scores}, labels, ["cat", "dog", "boat", "dog"])
    with pytest.raises(DataError, match="one class only"):
        evaluate_multilabel({"a": scores[:, :1]}, labels[:, :1], ["cat"])
    with pytest.raises(DataError, match="no system"):
        evaluate_multilabel({}, labels, NAMES)
    with pytest.raises(DataError, match="3 class names for scores of 4"):
        evaluate_multilabel({"a": scores}, labels, NAMES[:3])
    with pytest.raises(ShapeError, match="one shape"):
        evaluate_multilabel({"a": scores[1:]}, labels, NAMES)
    with pytest.raises(ShapeError, match="row 5, class 2 is nan"):
        evaluate_multilabel({"a": np.where(np.arange(480).reshape(120, 4) == 22, np.nan, scores)}, labels, NAMES)
    with pytest.raises(PairspaceError, match="no system 'b' to compare"):
        evaluate_multilabel({"a": scores}, labels, NAMES, compare=[("a", "b")])
    report = evaluate_multilabel({"a": scores}, labels, NAMES, resamples=5)
    for ask in (lambda: report.value("b"), lambda: report.value("a", "AP"), lambda: report.p_value("a", "b")):
        with pytest.raises(PairspaceError, match="in this report"):
            ask()


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.float64, (7, 3), elements=st.integers(0, 4).map(float)),
    arrays(bool, (7, 3), elements=st.booleans()).filter(lambda y: y.any(0).all()),
)
def test_any_ties_agree_with_scikit_learn(scores, labels):
    report = evaluate_multilabel({"a": scores}, labels, NAMES[:3], resamples=2)
    assert report.value("a") == pytest.approx(theirs.average_precision_score(labels, scores, average="macro"))
    assert report.value("a", "coverage") == pytest.approx(theirs.coverage_error(labels, scores))
    assert report.value("a", "ranking loss") == pytest.approx(theirs.label_ranking_loss(labels, scores))
    elevens = [voc11(s, y) for s, y in zip(scores.T, labels.T, strict=True)]
    assert report.results["a"].eleven_points.tolist() == pytest.approx(elevens)
