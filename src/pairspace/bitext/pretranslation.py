"""Files filled from a translation memory before a translator begins.

Only units without a translation are filled, and each is marked as needing review. What a person wrote stays byte for
byte. A suggestion must have the placeholders of the text, in any order; its white space at both ends becomes that of
the text, because formats such as PO refuse a translation that ends otherwise. Inline tags go where they stand in the
translation of the same text with the same tags, or around any translation if they stand around the text; other texts
with tags are left. Plural forms are filled from the same form of the same text, and only where no form of the entry is
translated and all of them are found: the mark for review is the whole entry's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from pairspace.bitext.filters import placeholders_in
from pairspace.bitext.matching import KINDS, Match, Question
from pairspace.bitext.memory import TranslationMemory
from pairspace.data import Change, Tag, Unit, read_units, update_units
from pairspace.data.translations import check_copy
from pairspace.errors import PairspaceError
from pairspace.progress import progress_bar

__all__ = ["Pretranslation", "pretranslate"]

_BATCH = 256
_CANDIDATES = 50
_FORM = re.compile(r"\[\d+\](?:#\d+)?$")


@dataclass
class Pretranslation:
    """What became of a file; every unit is counted once.

    Attributes:
        units: in the file.
        translated: had a translation.
        review: had one that was marked for review before.
        filled: kind of match -> how many were filled from it.
        below: had no match that is good enough.
        lost_placeholders: had one, but none with the same placeholders.
        tagged: had one, but where the inline tags go in it is not known.
        plural: plural forms that were left.
        numbers: of those filled, how many came from a text with other numbers.
        matches: key of each unit that was filled -> what it was filled from.
        output: the file written.
    """

    units: int = 0
    translated: int = 0
    review: int = 0
    filled: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    below: int = 0
    lost_placeholders: int = 0
    tagged: int = 0
    plural: int = 0
    numbers: int = 0
    matches: dict[str, Match] = field(default_factory=dict)
    output: str = ""


def pretranslate(
    memory: TranslationMemory,
    path: str | Path,
    output: str | Path,
    *,
    minimum: float = 0.85,
    semantic_minimum: float | None = None,
    source: str | None = None,
    target: str | None = None,
    progress: bool | None = None,
) -> Pretranslation:
    """Fill the untranslated units of a file from a memory.

    Args:
        memory: where translations come from.
        path: a PO, XLIFF or TMX file.
        output: the copy to write; may be the same file.
        minimum: the least score of exact and fuzzy matches; nine of ten of .85 and more are fit to be used.
        semantic_minimum: the least cosine of semantic matches, which are used where no other is good enough; None for
            none, because what is near enough to be filled in is rare, and how near that is differs between spaces
            (`benchmarks/minima.py`).
        source: language of the file, where it does not say so; None then for the memory's usual one.
        target: the language to fill in, likewise.
        progress: show a bar.

    Raises:
        DataError: the file cannot be read or does not have these languages, or the copy has another suffix.
        PairspaceError: the memory does not have them, or a minimum is not in range.
        StorageError: the copy could not be written; a missing folder is found before any work.
    """
    sense = 2.0 if semantic_minimum is None else semantic_minimum
    if not 0 < minimum <= 1 or sense <= 0:
        raise PairspaceError(f"scores are above 0 and at most 1, got {minimum} and {semantic_minimum}")
    check_copy(path, output)
    units = list(read_units(path, source=source, target=target))
    summary = Pretranslation(len(units), output=str(output))
    plain, entries = _open_units(units, summary)
    languages = next(((u.source_language or None, u.target_language or None) for u in units), (None, None))
    how: dict[str, Any] = {"source": source or languages[0], "target": target or languages[1], "k": _CANDIDATES}
    with progress_bar("pretranslating", len(plain) + len(entries), unit="units", show=progress) as bar:
        for start in range(0, len(plain), _BATCH):
            part = plain[start : start + _BATCH]
            for unit, matches in zip(part, _matches(memory, part, minimum, sense, how), strict=True):
                match = next((one for one in matches if _reason(unit, one) is None), None)
                if match is None:
                    _count_left([_reason(unit, one) for one in matches], summary)
                    continue
                summary.matches[unit.key] = match
                summary.filled[match.kind] += 1
                summary.numbers += "numbers" in match.differs
            bar.advance(len(part))
        for entry in entries:
            lists = memory.find([_question(unit) for unit in entry], **how, minimum=1.0, semantic_minimum=2)
            best = [next((one for one in matches if one.kind == "exact"), None) for matches in lists]
            forms = [(unit, match) for unit, match in zip(entry, best, strict=True) if match is not None]
            if len(forms) == len(entry):
                summary.matches |= {unit.key: match for unit, match in forms}
                summary.filled["exact"] += len(entry)
            else:
                summary.plural += len(entry)
            bar.advance()
    found = summary.matches
    changes = {unit.key: _fitted(unit, found[unit.key]) for unit in units if unit.key in found}
    update_units(path, output, changes, source=source, target=target)
    return summary


def _open_units(units: Sequence[Unit], summary: Pretranslation) -> tuple[list[Unit], list[list[Unit]]]:
    """The units to be filled, and the entries with plural forms of which none is translated; others are counted."""
    plain, entries = list[Unit](), list[list[Unit]]()
    for entry in _entries(units):
        empty = [unit for unit in entry if unit.state == "untranslated" and not unit.target]
        summary.review += sum(unit.state == "review" for unit in entry)
        summary.translated += len(entry) - len(empty) - sum(unit.state == "review" for unit in entry)
        if len(entry) == 1 and entry[0].plural is None:
            plain += empty
        elif len(empty) == len(entry):
            entries.append(entry)
        else:
            summary.plural += len(empty)
    return plain, entries


def _entries(units: Sequence[Unit]) -> Iterator[list[Unit]]:
    """Units one by one, and the plural forms of an entry together."""

    def name(numbered: tuple[int, Unit]) -> Any:
        place, unit = numbered
        return place if unit.plural is None else (unit.line, _FORM.sub("", unit.key))

    for _, group in groupby(enumerate(units), key=name):
        yield [unit for _, unit in group]


def _question(unit: Unit) -> Question:
    return Question(unit.source, unit.context, unit.tags_source, unit.plural)


def _matches(
    memory: TranslationMemory, units: Sequence[Unit], minimum: float, semantic_minimum: float, how: dict[str, Any]
) -> list[list[Match]]:
    """The matches of units, best first; by meaning only where no other may be filled in."""
    found = memory.find([_question(unit) for unit in units], minimum=minimum, semantic_minimum=2, **how)
    pairs = list(zip(units, found, strict=True))
    lacking = [place for place, (unit, matches) in enumerate(pairs) if all(_reason(unit, one) for one in matches)]
    if memory.manifest.sides and semantic_minimum <= 1:
        questions = [_question(units[place]) for place in lacking]
        more = memory.find(questions, minimum=1.0, semantic_minimum=semantic_minimum, **how)
        for place, matches in zip(lacking, more, strict=True):
            found[place] += [match for match in matches if match.kind == "semantic"]
    return found


def _reason(unit: Unit, match: Match) -> str | None:
    """Why a match may not be filled in, if it may not."""
    if match.tags is None:
        return "tagged"
    return None if placeholders_in(match.target) == placeholders_in(unit.source) else "lost_placeholders"


def _count_left(reasons: Sequence[str | None], summary: Pretranslation) -> None:
    if "lost_placeholders" in reasons:
        summary.lost_placeholders += 1
    elif "tagged" in reasons:
        summary.tagged += 1
    else:
        summary.below += 1


def _fitted(unit: Unit, match: Match) -> Change:
    """The target with white space and tags at its ends as in the source; where other tags end it, it stays as it is."""
    tags, words = match.tags or (), match.target.strip()
    ends = zip(_ends(unit.source, unit.tags_source), _ends(match.target, tags), strict=True)
    (lead, heads), (tail, tails) = (own if len(own[1]) == len(its[1]) else its for own, its in ends)
    moved = len(lead) - match.target.index(words)
    inner = [tag.place + moved for tag in tags[len(heads) : len(tags) - len(tails)]]
    places = [*heads, *inner, *(len(lead) + len(words) + place for place in tails)]
    placed = tuple(Tag(tag.raw, place) for tag, place in zip(tags, places, strict=True))
    return Change(lead + words + tail, tags=placed)


def _ends(text: str, tags: Sequence[Tag]) -> tuple[tuple[str, list[int]], tuple[str, list[int]]]:
    """The white space before and behind the words of a text, and where tags stand in each."""
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    places = [tag.place for tag in tags]
    return (text[:start], [at for at in places if at <= start]), (text[end:], [at - end for at in places if at >= end])
