"""Paragraphs to sentences, by rules: the package `pysbd`, an extra.

Its rules know abbreviations, ordinals, quotations and lists of some twenty languages and need no model.
"""

from __future__ import annotations

from collections.abc import Iterable

from pairspace.errors import DataError, PairspaceError

__all__ = ["split_sentences"]


def split_sentences(paragraphs: Iterable[str], language: str) -> list[str]:
    """The sentences of paragraphs, in order; an empty paragraph stays as an empty sentence.

    Args:
        paragraphs: texts; a sentence never goes from one into the next.
        language: a code such as "en" or "de".

    Raises:
        PairspaceError: the package is missing.
        DataError: it has no rules for the language; lists those it has.
    """
    try:
        import pysbd
        from pysbd.languages import LANGUAGE_CODES
    except ImportError:
        raise PairspaceError(
            "splitting into sentences needs the package pysbd (pip install 'pairspace[split]'); "
            "or give one sentence a line"
        ) from None
    if language not in LANGUAGE_CODES:
        raise DataError(f"no rules to split '{language}' into sentences; there are {', '.join(sorted(LANGUAGE_CODES))}")
    rules = pysbd.Segmenter(language=language, clean=False)
    made: list[str] = []
    for paragraph in paragraphs:
        found = [sentence.strip() for sentence in rules.segment(paragraph)] if paragraph.strip() else []
        made.extend([sentence for sentence in found if sentence] or [paragraph.strip()])
    return made
