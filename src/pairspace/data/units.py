"""Units of translators' files: a text, its translation, and what the file says about both; and changes to them.

One shape for TMX, XLIFF and PO. Texts are plain: inline tags are taken out and kept beside, with the places where they
stood. Languages are matched as translators mean them: `en` finds `en-US` as long as no other English is beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pairspace.errors import DataError

__all__ = [
    "Change",
    "Tag",
    "Unit",
    "check_language",
    "column_of_language",
    "is_language_code",
    "language_among",
    "matching_languages",
    "same_language",
    "unique_key",
]


_CODE = re.compile(r"(?:[a-z]{2,3}|[ix](?=[-_]))(?:[-_][a-z0-9]{1,8})*(?:@[a-z]+)?", re.I)


class Tag(NamedTuple):
    """An inline tag: as it stands in the file, and how many characters of the text stand before it."""

    raw: str
    place: int


@dataclass(frozen=True)
class Unit:
    """One text and its translation.

    Attributes:
        key: names the unit within its file, for `update_units`; the same each time the file is read.
        source, target: the texts; no translation is "".
        line: where the unit begins in the file, from 1.
        source_language, target_language: codes as the file has them; "" where it does not say.
        state: "translated", "untranslated" (no target), or "review" (a target that somebody is yet to look at: fuzzy in
            PO, needs-... in XLIFF).
        id: the name that the file gives it (`tuid`, `id`); "" for none. Not always unique.
        context: what tells it from others with the same source.
        notes: remarks of developers and translators.
        tags_source, tags_target: the inline tags that were taken out, in order.
        plural: which plural form the target is, from 0, in PO; None where there is but one.
        texts: TMX: every language -> text.
        tags: TMX: every language whose text has inline tags -> these.
        properties: TMX: type of each `<prop>` -> its text.
    """

    key: str
    source: str
    target: str = ""
    line: int = 0
    source_language: str = ""
    target_language: str = ""
    state: str = "untranslated"
    id: str = ""
    context: str = ""
    notes: tuple[str, ...] = ()
    tags_source: tuple[Tag, ...] = ()
    tags_target: tuple[Tag, ...] = ()
    plural: int | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, tuple[Tag, ...]] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A new target of a unit.

    Attributes:
        text: the whole new target.
        review: whether somebody is to look at it: `fuzzy` in PO, `needs-review-translation` in XLIFF 1.2, `initial` in
            XLIFF 2. If not, such a mark is taken away. TMX has no such mark.
        tags: inline tags and where they stand in `text`, in order, such as those of `Unit.tags_source`; PO has none.
    """

    text: str
    review: bool = True
    tags: tuple[Tag, ...] = ()


def is_language_code(text: str) -> bool:
    """Whether a text may be the code of a language: `en`, `pt-BR`, `zh_Hant_TW`, `sr@latin`; `title` is none."""
    return _CODE.fullmatch(text.strip()) is not None


def same_language(one: str, other: str) -> bool:
    """Whether two codes are the same but for the way they are written: `en_us` and `en-US`."""
    return _parts(one) == _parts(other)


@lru_cache(1024)  # most units of a file have the same
def language_among(wanted: str, languages: tuple[str, ...]) -> str:
    """The one of `languages` that is meant by a code: written alike, else one that is more or less precise, or "".

    Raises:
        DataError: it may be any of several, without the place.
    """
    near = matching_languages(wanted, languages)
    if not near or same_language(near[0], wanted) or len({_parts(code) for code in near}) == 1:
        return next(iter(near), "")
    raise DataError(f"{wanted!r} may be any of {', '.join(near)}: name one")


def matching_languages(wanted: str, languages: Iterable[str]) -> list[str]:
    """Those of `languages` that a code may mean, those written alike first, then more and less precise ones."""
    near = [code for code in languages if _overlap(code, wanted)]
    return sorted(near, key=lambda code: not same_language(code, wanted))


def check_language(wanted: str | None, said: str, place: str) -> None:
    """See that the language a file says it has is the one that was asked for; a file that says nothing is believed.

    Raises:
        DataError: it is another.
    """
    if wanted and said and not _overlap(wanted, said):
        raise DataError(f"{place}: no language {wanted!r}; it is in {said}")


def column_of_language(code: str, languages: Sequence[str]) -> str:
    """The name of a language's column: `en` for `en-US`, or the whole code if there are several kinds of English."""
    primary = _parts(code)[0]
    alike = {_parts(other) for other in languages if _parts(other)[0] == primary}
    return primary if len(alike) == 1 else code


def unique_key(key: str, seen: set[str]) -> str:
    """The key, or with a number behind it if it was there before; remembers it."""
    given, number = key, 1
    while key in seen:
        number += 1
        key = f"{given}#{number}"
    seen.add(key)
    return key


@lru_cache(256)
def _parts(code: str) -> tuple[str, ...]:
    return tuple(code.strip().lower().replace("_", "-").split("-"))


def _overlap(one: str, other: str) -> bool:
    first, second = sorted((_parts(one), _parts(other)), key=len)
    return second[: len(first)] == first
