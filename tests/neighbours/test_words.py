from __future__ import annotations

import pytest

from pairspace.errors import PairspaceError
from pairspace.neighbours import LANGUAGES, STOPWORDS, Words, language_name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("en", "english"),
        ("English", "english"),
        ("de-AT", "german"),
        ("zh_CN", None),
        (None, None),
        ("nb", "norwegian"),
    ],
)
def test_languages_by_name_and_code(given: str | None, name: str | None):
    assert language_name(given) == name


def test_every_language_has_a_stemmer():
    import Stemmer

    assert {name for name in LANGUAGES.values() if name} <= set(Stemmer.algorithms())
    assert set(STOPWORDS) <= set(LANGUAGES.values())


def test_unknown_language_lists_the_known_ones():
    with pytest.raises(PairspaceError, match=r"'xx'.*de \(german\)"):
        Words("xx")


def test_words_of_scripts_with_and_without_spaces():
    words = Words(None)
    assert words.split("Der FLUSS, 3.5x C++ naïve") == ["der", "fluss", "3", "5x", "c", "naïve"]
    assert words.split("ab你好世界cd 中") == ["ab", "你好", "好世", "世界", "cd", "中"]


def test_terms():
    assert [Words("fr").term(word) for word in ("chevaux", "les")] == ["cheval", None]
    assert Words(None).term("the") == "the"
