"""A match of a translation memory: what it says, how like the question its source is, and how it was found.

    exact      the same text but for white space, with the same inline tags: 1.0
    fuzzy      rapidfuzz's ratio over characters, 2 * common / (length + length), as CAT tools show it; at most 0.99
    semantic   the cosine in the space, of texts that mean the same in any of its languages

Texts are the same if their keys are: the text with single blanks for all white space. Exact matches stand before fuzzy
ones and these before semantic ones, because the numbers are not of one kind. Among exact ones those of the same context
come first, then those that occur most often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pairspace.bitext.filters import numbers_in, placeholders_in
from pairspace.data import Tag

__all__ = ["KINDS", "Match", "Origin", "Question", "best_first", "differences", "key_of"]

KINDS = ("exact", "fuzzy", "semantic")
MOST = 0.99  # of a match that is not exact


@dataclass(frozen=True)
class Origin:
    """Where a unit came from: file, its name there, line, and context."""

    file: str
    id: str
    line: int
    context: str = ""


@dataclass(frozen=True)
class Match:
    """One translation found.

    Attributes:
        source: the text of the memory that is like the question, in `language`.
        target: its translation.
        score: in [0, 1]; how to read it says `kind`.
        kind: "exact", "fuzzy" or "semantic".
        language: of `source`: with semantic matches any that the space has a side for.
        target_language: of `target`.
        origin: of the first unit that says so.
        count: how many units of the memory say so.
        in_context: one of them has the context of the question.
        differs: what must be looked at: "numbers", "placeholders", "tags", "plural".
        tags: the inline tags of the question where they stand in `target`; None if that is not known, because the
            tags of the memory are others.
    """

    source: str
    target: str
    score: float
    kind: str
    language: str
    target_language: str
    origin: Origin
    count: int = 1
    in_context: bool = False
    differs: tuple[str, ...] = ()
    tags: tuple[Tag, ...] | None = ()


@dataclass(frozen=True)
class Question:
    """What is looked up: a text, and what its unit says beside it, as in `Unit`."""

    text: str
    context: str = ""
    tags: Sequence[Tag] = field(default=())
    plural: int | None = None


def key_of(text: str) -> str:
    """The text with single blanks for all white space, none at its ends: equal keys are an exact match."""
    return " ".join(text.split())


def differences(question: str, found: str) -> tuple[str, ...]:
    """Which of numbers and placeholders are others in the text found."""
    tests: tuple[tuple[str, Any], ...] = (("numbers", numbers_in), ("placeholders", placeholders_in))
    return tuple(name for name, find in tests if find(question) != find(found))


def best_first(matches: Sequence[Match], k: int | None) -> list[Match]:
    """The k best; each translation once, with the source that is most like the question."""
    found: dict[str, Match] = {}
    for match in sorted(matches, key=_rank):
        found.setdefault(match.target, match)
    return list(found.values())[:k]


def _rank(match: Match) -> tuple[Any, ...]:
    tags = match.tags is None
    return KINDS.index(match.kind), -match.score, tags, len(match.differs), not match.in_context, -match.count
