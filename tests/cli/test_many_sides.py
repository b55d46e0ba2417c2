"""More than two sides on the command line: wide tables, a language column, and what belongs to two sides only."""

from __future__ import annotations

import json

import pytest

from pairspace.errors import PairspaceError

NAMES = ("sun", "moon", "star", "tree", "house", "road", "sea", "boat")
TRAIN = ("--encoder", "static:8", "--epochs", 1, "--batch-size", 8, "--device", "cpu", "--json")


@pytest.fixture
def wide(tmp_path):
    rows = [f"{a} {b} en,{a} {b} it,{f'{a} {b} de' if a != b else ''}" for a in NAMES for b in NAMES]
    (tmp_path / "wide.csv").write_text("en,it,de\n" + "\n".join(rows) + "\n")
    return tmp_path / "wide.csv"


def test_a_wide_table_trains_and_is_measured_language_by_language(run, wide, tmp_path):
    sides = ("--side", "en", "--side", "it", "--side", "de")
    said = json.loads(run("train", wide, *sides, *TRAIN, "--output", tmp_path / "space"))
    assert said["pairs"] == 64 + 56 and "validation_R@1 en-de" in said["after"]
    for more, count in (((), 4), ((*sides, "--pivot", "all"), 6)):  # columns called as the sides need no --side
        report = json.loads(run("evaluate", tmp_path / "space", "--pairs", wide, *more, "--bitext", "--json"))
        assert len({one["direction"] for one in report["found"]}) == count


def test_a_column_of_languages(run, tmp_path):
    rows = [f"{a} {b} en,{a} {b} {lang},{lang}" for a in NAMES for b in NAMES for lang in ("it", "de")]
    (tmp_path / "long.csv").write_text("english,text,lang\n" + "\n".join(rows) + "\n")
    sides = ("--side", "en=english", "--side", "@lang=text")
    run("train", tmp_path / "long.csv", *sides, "--shared-encoder", *TRAIN, "--output", tmp_path / "space")
    shown = json.loads(run("info", tmp_path / "space", "--json"))
    assert list(shown["sides"]) == ["en", "de", "it"]


def test_what_is_of_two_sides_only(run, wide, tmp_path):
    three = ("--side", "en", "--side", "it", "--side", "de")
    with pytest.raises(PairspaceError, match="--pivot is of more than two sides"):
        run("train", wide, "--side", "en", "--side", "it", "--pivot", "en", "--output", tmp_path / "s")
    with pytest.raises(PairspaceError, match="--score is of pairs of two sides"):
        run("train", wide, *three, "--score", "en", "--output", tmp_path / "s")
