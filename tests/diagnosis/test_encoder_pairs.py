from __future__ import annotations

import json

import numpy as np
import pytest

from pairspace.data import Pairs
from pairspace.diagnosis import centred_kernel_alignment, compare_encoders, mutual_knn
from pairspace.encoders import load_encoder
from pairspace.errors import PairspaceError


@pytest.fixture
def pairs():
    titles = [f"{a} {b}" for a in "abcdefgh" for b in "abcdefgh"][:60]
    return Pairs.from_columns({"title": titles, "body": [f"b{i}" for i in range(60)]})


@pytest.fixture
def given(tmp_path):
    """Files of features by row: `seen`, a noisy copy of it turned, and one that has nothing to do with it."""
    random = np.random.default_rng(0)
    seen = random.normal(size=(60, 12)).astype(np.float32)
    turn = np.linalg.qr(random.normal(size=(12, 12)))[0]
    found = {"seen": seen, "near": seen @ turn + 0.3 * random.normal(size=(60, 12)), "far": random.normal(size=(60, 9))}
    for name, values in found.items():
        np.save(tmp_path / f"{name}.npy", values.astype(np.float32))
    return {name: str(tmp_path / f"{name}.npy") for name in found}


def test_the_encoder_that_sees_alike_comes_first(pairs, given):
    found = compare_encoders(pairs, {"title": [given["seen"]], "body": [given["far"], given["near"]]}, cache=False, k=5)
    assert [one.right.split("/")[-1] for one in found.layers] == ["near.npy", "far.npy"]
    assert found.best.mutual_knn > 0.4 > found.layers[1].mutual_knn and found.pairs == 60
    assert found.best.unbiased_cka > 0.8 and abs(found.layers[1].unbiased_cka) < 0.3
    assert "near.npy" in str(found) and "by chance mutual kNN of 5 is 0.085" in str(found)
    assert json.loads(found.to_json())["sides"] == ["title", "body"]


def test_every_layer_is_compared_with_every_layer(pairs, given, plain_folder):
    encoder = load_encoder(str(plain_folder), device="cpu")
    found = compare_encoders(pairs, {"title": [encoder], "body": [given["near"]]}, cache=False, sample=30, k=5)
    assert {one.left_layer for one in found.layers} == set(encoder.layers) and found.pairs == 30
    rows = compare_encoders(pairs, {"title": [encoder], "body": [given["near"]]}, cache=False, sample=60, k=5)
    by_hand = encoder.encode(pairs.items("title").to_pylist(), ["last"]).vectors["last"]
    other = np.load(given["near"])
    last = next(one for one in rows.layers if one.left_layer == "last")
    by_hand, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (by_hand, other))
    assert last.mutual_knn == pytest.approx(mutual_knn(by_hand, other, k=5), abs=0.02)
    assert last.cka == pytest.approx(centred_kernel_alignment(by_hand, other), abs=1e-3)


def test_items_that_are_twice_are_drawn_once(given):
    twice = Pairs.from_columns({"title": [f"t{i // 2}" for i in range(60)], "body": [f"b{i}" for i in range(60)]})
    assert compare_encoders(twice, {"title": [given["seen"]], "body": [given["near"]]}, cache=False, k=5).pairs == 30


def test_a_heat_map_is_a_picture(pairs, given, tmp_path):
    found = compare_encoders(pairs, {"title": [given["seen"]], "body": [given["near"], given["far"]]}, cache=False, k=5)
    found.plot(tmp_path / "map.png", measure="cka")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(PairspaceError, match="choose one of mutual_knn, cka, unbiased_cka"):
        found.plot(tmp_path / "map.png", measure="R@1")


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ({"title": ["seen"]}, "encoders of two sides"),
        ({"title": ["seen"], "other": ["near"]}, "no side 'other'"),
        ({"title": ["static"], "body": ["near"]}, "has yet to be made from texts"),
    ],
)
def test_what_cannot_be_compared(pairs, given, encoders, message):
    chosen = {side: [given.get(name, name) for name in names] for side, names in encoders.items()}
    with pytest.raises(PairspaceError, match=message):
        compare_encoders(pairs, chosen, cache=False)


def test_too_few_pairs(pairs, given):
    with pytest.raises(PairspaceError, match="8 pairs of memory.*20 or more"):
        compare_encoders(pairs.select(range(8)), {"title": ["minilm"], "body": ["minilm"]}, cache=False)
