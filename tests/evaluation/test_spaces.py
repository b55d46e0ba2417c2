"""A report on every kind of space: the systems it shows, and what it counts as before training."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.evaluation import evaluate

HOW = {"resamples": 20, "progress": False}


def test_every_kind_of_space_is_evaluated(fitted_space, shuffled, space_kind):
    space = fitted_space(space_kind)
    report = evaluate(space, shuffled, **HOW)
    before = ("encoders",) if space.trained and space.has_start else ()
    assert report.systems == ("bm25", *before, "space", "space + bm25")
    assert space.has_start == (space_kind not in ("bag", "transformer", "half from nothing", "words from nothing"))
    a, b = (space.encode(shuffled.items(side), side=side) for side in space.sides)
    for direction, scores in (("title -> body", space.similarity(a, b)), ("body -> title", space.similarity(b, a))):
        expected = (scores.argmax(1) == np.arange(len(scores))).mean()
        assert report.value("space", "R@1", direction) == pytest.approx(expected, abs=0.02)
        if before:
            starts = [space.encode_start(shuffled.items(side), side=side) for side in direction.split(" -> ")]
            expected = (space.similarity(*starts).argmax(1) == np.arange(len(scores))).mean()
            assert report.value("encoders", "R@1", direction) == pytest.approx(expected, abs=0.02)


def test_features_are_made_again_only_where_the_encoder_has_changed(fitted_space, shuffled, monkeypatch):
    asked = []
    for kind in ("frozen", "whole"):
        space, seen = fitted_space(kind), []
        real = space.features
        monkeypatch.setattr(
            space,
            "features",
            lambda items, side, real=real, seen=seen, **how: seen.append(side) or real(items, side, **how),
        )
        evaluate(space, shuffled, **HOW)
        asked.append(sorted(seen))
    assert asked == [["body", "title"], ["body", "title", "title"]]


def test_a_sparse_space_is_told_by_its_words_and_by_what_cutting_costs(fitted_space, shuffled):
    space = fitted_space("words")
    report = evaluate(space, shuffled, pruning={"count": 3}, **HOW)
    assert "pruned" in report.systems and "documents cut to 3 terms" in str(report)
    query, document = report.words
    assert (query.side, document.side) == ("title", "body") and document.terms > 3
    vectors = [space.encode(shuffled.items(side), side=side) for side in space.sides]
    assert query.terms == pytest.approx(vectors[0].nnz / vectors[0].shape[0])
    assert 0 < query.exact <= 1 and 0 < query.semantic <= 1.0001 and query.empty == 0
    told = report.to_dict()
    assert told["flops"] == report.flops > 0 and told["words"][1]["terms"] == document.terms
    assert "share" in str(report) and "Exact@20" in str(report)
    dense = evaluate(fitted_space("frozen"), shuffled, **HOW)
    assert dense.words == () and "words" not in dense.to_dict()
