from __future__ import annotations

import numpy as np
import pytest

from pairspace.encoders import Encoded, load_encoder
from pairspace.errors import FeatureError
from pairspace.features import FeatureCache, JoinedFeatures, compute_features

TEXTS = ["a b c d", "e f", "a b c d", "g"]


def test_every_layer_is_of_unit_length_and_in_order(fake):
    features = compute_features(fake, TEXTS, ("0", "last"))
    rows = features.rows()
    assert (len(features), features.layers, features.dimension, rows.dtype) == (4, ("0", "last"), 10, np.float32)
    np.testing.assert_allclose(np.linalg.norm(rows[:, :4], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows[:, 4:], axis=1), 1, atol=1e-6)
    assert features.slices() == {"0": slice(0, 4), "last": slice(4, 10)}
    raw = fake.encode(["e f"], ("last",)).vectors["last"][0]
    np.testing.assert_allclose(rows[1, 4:], raw / np.linalg.norm(raw), atol=1e-3)
    np.testing.assert_array_equal(rows[0], rows[2])


def test_equal_items_are_encoded_once(fake):
    compute_features(fake, TEXTS, ("last",))
    assert fake.seen == ["a b c d", "e f", "g"]


def test_rows_by_index_slice_and_mask(fake):
    features = compute_features(fake, TEXTS, ("last", "0"))
    everything = features.rows()
    np.testing.assert_array_equal(features.rows([3, 0, 0]), everything[[3, 0, 0]])
    np.testing.assert_array_equal(features.rows(slice(1, 3)), everything[1:3])
    np.testing.assert_array_equal(features.rows(np.array([True, False, False, True])), everything[[0, 3]])
    assert features.rows([]).shape == (0, 10)


def test_the_share_of_truncated_items(fake):
    assert compute_features(fake, TEXTS, ("last",)).truncated == 0.5
    fake.max_length = None
    assert compute_features(fake, TEXTS, ("last",)).truncated == 0.0


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("cached", [True, False])
def test_nan_names_the_item(fake, tmp_path, monkeypatch, value, cached):
    def bad(items, layers, *, progress=None):
        vectors = np.ones((len(items), 6), np.float32)
        vectors[items.index("g")] = value
        return Encoded({"last": vectors}, np.ones(len(items), np.int32))

    monkeypatch.setattr(fake, "encode", bad)
    with pytest.raises(FeatureError, match="item 3 have NaN or infinite"):
        if cached:
            FeatureCache(tmp_path).features(fake, TEXTS, ("last",))
        else:
            compute_features(fake, TEXTS, ("last",))


def test_zero_vectors_stay_zero_and_huge_ones_do_not_overflow(fake, monkeypatch):
    vectors = np.array([[0, 0, 0, 0, 0, 0], [3e8, 4e8, 0, 0, 0, 0]], np.float32)
    encoded = Encoded({"last": vectors}, np.ones(2, np.int32))
    monkeypatch.setattr(fake, "encode", lambda items, layers, progress=None: encoded)
    rows = compute_features(fake, ["a", "b"], ("last",)).rows()
    np.testing.assert_allclose(rows, [[0] * 6, [0.6, 0.8, 0, 0, 0, 0]], atol=1e-3)


def test_given_features_follow_their_rows_and_skip_the_cache(tmp_path):
    vectors = np.array([[3, 4], [0, 2], [1, 0]], np.float32)
    np.save(tmp_path / "f.npy", vectors)
    cache = FeatureCache(tmp_path / "cache")
    features = cache.features(load_encoder(tmp_path / "f.npy"), np.array([2, 0, 2]), ("last",))
    np.testing.assert_allclose(features.rows(), [[1, 0], [0.6, 0.8], [1, 0]], rtol=1e-6)
    assert cache.info() == [] and not (tmp_path / "cache").exists()


def test_joined_features_stand_side_by_side(fake, make_fake):
    longer = make_fake("e" * 32)
    longer.max_length = None
    parts = [compute_features(fake, TEXTS, ("0", "last")), compute_features(longer, TEXTS, ("last",))]
    joined = JoinedFeatures(parts)
    assert (len(joined), joined.dimension) == (4, 16)
    assert [part.truncated for part in parts] == [0.5, 0.0] and joined.truncated == 0.5
    rows = joined.rows()
    np.testing.assert_array_equal(rows, np.concatenate([part.rows() for part in parts], 1))
    for chosen in ([3, 0, 0], slice(1, 3), np.array([True, False, False, True]), []):
        indices = np.arange(4)[chosen] if len(np.arange(4)[chosen]) else np.empty(0, int)
        np.testing.assert_array_equal(joined.rows(chosen), rows[indices])
