"""`pairspace mine` and `pairspace score`: what they write, say and refuse."""

from __future__ import annotations

import gzip
import json
import sys

import pytest

from pairspace.data import read_pairs
from pairspace.errors import PairspaceError
from pairspace.space import Space

CPU = ("--device", "cpu")
SIDES = ("--side", "title=q", "--side", "body=d")


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
    result = json.loads(run(*mined, "-o", files / "found.tmx", "--languages", "en,xx", "--json"))
    memory = read_pairs(files / "found.tmx", ("en", "xx"))
    assert result["pairs"] == len(memory) == len(lines) and result["removed"] == {"identical": 0}
    assert [line[1] for line in lines] == memory.items("en").to_pylist()
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


def test_a_place_that_cannot_be_written_to_is_refused_before_any_work(run, piles):
    files, _ = piles  # the space is not even looked for
    for verb in (("mine", "none", files / "left.en", files / "right.xx"), ("score", "none", files / "pairs.csv")):
        with pytest.raises(PairspaceError, match="no such folder"):
            run(*verb, "-o", files / "none" / "found.tsv")
        (files / "folder.tsv").mkdir(exist_ok=True)
        with pytest.raises(PairspaceError, match="is a folder"):
            run(*verb, "-o", files / "folder.tsv")


def test_a_memory_needs_codes_of_languages(refused, piles, untrained, monkeypatch):
    files, _ = piles
    monkeypatch.setattr(Space, "encode", lambda *_, **__: pytest.fail("texts were encoded"))
    to = ("mine", untrained, files / "left.en", files / "right.xx", *CPU, "-o", files / "found.tmx")
    assert "'title' is not the code of one, as en or pt-BR are (--languages en,de" in refused(*to)
    assert "--languages en,de,it: write the two languages" in refused(*to, "--languages", "en,de,it")
    assert not (files / "found.tmx").exists()


def test_tables_are_compressed_if_their_names_say_so(run, piles, untrained):
    files, _ = piles
    run("mine", untrained, files / "left.en", files / "right.xx", *CPU, "-o", files / "found.tsv.gz")
    assert gzip.decompress((files / "found.tsv.gz").read_bytes()).count(b"\n") > 50
    run("score", untrained, files / "pairs.csv", *SIDES, *CPU, "-o", files / "scores.tsv.gz")
    assert gzip.decompress((files / "scores.tsv.gz").read_bytes()).count(b"\n") == 257


def test_judged_pairs_from_any_system(run, piles, untrained):
    files, right = piles
    mined = ("mine", untrained, files / "left.en", files / "right.xx", *CPU, "-o", files / "found.tsv")
    left = list(right)
    lines = [f"{one}\t{right[other]}\t{int(one == other)}" for one in left[:9] for other in left[:9]]
    (files / "judged.tsv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, "", ""]).encode())
    run(*mined, "--judged", files / "judged.tsv")
    assert all(line.count("\t") == 5 for line in (files / "found.tsv").read_text("utf-8").splitlines())
    (files / "judged.tsv").write_bytes(b"a\tb\t1\ncaf\xe9\tb\t0\n")
    with pytest.raises(PairspaceError, match=r"judged\.tsv, line 2: not UTF-8"):
        run(*mined, "--judged", files / "judged.tsv")


def test_pairs_scored_are_of_two_sides(run, files, plain_folder):
    sides = ("body", "title", "other")
    space = Space.create(sides, encoder=str(plain_folder), projector="identity", device="cpu", cache=False)
    space.save_pretrained(files / "three")
    (files / "two.csv").write_text("title,body\nplay chess,chess game\nmusic,player\n", "utf-8")
    scored = ("score", files / "three", files / "two.csv", *CPU, "-o", files / "scores.tsv")
    assert "of 2 pairs" in run(*scored)
    assert (files / "scores.tsv").read_text("utf-8").startswith("row\tmargin\tcosine\tdoubts\tbody\ttitle\n")
    with pytest.raises(PairspaceError, match="two sides, and body, title, other are 3"):
        run(*scored, "--side", "body", "--side", "title", "--side", "other")


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
