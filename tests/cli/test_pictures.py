import base64
import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pairspace.errors import DataError, IndexingError, PairspaceError


@pytest.fixture
def trained(run, network, tmp_path, write_drawings):
    write_drawings(tmp_path, 48)
    encoders = ("--encoder", f"image={network}", "--encoder", "caption=static:16")
    sides = ("--side", "image=path", "--side", "caption=text")
    end = (
        "--dimension",
        "16",
        "--epochs",
        "30",
        "--learning-rate",
        "0.01",
        "--validation",
        "0",
        "-o",
        tmp_path / "space",
    )
    run("train", tmp_path / "pictures.csv", *sides, *encoders, "--root", tmp_path / "drawings", "--views", "1", *end)
    return tmp_path


def found(run, *arguments):
    return json.loads(run("search", *arguments, "--json"))


def test_a_folder_of_pictures_is_indexed_and_searched_by_words_picture_and_both(run, trained):
    index, drawings = trained / "index", trained / "drawings"
    run("index", trained / "space", drawings, "--side", "image", "--thumbnails", "24", "-o", index)
    ((hit, *_),) = [one["hits"] for one in found(run, index, "--image", drawings / "7.png")]
    assert hit["id"] == "7.png" and hit["score"] > 0.999 and hit["payload"]["path"] == str(drawings / "7.png")
    head, _, content = hit["payload"]["thumbnail"].partition(",")
    small = Image.open(io.BytesIO(base64.b64decode(content)))
    assert head == "data:image/jpeg;base64" and small.size == (24, 24)
    hits = found(run, index, "a red circle", "-k", "12")[0]["hits"]
    assert sum(int(one["id"].split(".")[0]) % 4 == 0 for one in hits) >= 9  # the red ones
    words = [
        one["score"]
        for one in found(run, index, "a red circle", "--image", drawings / "7.png", "--weight", "0")[0]["hits"]
    ]
    assert words == pytest.approx([one["score"] for one in hits[:10]], abs=1e-5)
    mixed = found(run, index, "a red circle", "--image", drawings / "7.png", "--weight", "0.9")[0]
    assert mixed["hits"][0]["id"] == "7.png" and "7.png + a red circle" in mixed["query"]
    assert "1.000  7.png" in run("search", index, "--image", drawings / "7.png", "-k", "1")
    for wrong, says in (
        (("--image", trained / "none.png"), "none.png: no such file"),
        ((), "nothing to ask with"),
        (("a", "b", "--image", drawings / "7.png"), "one query of words"),
    ):
        with pytest.raises(PairspaceError, match=says):
            run("search", index, *wrong)
    with pytest.raises(IndexingError, match="pictures have no words"):
        run("index", trained / "space", drawings, "--side", "image", "--text", "-o", trained / "other")


def test_captions_are_found_by_a_picture(run, trained):
    texts = trained / "texts.txt"
    texts.write_text("".join(f"a {colour} {shape}\n" for colour in ("red", "blue") for shape in ("circle", "square")))
    run("index", trained / "space", texts, "--side", "caption", "-o", trained / "index")
    hits = found(run, trained / "index", "--image", trained / "drawings" / "8.png")[0]["hits"]
    assert len(hits) == 4 and hits[0]["payload"]["text"].startswith("a red")
    with pytest.raises(PairspaceError, match="--thumbnails are of pictures"):
        run("index", trained / "space", texts, "--side", "caption", "--thumbnails", "9", "-o", trained / "other")


def test_pictures_are_encoded_from_folders_and_bytes_and_bad_ones_left_out(run, trained):
    drawings = trained / "drawings"
    run("encode", trained / "space", drawings, "--side", "image", "-o", trained / "a.npy")
    vectors = np.load(trained / "a.npy")
    assert vectors.shape == (48, 16)
    rows = [{"bytes": (drawings / f"{n}.png").read_bytes(), "path": None} for n in (0, 10)] + [
        {"bytes": b"x", "path": "y"}
    ]
    pq.write_table(pa.table({"image": rows}), trained / "b.parquet")
    with pytest.raises(DataError, match="item 2: a picture: not a picture"):
        run("encode", trained / "space", trained / "b.parquet", "--side", "image", "-o", trained / "b.npy")
    said = run(
        "encode", trained / "space", trained / "b.parquet", "--side", "image", "-o", trained / "b.npy", "--skip-bad"
    )
    assert "1 bad rows left out" in said
    assert np.allclose(np.load(trained / "b.npy"), vectors[[0, 10]], atol=1e-5)
    (trained / "c.csv").write_text("image\n0.png\nnone.png\n")
    with pytest.raises(DataError, match=r"c.csv, line 3: .*none.png: no such file"):
        run(
            "encode",
            trained / "space",
            trained / "c.csv",
            "--side",
            "image",
            "--root",
            drawings,
            "-o",
            trained / "c.npy",
        )


def test_bad_rows_are_named_or_left_out_in_training_and_evaluation(run, trained, network):
    shutil.copy(trained / "pictures.csv", trained / "p.csv")
    with (trained / "p.csv").open("a") as file:
        file.write("gone.png,a red circle\nbad.png,a red circle\n")
    (trained / "drawings" / "bad.png").write_text("no picture")
    how = ("--side", "image=path", "--side", "caption=text", "--root", trained / "drawings")
    with pytest.raises(DataError, match=r"p.csv, row 48 .*gone.png: no such file"):
        run("evaluate", trained / "space", "--pairs", trained / "p.csv", *how)
    report = json.loads(run("evaluate", trained / "space", "--pairs", trained / "p.csv", *how, "--skip-bad", "--json"))
    assert report["pairs"] == 48
    encoders = ("--encoder", f"image={network}", "--encoder", "caption=static:16", "--dimension", "16")
    end = ("--epochs", "1", "--skip-bad", "--json", "-o", trained / "again")
    assert json.loads(run("train", trained / "p.csv", *how, *encoders, *end))["skipped"] == 2


def test_pictures_start_from_a_root_in_every_verb_of_pairs(run, network, tmp_path, write_drawings):
    write_drawings(tmp_path, 48)
    encoders = ("--encoder", f"image={network}", "--encoder", "caption=static:8")
    pairs = (tmp_path / "pictures.csv", "--side", "image=path", "--side", "caption=text")
    root = ("--root", tmp_path / "drawings")
    swept = json.loads(
        run(
            "sweep",
            *pairs,
            *root,
            *encoders,
            "--try",
            "frame=own,pad",
            "--epochs",
            "1",
            "--validation",
            "0.4",
            "--json",
        )
    )
    assert [trial["error"] for trial in swept["trials"]] == [None, None]
    with pytest.raises(PairspaceError, match=r"0\.png: no such file"):
        run("sweep", *pairs, *encoders, "--try", "frame=own", "--epochs", "1", "--validation", "0.4")
    out = tmp_path / "negatives.jsonl"
    (tmp_path / "two.csv").write_text("left,right\n" + "".join(f"{n}.png,{n + 12}.png\n" for n in range(12)))
    same = (tmp_path / "two.csv", "--side", "left", "--side", "right", "--encoder", network)
    run("mine-negatives", *same, *root, "-o", out)
    first = json.loads(out.read_text().splitlines()[0])
    assert len(first["negatives"]) == 3 and first["right"].endswith("12.png")
    with pytest.raises(PairspaceError, match=r"0\.png: no such file"):
        run("mine-negatives", *same, "-o", tmp_path / "other.jsonl")
