from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.encoders import load_encoder
from pairspace.errors import EncoderError, FeatureError

VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def npy(tmp_path):
    np.save(tmp_path / "features.npy", VECTORS)
    return tmp_path / "features.npy"


def parquet(path, vectors, ids, **names):
    table = {names.get("id", "id"): pa.array(ids), names.get("vector", "vector"): pa.array(vectors)}
    pq.write_table(pa.table(table), path)
    return path


def test_rows_of_a_npy_file(npy):
    encoder = load_encoder(npy)
    assert (encoder.modality, encoder.layers, encoder.dimensions) == ("row", ("last",), {"last": 3})
    assert encoder.encode([2, 0, 2], ["last"]).vectors["last"].tolist() == VECTORS[[2, 0, 2]].tolist()
    assert encoder.encode(pa.array([3]), ["last"]).vectors["last"].tolist() == [[9, 10, 11]]


def test_vectors_by_id_from_parquet(tmp_path):
    path = parquet(tmp_path / "f.parquet", VECTORS.tolist(), ["a", "b", "c", "d"])
    encoder = load_encoder(path)
    assert encoder.modality == "id"
    for items in (["d", "a"], pa.array(["d", "a"]), pa.chunked_array([["d"], ["a"]])):
        assert encoder.encode(items, ["last"]).vectors["last"].tolist() == VECTORS[[3, 0]].tolist()
    numbers = load_encoder(parquet(tmp_path / "n.parquet", VECTORS.tolist(), [7, 8, 9, 10], vector="emb"))
    assert numbers.encode([9], ["last"]).vectors["last"].tolist() == [[6, 7, 8]]


def test_vectors_may_be_handed_over(npy):
    own = np.ones((2, 3))
    assert load_encoder(npy).encode(own, ["last"]).vectors["last"].tolist() == own.tolist()
    with pytest.raises(FeatureError, match=r"dimension 2, but features.npy has 3"):
        load_encoder(npy).encode(np.ones((2, 2)), ["last"])


def test_missing_rows_and_ids_are_named(npy, tmp_path):
    with pytest.raises(EncoderError, match="has 4 rows, but row 4 was asked for"):
        load_encoder(npy).encode([0, 4], ["last"])
    with pytest.raises(EncoderError, match="row -1"):
        load_encoder(npy).encode([-1], ["last"])
    with pytest.raises(EncoderError, match="row numbers"):
        load_encoder(npy).encode(["a text"], ["last"])
    path = parquet(tmp_path / "f.parquet", VECTORS.tolist(), ["a", "b", "c", "d"])
    with pytest.raises(EncoderError, match=r"no vector for id 'x' .2 ids"):
        load_encoder(path).encode(["a", "x", "y"], ["last"])


def test_nan_is_named_by_row(tmp_path):
    bad = VECTORS.copy()
    bad[2, 1] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    encoder = load_encoder(tmp_path / "bad.npy")
    assert encoder.encode([0, 1], ["last"]).lengths.tolist() == [1, 1]
    with pytest.raises(FeatureError, match="row 2 has NaN"):
        encoder.encode([3, 2], ["last"])


def test_files_that_hold_no_features(tmp_path):
    for name, array in (("flat", np.ones(3)), ("empty", np.ones((0, 3))), ("text", np.array([["a"]]))):
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(FeatureError, match="rows, dimension"):
            load_encoder(tmp_path / f"{name}.npy")
    np.save(tmp_path / "objects.npy", np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(EncoderError, match=r"no readable .npy"):
        load_encoder(tmp_path / "objects.npy")
    np.save(tmp_path / "cut.npy", np.ones((100, 3)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:500])
    with pytest.raises(EncoderError, match=r"no readable .npy"):
        load_encoder(tmp_path / "cut.npy")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(EncoderError, match="no readable Parquet"):
        load_encoder(tmp_path / "cut.parquet")
    with pytest.raises(FeatureError, match="'a' occurs more than once"):
        load_encoder(parquet(tmp_path / "twice.parquet", [[1.0], [2.0]], ["a", "a"]))
    with pytest.raises(FeatureError, match="row 1 has 1 numbers where row 0 has 2"):
        load_encoder(parquet(tmp_path / "ragged.parquet", [[1.0, 2.0], [2.0]], ["a", "b"]))
    with pytest.raises(FeatureError, match="row 1 has no vector"):
        load_encoder(parquet(tmp_path / "null.parquet", [[1.0], None], ["a", "b"]))
    pq.write_table(pa.table({"x": ["a"], "y": ["b"]}), tmp_path / "none.parquet")
    with pytest.raises(EncoderError, match=r"one column of vectors .* it has x, y"):
        load_encoder(tmp_path / "none.parquet")


def test_a_saved_reference_finds_its_file_again(npy, tmp_path):
    encoder = load_encoder(npy)
    encoder.save(tmp_path / "saved")
    again = load_encoder(tmp_path / "saved")
    assert again.fingerprint == encoder.fingerprint
    assert again.encode([1], ["last"]).vectors["last"].tolist() == [[3, 4, 5]]
    assert load_encoder(**encoder.settings()).fingerprint == encoder.fingerprint
    np.save(npy, VECTORS + 1)
    with pytest.raises(EncoderError, match="not those the space was made with"):
        load_encoder(tmp_path / "saved")
    npy.unlink()
    gone = load_encoder(tmp_path / "saved")
    assert (gone.fingerprint, gone.dimensions, gone.modality) == (encoder.fingerprint, {"last": 3}, "row")
    assert gone.encode(VECTORS, ["last"]).vectors["last"].tolist() == VECTORS.tolist()
    with pytest.raises(EncoderError, match="is gone"):
        gone.encode([1], ["last"])
