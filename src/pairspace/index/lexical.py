"""The words of an index: BM25 as one more named vector of every item.

A document's vector holds the tf part of each term, which depends on the average document length. That is taken from
the first call of `add` (from a sample of it where it is long) and then kept, so that all vectors fit each other;
`drifted` says when the stored documents have become so much longer or shorter that `optimise` should recompute them.
The engine multiplies in the idf, from what it holds at the time of the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pairspace.index.engine import Sparse
from pairspace.neighbours.bm25 import Bm25

__all__ = ["SAMPLE", "Lexical", "sparse_rows"]

SAMPLE = 20_000  # documents from which an average length is known to about half a per cent
_DRIFT = 0.03


class Lexical:
    """Texts to sparse vectors, with the settings that the manifest keeps.

    Args:
        settings: "language", "k1", "b", "count", "tokens" as `settings` gives them.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._bm25 = Bm25.from_state({**settings, "ids": [], "frequencies": []})

    @classmethod
    def fresh(cls, language: str | None) -> Lexical:
        """One that has seen no documents yet."""
        bm25 = Bm25(language)
        return cls({"language": language, "k1": bm25.k1, "b": bm25.b, "count": 0, "tokens": 0})

    @property
    def settings(self) -> dict[str, Any]:
        """Plain values, for the manifest."""
        bm25 = self._bm25
        return {"language": bm25.language, "k1": bm25.k1, "b": bm25.b, "count": bm25.count, "tokens": bm25.tokens}

    @property
    def measured(self) -> bool:
        """An average length is known."""
        return self._bm25.count > 0

    def measure(self, texts: Sequence[str]) -> Lexical:
        """The same words with the average length of these texts."""
        counted = Bm25(self._bm25.language, k1=self._bm25.k1, b=self._bm25.b).fit(texts, keep=False)
        return Lexical({**self.settings, "count": counted.count, "tokens": counted.tokens})

    def drifted(self, now: Lexical) -> bool:
        """Whether the average length differs by so much that scores suffer."""
        return abs(now._bm25.average_length / self._bm25.average_length - 1) > _DRIFT

    def documents(self, texts: Sequence[str]) -> list[Sparse]:
        """The vectors to store."""
        return sparse_rows(self._bm25.documents(texts))

    def queries(self, texts: Sequence[str]) -> list[Sparse]:
        """The vectors to ask with: how often each term occurs; the idf is the engine's."""
        return sparse_rows(self._bm25.queries(texts, idf=False))


def sparse_rows(matrix: Any) -> list[Sparse]:
    """The rows of a CSR matrix."""
    starts = matrix.indptr
    return [Sparse(matrix.indices[a:b], matrix.data[a:b]) for a, b in pairwise(starts)]
