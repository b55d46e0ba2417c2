from __future__ import annotations

import pytest

from pairspace.data.units import check_language, column_of_language, find_language, unique_key
from pairspace.errors import DataError


@pytest.mark.parametrize(
    ("wanted", "languages", "found"),
    [
        ("en", ["it", "en"], "en"),
        ("en", ["en-US", "it"], "en-US"),
        ("EN_us", ["en-US", "en-GB"], "en-US"),
        ("en", ["en-US", "en"], "en"),
        ("en-US", ["en", "it"], "en"),
        ("zh-Hant", ["zh-Hans-CN", "zh-Hant-TW"], "zh-Hant-TW"),
    ],
)
def test_a_language_is_found_with_or_without_its_region(wanted, languages, found):
    assert find_language(wanted, languages, "a.tmx") == found


def test_a_language_that_is_not_there_or_not_clear_lists_what_there_is():
    with pytest.raises(DataError, match=r"a\.tmx: no language 'fr'; its languages are: en, it"):
        find_language("fr", ["en", "it"], "a.tmx")
    with pytest.raises(DataError, match=r"'en' may be any of en-US, en-GB: name one"):
        find_language("en", ["en-US", "it", "en-GB"], "a.tmx")
    with pytest.raises(DataError, match=r"no language 'en-GB'"):
        find_language("en-GB", ["en-US", "enm"], "a.tmx")
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
