"""What two texts show without any space: filters that drop pairs which can hardly be translations of each other.

    length        one is many times as long as the other, in characters, against the usual ratio of these pairs
    numbers       the numbers in them differ: 1,5 and 1.5 are one, the order does not matter
    placeholders  %s, {name}, $VARIABLE, <tag> and the like differ
    identical     they are the same text: names and code, not translations
    script        one is in another script than most of its side

Each looks at both texts alone and counts what it removes; a pair is counted by the first that removes it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pairspace.errors import PairspaceError

__all__ = [
    "FILTERS",
    "Filtered",
    "check_filters",
    "filter_pairs",
    "numbers_in",
    "placeholders_in",
    "script_of",
    "scripts_of_sides",
]

FILTERS = ("length", "numbers", "placeholders", "identical", "script")
RATIO = 3.0  # times the usual ratio of lengths
_SLACK = 15  # characters that do not count: short texts differ by more
_LETTERS = 3  # fewer letters say nothing about the script
_SAMPLE = 2000
_NUMBER = re.compile(r"\d{1,3}(?:[.,\u00a0\u202f' ]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)?")
_WIDTH = r"\d*(?:\.\d+)?(?:hh|h|ll|l|L|z|j|t)?"
_KIND = "[diouxXeEfFgGcrsa]"
_PLACEHOLDER = re.compile(
    rf"%\(\w+\)[-+#0 ]*{_WIDTH}{_KIND}"  # %(name)s
    rf"|%[-+#0]*{_WIDTH}{_KIND}(?![A-Za-z])"  # %s, %5.2f
    rf"|(?<!\d)%[-+#0]*{_WIDTH}[ds]"  # %dx%d, %ds; not 50%discount
    rf"|(?<!\d)(?<!\d\s)% [-+#0]*{_WIDTH}{_KIND}(?![A-Za-z])"  # % d; not 10% e 20%, 5 % d'interessi
    rf"|%\d+\$[-+#0 ]*{_WIDTH}[A-Za-z@]|%\d+(?!\d*%)\b|%@"  # %1$s, %2$.1f, Qt's %1, Cocoa's %@
    r"|\{\{?\s*[\w.!:|-]*\s*\}?\}"  # {}, {0}, {name}, {{ name }}
    r"|\{\s*\w+\s*,\s*\w+(?:\s*,[^{}]*)?\}"  # {0,number}, {day, date, short}
    r"|\$\{\w+\}|\$[A-Z_]{2,}\b"  # ${name}, $HOME
    r"|</?[A-Za-z][^<>]*>"  # <b>, </a>
    r"|&[A-Za-z]+;|&#x?[0-9A-Fa-f]+;"  # &amp;
)
_SCRIPTS = {"CJK": "HAN", "HIRAGANA": "KANA", "KATAKANA": "KANA", "HANGUL": "HANGUL"}
_WITH = {frozenset({"HAN", "KANA"})}  # written together


class Filtered(NamedTuple):
    """Which pairs stay, and how many each filter has removed."""

    kept: np.ndarray
    removed: dict[str, int]


def filter_pairs(
    left: Sequence[str], right: Sequence[str], filters: Iterable[str] = FILTERS, *, ratio: float = RATIO
) -> Filtered:
    """Look at pairs of texts.

    Args:
        left: texts of one language.
        right: as many of the other.
        filters: names out of `FILTERS`, applied in this order.
        ratio: how many times the usual ratio of lengths is too much.

    Raises:
        PairspaceError: an unknown filter, or sides of unequal length.
    """
    names = check_filters(filters)
    if len(left) != len(right):
        raise PairspaceError(f"pairs have two texts each, got {len(left)} left ones and {len(right)} right ones")
    kept = np.ones(len(left), bool)
    removed = {}
    for name in names:
        rows = np.flatnonzero(kept)
        bad = _TESTS[name]([left[row] for row in rows.tolist()], [right[row] for row in rows.tolist()], ratio)
        kept[rows[bad]] = False
        removed[name] = int(bad.sum())
    return Filtered(kept, removed)


def check_filters(filters: Iterable[str]) -> list[str]:
    """The filters named, each once.

    Raises:
        PairspaceError: an unknown one.
    """
    names = list(dict.fromkeys(filters))
    if unknown := [name for name in names if name not in FILTERS]:
        raise PairspaceError(f"unknown filter {unknown[0]!r}: choose out of {', '.join(FILTERS)}")
    return names


def numbers_in(text: str) -> Counter[str]:
    """The numbers of a text as digits alone, of any script: "1,234.50" and "1 234,50" are alike."""
    found = (re.sub(r"\D", "", number) for number in _NUMBER.findall(text))
    return Counter("".join(str(unicodedata.digit(digit)) for digit in number) for number in found)


def placeholders_in(text: str) -> Counter[str]:
    """The placeholders of a text."""
    return Counter(re.sub(r"\s+", "", one) for one in _PLACEHOLDER.findall(text))


def script_of(text: str) -> str | None:
    """The script of most letters ("LATIN", "CYRILLIC", "HAN", ...); None where there are hardly any letters."""
    found = Counter(filter(None, map(_script, text)))
    if sum(found.values()) < _LETTERS:
        return None
    return found.most_common(1)[0][0]


def scripts_of_sides(texts: Sequence[str]) -> frozenset[str]:
    """The script of most of these texts, and those that are written together with it."""
    step = max(1, len(texts) // _SAMPLE)
    found = Counter(filter(None, map(script_of, texts[::step])))
    if not found:
        return frozenset()
    usual = found.most_common(1)[0][0]
    return frozenset({usual}).union(*(group for group in _WITH if usual in group))


@lru_cache(maxsize=1 << 16)
def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    first = unicodedata.name(character, "").split(" ")[0].split("-")[0]
    return _SCRIPTS.get(first, first) or None


def _length(left: Sequence[str], right: Sequence[str], ratio: float) -> np.ndarray:
    one, other = (np.array([len(text) for text in side], float) + _SLACK for side in (left, right))
    shares = np.log(one / other)
    return np.asarray(np.abs(shares - (np.median(shares) if len(shares) else 0)) > np.log(ratio))


def _numbers(left: Sequence[str], right: Sequence[str], ratio: float) -> np.ndarray:
    return _differ(left, right, numbers_in)


def _placeholders(left: Sequence[str], right: Sequence[str], ratio: float) -> np.ndarray:
    return _differ(left, right, placeholders_in)


def _differ(left: Sequence[str], right: Sequence[str], find: object) -> np.ndarray:
    assert callable(find)
    return np.array([find(one) != find(other) for one, other in zip(left, right, strict=True)], bool)


def _identical(left: Sequence[str], right: Sequence[str], ratio: float) -> np.ndarray:
    return np.array([one.strip() == other.strip() for one, other in zip(left, right, strict=True)], bool)


def _wrong_script(left: Sequence[str], right: Sequence[str], ratio: float) -> np.ndarray:
    bad = np.zeros(len(left), bool)
    for side in (left, right):
        usual = scripts_of_sides(side)
        bad |= np.array([(script := script_of(text)) is not None and script not in usual for text in side], bool)
    return bad


_TESTS = {
    "length": _length,
    "numbers": _numbers,
    "placeholders": _placeholders,
    "identical": _identical,
    "script": _wrong_script,
}
