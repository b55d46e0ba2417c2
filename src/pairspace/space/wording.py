"""Words in training: what a sparse space begins with on its pairs, and the own words of the items it learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pairspace.encoders.lexicon import Lexicon
from pairspace.errors import SpaceError
from pairspace.projectors import LexicalProjector
from pairspace.space.reading import PairData
from pairspace.space.side import Branch, Side
from pairspace.space.words import Sample, begin_words, known_terms, own_counts, texts_of
from pairspace.training import Expansion, OwnWords, TrainingOptions

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["begin_on_pairs", "keep_terms", "own_words"]

OWN = 0.4  # similarity by own words of two partners before training
_PAIRS = 20_000  # pairs that encoders of different origin are aligned on
_ITEMS = 4096  # items that the start is measured on


def begin_on_pairs(
    space: Space,
    data: PairData,
    features_of: Callable[[Branch, Any], Any],
    options: TrainingOptions,
    *,
    teacher: Space | None = None,
    progress: bool | None = None,
) -> None:
    """Give an untrained sparse space its terms, and a start measured on its pairs.

    Args:
        space: to be trained.
        data: the pairs.
        features_of: gives a branch's features of a side's items.
        options: the seed, and how many terms are wanted.
        teacher: a space whose maps are the start, where they are of the same features.
        progress: show bars.
    """
    sides = (space.query_side, space.document_side)
    items = {side: end[side] for side, end in zip(sides, data.items, strict=True)}
    lexicon = known_terms(space) or Lexicon.from_texts(texts_of(space, items), language=space.language)
    rows = np.random.default_rng(options.seed).permutation(len(data.query))[:_PAIRS]
    sample, pairs = {}, {}
    for side, code in zip(sides, (data.query, data.document), strict=True):
        part, some = space.part(side), np.unique(code[rows])[:_ITEMS]
        features = [features_of(branch, items[side]) for branch in part.branches]
        counts = lexicon.counts(items[side]) if part.wants_echo and part.encoder.modality == "text" else None
        sample[side] = Sample([one.rows(some) for one in features], counts)
        if part.starting():
            lasts = zip(features, part.branches, strict=True)
            pairs[side] = [one.rows(code[rows])[:, -branch.blocks[-1] :] for one, branch in lasts]
    begin_words(space, lexicon, sample=sample, pairs=pairs, teacher=teacher, progress=progress)
    _scale_own_words(space, [sample[side].counts for side in sides], (data.query[rows], data.document[rows]))


def _scale_own_words(space: Space, counts: Sequence[Any], partners: Sequence[np.ndarray]) -> None:
    """Let the own words of two partners bring `OWN` on average; held-out pairs say it better after training.

    Where partners hardly share any, as in two languages, weights stay at BM25's at most.
    """
    echoes = [space.part(side).echo for side in (space.query_side, space.document_side)]
    found = [echo.weigh(one) for echo, one in zip(echoes, counts, strict=True) if echo is not None and one is not None]
    if len(found) == len(echoes):
        left, right = (one[rows] for one, rows in zip(found, partners, strict=True))
        mean = float(left.multiply(right).sum()) / max(1, left.shape[0])
        for echo in echoes:
            if echo is not None and mean > 0:
                echo.scale.fill_(min(1.0, (OWN / mean) ** 0.5))


def keep_terms(space: Space, terms: Sequence[int]) -> None:
    """Let the lexical projectors keep so many terms of an item, of the query side and of the document side.

    Args:
        space: a sparse one.
        terms: two numbers, or () for all whose score is above zero; joined encoders share a side's.

    Raises:
        SpaceError: the sides share a projector and are to keep different numbers.
    """
    shared = space.part(space.query_side).branches[0].projector is space.part(space.document_side).branches[0].projector
    if shared and len(set(terms)) > 1:
        raise SpaceError(f"sides that share a projector keep equally many terms, not {' and '.join(map(str, terms))}")
    for place, side in enumerate((space.query_side, space.document_side)):
        branches = space.part(side).branches
        for branch in branches:
            for projector in (branch.projector, branch.start):
                if isinstance(projector, LexicalProjector):
                    projector.keep = max(1, terms[place] // len(branches)) if terms else None


def own_words(part: Side, items: Any, options: TrainingOptions, device: Any) -> OwnWords | None:
    """The own words of a side's items, where they control what is added to them."""
    counts = None if options.expansion == "free" else own_counts(part, items)
    if counts is None or part.lexicon is None:
        return None
    level: Any = options.expansion
    return OwnWords(counts, len(part.lexicon), Expansion(level, rate=options.expansion_rate), device=device)
