from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import pytrec_eval

from pairspace.data import Corpus, Pairs, read_qrels, read_run
from pairspace.errors import DataError, PairspaceError
from pairspace.evaluation import METRICS, Report, evaluate, per_query
from pairspace.neighbours import Bm25, reciprocal_rank_fusion, top_k, zscore_fusion

WORDS = [f"word{i}" for i in range(40)]


class FakeFeatures:
    truncated = 0.25

    def __init__(self, items: Any):
        self.items = items


class FakeSpace:
    """Texts as noisy bags of words, before training with more noise; both sides alike."""

    sides = ("title", "body")
    query_side, document_side = sides
    name, fingerprint, language = "fake", "0" * 32, "english"

    def __init__(self, *, trained: bool = True, fusion_weight: float | None = None, noise: float = 0.3):
        self.trained, self.fusion_weight, self.noise, self.calls = trained, fusion_weight, noise, []

    has_start = True

    def part(self, side: str) -> SimpleNamespace:
        encoder = SimpleNamespace(modality="text")
        return SimpleNamespace(starts_equal=True, items=Pairs.items, encoder=encoder)

    def features(self, items: Any, side: str, *, cache: bool = True, progress: bool | None = None) -> FakeFeatures:
        self.calls.append((side, len(items)))
        return FakeFeatures(items)

    def project(self, features: FakeFeatures, side: str, *, start: bool = False) -> np.ndarray:
        return self._vectors(features.items, (3 if start else 1) * self.noise)

    def split_passages(self, texts: list[str], side: str) -> tuple[list[str], np.ndarray]:
        parts = [text.split(" | ") for text in texts]
        return [p for part in parts for p in part], np.repeat(np.arange(len(parts)), [len(part) for part in parts])

    def _vectors(self, items: Any, noise: float) -> np.ndarray:
        rows = []
        for text in items.to_pylist():
            draw = np.random.default_rng(sum(text.encode()))
            rows.append([text.split().count(word) for word in WORDS] + noise * draw.normal(size=len(WORDS)))
        x = np.asarray(rows, np.float32).reshape(-1, len(WORDS))
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    draw = np.random.default_rng(0)
    bodies = [" ".join(draw.choice(WORDS, 12)) for _ in range(120)]
    titles = [" ".join(draw.choice(body.split(), 3)) for body in bodies]
    titles[7] = titles[3]  # one title, two right bodies
    return Pairs.from_columns({"title": [*titles, titles[0]], "body": [*bodies, bodies[0]]})  # and one row twice


@pytest.fixture(scope="module")
def report(pairs: Pairs) -> Report:
    return evaluate(FakeSpace(fusion_weight=0.6), pairs, resamples=500)


def test_both_directions_count_distinct_items(report: Report, pairs: Pairs):
    assert [d.name for d in report.directions] == ["title -> body", "body -> title"]
    counts = [(len(d.query_ids), len(d.document_ids)) for d in report.directions]
    titles, bodies = len(pairs.unique("title")[0]), len(pairs.unique("body")[0])
    assert counts == [(titles, bodies), (bodies, titles)] and bodies == 120 > titles
    assert report.settings["duplicates"] == 1


def test_values_are_those_of_the_raw_scores(report: Report, pairs: Pairs):
    space = FakeSpace()
    vectors = {s: space.project(space.features(pairs.unique(s)[0], s), s) for s in space.sides}
    codes = {side: pairs.codes(side) for side in space.sides}
    for one, other in (("title", "body"), ("body", "title")):
        scores = vectors[one] @ vectors[other].T
        run = {str(q): {str(d): float(s) for d, s in enumerate(row)} for q, row in enumerate(scores)}
        qrels: dict[str, dict[str, int]] = {}
        for q, d in zip(codes[one].tolist(), codes[other].tolist(), strict=True):
            qrels.setdefault(str(q), {})[str(d)] = 1
        found = pytrec_eval.RelevanceEvaluator(qrels, {"success_1", "ndcg_cut_10", "map_cut_100"}).evaluate(run)
        for metric, theirs in (("R@1", "success_1"), ("nDCG@10", "ndcg_cut_10"), ("MAP@100", "map_cut_100")):
            expected = np.mean([values[theirs] for values in found.values()])
            assert report.value("space", metric, f"{one} -> {other}") == pytest.approx(expected, abs=5e-5)


def test_equal_texts_are_all_right_answers(pairs: Pairs):
    space = FakeSpace(noise=0.0)
    report = evaluate(space, pairs, resamples=10, bm25=False)
    shared = pairs.items("title")[3].as_py()
    query = pairs.unique("title")[0].to_pylist().index(shared)
    judged = report.directions[0].qrels[report.directions[0].query_ids[query]]
    assert set(judged) == {"body-3", "body-7"}


def test_systems_and_their_order(report: Report):
    assert report.systems == ("bm25", "encoders", "space", "space + bm25")
    assert report.value("encoders", "R@1") < report.value("space", "R@1")
    titles = {system: report.result(system).label for system in report.systems}
    assert titles["space + bm25"] == "space + bm25 (z, 0.60)" and titles["encoders"] == "encoders before training"


@pytest.mark.parametrize("weight", [None, 0.3])
def test_fusion_is_the_one_named(pairs: Pairs, weight: float | None):
    space = FakeSpace(fusion_weight=weight)
    report = evaluate(space, pairs, resamples=10)
    titles, bodies = (pairs.unique(side)[0] for side in space.sides)
    dense = top_k(space._vectors(titles, space.noise), space._vectors(bodies, space.noise), 100)
    lexical = Bm25().fit(bodies).search(titles, 100)
    if weight is None:
        expected, label = reciprocal_rank_fusion([dense, lexical], 100), "space + bm25 (rank fusion)"
    else:
        expected, label = zscore_fusion([dense, lexical], [0.3, 0.7], 100), "space + bm25 (z, 0.30)"
    result = report.result("space + bm25")
    assert result.label == label
    assert np.array_equal(result.ranking.indices, expected.indices)
    assert np.array_equal(report.result("bm25").ranking.indices, lexical.indices)


def test_untrained_space_is_shown_once(pairs: Pairs):
    report = evaluate(FakeSpace(trained=False), pairs, resamples=10)
    assert report.systems == ("bm25", "space", "space + bm25")
    assert "untrained" in str(report)
    assert evaluate(FakeSpace(), pairs, resamples=10, bm25=False, start=False).systems == ("space",)
    assert evaluate(FakeSpace(), pairs, resamples=10, fusion=False).systems == ("bm25", "encoders", "space")


def test_each_side_is_encoded_once(pairs: Pairs):
    space = FakeSpace()
    evaluate(space, pairs, resamples=10)
    assert sorted(side for side, _ in space.calls) == ["body", "title"]


def test_ties_go_to_the_earlier_document_everywhere():
    class Flat(FakeSpace):
        def _vectors(self, items: Any, noise: float) -> np.ndarray:
            return np.ones((len(items), 2), np.float32) / np.float32(np.sqrt(2))

    pairs = Pairs.from_columns({"title": [f"t{i}" for i in range(5)], "body": [f"b{i}" for i in range(5)]})
    report = evaluate(Flat(), pairs, resamples=10, bm25=False)
    assert report.per_query("space", "MRR@10").tolist() == pytest.approx([1 / rank for rank in range(1, 6)])
    assert report.value("space", "R@1") == pytest.approx(0.2)


def test_features_are_made_once_a_side_and_the_share_that_was_cut_is_told(pairs: Pairs):
    space = FakeSpace()
    report = evaluate(space, pairs, resamples=10, bm25=False, cache=False)
    assert [side for side, _ in space.calls] == ["title", "body"]
    assert dict(report.directions[0].cut) == {"title": 0.25, "body": 0.25}
    assert "longer than the encoder reads: 25.0% of title, 25.0% of body" in str(report)


def _collection() -> tuple[Corpus, Corpus, dict[str, dict[str, int]]]:
    corpus = Corpus(pa.table({"id": ["d1", "d2", "d3"], "text": ["word1 word2", "word3 word4 | word5", ""]}), "corpus")
    queries = Corpus(
        pa.table({"id": ["q1", "q2", "q3", "q4"], "text": ["word1", "word5", "word9", "word3"]}), "queries"
    )
    qrels = {"q2": {"d2": 2, "gone": 1}, "q1": {"d1": 1, "d2": 0}, "q3": {"d1": 0}, "q5": {"d1": 1}}
    return corpus, queries, qrels


def test_collection_counts_what_it_should():
    corpus, queries, qrels = _collection()
    report = evaluate(FakeSpace(noise=0.0), corpus=corpus, queries=queries, qrels=qrels, resamples=10)
    (direction,) = report.directions
    assert direction.query_ids == ("q1", "q2", "q5")  # q5 is judged, but there is no such query: it counts 0
    assert (direction.left_out, direction.missing) == (2, 1)  # q3 has no right answer, q4 is not judged
    assert report.per_query("space", "R@1").tolist() == [1, 1, 0]
    assert report.per_query("space", "Recall@100").tolist() == [1, 0.5, 0]  # "gone" is right and never found
    assert report.per_query("bm25", "R@1").tolist() == [1, 1, 0]
    assert "2 queries without a right answer left out; 1 judged queries without a text count 0" in str(report)


def test_best_passage_stands_for_its_document():
    corpus, queries, qrels = _collection()
    space = FakeSpace(noise=0.0)
    plain = evaluate(space, corpus=corpus, queries=queries, qrels=qrels, resamples=10)
    cut = evaluate(space, corpus=corpus, queries=queries, qrels=qrels, resamples=10, passages=True)
    assert plain.result("space").ranking.scores[1, 0] == pytest.approx(1 / np.sqrt(3))
    assert cut.result("space").ranking.scores[1, 0] == pytest.approx(1)
    assert cut.result("space").ranking.indices[1, 0] == 1


def test_what_does_not_fit_is_said(pairs: Pairs):
    corpus, queries, qrels = _collection()
    space = FakeSpace()
    with pytest.raises(PairspaceError, match="either pairs, or all of corpus, queries and qrels; it was given corpus"):
        evaluate(space, corpus=corpus)
    with pytest.raises(PairspaceError, match="given pairs, qrels"):
        evaluate(space, pairs, qrels=qrels)
    with pytest.raises(DataError, match=r"'q1'.*'Q1'"):
        evaluate(space, corpus=corpus, queries=queries, qrels={"Q1": {"d1": 1}})
    with pytest.raises(DataError, match=r"none of the judged documents.*'d1'.*'D1'"):
        evaluate(space, corpus=corpus, queries=queries, qrels={"q1": {"D1": 1}})
    with pytest.raises(DataError, match="sides question, answer, the space has title, body"):
        evaluate(space, Pairs.from_columns({"question": ["a"], "answer": ["b"]}))
    with pytest.raises(DataError, match="no pairs"):
        evaluate(space, pairs.select([]))
    with pytest.raises(PairspaceError, match="depth"):
        evaluate(space, pairs, depth=0)


def test_report_gives_numbers_by_name(report: Report):
    assert report["space"]["title -> body"]["R@1"] == report.value("space", "R@1", direction="title -> body")
    low, high = report.interval("space", "MRR@10", "body -> title")
    assert low < report.value("space", "MRR@10", "body -> title") < high
    assert report.per_query("bm25", "R@5").mean() == pytest.approx(report.value("bm25", "R@5"))
    assert 0 < report.p_value("space", "encoders", "R@1") < 0.01
    for bad, message in (
        (lambda: report["bm26"], "no system 'bm26'.*bm25, encoders"),
        (lambda: report.value("space", "R@2"), "no metric 'R@2'.*R@1"),
        (lambda: report.value("space", "R@1", "a -> b"), "no direction 'a -> b'.*title -> body"),
        (lambda: report.p_value("bm25", "space", "R@1"), "no test of 'bm25' against 'space'.*space against bm25"),
    ):
        with pytest.raises(PairspaceError, match=message):
            bad()


def test_table_is_aligned_narrow_and_marks_what_differs(report: Report):
    perfect = evaluate(FakeSpace(noise=0.0), Pairs.from_columns({"title": WORDS, "body": WORDS}), resamples=10)
    text = str(report)
    assert max(len(line) for line in [*str(perfect).splitlines(), *text.splitlines()]) <= 120
    assert "1.00-1.00" in str(perfect)
    first = text.split("\n\n")[2].splitlines()
    assert len({len(line) for line in first}) == 1
    assert first[0].split("|")[1].strip() == "system" and [c.strip() for c in first[0].split("|")[2:-1]] == list(
        METRICS
    )
    space = next(line for line in first if "c  space" in line)
    mark = "".join(
        letter for letter, other in (("a", "bm25"), ("b", "encoders")) if report.p_value("space", other, "R@1") < 0.05
    )
    assert space.split("|")[2].strip() == f"{report.value('space', 'R@1'):.3f}{mark}"
    assert "b" in mark


def test_json_holds_everything(report: Report):
    loaded = json.loads(report.to_json(per_query=True))
    assert loaded == report.to_dict(per_query=True)
    assert loaded["space"] == "fake" and loaded["metrics"] == list(METRICS)
    system = loaded["directions"][1]["systems"]["space"]
    assert system["metrics"]["R@1"]["value"] == report.value("space", "R@1", "body -> title")
    assert np.mean(system["per_query"]["R@1"]) == pytest.approx(system["metrics"]["R@1"]["value"])
    assert [c["reference"] for c in loaded["directions"][0]["comparisons"]] == ["encoders", "bm25", "space"]
    assert "per_query" not in report.to_json()


def test_saved_runs_measure_the_same(report: Report, tmp_path):
    files = report.save_runs(tmp_path / "runs")
    assert [f.name for f in files[:2]] == ["title-body.bm25.run", "title-body.encoders.run"] and len(files) == 10
    for direction in report.directions:
        stem = direction.name.replace(" -> ", "-")
        qrels = read_qrels(tmp_path / "runs" / f"{stem}.qrels")
        assert qrels == direction.qrels
        for system in report.systems:
            run = read_run(tmp_path / "runs" / f"{stem}.{system.replace(' + ', '-')}.run")
            assert np.array_equal(per_query(run, qrels), report.result(system, direction.name).per_query)
            # Strictly falling also in float32, which trec_eval reads: no tool has a tie to break.
            for answers in run.values():
                assert (np.diff(np.fromiter(answers.values(), np.float32)) < 0).all()


def test_seed_repeats(pairs: Pairs, report: Report):
    again = evaluate(FakeSpace(fusion_weight=0.6), pairs, resamples=500)
    assert again.to_json(per_query=True) == report.to_json(per_query=True)
