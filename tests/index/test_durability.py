"""What was acknowledged is there, whatever happens next."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pairspace.errors import IndexingError, StorageError
from pairspace.index import Index

CHILD = """
import sys, numpy as np
from pairspace.index import Index
index = Index.open(sys.argv[1])
vectors = np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32)
for batch in range(10**6):
    index.add([f"{batch}-{i}" for i in range(100)], ["play chess"] * 100, vectors=vectors)
    print(batch, flush=True)
    if batch % 7 == 3:
        index.delete([f"{batch}-0"])
        print("deleted", batch, flush=True)
    if batch % 5 == 4:
        index.optimise()
"""


def test_a_kill_loses_nothing_acknowledged(tmp_path, space, warm):
    Index.create(tmp_path / "i", space, text=True).close()
    read, write = os.pipe()
    with os.fdopen(write, "w") as out:
        child = warm.start(CHILD, tmp_path / "i", out=out)
    with os.fdopen(read) as printed:
        seen = [printed.readline().split() for _ in range(12)]
        with pytest.raises(IndexingError, match="held by another process"):
            Index.open(tmp_path / "i", space)
        time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
        seen += [line.split() for line in printed.read().splitlines()]
    assert child.wait() == -signal.SIGKILL
    added = [int(line[0]) for line in seen if len(line) == 1]
    deleted = [int(line[1]) for line in seen if len(line) == 2]
    assert len(added) >= 8 and deleted
    with Index.open(tmp_path / "i", space) as index:
        ids = set(index)
        sure = {f"{batch}-{i}" for batch in added for i in range(1, 100)} | {f"{b}-0" for b in added if b % 7 != 3}
        assert sure <= ids
        assert not ids & {f"{batch}-0" for batch in deleted}
        assert len(ids - sure) <= 101  # the batch in work, whole or in part
        assert {hit.id for hit in index.search("chess", mode="bm25", k=10**5)} == ids
        index.add(["after"], ["edit text"])
        assert index.search("edit text", k=1)[0].id == "after"


def test_ctrl_c_in_the_middle_leaves_a_usable_index(index, space, monkeypatch):
    encode = space.encode

    def interrupted(items, **options):
        if "stop 25" in items:
            raise KeyboardInterrupt
        return encode(items, **options)

    monkeypatch.setattr(space, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index.add(range(40), [f"stop {i}" for i in range(40)], batch_size=10)
    assert set(index) == {str(i) for i in range(20)}
    monkeypatch.undo()
    index.add(range(40), [f"stop {i}" for i in range(40)], batch_size=10)  # the same call again goes over it
    assert len(index) == 40


def test_a_disk_that_fills_up_keeps_the_batches_before(index, space, monkeypatch):
    upsert, calls = index._engine.upsert, []

    def filling(points):
        calls.append(len(points))
        if len(calls) == 3:
            raise StorageError("no room")
        upsert(points)

    monkeypatch.setattr(index._engine, "upsert", filling)
    with pytest.raises(StorageError):
        index.add(range(40), ["play chess"] * 40, batch_size=10)
    index.close()
    with Index.open(index.path, space) as again:
        assert len(again) == 20 and len(again.search("play chess", k=50)) == 20


def test_no_space_left_inside_the_engine_is_told_as_such(index, monkeypatch):
    class Full:
        def update(self, operation):
            raise Exception("Service runtime error: IO Error: No space left on device (os error 28)")

    shard = index._engine._shard
    monkeypatch.setattr(index._engine, "_shard", Full())
    with pytest.raises(StorageError, match="no space left on the disk"):
        index.add(["a"], ["play chess"])
    monkeypatch.setattr(index._engine, "_shard", shard)
    assert len(index) == 0


def test_a_panic_of_the_engine_is_an_error_of_ours(index, monkeypatch):
    class PanicException(BaseException):
        pass

    class Panics:
        def count(self, request):
            raise PanicException("called `Option::unwrap()` on a `None` value")

    shard = index._engine._shard
    monkeypatch.setattr(index._engine, "_shard", Panics())
    with pytest.raises(IndexingError, match="could not be counted: called"):
        len(index)
    monkeypatch.setattr(index._engine, "_shard", shard)


IDS = st.sampled_from(["a", "b", "c", "é", "10", "d e"])
TEXTS = st.sampled_from(["play chess", "edit text", "chess engine", "", "music"])


def machine(folder: Path, space):
    class Model(RuleBasedStateMachine):
        @initialize()
        def start(self):
            self.index = Index.create(folder / "i", space, text=True, overwrite=True)
            self.model = {}

        @rule(items=st.dictionaries(IDS, st.tuples(TEXTS, st.integers(0, 2)), max_size=4), batch=st.integers(1, 3))
        def add(self, items, batch):
            texts, payload = [t for t, _ in items.values()], [{"n": n} for _, n in items.values()]
            assert self.index.add(list(items), texts, payload=payload, batch_size=batch) == len(items)
            self.model |= {id: {"text": t, "n": n} for id, (t, n) in items.items()}

        @rule(ids=st.lists(IDS, max_size=3))
        def delete(self, ids):
            assert self.index.delete(ids) == len(set(ids) & set(self.model))
            for id in ids:
                self.model.pop(id, None)

        @rule()
        def optimise(self):
            self.index.optimise()

        @rule()
        def reopen(self):
            self.index.close()
            self.index = Index.open(folder / "i", space)

        @rule(text=TEXTS, n=st.integers(0, 2))
        def search(self, text, n):
            hits = self.index.search(text, filter={"n": n}, exact=True)
            assert {h.id: h.payload for h in hits} == {id: p for id, p in self.model.items() if p["n"] == n}
            vectors = {id: space.encode([p["text"]], side="body")[0] for id, p in self.model.items()}
            query = space.encode([text], side="title")[0]
            for hit in hits:
                assert abs(hit.score - float(query @ vectors[hit.id])) < 1e-5
            words = {h.id for h in self.index.search("chess", mode="bm25")}
            assert words == {id for id, p in self.model.items() if "chess" in p["text"]}

        @invariant()
        def same(self):
            assert dict(zip(self.index, self.index.get(list(self.index)), strict=True)) == self.model
            assert len(self.index) == len(self.model)

        def teardown(self):
            self.index.close()

    return Model


def test_index_behaves_like_a_dict(tmp_path, space):
    run_state_machine_as_test(
        machine(tmp_path, space), settings=settings(max_examples=8, stateful_step_count=10, deadline=None)
    )


def test_vectors_of_an_update_are_the_new_ones(index, space):
    index.add(["a", "b"], ["play chess", "edit text"])
    index.optimise()
    index.add(["a"], ["music"])
    np.testing.assert_allclose(index.search("music", k=1)[0].score, 1, atol=1e-6)
    assert index.search("play chess", k=1)[0].score < 0.99
