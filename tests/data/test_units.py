from __future__ import annotations

import pytest

from pairspace.data.units import (
    check_language,
    column_of_language,
    is_language_code,
    language_among,
    matching_languages,
    unique_key,
)
from pairspace.errors import DataError


@pytest.mark.parametrize(
    ("wanted", "languages", "found"),
    [
        ("en", ["it", "en"], "en"),
        ("en", ["en-US", "it"], "en-US"),
        ("EN_us", ["en-US", "en-GB"], "en-US"),
        ("en", ["en-US", "en"], "en"),
        ("en", ["en-US", "EN", "en-GB"], "EN"),
        ("en-US", ["en", "it"], "en"),
        ("zh-Hant", ["zh-Hans-CN", "zh-Hant-TW"], "zh-Hant-TW"),
    ],
)
def test_a_language_is_found_with_or_without_its_region(wanted, languages, found):
    assert language_among(wanted, tuple(languages)) == matching_languages(wanted, languages)[0] == found


def test_codes_of_languages():
    codes = ("en", "cmn", "pt-BR", "pt_br", "zh-Hant-TW", "sl-rozaj-biske-1994", "sr@latin", "x-klingon", " de ")
    assert all(is_language_code(code) for code in codes)
    assert not any(
        is_language_code(code) for code in ("", "e", "title", "body", "en-", "en US", "english", "x", "en,de")
    )


def test_a_language_that_is_not_clear_lists_what_may_be_meant():
    with pytest.raises(DataError, match=r"'en' may be any of en-US, en-GB: name one"):
        language_among("en", ("en-US", "it", "en-GB"))
    assert language_among("en", ("en-US", "en_us")) == "en-US"


def test_a_language_that_is_not_there():
    for wanted, languages in (("fr", ("en", "it")), ("en-GB", ("en-US", "enm")), ("", ("en",)), ("en", ())):
        assert language_among(wanted, languages) == "" and matching_languages(wanted, languages) == []


def test_a_language_that_files_must_be_in():
    with pytest.raises(DataError, match="no language 'it'; it is in de"):
        check_language("it", "de", "a.po")
    check_language("it", "", "a.po")
    check_language(None, "de", "a.po")


def test_columns_are_named_shortly_where_that_is_clear():
    languages = ["en-US", "pt-BR", "pt_PT", "EN_us"]
    assert [column_of_language(code, languages) for code in languages] == ["en", "pt-BR", "pt_PT", "en"]


def test_keys_are_made_unique():
    seen = set()
    assert [unique_key(key, seen) for key in ("a", "a", "a#2", "a", "b")] == ["a", "a#2", "a#2#2", "a#3", "b"]
