"""What every engine must do; `engine_class` runs over all of them."""

from __future__ import annotations

import shutil
import uuid
from collections import namedtuple
from datetime import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pairspace.errors import IndexingError, StorageError
from pairspace.index import Field, Point, parse_filter
from pairspace.index import edge as edge_module
from pairspace.index.engine import Sparse

FIELDS = {"dense": Field("dense", 4), "many": Field("multi", 4), "bm25": Field("terms")}
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(30, 4)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def key(i):
    return uuid.UUID(int=i + 1)


def sparse(**weights):
    ids = np.array([ord(term) for term in weights], np.int64)
    return Sparse(ids, np.array(list(weights.values()), np.float32))


def point(i, payload=None, **vectors):
    return Point(key(i), vectors or {"dense": VECTORS[i]}, payload if payload is not None else {"i": i})


@pytest.fixture
def engine(engine_class, tmp_path):
    engine = engine_class.create(tmp_path / "engine", FIELDS)
    yield engine
    engine.close()


def test_points_come_back_and_are_replaced(engine):
    engine.upsert([point(i) for i in range(5)])
    engine.upsert([point(1, {"new": True})])
    assert engine.count() == 5
    assert engine.get([key(1), key(4), key(9)]) == {key(1): {"new": True}, key(4): {"i": 4}}


def test_exact_search_is_the_cosine(engine):
    engine.upsert([point(i) for i in range(30)])
    queries = RNG.normal(size=(7, 4)).astype(np.float32)
    cosine = queries / np.linalg.norm(queries, axis=1, keepdims=True) @ VECTORS.T
    for query, row in zip(engine.search("dense", queries, 5, exact=True), cosine, strict=True):
        best = np.argsort(-row)[:5]
        assert [found.payload["i"] for found in query] == best.tolist()
        np.testing.assert_allclose([found.score for found in query], row[best], atol=1e-6)


def test_the_best_of_several_vectors_counts(engine):
    engine.upsert([point(i, many=VECTORS[[2 * i, 2 * i + 1]]) for i in range(10)])
    (found,) = engine.search("many", [VECTORS[7]], 10, exact=True)
    assert found[0].payload["i"] == 3
    cosine = (VECTORS[:20] @ VECTORS[7]).reshape(10, 2).max(1)
    np.testing.assert_allclose([f.score for f in found], np.sort(cosine)[::-1], atol=1e-6)


def test_terms_are_weighed_by_how_rare_they_are(engine):
    engine.upsert([point(0, bm25=sparse(a=0.5)), point(1, bm25=sparse(a=0.25, b=1)), point(2, bm25=sparse())])
    (found,) = engine.search("bm25", [sparse(a=1)], 10)
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))  # the document without terms counts
    assert [f.payload["i"] for f in found] == [0, 1]
    np.testing.assert_allclose([f.score for f in found], [0.5 * idf, 0.25 * idf], rtol=1e-6)


def test_a_query_without_terms_finds_nothing(engine):
    engine.upsert([point(0, bm25=sparse()), point(1, bm25=sparse(a=1))])
    assert engine.search("bm25", [sparse(), sparse(z=1)], 3) == [[], []]


def test_delete_counts_what_was_there(engine):
    engine.upsert([point(i) for i in range(4)])
    assert engine.delete([key(1), key(77), key(3)]) == 2
    assert engine.delete([key(1)]) == 0
    assert sorted(k for batch in engine.scan() for k, _ in batch) == [key(0), key(2)]


def test_scan_gives_every_point_once_with_the_named_fields(engine):
    engine.upsert([point(0, {"i": i, "j": 1}, dense=VECTORS[0])._replace(key=key(i)) for i in range(2500)])
    seen = dict(pair for batch in engine.scan(["i"]) for pair in batch)
    assert seen == {key(i): {"i": i} for i in range(2500)}


def test_replace_changes_one_vector_and_nothing_else(engine):
    engine.upsert([Point(key(0), {"dense": VECTORS[0], "bm25": sparse(a=1)}, {"x": 1})])
    engine.replace("bm25", {key(0): sparse(b=1)})
    assert engine.search("bm25", [sparse(a=1)], 1) == [[]]
    assert engine.search("bm25", [sparse(b=1)], 1)[0][0].payload == {"x": 1}
    assert engine.search("dense", [VECTORS[0]], 1)[0][0].score == pytest.approx(1)


def test_optimise_clears_out_deleted_points_from_the_idf(engine):
    engine.upsert([point(0, {"i": i}, bm25=sparse(**{"ab"[i % 2]: 1}))._replace(key=key(i)) for i in range(200)])
    engine.optimise()
    engine.delete([key(i) for i in range(0, 100, 2)])
    engine.optimise()
    (found,) = engine.search("bm25", [sparse(a=1)], 1)
    assert found[0].score == pytest.approx(np.log(1 + (150 - 50 + 0.5) / 50.5), rel=1e-6)


def test_search_is_the_same_after_optimise_and_reopening(engine, engine_class):
    engine.upsert([point(i) for i in range(30)])
    before = engine.search("dense", VECTORS[:3], 4)
    engine.optimise()
    engine.close()
    again = engine_class.open(engine.path)
    assert [[f.key for f in q] for q in again.search("dense", VECTORS[:3], 4)] == [[f.key for f in q] for q in before]
    assert again.info()["points"] == 30 and again.info()["bytes"] > 0
    again.close()


PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "s": st.sampled_from(["x", "y", 'q"\\', "é", ""]),
        "n": st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 2.0, -1.25, 2**60])),
        "l": st.lists(st.sampled_from(["x", "y", "z"]), max_size=2),
        "b": st.booleans(),
        "e": st.none(),
        "o": st.fixed_dictionaries({"a.b": st.integers(0, 2)}),
        "d": st.sampled_from(["2001-01-01", "2001-06-01T12:00:00", "2002-01-01"]),
    },
)
FILTERS = st.dictionaries(
    st.sampled_from(["s", "!s", "l", "!l", "e", "missing", "!b"]),
    st.one_of(
        st.sampled_from(["x", "y", 'q"\\', "é", "", True, False, None]), st.lists(st.sampled_from(["x", "y", None]))
    ),
    max_size=2,
)
RANGES = st.builds(
    lambda low, a, high, b: {low: a} | {high: b},
    *(st.sampled_from(["gt", "gte"]), st.integers(-2, 2), st.sampled_from(["lt", "lte"]), st.integers(-2, 2)),
).flatmap(lambda both: st.sampled_from([both, *({name: bound} for name, bound in both.items())]))
NUMBERS = st.dictionaries(
    st.sampled_from(["n", "!n", 'o."a.b"']),
    st.one_of(
        st.sampled_from([0, 1, 2, 2.0, 0.5, 2**60]),
        st.lists(st.sampled_from([1, 2, "x"]), max_size=2),
        RANGES,
    ),
    max_size=2,
)
DATES = st.dictionaries(
    st.just("d"), st.dictionaries(st.sampled_from(["gte", "lt"]), st.just("2001-06-01"), min_size=1), max_size=1
)


def passes(payload, conditions):
    """The plain version of a filter."""

    def one(value, wanted):
        return (
            type(value) is bool and value is wanted
            if isinstance(wanted, bool)
            else (not isinstance(value, bool) and value == wanted)
        )

    def compare(name, value, bound):
        if isinstance(bound, str):
            if not isinstance(value, str):
                return False
            value, bound = datetime.fromisoformat(value), datetime.fromisoformat(bound)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return {"gt": value > bound, "gte": value >= bound, "lt": value < bound, "lte": value <= bound}[name]

    for condition in conditions:
        value = payload
        for name in condition.field:
            value = value.get(name) if isinstance(value, dict) else None
        values = value if isinstance(value, list) else [value]
        if condition.values is None:
            holds = all(any(compare(n, v, b) for v in values) for n, b in condition.bounds)
        else:
            holds = any(
                (value is None or value == []) if w is None else any(one(v, w) for v in values)
                for w in condition.values
            )
        if holds == condition.negated:
            return False
    return True


@pytest.mark.parametrize("fields_from", [0, 10**9], ids=["payload index", "payload read"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(PAYLOADS, min_size=1, max_size=8), st.lists(st.one_of(FILTERS, NUMBERS, DATES), min_size=5, max_size=25)
)
def test_filters_are_the_plain_ones(engine, fields_from, payloads, filters):
    edge_module._FIELDS_FROM = fields_from
    engine.delete([key(i) for i in range(8)])
    engine.upsert([point(i, payload, dense=VECTORS[i]) for i, payload in enumerate(payloads)])
    for filter in filters:
        conditions = parse_filter(filter)
        right = {key(i) for i, payload in enumerate(payloads) if passes(payload, conditions)}
        assert engine.count(conditions) == len(right), (filter, payloads)
        assert {f.key for f in engine.search("dense", [VECTORS[0]], 8, conditions)[0]} == right


@pytest.fixture(autouse=True)
def restore():
    before = edge_module._FIELDS_FROM
    yield
    edge_module._FIELDS_FROM = before


def test_a_filtered_field_is_indexed_once_and_stays_so(engine, engine_class, monkeypatch):
    monkeypatch.setattr(edge_module, "_FIELDS_FROM", 5)
    engine.upsert([point(i, {"a b": i % 3, "s": "xy"[i % 2]}) for i in range(10)])
    conditions = parse_filter({"a b": 1, "s": "x"})
    before = engine.search("dense", [VECTORS[0]], 10, conditions)
    assert [f.payload for f in before[0]] == [{"a b": 1, "s": "x"}]  # of 1, 4 and 7 the even one
    engine.close()
    again = engine_class.open(engine.path)
    assert again._fields == {'"a b"', "s"}
    again.upsert([point(11, {"a b": 1, "s": "x"})])
    assert len(again.search("dense", [VECTORS[0]], 10, conditions)[0]) == len(before[0]) + 1
    again.close()


def test_true_is_not_one(engine):
    engine.upsert([point(0, {"v": True}), point(1, {"v": 1}), point(2, {"v": False}), point(3, {"v": 1.0})])
    for filter, right in [({"v": True}, {0}), ({"v": 1}, {1, 3}), ({"!v": False}, {0, 1, 3}), ({"v": [True, 0]}, {0})]:
        found = engine.search("dense", [VECTORS[0]], 9, parse_filter(filter))[0]
        assert {f.key for f in found} == {key(i) for i in right}, filter


def test_a_field_whose_name_holds_a_quote_cannot_be_filtered_by(engine):
    with pytest.raises(IndexingError, match="holds a quote or a backslash"):
        engine.count(parse_filter({r'"a\"b"': 1}))


def test_errors_say_what_could_not_be_done(engine):
    with pytest.raises(IndexingError, match=r"could not store points: .*dim"):
        engine.upsert([point(0, dense=np.ones(3, np.float32))])
    with pytest.raises(IndexingError, match="could not be searched"):
        engine.search("other", [VECTORS[0]], 1)
    engine.upsert([point(1)])
    assert engine.count() == 1


def test_one_at_a_time(engine, engine_class):
    engine.upsert([point(i) for i in range(3)])
    for _ in range(2):
        with pytest.raises(IndexingError, match="held by another process"):
            engine_class.open(engine.path)
    engine.delete([key(0)])  # the one that holds it took no harm
    engine.optimise()
    assert engine.count() == 2


def test_no_engine_there(engine_class, tmp_path):
    with pytest.raises(IndexingError, match="missing or incomplete"):
        engine_class.open(tmp_path / "none")


def test_a_full_disk_is_told_before_anything_is_written(engine, engine_class, monkeypatch):
    engine.upsert([point(0)])
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 50 << 20))
    for write in (
        lambda: engine.upsert([point(1)]),
        lambda: engine.delete([key(0)]),
        lambda: engine.replace("dense", {key(0): VECTORS[1]}),
        engine.optimise,
    ):
        with pytest.raises(StorageError, match=r"free disk are needed.*50 MiB are left.*is safe"):
            write()
    monkeypatch.undo()
    assert engine.count() == 1
    engine.upsert([point(1)])
    assert engine.count() == 2
