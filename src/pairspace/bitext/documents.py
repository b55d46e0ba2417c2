"""Two documents in, their sentences aligned.

Runs of sentences are encoded as texts of their own, each distinct one once.
The sentences of a run are joined by a space, or by nothing where a language is written without spaces. Empty sentences
take no part: they come back as deletions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pairspace.bitext.alignment import Bead, align_vectors
from pairspace.bitext.bead_costs import AlignmentOptions
from pairspace.bitext.filters import scripts_of_sides
from pairspace.bitext.pairing import language_sides
from pairspace.errors import DataError, SpaceError, warn

__all__ = ["DOUBTFUL", "align_documents", "joiner_of", "trusted_score"]

DOUBTFUL = 0.25  # Text+Berg with e5: 0.74 for translations, 0.09 to 0.14 for two articles that are none
_FEW = 4  # beads; fewer say nothing about two documents
_NO_SPACES = {"HAN", "KANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"}


def align_documents(
    space: Any,
    left_sentences: Sequence[str],
    right_sentences: Sequence[str],
    *,
    left_side: str | None = None,
    right_side: str | None = None,
    joiners: tuple[str | None, str | None] = (None, None),
    options: AlignmentOptions | None = None,
    lengths: bool = True,
    cache: bool = True,
    progress: bool | None = None,
) -> list[Bead]:
    """Align the sentences of two documents, of which one is a translation of the other.

    Args:
        space: a dense `Space` with a side a language.
        left_sentences: of one document, in order.
        right_sentences: of the other.
        left_side: the side of the left document; by default the query side.
        right_side: the side of the right one; by default the first other one.
        joiners: what stands between sentences of one paragraph, in each document; None is a space, or nothing where
            the document's script is written without spaces.
        options: the settings of the alignment.
        lengths: let the sentences' lengths take part; without them the cost is vecalign's.
        cache: keep and reuse features on disk.
        progress: show bars; None where a person can see them.

    Returns:
        Beads in order: indices of left sentences, of right ones, and a score. Every sentence is in exactly one.

    Raises:
        DataError: a document without any text, or a sentence that is no text.
        SpaceError: the space is sparse.
        PairspaceError: no such side.
    """
    options = options or AlignmentOptions()
    sides = language_sides(space, left_side, right_side)
    if space.sparse:
        raise SpaceError("documents are aligned by dense vectors, and this space is of words")
    kept, blocks, sizes = [], [], []
    documents = (left_sentences, right_sentences)
    for name, sentences, side, joiner, most in zip(
        ("left", "right"), documents, sides, joiners, (options.most_left, options.most_right), strict=True
    ):
        texts, rows = _sentences(sentences, name)
        between = joiner_of(texts) if joiner is None else joiner
        kept.append(rows)
        sizes.append([len(text) for text in texts])
        blocks.append(_vectors(space, texts, side, between, most, cache, progress))
    found = align_vectors(
        *blocks, lengths=(sizes[0], sizes[1]) if lengths else None, options=options, progress=progress
    )
    _doubt(found.beads, sides)
    placed = (Bead(_placed(bead.left, kept[0]), _placed(bead.right, kept[1]), bead.score) for bead in found.beads)
    return list(
        _with_empty(placed, [sorted(set(range(len(d))) - set(k)) for d, k in zip(documents, kept, strict=True)])
    )


def joiner_of(sentences: Sequence[str]) -> str:
    """What stands between two sentences: nothing in scripts that are written without spaces, else a space."""
    return "" if scripts_of_sides(sentences) & _NO_SPACES else " "


def trusted_score(beads: Sequence[Bead]) -> float | None:
    """Mean score of the better half of the beads that are no deletions: how sure it is that these are translations.

    Deletions and free translations do not pull it down. None if there are no beads.
    """
    scores = sorted((bead.score for bead in beads if bead.left and bead.right), reverse=True)
    return float(np.mean(scores[: (len(scores) + 1) // 2])) if scores else None


def _sentences(sentences: Sequence[str], name: str) -> tuple[list[str], list[int]]:
    """Those that hold something, stripped, and where they stand."""
    texts, rows = [], []
    for row, sentence in enumerate(sentences):
        if not isinstance(sentence, str):
            raise DataError(f"{name} document, sentence {row + 1}: {type(sentence).__name__}, and a text is needed")
        if stripped := sentence.strip():
            texts.append(stripped)
            rows.append(row)
    if not texts:
        what = "has no sentences" if not len(sentences) else "holds empty sentences only"
        raise DataError(f"the {name} document {what}: there is nothing to align")
    return texts, rows


def _vectors(
    space: Any, texts: list[str], side: str, joiner: str, most: int, cache: bool, progress: bool | None
) -> np.ndarray:
    """(most, n, dim): the vectors of runs of 1 to `most` sentences; zero where a run goes beyond the end."""
    numbers: dict[str, int] = {}
    places = np.full((most, len(texts)), -1, np.int64)
    for k in range(most):
        for i in range(len(texts) - k):
            places[k, i] = numbers.setdefault(joiner.join(texts[i : i + k + 1]), len(numbers))
    vectors = np.asarray(space.encode(list(numbers), side=side, cache=cache, progress=progress), np.float32)
    blocks = np.zeros((most, len(texts), vectors.shape[1]), np.float32)
    blocks[places >= 0] = vectors[places[places >= 0]]
    return blocks


def _doubt(beads: Sequence[Bead], sides: tuple[str, str]) -> None:
    score = trusted_score(beads)
    matched = sum(bool(bead.left and bead.right) for bead in beads)
    if score is None or (matched >= _FEW and score < DOUBTFUL):
        best = "no sentences match" if score is None else f"the better half of the beads scores {score:.2f} on average"
        warn(
            f"{best}, and translations score above {DOUBTFUL}: are these documents translations of each other, the "
            f"left one in the language of side '{sides[0]}' and the right one in that of side '{sides[1]}'?"
        )


def _placed(indices: tuple[int, ...], rows: list[int]) -> tuple[int, ...]:
    return tuple(rows[index] for index in indices)


def _with_empty(beads: Iterator[Bead], empty: list[list[int]]) -> Iterator[Bead]:
    """The beads, and each empty sentence as a deletion, after the bead that holds the one before it."""
    left, right = (list(reversed(rows)) for rows in empty)
    for bead in beads:
        while left and bead.left and left[-1] < bead.left[0]:
            yield Bead((left.pop(),), (), 0.0)
        while right and bead.right and right[-1] < bead.right[0]:
            yield Bead((), (right.pop(),), 0.0)
        yield bead
    yield from (Bead((row,), (), 0.0) for row in reversed(left))
    yield from (Bead((), (row,), 0.0) for row in reversed(right))
