from __future__ import annotations

import json

import pyarrow as pa
import pytest

from pairspace.data.tables import column_names, read_table
from pairspace.errors import DataError


def save(folder, *parts):
    """What `Dataset.save_to_disk` leaves, written by hand."""
    folder.mkdir(parents=True)
    files = [f"data-{i:05}-of-{len(parts):05}.arrow" for i in range(len(parts))]
    for name, part in zip(files, parts, strict=True):
        table = pa.table(part)
        with pa.ipc.new_stream(str(folder / name), table.schema) as writer:
            writer.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in files]}))
    return folder


def test_all_files_are_read_in_order(tmp_path):
    folder = save(tmp_path / "d", {"a": ["x"], "b": [1]}, {"a": ["y", "z"], "b": [2, 3]})
    assert read_table(folder).to_pydict() == {"a": ["x", "y", "z"], "b": [1, 2, 3]}
    assert read_table(folder, ["b"]).to_pydict() == {"b": [1, 2, 3]}
    assert column_names(folder) == ["a", "b"]


def test_what_the_datasets_package_writes_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    data = datasets.Dataset.from_dict({"a": ["x", "y"], "b": [["p"], ["q", "r"]]})
    datasets.DatasetDict({"train": data.select([1, 0])}).save_to_disk(str(tmp_path / "d"))
    assert read_table(tmp_path / "d").to_pydict() == {"a": ["y", "x"], "b": [["q", "r"], ["p"]]}


def test_one_of_several_splits_must_be_named(tmp_path):
    save(tmp_path / "d" / "train", {"a": ["x"]})
    save(tmp_path / "d" / "test", {"a": ["y"]})
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(DataError, match=r"has the splits train, test; name one, as in .*train"):
        read_table(tmp_path / "d")
    assert read_table(tmp_path / "d" / "test").to_pydict() == {"a": ["y"]}


def test_missing_and_cut_files_are_named(tmp_path):
    folder = save(tmp_path / "d", {"a": ["x" * 1000] * 100})
    file = folder / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"data-00000-of-00001\.arrow: a truncated or damaged"):
        read_table(folder)
    file.unlink()
    with pytest.raises(DataError, match=r"data-00000-of-00001\.arrow: missing"):
        read_table(folder)
    with pytest.raises(DataError, match=r"without state\.json"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="no column 'b'; its columns are: a"):
        read_table(save(tmp_path / "e", {"a": ["x"]}), ["b"])
