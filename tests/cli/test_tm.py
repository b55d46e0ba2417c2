"""`pairspace tm` from files to filled files."""

from __future__ import annotations

import json

import pytest

from pairspace.bitext import TranslationMemory
from pairspace.data import read_units, write_tmx
from pairspace.space import Space

PAIRS = [("play chess", "game chess"), ("play cards", "game cards"), ("music player", "library music")]


@pytest.fixture
def folder(tmp_path):
    write_tmx(tmp_path / "memory.tmx", PAIRS, source_language="en", target_language="it")
    (tmp_path / "a.po").write_text('msgid "play chess"\nmsgstr ""\n\nmsgid "play cards"\nmsgstr "mine"\n')
    return tmp_path


@pytest.fixture(scope="module")
def space(plain_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("languages") / "space"
    space = Space.create(
        ("en", "it"), encoder=str(plain_folder), projector="identity", name="plain", device="cpu", cache=False
    )
    space.save_pretrained(folder)
    return folder


def test_build_search_and_pretranslate(folder, space, run):
    made = json.loads(run("tm", "build", folder / "memory.tmx", "-o", folder / "tm", "--space", space, "--json"))
    assert (made["units"], made["languages"], made["semantic"]) == (3, ["en", "it"], ["en", "it"])
    asked = ("tm", "search", folder / "tm", "play chess", "--target", "it", "-k", "3")
    found = json.loads(run(*asked, "--json"))["matches"]
    assert (found[0]["kind"], found[0]["target"]) == ("exact", "game chess")
    assert {match["kind"] for match in found[1:]} <= {"fuzzy", "semantic"} and len(found) == 3
    printed = run(*asked)
    assert "100 %  exact     game chess" in printed and "memory.tmx, line 5, unit '1'" in printed
    found = json.loads(run("tm", "pretranslate", folder / "tm", folder / "a.po", "-o", folder / "b.po", "--json"))
    assert (found["filled"]["exact"], found["translated"]) == (1, 1)
    units = [(unit.target, unit.state) for unit in read_units(folder / "b.po")]
    assert units == [("game chess", "review"), ("mine", "translated")]


def test_without_a_space_and_in_words(folder, run):
    assert "none, as there is no space" in run("tm", "build", folder / "memory.tmx", "-o", folder / "tm")
    assert run("tm", "search", folder / "tm", "zzz") == "no match\n"
    printed = run("tm", "pretranslate", folder / "tm", folder / "a.po", "-o", folder / "b.po")
    assert printed.startswith("1 of 2 units filled") and "translated before" in printed


def test_a_copy_that_cannot_be_written_is_refused_before_any_work(folder, run, refused, monkeypatch):
    run("tm", "build", folder / "memory.tmx", "-o", folder / "tm")
    monkeypatch.setattr(TranslationMemory, "open", lambda *_: pytest.fail("the memory was opened"))
    fill = ("tm", "pretranslate", folder / "tm", folder / "a.po", "-o")
    assert "b.po could not be written: no such folder" in refused(*fill, folder / "none" / "b.po")
    assert "a copy of a.po has the same format" in refused(*fill, folder / "b.xlf")


def test_mistakes_are_one_line(folder, refused):
    assert "no such folder" in refused("tm", "search", folder / "none", "text")
    assert "not a translation memory" in refused("tm", "search", folder, "text")
    assert "no such file" in refused("tm", "build", folder / "none.tmx", "-o", folder / "tm")
    assert not (folder / "tm").exists()
