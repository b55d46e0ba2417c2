"""An alignment in each of its files, and texts that want to break out of them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from pairspace.bitext import write_alignment
from pairspace.bitext.alignment import Bead
from pairspace.errors import DataError, ShapeError, StorageError

LEFT = ["One <b>&amp;\ttab", "Two.", "Only\nleft", 'Four "quoted"']
RIGHT = ["Uno", "<script>alert(1)</script>", "Due.", "Quattro"]
BEADS = [
    Bead((0,), (0, 1), 0.91234),
    Bead((1,), (2,), 1.02),
    Bead((2,), (), 0.0),
    Bead((), (3,), 0.0),
    Bead((3,), (), 0.0),
]


class Page(HTMLParser):
    """The rows of a page: cells with their attributes and texts, and every tag that was opened or closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open, self.tags = [], [], set()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append((dict(attributes), []))
        if tag in ("td", "th"):
            self.rows[-1][1].append([dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][1][-1][1] += data


def test_tsv_is_one_bead_a_line(tmp_path):
    assert write_alignment(tmp_path / "out.tsv", BEADS, LEFT, RIGHT) == 5
    lines = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()]
    assert lines[0] == ["left", "right", "score", "left_text", "right_text"]
    assert lines[1] == ["0", "0 1", "0.9123", "One <b>&amp; tab", "Uno <script>alert(1)</script>"]
    assert lines[3:5] == [["2", "", "0.0000", "Only left", ""], ["", "3", "0.0000", "", "Quattro"]]


def test_html_shows_every_bead_and_runs_nothing(tmp_path):
    titles = ("a<i>.txt", "b.txt")
    write_alignment(tmp_path / "out.html", BEADS, LEFT, RIGHT, languages=("en", "ar"), titles=titles)
    text = (tmp_path / "out.html").read_text()
    page = Page(text)
    assert page.tags == {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert "http" not in text and "src=" not in text
    for form in ("print", "(prefers-color-scheme: dark)", "(max-width: 40rem)"):
        assert f"{form} {{" in text
    head, *rows = page.rows
    assert [cell[1] for cell in head[1]] == ["score", *titles]
    assert [cell[0].get("dir") for cell in head[1]] == [None, "auto", "rtl"]
    assert [cell[1] for cell in rows[0][1]] == ["0.91", LEFT[0], f"{RIGHT[0]} {RIGHT[1]}"]
    assert rows[0][0] == {"style": "--hue: 109"} and rows[1][0] == {"style": "--hue: 120"}
    assert rows[0][1][0][0]["title"] == "1 | 1, 2" and rows[0][1][2][0] == {"lang": "ar", "dir": "rtl"}
    assert [row[0].get("class") for row in rows] == [None, None, "gone", "gone", "gone"]
    assert [cell[1] for cell in rows[3][1]] == ["\N{EN DASH}", "\N{EM DASH}", "Quattro"]
    assert "2 aligned, 3 without counterpart" in text


def test_tmx_holds_pairs_with_their_scores(tmp_path):
    from pairspace.data import read_units

    assert write_alignment(tmp_path / "out.tmx", BEADS, LEFT, RIGHT, languages=("en", "it")) == 2
    units = list(read_units(tmp_path / "out.tmx", source="en", target="it"))
    assert [(unit.source, unit.target) for unit in units] == [
        (LEFT[0], "Uno <script>alert(1)</script>"),
        ("Two.", "Due."),
    ]
    assert units[0].properties["score"] == "0.9123"


def test_sentences_are_joined_as_their_script_is_written(tmp_path):
    beads = [Bead((0, 1), (0, 1), 0.5)]
    write_alignment(tmp_path / "out.tsv", beads, ["今日は。", "明日は。"], ["Oggi.", "Domani."])
    assert "今日は。明日は。\tOggi. Domani." in (tmp_path / "out.tsv").read_text()
    write_alignment(tmp_path / "out.tsv", beads, ["a", "b"], ["c", "d"], joiners=("", "-"))
    assert "\tab\tc-d" in (tmp_path / "out.tsv").read_text()


def test_says_what_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match=r"\.tsv, \.html, \.tmx, not \.txt"):
        write_alignment(tmp_path / "out.txt", BEADS, LEFT, RIGHT)
    with pytest.raises(StorageError, match="no such folder"):
        write_alignment(tmp_path / "none" / "out.tsv", BEADS, LEFT, RIGHT)
    with pytest.raises(ShapeError, match=r"right: a bead of the sentences \(0, 1\) of a document of 1"):
        write_alignment(tmp_path / "out.tsv", BEADS, LEFT, RIGHT[:1])
    with pytest.raises(DataError, match="two languages"):
        write_alignment(tmp_path / "out.tmx", BEADS, LEFT, RIGHT, languages=("en", "en"))
    assert list(tmp_path.iterdir()) == []
