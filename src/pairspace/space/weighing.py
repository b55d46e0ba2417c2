"""What own words and BM25 count for beside a space: learnt on held-out pairs, after the projectors are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pairspace.data import Pairs
from pairspace.neighbours import Bm25, learn_scale, learn_weight, top_k
from pairspace.space.side import with_own_words
from pairspace.space.words import own_counts
from pairspace.training import Validation

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["set_weights"]

DEPTH = 100


def set_weights(space: Space, held_out: Pairs, watched: Validation) -> list[str]:
    """Set the scale of a space's own words, and its weight in the fusion with BM25 (None where items are no texts).

    Args:
        space: trained.
        held_out: the pairs.
        watched: the towers over their distinct items.

    Returns:
        Notes: how well terms and own words find together, where own words count.
    """
    sides = space.query_side, space.document_side
    items = [held_out.unique(side)[0] for side in sides]
    queries, documents = watched.vectors()
    depth = min(DEPTH, documents.shape[0])
    order = np.lexsort((watched.codes[1], watched.codes[0]))
    left, right = watched.codes[0][order], watched.codes[1][order]
    relevant = np.split(right, np.flatnonzero(np.diff(left)) + 1)
    ranking = top_k(queries, documents, depth, similarity="dot" if space.sparse else "cosine")
    notes = []
    echoes = [space.part(side).echo for side in sides]
    if all(echo is not None for echo in echoes):
        counts = [own_counts(space.part(side), some) for side, some in zip(sides, items, strict=True)]
        own: list[Any] = [echo.weigh(count) for echo, count in zip(echoes, counts, strict=True) if echo is not None]
        scale = learn_scale(ranking, top_k(own[0], own[1], depth, similarity="dot"), relevant) ** 0.5
        for echo in echoes:
            if echo is not None:
                echo.scale.mul_(scale)
        both = [with_own_words(x, scale * y) for x, y in zip((queries, documents), own, strict=True)]
        ranking = top_k(both[0], both[1], depth, similarity="dot")
        notes.append(
            f"with own words beside the terms R@1 is {watched.score_of(*both).recall:.3f} on the held-out pairs"
        )
    texts_only = all(space.part(side).encoder.modality != "image" for side in sides)  # paths are no texts
    if not texts_only or not all(pa.types.is_large_string(one.type) for one in items):
        space.fusion_weight = None
        return notes
    texts = [one.to_pylist() for one in items]
    lexical = Bm25(language=space.language).fit(texts[1]).search(texts[0], depth)
    space.fusion_weight = learn_weight(ranking, lexical, relevant)
    return notes
