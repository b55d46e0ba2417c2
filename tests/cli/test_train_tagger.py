"""`pairspace train-tagger`, and `tag` with what it makes."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.errors import DataError, PairspaceError
from pairspace.tagging import Tagger

COLOURS, SHAPES = ("red", "green", "blue", "black"), ("circle", "square", "cross")


def test_a_tagger_is_trained_on_pictures_and_texts_and_used(run, drawn, table, network, tmp_path):
    encoders = ("--encoder", f"image={network}")
    own = (
        "--text-column",
        "text",
        "--labels",
        "labels",
        "--epochs",
        "150",
        "-o",
        tmp_path / "tagger",
        "--layers",
        "image=2,last",
    )
    said = run("train-tagger", *table, *encoders, *own)
    assert "7 classes learnt from 48 rows" in said and "MB and its encoders" in said
    found = json.loads(run("tag", tmp_path / "tagger", *table, "--text-column", "text", "--truth", "labels", "--json"))
    metrics = found["report"]["systems"]["tags"]["metrics"]
    about = json.loads(run("info", tmp_path / "tagger", "--json"))
    assert (
        about["kind"] == "tagger" and about["classes"][:2] == sorted(about["classes"][:2]) and len(about["reads"]) == 2
    )
    assert "layers   2 last" in run("info", tmp_path / "tagger")
    assert metrics["mAP"]["value"] > 0.8
    shapes = sum(SHAPES[n // 4 % 3] in one["tags"] for n, one in enumerate(found["tags"]))
    assert shapes >= 46
    alone = json.loads(run("tag", tmp_path / "tagger", drawn / "drawings", "--json", "--top", "1"))
    assert len(alone["tags"]) == 48
    for wrong, says in (
        (("--labels", drawn / "labels.txt"), "knows its classes and its way: leave out --labels"),
        (("--method", "local"), "leave out --method local"),
    ):
        with pytest.raises(PairspaceError, match=says):
            run("tag", tmp_path / "tagger", drawn / "drawings", *wrong)


def test_a_tagger_of_texts_alone(run, drawn, tmp_path):
    own = ("--no-pictures", "--text-column", "text", "--labels", "labels", "--least", "15", "-o", tmp_path / "tagger")
    assert "3 classes learnt from 48 rows" in run("train-tagger", drawn / "drawn.csv", *own)
    found = json.loads(
        run("tag", tmp_path / "tagger", drawn / "drawn.csv", "--text-column", "text", "--json", "--top", "1")
    )
    assert [next(iter(one["tags"])) for one in found["tags"][::4]] == [SHAPES[n % 3] for n in range(12)]
    with pytest.raises(PairspaceError, match="--page shows pictures"):
        run("tag", tmp_path / "tagger", drawn / "drawn.csv", "--text-column", "text", "--page", tmp_path / "p.html")


def test_a_tagger_learns_from_a_space_without_labels(run, drawn, network, tmp_path):
    how = (
        "--teacher",
        drawn / "space",
        "--classes",
        drawn / "colours.txt",
        "--encoder",
        network,
        "--template",
        "a {}",
    )
    said = json.loads(
        run("train-tagger", drawn / "drawings", *how, "--method", "local", "-o", tmp_path / "tagger", "--json")
    )
    assert said["classes"] == 4 and said["rows"] == 48 and said["classifier_bytes"] < 25e6
    page = tmp_path / "page.html"
    run("tag", tmp_path / "tagger", drawn / "drawings", "--top", "1", "--page", page)
    assert page.read_text().count('class="heat') == 48


def test_rows_may_lack_their_picture_or_their_text(run, drawn, network, tmp_path):
    rows = list(csv.DictReader((drawn / "drawn.csv").open()))
    rows[3]["image"], rows[5]["text"] = "", "  "
    with (tmp_path / "some.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    both = ("--id", "id", "--root", drawn / "drawings", "--text-column", "text")
    (tmp_path / "classes.txt").write_text("circle\nsquare\ncross\nunicorn\n")
    how = ("--labels", "labels", "--classes", tmp_path / "classes.txt", "--encoder", f"image={network}")
    said = run("train-tagger", tmp_path / "some.csv", *both, *how, "--epochs", "60", "-o", tmp_path / "tagger")
    assert "4 classes learnt from 48 rows" in said and "without an example, so never given: unicorn" in said
    page = tmp_path / "page.html"
    more = ("--page", page, "-o", tmp_path / "tags.jsonl")
    assert "for 48 pictures" in run("tag", tmp_path / "tagger", tmp_path / "some.csv", *both, *more)
    found = [json.loads(line) for line in (tmp_path / "tags.jsonl").open()]
    assert [tag["tag"] for tag in found[3]["tags"]] == ["circle"]  # of its text alone
    html = page.read_text()
    assert html.count("data:image/jpeg") == 47 and "47 of 47 pictures" in html and "<h2>3.png" not in html
    rows[3]["text"] = ""
    with (tmp_path / "some.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    with pytest.raises(DataError, match=r"some\.csv, line 5: neither 'image' nor 'text' holds anything"):
        run("tag", tmp_path / "tagger", tmp_path / "some.csv", *both)


def test_what_a_tagger_cannot_learn_from_is_said_before_any_work(run, drawn, table, network, idle, tmp_path):
    space, out = drawn / "space", tmp_path / "tagger"
    labels, teacher = ("--labels", "labels"), ("--teacher", space, "--classes", drawn / "colours.txt")
    for wrong, says in (
        (("--labels", "label", "--encoder", network), "--labels label: neither a column"),
        ((*labels, "--template", "plain"), "--template and --method are of a --teacher"),
        ((*teacher, "--text-column", "text"), "a teacher scores pictures alone"),
        ((*teacher, "--method", "best"), "--method best: choose one of global, local"),
        ((*labels, "--no-pictures", "--frame", "pad"), "--no-pictures leaves none"),
        ((*labels, "--fusion", "max", "--text-column", "text"), "fusion must be one of concat"),
        ((*labels, "--loss", "l2"), "loss must be one of"),
        ((*labels, "--depth", "3"), "layers must be 1 or 2, got 3"),
        ((*labels, "-o", space), "is there and no tagger"),
    ):
        with pytest.raises(PairspaceError, match=says):
            run("train-tagger", *table, "-o", out, *wrong)
    assert (space / "projectors.safetensors").is_file()


def test_a_tagger_is_replaced_only_if_asked(run, drawn, tmp_path):
    (tmp_path / "few.csv").write_text("id,tag\n" + "".join(f"{n}.png,{SHAPES[n // 4 % 3]}\n" for n in range(36)))
    own = ("--no-pictures", "--text-column", "text", "--id", "id", "--epochs", "2", "-o", tmp_path / "tagger")
    said = run("train-tagger", drawn / "drawn.csv", *own, "--labels", tmp_path / "few.csv")
    assert "3 classes learnt from 36 rows" in said
    with pytest.raises(
        PairspaceError, match="none of the 48 items' ids, such as '0', stands there, where '0.png' does"
    ):
        run(
            "train-tagger",
            drawn / "drawn.csv",
            *own[:3],
            *own[5:-2],
            "-o",
            tmp_path / "b",
            "--labels",
            tmp_path / "few.csv",
        )
    with pytest.raises(PairspaceError, match="exists: choose another --output, or --overwrite it"):
        run("train-tagger", drawn / "drawn.csv", *own, "--labels", "labels")
    run("train-tagger", drawn / "drawn.csv", *own, "--labels", "labels", "--overwrite")
    texts = (tmp_path / "tagger", drawn / "drawn.csv", "--text-column", "text")
    for idle in ("--temperature", "--template"):
        with pytest.raises(PairspaceError, match=f"leave out {idle}"):
            run("tag", *texts, idle, "1")
    with pytest.raises(DataError, match="no column 'words'; its columns are: id, image, text"):
        run("tag", tmp_path / "tagger", drawn / "drawn.csv", "--text-column", "words")


def test_a_text_column_that_is_missing_is_named(run, drawn, table, network, tmp_path):
    own = ("--encoder", f"image={network}", "--labels", "labels", "--epochs", "1", "-o", tmp_path / "tagger")
    run("train-tagger", *table, *own, "--text-column", "text")
    with pytest.raises(DataError, match="no column 'words'; its columns are: id, image, text"):
        run("tag", tmp_path / "tagger", *table, "--text-column", "words")


def test_a_bad_picture_is_named_by_its_row_also_where_some_are_labelled(run, drawn, network, tmp_path):
    rows = [(drawn / "drawings" / f"{n}.png").read_bytes() for n in range(8)]
    pq.write_table(pa.table({"image": [*rows[:6], b"no picture", rows[7]], "id": list("abcdefgh")}), tmp_path / "a.pq")
    (tmp_path / "some.csv").write_text("id,tag\n" + "".join(f"{key},red\n" for key in "defgh"))
    own = ("--id", "id", "--labels", tmp_path / "some.csv", "--least", "1", "--encoder", network)
    with pytest.raises(DataError, match="item 6: a picture: not a picture"):
        run("train-tagger", tmp_path / "a.pq", *own, "-o", tmp_path / "tagger")


def test_a_text_of_blanks_is_none_to_a_tagger_of_texts(run, drawn, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text,labels\n" + "a circle,round\n  ,round\na square,edged\n" * 4)
    own = ("--no-pictures", "--labels", "labels", "--least", "2", "--epochs", "1", "-o", tmp_path / "tagger")
    with pytest.raises(DataError, match=r"texts\.csv, line 3: the text \(column 'text'\) is empty \(4 such rows"):
        run("train-tagger", path, *own)
    assert "learnt from 8 rows" in run("train-tagger", path, *own, "--skip-bad")
    with pytest.raises(DataError, match=r"texts\.csv, line 3: the text"):
        run("tag", tmp_path / "tagger", path)
    assert len(json.loads(run("tag", tmp_path / "tagger", path, "--skip-bad", "--json"))["tags"]) == 8
    with pytest.raises(PairspaceError, match="could not be written: no such folder"):
        run("train-tagger", path, *own[:-1], tmp_path / "none" / "tagger")


def test_pictures_weigh_as_much_as_is_said(run, drawn, table, network, tmp_path):
    how = ("--text-column", "text", "--labels", "labels", "--encoder", f"image={network}", "--epochs", "1")
    for weight in ("1", "0.1"):
        run("train-tagger", *table, *how, "--image-weight", weight, "-o", tmp_path / weight)
    whole, tenth = (Tagger.from_pretrained(tmp_path / one, cache=False).classifier for one in ("1", "0.1"))
    assert np.allclose(tenth.scale_image, 10 * whole.scale_image) and np.allclose(tenth.scale_text, whole.scale_text)
    with pytest.raises(PairspaceError, match="image_weight must be above 0"):
        run("train-tagger", *table, *how, "--image-weight", "0", "-o", tmp_path / "none")
