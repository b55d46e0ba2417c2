"""`pairspace mine` and `pairspace score`: what they write, say and refuse."""

from __future__ import annotations

import json
import sys

import pytest

from pairspace.data import read_pairs
from pairspace.errors import PairspaceError

CPU = ("--device", "cpu")


@pytest.fixture
def piles(files):
    """The two sides of the pairs as files of lines, the right one turned round, with an empty line."""
    pairs = read_pairs(files / "pairs.csv", {"title": "q", "body": "d"})
    left, right = (pairs.items(side).to_pylist() for side in pairs.sides)
    (files / "left.en").write_text("\n".join(left[:90]) + "\n\n", "utf-8")
    (files / "right.xx").write_text("\n".join([*right[89::-1], "", "nothing like it at all"]), "utf-8")
    return files, dict(zip(left, right, strict=True))


def test_pairs_are_written_as_lines_and_as_a_memory(run, piles, untrained):
    files, _ = piles
    mined = ("mine", untrained, files / "left.en", files / "right.xx", *CPU, "--filters", "identical")
    said = run(*mined, "-o", files / "found.tsv")
    lines = [line.split("\t") for line in (files / "found.tsv").read_text("utf-8").splitlines()]
    assert f"{len(lines)} pairs out of 90 and 91 sentences" in said
    scores = [float(line[0]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    for _, one, other, i, j in lines:
        assert (files / "left.en").read_text("utf-8").split("\n")[int(i) - 1] == one
        assert (files / "right.xx").read_text("utf-8").split("\n")[int(j) - 1] == other
    result = json.loads(run(*mined, "-o", files / "found.tmx", "--json"))
    memory = read_pairs(files / "found.tmx", ("title", "body"))
    assert result["pairs"] == len(memory) == len(lines) and result["removed"] == {"identical": 0}
    assert [line[1] for line in lines] == memory.items("title").to_pylist()
    assert not list(files.glob(".found*"))


def test_where_writing_fails_the_neighbours_found_are_kept(run, piles, untrained, monkeypatch):
    files, _ = piles
    mined = ("mine", untrained, files / "left.en", files / "right.xx", *CPU, "-o", files / "found.tsv")

    def full(*_):
        raise PairspaceError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["pairspace.cli.mine"], "_write", full)
        with pytest.raises(PairspaceError, match="no space left"):
            run(*mined)
    assert (files / ".found.tsv.state").exists()
    run(*mined)
    assert not (files / ".found.tsv.state").exists() and (files / "found.tsv").exists()


def test_a_judged_sample_chooses_the_threshold(run, piles, untrained):
    files, right = piles
    left = list(right)
    good = [f"{one}\t{right[one]}\t1" for one in left[:30]]
    bad = [f"{one}\t{right[other]}\t0" for one, other in zip(left[:30], left[120:150], strict=True)]
    (files / "judged.tsv").write_text("\n".join(good + bad) + "\n", "utf-8")
    mined = ("mine", untrained, files / "left.en", files / "right.xx", *CPU, "-o", files / "found.tsv")
    said = run(*mined, "--judged", files / "judged.tsv", "--precision", "0.6")
    assert "scores of" in said
    assert all(len(line.split("\t")) == 6 for line in (files / "found.tsv").read_text("utf-8").splitlines())
    (files / "judged.tsv").write_text("a\tb\t1\nc\td\n", "utf-8")
    with pytest.raises(PairspaceError, match=r"judged\.tsv, line 2: two texts and then 1 or 0"):
        run(*mined, "--judged", files / "judged.tsv")


def test_what_cannot_be_mined_is_refused_before_any_work(run, piles, untrained):
    files, _ = piles
    with pytest.raises(PairspaceError, match=r"as \.tsv or \.tmx"):
        run("mine", untrained, files / "left.en", files / "right.xx", "-o", files / "found.po")
    (files / "empty.txt").write_text("\n \n", "utf-8")
    with pytest.raises(PairspaceError, match="holds no sentence"):
        run("mine", untrained, files / "empty.txt", files / "right.xx", *CPU, "-o", files / "found.tsv")


def test_doubtful_pairs_come_first(run, files, untrained):
    scored = ("score", untrained, files / "pairs.csv", "--side", "title=q", "--side", "body=d", *CPU)
    said = run(*scored, "-o", files / "scores.tsv")
    rows = [line.split("\t") for line in (files / "scores.tsv").read_text("utf-8").splitlines()]
    assert rows[0] == ["row", "margin", "cosine", "doubts", "title", "body"] and len(rows) == 257
    counts = [len(row[3].split(",")) if row[3] else 0 for row in rows[1:]]
    assert counts == sorted(counts, reverse=True)
    assert f"{sum(map(bool, counts))} of 256 pairs are doubtful" in said
    assert sorted(int(row[0]) for row in rows[1:]) == list(range(1, 257))
    assert json.loads(run(*scored, "-o", files / "scores.tsv", "--json"))["pairs"] == 256
