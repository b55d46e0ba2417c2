from __future__ import annotations

import pytest

from pairspace.bitext.filters import FILTERS, filter_pairs, numbers_in, placeholders_in, script_of
from pairspace.errors import PairspaceError

GOOD = [
    ("Open the file", "Datei öffnen"),
    ("%(count)d files in {folder}", "%(count)d Dateien in {folder}"),
    ("It costs 1,234.50 euros", "Es kostet 1.234,50 Euro"),
    ("Press <b>OK</b> &amp; wait", "<b>OK</b> drücken &amp; warten"),
    ("50% of all", "50 % von allen"),
    ("Yes", "Ja"),
]


@pytest.mark.parametrize(
    "name, pair",
    [
        ("length", ("A short sentence of no great length.", "Nein. " * 60)),
        ("numbers", ("Version 3 of 2004", "Version 4 von 2004")),
        ("placeholders", ("Delete %s?", "Wirklich löschen?")),
        ("placeholders", ("Dear {name}", "Liebe {nome}")),
        ("identical", ("libfoo2-dev", "libfoo2-dev ")),
        ("script", ("Open the window", "Открыть окно")),
    ],
)
def test_each_filter_removes_what_it_is_for(name, pair):
    pairs = [*GOOD, pair]
    found = filter_pairs(*zip(*pairs, strict=True))
    assert found.kept.tolist() == [True] * len(GOOD) + [False]
    assert found.removed == {**dict.fromkeys(FILTERS, 0), name: 1}


def test_scripts_that_are_written_together_are_one():
    japanese = ["ファイルを開く", "設定", "これは漢字とかなです"]
    assert script_of(japanese[0]) == "KANA" and script_of(japanese[1]) is None  # two letters say nothing
    english = ["Open the file", "Settings", "These are kanji and kana"]
    assert filter_pairs(english, japanese, ["script"]).kept.all()


def test_numbers_and_placeholders_are_read_in_any_form():
    assert numbers_in("1 234,50 or ٣") == numbers_in("1,234.50 and 3")
    assert placeholders_in("%1$s {{ user.name }} ${HOME} $PATH %@") == {
        "%1$s": 1,
        "{{user.name}}": 1,
        "${HOME}": 1,
        "$PATH": 1,
        "%@": 1,
    }
    assert not placeholders_in("100% sure, a < b, R&D")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%dx%d, %ds", {"%d": 3}),
        ("%(width)dpx, % d", {"%(width)d": 1, "%d": 1}),
        ("%2$.1f of %1$-5s", {"%2$.1f": 1, "%1$-5s": 1}),
        ("{0,number} {day, date, short}", {"{0,number}": 1, "{day,date,short}": 1}),
        ("dal 10% e il 20 % a scelta", {}),
        ("20% d'augmentation, 50%discount, 30 % d'intérêts", {}),
    ],
)
def test_placeholders_before_letters_and_percentages_before_words(text, found):
    assert placeholders_in(text) == found


def test_a_year_is_not_run_together_with_the_number_behind_it():
    assert numbers_in("In 2019 200 people") == numbers_in("200 Leute im Jahr 2019")
    assert numbers_in("12 345 678,5 or 1.2345") == {"123456785": 1, "12345": 1}


def test_bad_input_is_refused():
    with pytest.raises(PairspaceError, match="unknown filter 'size'"):
        filter_pairs(["a"], ["b"], ["size"])
    with pytest.raises(PairspaceError, match="two texts each"):
        filter_pairs(["a"], [])
    assert filter_pairs([], []).kept.tolist() == []
