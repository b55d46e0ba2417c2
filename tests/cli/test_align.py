"""`pairspace align`: two files in, one alignment out."""

from __future__ import annotations

import json

import pytest

from pairspace.space import Space

LINES = ["play chess against the computer", "music player", "", "a game of cards with friends", "library files"]


@pytest.fixture
def documents(tmp_path):
    left, right = tmp_path / "left.txt", tmp_path / "right.txt"
    left.write_text("\n".join(LINES) + "\n")
    right.write_text("\n".join([*LINES[:2], *LINES[3:]]) + "\n")
    return left, right


def test_aligns_two_files(run, untrained, documents, tmp_path):
    out = tmp_path / "out.tsv"
    said = run("align", untrained, *documents, "--output", out)
    assert said.startswith("4 beads of 5 and 4 sentences") and "1 left, 0 right" in said
    rows = [line.split("\t") for line in out.read_text().splitlines()[1:]]
    assert [row[:2] for row in rows] == [["0", "0"], ["1", "1"], ["2", ""], ["3", "2"], ["4", "3"]]
    assert rows[0][3] == rows[0][4] == LINES[0]


@pytest.mark.parametrize("suffix", [".html", ".tmx"])
def test_writes_other_files_and_json(run, untrained, documents, tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    how = [
        "--languages",
        "en,pt-BR",
        "--left-side",
        "body",
        "--right-side",
        "title",
        "--most",
        "2",
        "--no-lengths",
        "--json",
    ]
    summary = json.loads(run("align", untrained, *documents, "--output", out, *how))
    assert summary["beads"] == 4 and (summary["left_deleted"], summary["right_deleted"]) == (1, 0)
    assert summary["score"] > 0.99 and summary["warnings"] == []
    text = out.read_text()
    assert LINES[3] in text and (suffix == ".html" or 'srclang="en"' in text)
    assert 'lang="pt-BR"' in text


def test_a_memory_needs_codes_of_languages(refused, untrained, documents, tmp_path, monkeypatch):
    monkeypatch.setattr(Space, "encode", lambda *_, **__: pytest.fail("texts were encoded"))
    to = ("align", untrained, *documents, "--output", tmp_path / "out.tmx")
    assert "'title' is not the code of one, as en or pt-BR are (--languages en,de" in refused(*to)
    assert "'en' and 'EN'" in refused(*to, "--languages", "en,EN")
    assert "--languages en: write the two languages" in refused(*to, "--languages", "en")
    assert not (tmp_path / "out.tmx").exists()


def test_splits_paragraphs(run, untrained, tmp_path):
    pytest.importorskip("pysbd")
    (tmp_path / "left.txt").write_text("Play chess. Music player.\nGame of cards.\n")
    (tmp_path / "right.txt").write_text("Play chess.\nMusic player. Game of cards.\n")
    out = tmp_path / "out.html"
    said = run("align", untrained, tmp_path / "left.txt", tmp_path / "right.txt", "-o", out, "--split", "en,de")
    assert said.startswith("3 beads of 3 and 3 sentences")
    assert 'lang="de"' in out.read_text()


def test_says_what_is_wrong(refused, untrained, documents, tmp_path):
    out = tmp_path / "out.tsv"
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    assert "empty.txt holds no sentence" in refused("align", untrained, documents[0], empty, "--output", out)
    assert "out.txt" in refused("align", untrained, *documents, "--output", tmp_path / "out.txt")
    assert "as en,de" in refused("align", untrained, *documents, "--output", out, "--split", "en")
    assert "no side 'fr'" in refused("align", untrained, *documents, "--output", out, "--left-side", "fr")
    assert "deletion" in refused("align", untrained, *documents, "--output", out, "--deletion", "2")
    assert not out.exists()
