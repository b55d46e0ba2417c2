from __future__ import annotations

import numpy as np
import pytest

from pairspace.errors import SpaceError
from pairspace.index import Index
from pairspace.space import Space, fit_together


@pytest.fixture
def two(plain_folder):
    """A dense and a sparse space over one encoder."""

    def make():
        how = {"encoder": str(plain_folder), "device": "cpu", "cache": False}
        return Space.create(("title", "body"), **how), Space.create(("title", "body"), projector="lexical", **how)

    return make


HOW = {"epochs": 3, "batch_size": 16, "validation": 0.2, "progress": False, "learning_rate": 3e-3}


def test_both_spaces_learn_and_are_spaces_of_their_own(two, shuffled, tmp_path):
    dense, sparse = two()
    history = fit_together(dense, sparse, shuffled, **HOW)
    assert history.column("loss")[-1] < history.column("loss")[0]
    assert history.records[-1]["query_terms"] > 0
    for space in (dense, sparse):
        assert space.trained and space.fusion_weight is not None and space.record["pairs"] == len(shuffled) * 4 // 5
        space.save_pretrained(tmp_path / space.name)
        back = Space.from_pretrained(tmp_path / space.name, device="cpu", cache=False)
        assert back.fingerprint == space.fingerprint
    bodies = shuffled.items("body").to_pylist()
    with Index.create(tmp_path / "index", {"dense": dense, "sparse": sparse}, side="body", text=True) as index:
        index.add([f"b{n}" for n in range(len(bodies))], bodies)
        for mode in ("dense", "sparse", "bm25", "dense+sparse", "hybrid"):
            assert len(index.search("play chess with friends", k=3, mode=mode)) == 3


def test_the_projectors_of_both_move(two, shuffled):
    dense, sparse = two()
    fit_together(dense, sparse, shuffled, **HOW | {"validation": None})
    for space in (dense, sparse):
        moved = space.encode(["play chess"]) - space.encode_start(["play chess"])
        assert float(np.abs(moved).max()) > 1e-3 and space.fusion_weight is None


def test_the_terms_of_the_sparse_space_alone_are_counted(plain_folder, shuffled):
    how = {"encoder": str(plain_folder), "device": "cpu", "cache": False}
    dense = Space.create(("title", "body"), **how)
    sparse = Space.create(("title", "body"), projector="lexical", echo=False, **how)
    given = HOW | {"validation": None, "terms": (3, 3), "epochs": 2}
    fit_together(dense, sparse, shuffled, **given)
    vectors = sparse.encode(shuffled.items("title"))
    assert vectors.nnz / vectors.shape[0] == 3  # some sixteen dense values are positive too


def test_stopped_and_resumed_is_not_stopped(two, shuffled, tmp_path):
    class Stop(Exception):
        pass

    def stop(history):
        if history.records[-1]["epoch"] == 1:
            raise Stop

    whole, stopped, resumed = two(), two(), two()
    fit_together(*whole, shuffled, **HOW)
    with pytest.raises(Stop):
        fit_together(*stopped, shuffled, checkpoint=tmp_path, after_epoch=stop, **HOW)
    fit_together(*resumed, shuffled, checkpoint=tmp_path, resume=True, **HOW)
    assert [space.fingerprint for space in resumed] == [space.fingerprint for space in whole]


def test_what_does_not_go_together_is_refused(two, shuffled, plain_folder):
    dense, sparse = two()
    with pytest.raises(SpaceError, match="in this order"):
        fit_together(sparse, dense, shuffled)
    other = Space.create(("a", "b"), encoder=str(plain_folder), cache=False)
    with pytest.raises(SpaceError, match="same sides"):
        fit_together(other, sparse, shuffled)
    bag = Space.create(("title", "body"), encoder="static:16", cache=False)
    with pytest.raises(SpaceError, match="frozen encoders"):
        fit_together(bag, sparse, shuffled)
