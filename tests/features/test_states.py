"""Token states in the cache: as many rows as an item has tokens, found again, computed once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pairspace.errors import FeatureError
from pairspace.features import FeatureCache, cache

TEXTS = [" ".join(f"w{i}" for i in range(n % 7)) for n in range(30)] + ["a b c d e", "", "x"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(cache, "_BLOCK", 4)


@pytest.fixture
def encoder(fake):
    """A token's state tells its text and its place; five tokens at most are kept."""
    fake.max_length, fake.dtype = 5, "float16"
    fake.texts, fake.width = [], 4

    def token_states(texts, layer):
        fake.texts += texts
        return np.concatenate([state(text) for text in texts]), np.array([len(t.split()) for t in texts], np.int32)

    fake.token_states = token_states
    return fake


def state(text):
    words = text.split()[:5]
    return np.array([[len(text), place, ord(word[-1]), 1] for place, word in enumerate(words)], np.float16).reshape(
        -1, 4
    )


def test_states_of_any_items_in_any_order(encoder, tmp_path):
    states = FeatureCache(tmp_path).token_states(encoder, TEXTS, "0")
    assert len(states) == len(TEXTS)
    np.testing.assert_array_equal(states.counts, [min(5, len(text.split())) for text in TEXTS])
    rows = np.random.default_rng(0).permutation(len(TEXTS))
    np.testing.assert_array_equal(states.take(rows), np.concatenate([state(TEXTS[row]) for row in rows]))
    assert states.take(rows).dtype == np.float16


def test_the_second_run_computes_only_what_is_new(encoder, tmp_path):
    FeatureCache(tmp_path).token_states(encoder, TEXTS, "0")
    assert sorted(encoder.texts) == sorted(set(TEXTS))
    encoder.texts.clear()
    again = FeatureCache(tmp_path).token_states(encoder, pa.array(["new one", *TEXTS]), "0")
    assert encoder.texts == ["new one"]
    np.testing.assert_array_equal(again.take(np.array([0, 7])), np.concatenate([state("new one"), state(TEXTS[6])]))
    (entry,) = FeatureCache(tmp_path).info()
    assert (entry.layer, entry.rows, entry.dimension) == ("tokens-0", len(set(TEXTS)) + 1, 4)


def test_states_and_features_of_a_layer_do_not_meet(encoder, tmp_path):
    store = FeatureCache(tmp_path)
    features = store.features(encoder, TEXTS, ("0",)).rows()
    states = store.token_states(encoder, TEXTS, "0")
    np.testing.assert_array_equal(FeatureCache(tmp_path).features(encoder, TEXTS, ("0",)).rows(), features)
    assert states.take(np.array([3])).shape == (3, 4)


def test_a_damaged_block_is_computed_again(encoder, tmp_path):
    FeatureCache(tmp_path).token_states(encoder, TEXTS, "0")
    path = sorted(tmp_path.rglob("tokens-0/block-*.npy"))[2]
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1
    path.write_bytes(whole)
    encoder.texts.clear()
    states = FeatureCache(tmp_path).token_states(encoder, TEXTS, "0")
    assert 0 < len(encoder.texts) <= 4
    np.testing.assert_array_equal(states.take(np.arange(len(TEXTS))), np.concatenate([state(text) for text in TEXTS]))


def test_a_state_that_is_not_finite_names_its_item(encoder, tmp_path):
    plain = encoder.token_states

    def broken(texts, layer):
        states, lengths = plain(texts, layer)
        states[states[:, 0] == len("a b c d e")] = np.nan
        return states, lengths

    encoder.token_states = broken
    with pytest.raises(FeatureError, match="the token states of item 30 are not finite in float16"):
        FeatureCache(tmp_path).token_states(encoder, TEXTS, "0")


def test_no_items(encoder, tmp_path):
    assert len(FeatureCache(tmp_path).token_states(encoder, [], "0")) == 0


def test_an_encoder_that_reads_all_tokens(encoder, tmp_path):
    encoder.max_length = None
    encoder.token_states = lambda texts, layer: (
        np.concatenate([np.full((len(text.split()), 4), len(text), np.float16) for text in texts]),
        np.array([len(text.split()) for text in texts], np.int32),
    )
    states = FeatureCache(tmp_path).token_states(encoder, TEXTS, "0")
    np.testing.assert_array_equal(states.counts, [len(text.split()) for text in TEXTS])


def test_room_is_below_the_limit_and_on_the_disk(tmp_path):
    store = FeatureCache(tmp_path / "not" / "yet", limit=1000)
    assert store.has_room(1000) and not store.has_room(1001)
    assert FeatureCache(tmp_path).has_room(1) and not FeatureCache(tmp_path).has_room(1 << 60)
