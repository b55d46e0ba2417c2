"""`pairspace tag`, mostly with class names alone."""

import csv
import json
import tarfile

import pytest

from pairspace.errors import DataError, PairspaceError

COLOURS, SHAPES = ("red", "green", "blue", "black"), ("circle", "square", "cross")


def test_a_folder_of_pictures_is_tagged_and_written_in_every_form(run, drawn, tmp_path):
    labels = ("--labels", drawn / "labels.txt", "--template", "a {}")
    found = json.loads(run("tag", drawn / "space", drawn / "drawings", *labels, "--json"))
    assert found["pictures"] == 48 and [one["id"] for one in found["tags"][:3]] == ["0.png", "1.png", "2.png"]
    assert all(len(one["tags"]) == 3 for one in found["tags"])
    scores = list(found["tags"][0]["tags"].values())
    assert scores == sorted(scores, reverse=True)
    said = run("tag", drawn / "space", drawn / "drawings", *labels, "--top", "1").splitlines()
    best = next(iter(found["tags"][0]["tags"]))
    assert len(said) == 48 and said[0] == f"0.png\t{best} {scores[0]:.3f}"
    page, out = tmp_path / "page.html", tmp_path / "tags.csv"
    more = ("--method", "local", "--threshold", "0.2", "-o", out, "--page", page, "--page-pictures", "5")
    said = run("tag", drawn / "space", drawn / "drawings", *labels, *more)
    rows = list(csv.DictReader(out.open()))
    assert f"{len(rows)} tags for 48 pictures written to {out}, {page}" in said
    assert all(float(row["score"]) >= 0.2 for row in rows)
    html = page.read_text()
    shown = sum(row["id"] in {f"{n}.png" for n in range(5)} for row in rows)
    assert html.count("data:image/jpeg") == 5 and html.count('class="heat') == shown
    assert "<h1>5 of 48 pictures</h1>" in html


def test_side_cars_lie_beside_pictures_and_are_not_overwritten(run, drawn, tmp_path):
    import shutil

    shutil.copytree(drawn / "drawings", tmp_path / "drawings")
    how = ("tag", drawn / "space", tmp_path / "drawings", "--labels", drawn / "colours.txt", "--top", "2", "--xmp")
    assert "96 tags for 48 pictures written to 48 .xmp files" in run(*how)
    assert (tmp_path / "drawings" / "7.png.xmp").read_text().count("<rdf:li>") == 2
    with pytest.raises(DataError, match="is there already"):
        run(*how)
    run(*how, "--overwrite")


def test_scores_are_made_comparable_and_measured(run, drawn, table):
    how = ("tag", drawn / "space", *table, "--labels", drawn / "labels.txt", "--template", "a {}")
    raw = json.loads(run(*how, "--truth", "labels", "--json"))
    ranks = json.loads(run(*how, "--truth", "labels", "--json", "--calibrate", "rank", "--threshold", "0.9"))
    scores = [score for one in ranks["tags"] for score in one["tags"].values()]
    assert min(scores) >= 0.9 and max(scores) < 1
    one = [report["report"]["systems"]["tags"]["metrics"]["mAP"]["value"] for report in (raw, ranks)]
    assert one[0] == pytest.approx(one[1], abs=1e-6)  # the order within a class is the same
    text = run(*how, "--truth", "labels", "--examples", "labels", "--top", "2")
    assert "| system" in text and "48 pictures, 7 classes" in text
    learnt = json.loads(run(*how, "--examples", "labels", "--json"))
    assert 0 < sum(len(one["tags"]) for one in learnt["tags"]) < 48 * 7


def test_labels_of_some_pictures_in_a_file_of_their_own(run, drawn, tmp_path):
    lines = [f"{n}.png,{COLOURS[n % 4]}" for n in range(12)] + ["12.png,"]
    (tmp_path / "some.csv").write_text("id,tag\n" + "\n".join(lines) + "\n")
    how = ("tag", drawn / "space", drawn / "drawings", "--labels", drawn / "colours.txt", "--json")
    found = json.loads(run(*how, "--truth", tmp_path / "some.csv"))
    assert found["report"]["pictures"] == 13
    with pytest.raises(PairspaceError, match=r"--truth none: neither a column of the items' file nor a file"):
        run(*how, "--truth", "none")
    (tmp_path / "some.csv").write_text("id,tag\nx.png,red\n")
    with pytest.raises(
        PairspaceError, match="none of the 48 items' ids, such as '0.png', stands there, where 'x.png' does"
    ):
        run(*how, "--examples", tmp_path / "some.csv")


def test_what_does_not_fit_is_said_before_any_work(run, drawn, table, network, tmp_path):
    space, drawings = drawn / "space", drawn / "drawings"
    classes = ("--labels", drawn / "colours.txt")
    (tmp_path / "twice.txt").write_text("red\nred\n")
    for wrong, says in (
        ((), "name the classes: --labels FILE"),
        (("--labels", tmp_path / "twice.txt"), "twice.txt, line 2: class 'red' stands in line 1 already"),
        ((*classes, "--method", "best"), "--method best: choose one of global, local"),
        ((*classes, "--calibrate", "x"), "--calibrate x: choose one of zscore, rank"),
        ((*classes, "--calibrate", "rank", "--examples", "x"), "give one of them"),
        ((*classes, "--top", "0"), "--top 0: at least 1"),
        ((*classes, "--threshold", "nan"), "--threshold nan: give a number"),
        ((*classes, "-o", tmp_path / "a.xls"), "written as .csv or .jsonl"),
        ((*classes, "-o", tmp_path / "none" / "a.csv"), "none"),
        ((*classes, "--template", "a photo"), "give a sentence with {}, a file of such"),
    ):
        with pytest.raises(PairspaceError, match=says.replace("{}", r"\{\}")):
            run("tag", space, drawings, *wrong)
    with pytest.raises(PairspaceError, match="space is a model: name the pictures after it"):
        run("tag", space, *classes)
    out = ("-o", tmp_path / "tagger")
    for wrong, says in (
        ((), "give --labels to learn from, or a --teacher"),
        (("--teacher", space), "class names: --classes FILE"),
        (("--labels", "labels", "--encoder", "text=minilm"), "write it as image=NAME; read are image"),
        (("--labels", "labels", "--encoder", "image=minilm"), "minilm"),
        (("--labels", "labels", "--text-column", "nothing"), "no column 'nothing'"),
        (("--labels", "labels", "--encoder", f"image={network}", "--least", "99"), "no label stands in 99 rows"),
    ):
        with pytest.raises(PairspaceError, match=says):
            run("train-tagger", *table, *out, *wrong)
    assert not (tmp_path / "tagger").exists()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.jpg"):
        run("tag", space, tmp_path / "bad", *classes)


def test_one_class_needs_a_score_of_its_own(run, drawn, table, tmp_path):
    (tmp_path / "one.txt").write_text("red\n")
    one = ("--labels", tmp_path / "one.txt")
    with pytest.raises(PairspaceError, match="one class only, 'red': a softmax gives it 1"):
        run("tag", drawn / "space", drawn / "drawings", *one)
    found = json.loads(run("tag", drawn / "space", drawn / "drawings", *one, "--kind", "sigmoid", "--json"))
    assert len({round(one["tags"]["red"], 6) for one in found["tags"]}) > 1
    with pytest.raises(DataError, match=r"one class only \('red'\)"):
        run("tag", drawn / "space", *table, *one, "--kind", "sigmoid", "--truth", "labels")


def test_bytes_and_archives_are_tagged_under_their_own_names(run, drawn, parquet, tmp_path):
    labels = ("--labels", drawn / "colours.txt", "--template", "a {}")
    found = json.loads(run("tag", drawn / "space", drawn / "drawings", *labels, "--json"))["tags"]
    out = tmp_path / "tags.csv"
    run("tag", drawn / "space", parquet, *labels, "--id", "id", "-o", out)
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [row["id"] for row in rows[::3]] == [f"ü,{n}" for n in range(8)]
    assert [row["tag"] for row in rows] == [tag for one in found[:8] for tag in one["tags"]]
    with tarfile.open(tmp_path / "some.tar", "w") as archive:
        for n in (5, 3):
            archive.add(drawn / "drawings" / f"{n}.png", f"{n}.png")
    packed = json.loads(run("tag", drawn / "space", tmp_path / "some.tar", *labels, "--json"))["tags"]
    assert [one["id"] for one in packed] == ["5", "3"]
    assert [list(one["tags"]) for one in packed] == [list(found[n]["tags"]) for n in (5, 3)]


def test_labels_that_are_not_known_are_not_those_of_a_picture_without_any(run, drawn, parquet, tmp_path, network):
    page = tmp_path / "page.html"
    how = ("--labels", drawn / "labels.txt", "--template", "a {}", "--truth", "labels", "--page", page)
    found = json.loads(run("tag", drawn / "space", parquet, *how, "--json"))
    html = page.read_text()
    assert found["report"]["pictures"] == 3 and html.count("(right: ") == 3 and html.count("(right: none)") == 1
    own = ("--labels", "labels", "--encoder", network, "--least", "1", "--epochs", "1", "-o", tmp_path / "tagger")
    assert json.loads(run("train-tagger", parquet, *own, "--json"))["rows"] == 3


def test_a_space_of_texts_tags_texts(run, drawn, untrained, tmp_path):
    (tmp_path / "texts.csv").write_text("text,labels\nred,red\nblue,blue\n")
    how = ("--labels", drawn / "colours.txt", "--template", "plain", "--top", "1", "--json")
    found = json.loads(run("tag", untrained, tmp_path / "texts.csv", *how))
    assert [list(one["tags"]) for one in found["tags"]] == [["red"], ["blue"]]


def test_a_picture_that_stands_twice_has_one_side_car(run, drawn, tmp_path):
    (tmp_path / "a.png").write_bytes((drawn / "drawings" / "0.png").read_bytes())
    (tmp_path / "rows.csv").write_text("image\na.png\na.png\n")
    how = ("--root", tmp_path, "--labels", drawn / "colours.txt", "--xmp", "--top", "1")
    assert "1 .xmp files" in run("tag", drawn / "space", tmp_path / "rows.csv", *how)


def test_what_cannot_be_written_or_read_is_said_before_any_scoring(run, drawn, parquet, idle, tmp_path):
    classes, space = ("--labels", drawn / "colours.txt"), drawn / "space"
    (tmp_path / "some").mkdir()
    for n in range(2):
        (tmp_path / "some" / f"{n}.png").write_bytes((drawn / "drawings" / f"{n}.png").read_bytes())
    (tmp_path / "some" / "1.png.xmp").write_text("mine")
    for items, wrong, says in (
        (parquet, ("--xmp",), "--xmp writes beside picture files, and these are no files"),
        (tmp_path / "some", ("--xmp",), r"1\.png\.xmp is there already .* \(1 such in all\): move it, or --overwrite"),
        (parquet, ("--truth", "label"), "--truth label: neither a column"),
        (parquet, ("--examples", "label"), "--examples label: neither a column"),
        (parquet, ("--page-pictures", "0"), "--page-pictures 0: at least 1"),
        (parquet, ("--text-column", "labels"), "this reads pictures alone"),
        (parquet, ("--temperature", "0"), "temperature must be above 0, got 0"),
    ):
        with pytest.raises(PairspaceError, match=says):
            run("tag", space, items, *classes, *wrong)
    assert not (tmp_path / "some" / "0.png.xmp").exists()
    with pytest.raises(PairspaceError, match=r"a\.xls: tags are written as \.csv or \.jsonl"):
        run("classify", space, parquet, *classes, "-o", tmp_path / "a.xls")
    with pytest.raises(PairspaceError, match="no item has a class of the list, such as 'red'"):
        run("classify", space, parquet, *classes, "--truth", "id")
