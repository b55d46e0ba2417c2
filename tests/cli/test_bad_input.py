"""Bad input at the command line: one or two lines that say what and where, code 2, and nothing left behind."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.space import Space

SIDES = ("--side", "title=q", "--side", "body=d")


def csv(content):
    def write(folder):
        (folder / "bad.csv").write_bytes(content)
        return folder / "bad.csv"

    return write


def truncated(folder):
    pq.write_table(pa.table({"q": ["x" * 50] * 50, "d": ["y" * 50] * 50}), folder / "bad.parquet")
    content = (folder / "bad.parquet").read_bytes()
    (folder / "bad.parquet").write_bytes(content[: len(content) // 2])
    return folder / "bad.parquet"


@pytest.mark.parametrize(
    ("write", "message"),
    [
        pytest.param(csv(b"q,b\nx,y\n"), "bad.csv: no column 'd'; its columns are: q, b", id="missing column"),
        pytest.param(csv(b"q,d\nx,y\n,z\n"), "bad.csv, line 3: side 'title' (column 'q') is empty", id="empty side"),
        pytest.param(csv(b"q,d\nx,y\ncaf\xe9,z\n"), "bad.csv, line 3: not UTF-8", id="wrong encoding"),
        pytest.param(csv(b"q,d\nx,y\na,b,c\n"), "bad.csv, line 3: 3 fields where the header names 2", id="ragged"),
        pytest.param(truncated, "bad.parquet: a truncated or damaged Parquet file", id="truncated Parquet"),
        pytest.param(csv(b"q,d\nx,y\n"), "1 pair(s) to train on: at least 2 are needed", id="one pair"),
        pytest.param(csv(b"q,d\n" + b"x,y\n" * 9), "pairs have the same item on the first side", id="all equal"),
        pytest.param(lambda folder: folder / "none.csv", "none.csv: no such file", id="no file"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*linked by shared items")
def test_pairs_that_cannot_be_trained_on(tmp_path, plain_folder, refused, write, message):
    path = write(tmp_path)
    said = refused("train", path, *SIDES, "--encoder", plain_folder, "--device", "cpu", "-o", tmp_path / "space")
    assert message in said
    assert not (tmp_path / "space").exists() and not (tmp_path / "space.checkpoint").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.where(np.arange(256)[:, None] == 7, np.nan, np.ones((256, 4))), "row 7 has NaN or infinite values (1 such"),
        (np.ones((255, 4)), "holds 255 rows of features, but"),
        (np.ones(256), "float64 (256,) found; floats (rows, dimension) are needed"),
    ],
)
def test_features_of_your_own_that_do_not_fit(files, plain_folder, refused, array, message):
    np.save(files / "own.npy", array)
    encoders = ("--encoder", f"title={files / 'own.npy'}", "--encoder", f"body={plain_folder}")
    options = ("--validation", "0", "--device", "cpu", "-o", files / "space")
    said = refused("train", files / "pairs.csv", *SIDES, *encoders, *options)
    assert "own.npy" in said and message in said
    assert not (files / "space").exists()


def test_an_unknown_encoder_and_a_pickle(files, transformer, refused):
    train = ("train", files / "pairs.csv", *SIDES, "-o", files / "space", "--encoder")
    said = refused(*train, "no-such-encoder")
    assert "unknown encoder 'no-such-encoder'" in said and "minilm" in said and "./my-model" in said
    folder = transformer()
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))
    said = refused(*train, folder)
    assert "pytorch_model.bin" in said and "pickle" in said and "Convert" in said


@pytest.mark.parametrize("verb", ["encode", "index", "evaluate", "info", "train"])
def test_a_space_with_a_file_missing_or_altered(files, untrained, refused, verb):
    space = shutil.copytree(untrained, files / "copy")
    arguments = {
        "encode": ("encode", space, files / "texts.txt", "-o", files / "out"),
        "index": ("index", space, files / "texts.txt", "-o", files / "out"),
        "evaluate": ("evaluate", space, "--pairs", files / "pairs.csv", *SIDES),
        "info": ("info", space),
        "train": ("train", files / "pairs.csv", *SIDES, "--from", space, "-o", files / "out"),
    }[verb]
    weights = space / "projectors.safetensors"
    weights.write_bytes(pickle.dumps({"weight": 1}))
    assert "the file projectors.safetensors was altered or damaged" in refused(*arguments)
    weights.unlink()
    assert "the file projectors.safetensors is missing" in refused(*arguments)
    assert not (files / "out").exists()


def test_an_index_opened_with_another_space(files, plain_folder, untrained, run, refused):
    other = Space.create(("title", "body"), encoder=str(plain_folder), projector="identity", prompt="a", device="cpu")
    other.save_pretrained(files / "other")
    index = (files / "texts.txt", "-o", files / "index")
    run("index", untrained, *index)
    said = refused("index", files / "other", *index)
    assert "'plain'" in said and other.fingerprint in said
    assert "256 items" in run("index", untrained, *index) and "256" in run("info", files / "index")


def test_a_full_disk_while_the_vectors_are_written(files, untrained, run, refused, monkeypatch):
    encode = ("encode", untrained, files / "texts.txt", "-o", files / "v.npy")
    run(*encode)
    before = (files / "v.npy").read_bytes()

    def full(file, array):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        assert "v.npy could not be written: No space left on device" in refused(*encode)
    assert (files / "v.npy").read_bytes() == before
    assert not list(files.glob(".v.npy*"))


def test_outputs_that_cannot_be_written(files, untrained, refused):
    assert "no such folder" in refused("encode", untrained, files / "texts.txt", "-o", files / "no" / "v.npy")
    (files / "mine").mkdir()
    (files / "mine" / "thesis.tex").write_text("x")
    assert "exists already" in refused("index", untrained, files / "texts.txt", "-o", files / "mine")
    assert "left alone" in refused("index", untrained, files / "texts.txt", "-o", files / "mine", "--overwrite")
    assert "is a file" in refused("index", untrained, files / "texts.txt", "-o", files / "texts.txt")
