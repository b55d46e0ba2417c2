"""Sentences of paragraphs, and what is said without the package."""

from __future__ import annotations

import sys

import pytest

from pairspace.bitext import split_sentences
from pairspace.errors import DataError, PairspaceError


def test_splits_paragraphs_and_keeps_empty_ones():
    pytest.importorskip("pysbd")
    text = ["Dr. Meier kam z. B. am 3. Mai an. Er ging. Warum?", "", "Ein Satz ohne Punkt"]
    assert split_sentences(text, "de") == [
        "Dr. Meier kam z. B. am 3. Mai an.",
        "Er ging.",
        "Warum?",
        "",
        "Ein Satz ohne Punkt",
    ]


def test_says_which_languages_there_are():
    pytest.importorskip("pysbd")
    with pytest.raises(DataError, match="no rules to split 'xx'.* en, "):
        split_sentences(["A."], "xx")


def test_says_how_to_install_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysbd", None)
    with pytest.raises(PairspaceError, match=r"pip install 'pairspace\[split\]'"):
        split_sentences(["A."], "en")
