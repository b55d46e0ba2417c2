"""`pairspace classify`."""

import json

import numpy as np
import pytest

from pairspace.errors import PairspaceError
from pairspace.tagging import ZeroShot

COLOURS, SHAPES = ("red", "green", "blue", "black"), ("circle", "square", "cross")


def test_classes_of_pictures_and_texts(run, drawn, table, tmp_path):
    labels = ("--labels", drawn / "colours.txt", "--template", "a {} circle")
    found = json.loads(run("classify", drawn / "space", *table, *labels, "--truth", "colour", "--json", "--top", "4"))
    assert found["judged"] == 48 and 0 <= found["accuracy"] <= 1 and found["top5"] == 1
    first = [next(iter(one["classes"])) for one in found["found"]]
    assert found["accuracy"] == pytest.approx(np.mean([COLOURS[n % 4] == one for n, one in enumerate(first)]))
    assert all(sum(one["classes"].values()) == pytest.approx(1, abs=1e-5) for one in found["found"])
    said = run("classify", drawn / "space", *table, *labels, "--truth", "colour", "-o", tmp_path / "c.csv")
    assert "48 items classified" in said and f"accuracy {found['accuracy']:.3f}" in said
    (tmp_path / "texts.csv").write_text("caption,right,other\nred,red,x\nblue,blue,y\n")
    texts = (
        "classify",
        drawn / "space",
        tmp_path / "texts.csv",
        "--side",
        "caption",
        "--labels",
        drawn / "colours.txt",
    )
    found = json.loads(run(*texts, "--truth", "right", "--skip-bad", "--json"))
    assert found["accuracy"] == 1 and found["judged"] == 2
    with pytest.raises(PairspaceError, match="no item has a class of the list, such as 'red'"):
        run(*texts, "--truth", "other")


def test_accuracy_is_of_the_class_that_is_named_also_among_equal_scores(run, drawn, monkeypatch, tmp_path):
    monkeypatch.setattr(ZeroShot, "scores", lambda self, items: np.full((len(items), 4), 0.25, np.float32))
    (tmp_path / "texts.csv").write_text("caption,right\r\nx,red \r\ny, blue\r\nz,\r\n")
    how = ("--side", "caption", "--labels", drawn / "colours.txt", "--truth", "right", "--json")
    found = json.loads(run("classify", drawn / "space", tmp_path / "texts.csv", *how))
    assert [list(one["classes"]) for one in found["found"]] == [["red"]] * 3
    assert (found["accuracy"], found["judged"], found["top5"]) == (0.5, 2, 1)
