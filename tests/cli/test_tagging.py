"""tag, classify and train-tagger at the command line."""

import csv
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pairspace as ps
from pairspace.errors import DataError, PairspaceError
from pairspace.tagging import Tagger, ZeroShot

COLOURS, SHAPES = ("red", "green", "blue", "black"), ("circle", "square", "cross")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, network, write_drawings):
    """Drawings, a table of them with labels, class names, and a space."""
    folder = tmp_path_factory.mktemp("tagging")
    with write_drawings(folder, 48).open() as file:
        rows = [(row["path"], row["text"]) for row in csv.DictReader(file)]
    with (folder / "drawn.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "image", "text", "labels", "colour"))
        for name, text in rows:
            _, colour, shape = text.split()
            table.writerow((name, name, f"the drawing of a {shape}", f"{colour};{shape}", colour))
    (folder / "colours.txt").write_text("\n".join(COLOURS) + "\n")
    (folder / "labels.txt").write_text("\n".join((*COLOURS, *SHAPES)) + "\n")
    sides = {"image": "image", "caption": "text"}
    encoders = {"image": str(network), "caption": "static:16"}
    space = ps.Space.create(sides, encoder=encoders, dimension=16, layers="last", cache=False)
    pictures = [str(folder / "drawings" / name) for name, _ in rows]
    pairs = ps.Pairs.from_columns({"image": pictures, "caption": [text for _, text in rows]})
    space.fit(pairs, validation=None, epochs=10, learning_rate=0.02, progress=False)
    space.save_pretrained(folder / "space")
    return folder


def table(folder):
    return (folder / "drawn.csv", "--id", "id", "--root", folder / "drawings")


def test_a_folder_of_pictures_is_tagged_and_written_in_every_form(run, folder, tmp_path):
    labels = ("--labels", folder / "labels.txt", "--template", "a {}")
    found = json.loads(run("tag", folder / "space", folder / "drawings", *labels, "--json"))
    assert found["pictures"] == 48 and [one["id"] for one in found["tags"][:3]] == ["0.png", "1.png", "2.png"]
    assert all(len(one["tags"]) == 3 for one in found["tags"])
    scores = list(found["tags"][0]["tags"].values())
    assert scores == sorted(scores, reverse=True)
    said = run("tag", folder / "space", folder / "drawings", *labels, "--top", "1").splitlines()
    best = next(iter(found["tags"][0]["tags"]))
    assert len(said) == 48 and said[0] == f"0.png\t{best} {scores[0]:.3f}"
    page, out = tmp_path / "page.html", tmp_path / "tags.csv"
    more = ("--method", "local", "--threshold", "0.2", "-o", out, "--page", page, "--page-pictures", "5")
    said = run("tag", folder / "space", folder / "drawings", *labels, *more)
    rows = list(csv.DictReader(out.open()))
    assert f"{len(rows)} tags for 48 pictures written to {out}, {page}" in said
    assert all(float(row["score"]) >= 0.2 for row in rows)
    html = page.read_text()
    shown = sum(row["id"] in {f"{n}.png" for n in range(5)} for row in rows)
    assert html.count("data:image/jpeg") == 5 and html.count('class="heat') == shown
    assert "<h1>5 of 48 pictures</h1>" in html


def test_side_cars_lie_beside_pictures_and_are_not_overwritten(run, folder, tmp_path):
    import shutil

    shutil.copytree(folder / "drawings", tmp_path / "drawings")
    how = ("tag", folder / "space", tmp_path / "drawings", "--labels", folder / "colours.txt", "--top", "2", "--xmp")
    assert "96 tags for 48 pictures written to 48 .xmp files" in run(*how)
    assert (tmp_path / "drawings" / "7.png.xmp").read_text().count("<rdf:li>") == 2
    with pytest.raises(DataError, match="is there already"):
        run(*how)
    run(*how, "--overwrite")


def test_scores_are_made_comparable_and_measured(run, folder):
    how = ("tag", folder / "space", *table(folder), "--labels", folder / "labels.txt", "--template", "a {}")
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


def test_labels_of_some_pictures_in_a_file_of_their_own(run, folder, tmp_path):
    lines = [f"{n}.png,{COLOURS[n % 4]}" for n in range(12)] + ["12.png,"]
    (tmp_path / "some.csv").write_text("id,tag\n" + "\n".join(lines) + "\n")
    how = ("tag", folder / "space", folder / "drawings", "--labels", folder / "colours.txt", "--json")
    found = json.loads(run(*how, "--truth", tmp_path / "some.csv"))
    assert found["report"]["pictures"] == 13
    with pytest.raises(PairspaceError, match=r"--truth none: neither a column of the items' file nor a file"):
        run(*how, "--truth", "none")
    (tmp_path / "some.csv").write_text("id,tag\nx.png,red\n")
    with pytest.raises(
        PairspaceError, match="none of the 48 items' ids, such as '0.png', stands there, where 'x.png' does"
    ):
        run(*how, "--examples", tmp_path / "some.csv")


def test_a_tagger_is_trained_on_pictures_and_texts_and_used(run, folder, network, tmp_path):
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
    said = run("train-tagger", *table(folder), *encoders, *own)
    assert "7 classes learnt from 48 rows" in said and "MB and its encoders" in said
    found = json.loads(
        run("tag", tmp_path / "tagger", *table(folder), "--text-column", "text", "--truth", "labels", "--json")
    )
    metrics = found["report"]["systems"]["tags"]["metrics"]
    about = json.loads(run("info", tmp_path / "tagger", "--json"))
    assert (
        about["kind"] == "tagger" and about["classes"][:2] == sorted(about["classes"][:2]) and len(about["reads"]) == 2
    )
    assert "layers   2 last" in run("info", tmp_path / "tagger")
    assert metrics["mAP"]["value"] > 0.8
    shapes = sum(SHAPES[n // 4 % 3] in one["tags"] for n, one in enumerate(found["tags"]))
    assert shapes >= 46
    alone = json.loads(run("tag", tmp_path / "tagger", folder / "drawings", "--json", "--top", "1"))
    assert len(alone["tags"]) == 48
    for wrong, says in (
        (("--labels", folder / "labels.txt"), "knows its classes and its way: leave out --labels"),
        (("--method", "local"), "leave out --method local"),
    ):
        with pytest.raises(PairspaceError, match=says):
            run("tag", tmp_path / "tagger", folder / "drawings", *wrong)


def test_a_tagger_of_texts_alone(run, folder, tmp_path):
    own = ("--no-pictures", "--text-column", "text", "--labels", "labels", "--least", "15", "-o", tmp_path / "tagger")
    assert "3 classes learnt from 48 rows" in run("train-tagger", folder / "drawn.csv", *own)
    found = json.loads(
        run("tag", tmp_path / "tagger", folder / "drawn.csv", "--text-column", "text", "--json", "--top", "1")
    )
    assert [next(iter(one["tags"])) for one in found["tags"][::4]] == [SHAPES[n % 3] for n in range(12)]
    with pytest.raises(PairspaceError, match="--page shows pictures"):
        run("tag", tmp_path / "tagger", folder / "drawn.csv", "--text-column", "text", "--page", tmp_path / "p.html")


def test_a_tagger_learns_from_a_space_without_labels(run, folder, network, tmp_path):
    how = (
        "--teacher",
        folder / "space",
        "--classes",
        folder / "colours.txt",
        "--encoder",
        network,
        "--template",
        "a {}",
    )
    said = json.loads(
        run("train-tagger", folder / "drawings", *how, "--method", "local", "-o", tmp_path / "tagger", "--json")
    )
    assert said["classes"] == 4 and said["rows"] == 48 and said["classifier_bytes"] < 25e6
    page = tmp_path / "page.html"
    run("tag", tmp_path / "tagger", folder / "drawings", "--top", "1", "--page", page)
    assert page.read_text().count('class="heat') == 48


def test_classes_of_pictures_and_texts(run, folder, tmp_path):
    labels = ("--labels", folder / "colours.txt", "--template", "a {} circle")
    found = json.loads(
        run("classify", folder / "space", *table(folder), *labels, "--truth", "colour", "--json", "--top", "4")
    )
    assert found["judged"] == 48 and 0 <= found["accuracy"] <= 1 and found["top5"] == 1
    first = [next(iter(one["classes"])) for one in found["found"]]
    assert found["accuracy"] == pytest.approx(np.mean([COLOURS[n % 4] == one for n, one in enumerate(first)]))
    assert all(sum(one["classes"].values()) == pytest.approx(1, abs=1e-5) for one in found["found"])
    said = run("classify", folder / "space", *table(folder), *labels, "--truth", "colour", "-o", tmp_path / "c.csv")
    assert "48 items classified" in said and f"accuracy {found['accuracy']:.3f}" in said
    (tmp_path / "texts.csv").write_text("caption,right,other\nred,red,x\nblue,blue,y\n")
    texts = (
        "classify",
        folder / "space",
        tmp_path / "texts.csv",
        "--side",
        "caption",
        "--labels",
        folder / "colours.txt",
    )
    found = json.loads(run(*texts, "--truth", "right", "--skip-bad", "--json"))
    assert found["accuracy"] == 1 and found["judged"] == 2
    with pytest.raises(PairspaceError, match="no item has a class of the list, such as 'red'"):
        run(*texts, "--truth", "other")


def test_what_does_not_fit_is_said_before_any_work(run, folder, network, tmp_path):
    space, drawings = folder / "space", folder / "drawings"
    classes = ("--labels", folder / "colours.txt")
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
            run("train-tagger", *table(folder), *out, *wrong)
    assert not (tmp_path / "tagger").exists()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.jpg"):
        run("tag", space, tmp_path / "bad", *classes)


def test_rows_may_lack_their_picture_or_their_text(run, folder, network, tmp_path):
    rows = list(csv.DictReader((folder / "drawn.csv").open()))
    rows[3]["image"], rows[5]["text"] = "", "  "
    with (tmp_path / "some.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    both = ("--id", "id", "--root", folder / "drawings", "--text-column", "text")
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


def test_one_class_needs_a_score_of_its_own(run, folder, tmp_path):
    (tmp_path / "one.txt").write_text("red\n")
    one = ("--labels", tmp_path / "one.txt")
    with pytest.raises(PairspaceError, match="one class only, 'red': a softmax gives it 1"):
        run("tag", folder / "space", folder / "drawings", *one)
    found = json.loads(run("tag", folder / "space", folder / "drawings", *one, "--kind", "sigmoid", "--json"))
    assert len({round(one["tags"]["red"], 6) for one in found["tags"]}) > 1
    with pytest.raises(DataError, match=r"one class only \('red'\)"):
        run("tag", folder / "space", *table(folder), *one, "--kind", "sigmoid", "--truth", "labels")


@pytest.fixture
def idle(monkeypatch):
    """No work is done: what is wrong is said before."""

    def work(*args, **more):
        raise AssertionError("this was to be refused before any work")

    monkeypatch.setattr(ZeroShot, "scores", work)
    monkeypatch.setattr(Tagger, "fit", work)


@pytest.fixture(scope="module")
def parquet(folder):
    """Bytes of the first pictures, and the labels of the first two: the third has none, of the others none is known."""
    rows = [(folder / "drawings" / f"{n}.png").read_bytes() for n in range(8)]
    labels = [["red", "circle"], ["green", "circle"], [], *[None] * 5]
    path = folder / "bytes.parquet"
    pq.write_table(pa.table({"image": rows, "labels": labels, "id": [f"ü,{n}" for n in range(8)]}), path)
    return path


def test_bytes_and_archives_are_tagged_under_their_own_names(run, folder, parquet, tmp_path):
    labels = ("--labels", folder / "colours.txt", "--template", "a {}")
    found = json.loads(run("tag", folder / "space", folder / "drawings", *labels, "--json"))["tags"]
    out = tmp_path / "tags.csv"
    run("tag", folder / "space", parquet, *labels, "--id", "id", "-o", out)
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [row["id"] for row in rows[::3]] == [f"ü,{n}" for n in range(8)]
    assert [row["tag"] for row in rows] == [tag for one in found[:8] for tag in one["tags"]]
    with tarfile.open(tmp_path / "some.tar", "w") as archive:
        for n in (5, 3):
            archive.add(folder / "drawings" / f"{n}.png", f"{n}.png")
    packed = json.loads(run("tag", folder / "space", tmp_path / "some.tar", *labels, "--json"))["tags"]
    assert [one["id"] for one in packed] == ["5", "3"]
    assert [list(one["tags"]) for one in packed] == [list(found[n]["tags"]) for n in (5, 3)]


def test_labels_that_are_not_known_are_not_those_of_a_picture_without_any(run, folder, parquet, tmp_path, network):
    page = tmp_path / "page.html"
    how = ("--labels", folder / "labels.txt", "--template", "a {}", "--truth", "labels", "--page", page)
    found = json.loads(run("tag", folder / "space", parquet, *how, "--json"))
    html = page.read_text()
    assert found["report"]["pictures"] == 3 and html.count("(right: ") == 3 and html.count("(right: none)") == 1
    own = ("--labels", "labels", "--encoder", network, "--least", "1", "--epochs", "1", "-o", tmp_path / "tagger")
    assert json.loads(run("train-tagger", parquet, *own, "--json"))["rows"] == 3


def test_a_space_of_texts_tags_texts(run, folder, untrained, tmp_path):
    (tmp_path / "texts.csv").write_text("text,labels\nred,red\nblue,blue\n")
    how = ("--labels", folder / "colours.txt", "--template", "plain", "--top", "1", "--json")
    found = json.loads(run("tag", untrained, tmp_path / "texts.csv", *how))
    assert [list(one["tags"]) for one in found["tags"]] == [["red"], ["blue"]]


def test_a_picture_that_stands_twice_has_one_side_car(run, folder, tmp_path):
    (tmp_path / "a.png").write_bytes((folder / "drawings" / "0.png").read_bytes())
    (tmp_path / "rows.csv").write_text("image\na.png\na.png\n")
    how = ("--root", tmp_path, "--labels", folder / "colours.txt", "--xmp", "--top", "1")
    assert "1 .xmp files" in run("tag", folder / "space", tmp_path / "rows.csv", *how)


def test_what_cannot_be_written_or_read_is_said_before_any_scoring(run, folder, parquet, idle, tmp_path):
    classes, space = ("--labels", folder / "colours.txt"), folder / "space"
    (tmp_path / "some").mkdir()
    for n in range(2):
        (tmp_path / "some" / f"{n}.png").write_bytes((folder / "drawings" / f"{n}.png").read_bytes())
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


def test_what_a_tagger_cannot_learn_from_is_said_before_any_work(run, folder, network, idle, tmp_path):
    space, out = folder / "space", tmp_path / "tagger"
    labels, teacher = ("--labels", "labels"), ("--teacher", space, "--classes", folder / "colours.txt")
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
            run("train-tagger", *table(folder), "-o", out, *wrong)
    assert (space / "projectors.safetensors").is_file()


def test_a_tagger_is_replaced_only_if_asked(run, folder, tmp_path):
    (tmp_path / "few.csv").write_text("id,tag\n" + "".join(f"{n}.png,{SHAPES[n // 4 % 3]}\n" for n in range(36)))
    own = ("--no-pictures", "--text-column", "text", "--id", "id", "--epochs", "2", "-o", tmp_path / "tagger")
    said = run("train-tagger", folder / "drawn.csv", *own, "--labels", tmp_path / "few.csv")
    assert "3 classes learnt from 36 rows" in said
    with pytest.raises(
        PairspaceError, match="none of the 48 items' ids, such as '0', stands there, where '0.png' does"
    ):
        run(
            "train-tagger",
            folder / "drawn.csv",
            *own[:3],
            *own[5:-2],
            "-o",
            tmp_path / "b",
            "--labels",
            tmp_path / "few.csv",
        )
    with pytest.raises(PairspaceError, match="exists: choose another --output, or --overwrite it"):
        run("train-tagger", folder / "drawn.csv", *own, "--labels", "labels")
    run("train-tagger", folder / "drawn.csv", *own, "--labels", "labels", "--overwrite")
    texts = (tmp_path / "tagger", folder / "drawn.csv", "--text-column", "text")
    for idle in ("--temperature", "--template"):
        with pytest.raises(PairspaceError, match=f"leave out {idle}"):
            run("tag", *texts, idle, "1")
    with pytest.raises(DataError, match="no column 'words'; its columns are: id, image, text"):
        run("tag", tmp_path / "tagger", folder / "drawn.csv", "--text-column", "words")


def test_a_text_column_that_is_missing_is_named(run, folder, network, tmp_path):
    own = ("--encoder", f"image={network}", "--labels", "labels", "--epochs", "1", "-o", tmp_path / "tagger")
    run("train-tagger", *table(folder), *own, "--text-column", "text")
    with pytest.raises(DataError, match="no column 'words'; its columns are: id, image, text"):
        run("tag", tmp_path / "tagger", *table(folder), "--text-column", "words")


def test_accuracy_is_of_the_class_that_is_named_also_among_equal_scores(run, folder, monkeypatch, tmp_path):
    monkeypatch.setattr(ZeroShot, "scores", lambda self, items: np.full((len(items), 4), 0.25, np.float32))
    (tmp_path / "texts.csv").write_text("caption,right\r\nx,red \r\ny, blue\r\nz,\r\n")
    how = ("--side", "caption", "--labels", folder / "colours.txt", "--truth", "right", "--json")
    found = json.loads(run("classify", folder / "space", tmp_path / "texts.csv", *how))
    assert [list(one["classes"]) for one in found["found"]] == [["red"]] * 3
    assert (found["accuracy"], found["judged"], found["top5"]) == (0.5, 2, 1)


def test_a_bad_picture_is_named_by_its_row_also_where_some_are_labelled(run, folder, network, tmp_path):
    rows = [(folder / "drawings" / f"{n}.png").read_bytes() for n in range(8)]
    pq.write_table(pa.table({"image": [*rows[:6], b"no picture", rows[7]], "id": list("abcdefgh")}), tmp_path / "a.pq")
    (tmp_path / "some.csv").write_text("id,tag\n" + "".join(f"{key},red\n" for key in "defgh"))
    own = ("--id", "id", "--labels", tmp_path / "some.csv", "--least", "1", "--encoder", network)
    with pytest.raises(DataError, match="item 6: a picture: not a picture"):
        run("train-tagger", tmp_path / "a.pq", *own, "-o", tmp_path / "tagger")


def test_a_text_of_blanks_is_none_to_a_tagger_of_texts(run, folder, tmp_path):
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
