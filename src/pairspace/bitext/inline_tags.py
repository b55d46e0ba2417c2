"""Inline tags in a translation memory: kept with each text, and put into a translation again for another file.

A memory keeps of each tag where it stands, what it does and a number that is the same in all languages of the unit:
`6+0 8-0` is a pair around two characters. What the tag itself looked like is not kept, because the file to be filled
has its own: the same text, from another file or in another format, has tags of other names and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pairspace.bitext.matching import key_of
from pairspace.data import Tag
from pairspace.data.inline import Code, read_codes

__all__ = ["carried_tags", "kept_tags", "same_tags", "wrapped_tags"]

_MARK = re.compile(r"(\d+)([-+.])(\d+)")
_END = -1  # instead of a place: behind the last word, however long the text


class _Mark(NamedTuple):
    place: int
    sign: str
    number: int


def kept_tags(variants: Mapping[str, Sequence[Tag]]) -> dict[str, str]:
    """What a memory keeps of the tags of a unit.

    Args:
        variants: language -> the tags of its text; the first is what the others are translations of.

    Returns:
        Language -> places, kinds and numbers of its tags; "" for none. Tags that have no counterpart in the first text
        have numbers of their own.
    """
    kept, used = dict[str, str](), 0
    first = read_codes(next(iter(variants.values()), ()))
    for language, tags in variants.items():
        marks = _marks(tags, first, used)
        used += len(marks)
        kept[language] = " ".join(f"{mark.place}{mark.sign}{mark.number}" for mark in marks)
    return kept


def same_tags(text: str, tags: Sequence[Tag], other: str, kept: str) -> bool:
    """Whether two texts have the same tags at the same places.

    Args:
        text: the text of a file.
        tags: its tags.
        other: a text that a memory holds. If it is not the same but for white space, only before and behind all words
            can tags be at the same places.
        kept: what the memory keeps of its tags.
    """
    if not tags and not kept:
        return True
    one, two = _shape(text, _marks(tags)), _shape(other, _read(kept))
    return one == two and (key_of(text) == key_of(other) or all(mark.place in (0, _END) for mark in one))


def carried_tags(tags: Sequence[Tag], kept: str, target: str) -> tuple[Tag, ...] | None:
    """The tags of a text where they stand in its translation.

    Args:
        tags: of a text; a text of the memory has the same.
        kept: what the memory keeps of that text's tags.
        target: and what of those of its translation.

    Returns:
        The tags; None if the translation lacks some or has others, or if they would not be closed in order.
    """
    raw = {(mark.sign, mark.number): tag.raw for mark, tag in zip(_read(kept), tags, strict=True)}
    marks = _read(target)
    if sorted(mark[1:] for mark in marks) != sorted(raw):
        return None
    placed = tuple(Tag(raw[mark[1:]], mark.place) for mark in marks)
    return placed if _pattern(_marks(placed)) == _pattern(marks) else None


def wrapped_tags(text: str, tags: Sequence[Tag], target: str) -> tuple[Tag, ...] | None:
    """The tags of a text around its translation; None if some of them stand between words."""
    places = [mark.place for mark in _shape(text, _marks(tags))]
    if any(place not in (0, _END) for place in places):
        return None
    return tuple(Tag(tag.raw, len(target) if place else 0) for tag, place in zip(tags, places, strict=True))


def _marks(tags: Sequence[Tag], first: Sequence[Code] = (), used: int = 0) -> list[_Mark]:
    """What tags do, with numbers: those of their counterparts in the first text, from `used` on where there is none."""
    codes = read_codes(tags)
    known = _counterparts(codes, first)
    numbers = [known.get(place, used + place) for place in range(len(codes))]
    owners = [place if code.partner is None else code.partner for place, code in enumerate(codes)]
    return [_Mark(tag.place, code.sign, numbers[owner]) for tag, code, owner in zip(tags, codes, owners, strict=True)]


def _counterparts(codes: Sequence[Code], first: Sequence[Code]) -> dict[int, int]:
    """Which code of the first text each of another is, as far as there is one: of the same name, else the next left."""
    free = [number for number, code in enumerate(first) if code.partner is None]
    found: dict[int, int] = {}
    for by_name in (True, False):
        for place, code in enumerate(codes):
            if place in found or code.partner is not None:
                continue
            like = (n for n in free if first[n].sign == code.sign and (first[n].name == code.name or not by_name))
            if (number := next(like, None)) is not None:
                found[place] = number
                free.remove(number)
    return found


def _read(kept: str) -> list[_Mark]:
    return [_Mark(int(place), sign, int(number)) for place, sign, number in _MARK.findall(kept)]


def _pattern(marks: Sequence[_Mark]) -> list[tuple[str, int]]:
    """What marks do, with numbers in order of their first appearance."""
    numbers: dict[int, int] = {}
    return [(mark.sign, numbers.setdefault(mark.number, len(numbers))) for mark in marks]


def _shape(text: str, marks: Sequence[_Mark]) -> list[_Mark]:
    """Marks as they can be compared: their pattern, and their places in the key of the text."""
    length, shape = len(key_of(text)), list[_Mark]()
    for mark, (sign, number) in zip(marks, _pattern(marks), strict=True):
        before = text[: mark.place]
        place = len(key_of(before)) + (before[-1:].isspace() and not before.isspace())
        shape.append(_Mark(_END if place >= length else place, sign, number))
    return shape
