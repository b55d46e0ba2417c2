from __future__ import annotations

import errno
import os
import time

import numpy as np
import pyarrow as pa
import pytest

from pairspace.errors import StorageError
from pairspace.features import FeatureCache, cache, compute_features

TEXTS = [f"text {i}" for i in range(50)]
LAYERS = ("0", "last")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(cache, "_BLOCK", 8)


def blocks(path):
    return sorted(path.rglob("block-*.npy"))


def test_the_second_run_encodes_nothing_and_gives_the_same(fake, tmp_path):
    first = FeatureCache(tmp_path).features(fake, TEXTS, LAYERS)
    fake.seen.clear()
    second = FeatureCache(tmp_path).features(fake, pa.array(TEXTS), LAYERS)
    assert fake.seen == []
    np.testing.assert_array_equal(second.rows(), first.rows())
    np.testing.assert_array_equal(second.lengths, first.lengths)
    np.testing.assert_array_equal(second.rows(), compute_features(fake, TEXTS, LAYERS).rows())


def test_random_rows_over_many_blocks(fake, tmp_path):
    features = FeatureCache(tmp_path).features(fake, TEXTS, LAYERS)
    assert len(blocks(tmp_path)) == 14
    indices = np.random.default_rng(0).integers(0, 50, 200)
    np.testing.assert_array_equal(features.rows(indices), features.rows()[indices])


def test_only_what_is_new_is_encoded_also_across_data_sets(fake, tmp_path):
    store = FeatureCache(tmp_path)
    store.features(fake, TEXTS[:20], LAYERS)
    fake.seen.clear()
    mixed = ["new", *TEXTS[10:22], "new"]
    rows = store.features(fake, mixed, LAYERS).rows()
    assert fake.seen == ["new", "text 20", "text 21"]
    np.testing.assert_array_equal(rows, compute_features(fake, mixed, LAYERS).rows())


def test_a_further_layer_is_encoded_alone(fake, tmp_path):
    store = FeatureCache(tmp_path)
    store.features(fake, TEXTS[:5], ("last",))
    fake.calls.clear()
    store.features(fake, TEXTS[:5], LAYERS)
    assert fake.calls == [("0",)]


def test_another_encoder_or_precision_finds_nothing(fake, make_fake, tmp_path):
    store = FeatureCache(tmp_path)
    store.features(fake, TEXTS[:5], LAYERS)
    other = make_fake("e" * 32)
    store.features(other, TEXTS[:5], LAYERS)
    fake.precision = "bf16"
    fake.seen.clear()
    store.features(fake, TEXTS[:5], LAYERS)
    assert len(other.seen) == len(fake.seen) == 5


def test_empty_input(fake, tmp_path):
    features = FeatureCache(tmp_path).features(fake, [], LAYERS)
    assert (len(features), features.rows().shape, features.truncated) == (0, (0, 10), 0.0)


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbled", "header", "other"])
def test_a_damaged_block_is_noticed_and_made_again(fake, tmp_path, caplog, damage):
    whole = FeatureCache(tmp_path).features(fake, TEXTS, LAYERS).rows()
    victim = blocks(tmp_path)[2]
    content = bytearray(victim.read_bytes())
    if damage == "garbled":
        content[-20] ^= 0xFF
    if damage == "header":
        content[20:40] = b"?" * 20
    if damage == "other":
        np.save(victim, np.ones(3))
    else:
        victim.write_bytes({"truncated": content[: len(content) // 2], "empty": b""}.get(damage, bytes(content)))
    fake.seen.clear()
    store = FeatureCache(tmp_path)
    np.testing.assert_array_equal(store.features(fake, TEXTS, LAYERS).rows(), whole)
    assert len(fake.seen) == 8
    assert "damaged block removed" in caplog.text and not victim.exists()
    fake.seen.clear()
    FeatureCache(tmp_path).features(fake, TEXTS, LAYERS)
    assert fake.seen == []


def test_a_full_disk_raises_and_leaves_the_cache_whole(fake, tmp_path, monkeypatch):
    store = FeatureCache(tmp_path)
    store.features(fake, TEXTS[:16], LAYERS)
    before = {path: path.read_bytes() for path in blocks(tmp_path)}
    real, count = np.save, [0]

    def full(stream, record, **options):
        count[0] += 1
        if count[0] > 2:
            stream.write(b"half a block")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(stream, record, **options)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StorageError, match=r"No space left on device.*--no-cache"):
        store.features(fake, TEXTS, LAYERS)
    monkeypatch.undo()
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(blocks(tmp_path)) == len(before) + 2
    assert not list(tmp_path.rglob("*.tmp"))
    fake.seen.clear()
    store.features(fake, TEXTS, LAYERS)
    assert fake.seen == TEXTS[24:]


def test_a_rename_that_fails_is_a_storage_error(fake, tmp_path, monkeypatch):
    from pathlib import Path

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="No space left"):
        FeatureCache(tmp_path).features(fake, TEXTS, LAYERS)
    assert blocks(tmp_path) == [] and not list(tmp_path.rglob("*.tmp"))


def test_a_cache_that_is_a_file_is_said(fake, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(StorageError, match="could not be made"):
        FeatureCache(tmp_path / "cache").features(fake, TEXTS[:2], LAYERS)


def test_ctrl_c_keeps_what_was_done(fake, tmp_path, monkeypatch):
    real = fake.encode

    def interrupted(items, layers, *, progress=None):
        if len(fake.seen) >= 16:
            raise KeyboardInterrupt
        return real(items, layers)

    monkeypatch.setattr(fake, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path).features(fake, TEXTS, LAYERS)
    monkeypatch.undo()
    fake.seen.clear()
    FeatureCache(tmp_path).features(fake, TEXTS, LAYERS)
    assert fake.seen == TEXTS[16:]


def test_temporary_files_of_a_killed_process_are_swept(fake, tmp_path):
    store = FeatureCache(tmp_path)
    store.features(fake, TEXTS[:4], LAYERS)
    folder = blocks(tmp_path)[0].parent
    old, young = folder / ".block-1.npy.x.tmp", folder / ".block-2.npy.y.tmp"
    old.write_text("")
    young.write_text("")
    os.utime(old, (time.time() - 7200,) * 2)
    FeatureCache(tmp_path).features(fake, TEXTS[:4], LAYERS)
    assert (old.exists(), young.exists()) == (False, True)


def test_info_tells_what_is_there(fake, tmp_path):
    store = FeatureCache(tmp_path)
    assert store.info() == []
    store.features(fake, TEXTS, LAYERS)
    first, last = store.info()
    assert (first.name, first.fingerprint, first.precision, first.layer) == ("fake", "f" * 32, "fp32", "0")
    assert (last.layer, last.dimension, last.rows) == ("last", 6, 50)
    assert last.bytes == sum(path.stat().st_size for path in blocks(tmp_path) if path.parent.name == "last")
    assert abs(last.used - time.time()) < 60


def test_clear_all_or_one_encoder(fake, make_fake, tmp_path):
    store = FeatureCache(tmp_path)
    other = make_fake("e" * 32)
    for encoder in (fake, other):
        store.features(encoder, TEXTS, LAYERS)
    assert store.clear("e" * 32) > 0
    assert {entry.fingerprint for entry in store.info()} == {"f" * 32}
    assert store.clear() > 0 and store.info() == [] and store.clear() == 0
    fake.seen.clear()
    store.features(fake, TEXTS, LAYERS)
    assert fake.seen == TEXTS


def test_the_limit_drops_the_least_recently_used_first(make_fake, tmp_path):
    store = FeatureCache(tmp_path)
    encoders = [make_fake(letter * 32) for letter in "abc"]
    for encoder in encoders:
        store.features(encoder, TEXTS, LAYERS)
    for age, letter in enumerate("bca"):  # b was used last, then c, a the longest ago
        card = tmp_path / f"{letter * 32}-fp32" / "encoder.json"
        os.utime(card, (time.time() - 100 * age - 100,) * 2)
    one = sum(entry.bytes for entry in store.info()) // 3
    assert store.set_limit(int(one * 2.5)) > 0
    assert {entry.fingerprint[0] for entry in store.info()} == {"b", "c"}
    fresh = FeatureCache(tmp_path)
    assert fresh.limit == int(one * 2.5)
    fresh.features(make_fake("d" * 32), TEXTS, LAYERS)
    assert {entry.fingerprint[0] for entry in store.info()} == {"b", "d"}
    assert FeatureCache(tmp_path, limit=7).limit == 7


def test_the_encoder_in_use_is_never_dropped(fake, tmp_path):
    store = FeatureCache(tmp_path, limit=10)
    features = store.features(fake, TEXTS, LAYERS)
    assert features.rows().shape == (50, 10) and len(store.info()) == 2
