"""Mining against LASER's procedure written out slowly, with kills."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.bitext import mining
from pairspace.bitext.mining import RETRIEVALS, SCORES, mine_vectors
from pairspace.errors import PairspaceError
from pairspace.neighbours import both_ways, normalise


def slowly(x, y, k, score, retrieval):
    """Pairs and scores, by loops."""
    cosine = x.astype(np.float64) @ y.astype(np.float64).T
    near_x = [sorted(range(len(y)), key=lambda j, i=i: (-cosine[i, j], j))[:k] for i in range(len(x))]
    near_y = [sorted(range(len(x)), key=lambda i, j=j: (-cosine[i, j], i))[:k] for j in range(len(y))]
    mean_x = [np.mean([cosine[i, j] for j in near]) for i, near in enumerate(near_x)]
    mean_y = [np.mean([cosine[i, j] for i in near]) for j, near in enumerate(near_y)]

    def value(i, j):
        middle = (mean_x[i] + mean_y[j]) / 2
        by = {"margin": cosine[i, j] / middle, "distance": cosine[i, j] - middle}
        return (by | {"csls": 2 * cosine[i, j] - 2 * middle, "cosine": cosine[i, j]})[score]

    fwd = [(value(i, j), i, j) for i, near in enumerate(near_x) for j in [max(near, key=lambda j: value(i, j))]]
    bwd = [(value(i, j), i, j) for j, near in enumerate(near_y) for i in [max(near, key=lambda i: value(i, j))]]
    if retrieval == "fwd":
        found = fwd
    elif retrieval == "bwd":
        found = bwd
    elif retrieval == "intersect":
        found = [one for one in fwd if one[1:] in {other[1:] for other in bwd}]
    else:
        found, seen_x, seen_y = [], set(), set()
        for one in sorted(fwd + bwd, reverse=True):
            if one[1] not in seen_x and one[2] not in seen_y:
                seen_x.add(one[1]), seen_y.add(one[2])
                found.append(one)
    return {(i, j): v for v, i, j in found}


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    x = normalise(rng.normal(size=(50, 6)) + 0.5).astype(np.float32)
    y = normalise(np.concatenate([x[:35] + 0.3 * rng.normal(size=(35, 6)), rng.normal(size=(25, 6))]))
    return x, y.astype(np.float32)


@pytest.mark.parametrize("retrieval", RETRIEVALS)
@pytest.mark.parametrize("score", SCORES)
def test_equals_the_procedure_done_slowly(vectors, score, retrieval):
    x, y = vectors
    found = mine_vectors(x, y, score=score, retrieval=retrieval)
    wanted = slowly(x, y, 4, score, retrieval)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert set(pairs) == set(wanted) and len(pairs) == len(wanted)
    np.testing.assert_allclose(found.score, [wanted[pair] for pair in pairs], atol=1e-5)
    assert (np.diff(found.score) <= 0).all()
    np.testing.assert_allclose(found.cosine, [x[i] @ y[j] for i, j in pairs], atol=1e-6)


def test_every_candidate_and_a_threshold(vectors):
    x, y = vectors
    found = mine_vectors(x, y, k=3, retrieval="fwd", every=True)
    assert len(found.left) == 150 and (np.bincount(found.left) == 3).all()
    some = mine_vectors(x, y, threshold=1.1)
    assert 0 < len(some.score) < 50 and some.score.min() >= 1.1


@pytest.mark.parametrize("stripes", [0, 2, 5])
def test_a_broken_off_run_goes_on_and_finds_the_same(vectors, tmp_path, monkeypatch, stripes):
    monkeypatch.setattr(both_ways, "_STRIPE", 10)
    monkeypatch.setattr(mining, "_EVERY", -1.0)
    x, y = vectors
    whole, state, advance = mine_vectors(x, y), tmp_path / "state.npz", both_ways.BothWays.advance
    seen = []

    def stopping(self):
        if len(seen) == stripes:
            raise KeyboardInterrupt
        seen.append(self.done)
        return advance(self)

    monkeypatch.setattr(both_ways.BothWays, "advance", stopping)
    with pytest.raises(KeyboardInterrupt):
        mine_vectors(x, y, state=state)
    assert state.exists() == (stripes > 0)

    def counting(self):
        seen.append(self.done)
        return advance(self)

    seen.clear()
    monkeypatch.setattr(both_ways.BothWays, "advance", counting)
    again = mine_vectors(x, y, state=state)
    assert seen[0] == stripes * 10
    seen.clear()
    once_more = mine_vectors(x, y, state=state)  # what follows has failed: nothing is computed anew
    assert seen == [50]
    for one, other, third in zip(again, whole, once_more, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)


def test_a_broken_state_is_not_taken_up(vectors, tmp_path):
    x, y = vectors
    state = tmp_path / "state.npz"
    state.write_bytes(b"nothing of ours")
    assert len(mine_vectors(x, y, state=state).left)
    mine_vectors(x, y, state=state)
    state.write_bytes(state.read_bytes()[:-40])
    assert len(mine_vectors(x, y, state=state).left)


@pytest.mark.parametrize("side", [0, 1])
def test_a_state_is_not_taken_up_if_one_vector_is_another(tmp_path, side):
    rng = np.random.default_rng(1)
    sides = [normalise(rng.normal(size=(700, 4)).astype(np.float32)) for _ in range(2)]
    mine_vectors(*sides, state=tmp_path / "state.npz")
    sides[side][503] = -sides[side][503]
    for one, other in zip(mine_vectors(*sides, state=tmp_path / "state.npz"), mine_vectors(*sides), strict=True):
        np.testing.assert_array_equal(one, other)


def test_unknown_choices_are_refused(vectors):
    for wrong in ({"score": "ratio"}, {"retrieval": "both"}, {"every": True}, {"k": 0}):
        with pytest.raises(PairspaceError):
            mine_vectors(*vectors, **wrong)
    nothing = mine_vectors(vectors[0][:0], vectors[1])
    assert len(nothing.left) == 0
