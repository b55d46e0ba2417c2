"""What the vectors of a sparse space say: their terms, and which of them carry a match."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, issparse

from pairspace.encoders.lexicon import Lexicon
from pairspace.errors import ShapeError, SpaceError
from pairspace.space.side import Side
from pairspace.space.words import term_vectors

__all__ = ["Explanation", "TermMatch", "Worded"]


class TermMatch(NamedTuple):
    """A term that a query and a document share."""

    term: str
    query: float
    document: float

    @property
    def score(self) -> float:
        """What it adds to the similarity."""
        return self.query * self.document


@dataclass(frozen=True)
class Explanation:
    """Why a document fits a query.

    Attributes:
        score: their similarity.
        matches: the shared terms, the weightiest first; their scores add up to `score`.
        query, document: terms of either, the weightiest first.
    """

    score: float
    matches: tuple[TermMatch, ...]
    query: tuple[tuple[str, float], ...]
    document: tuple[tuple[str, float], ...]


class Worded(ABC):
    """The part of a space that speaks in words; of use only where the space is sparse."""

    sparse: bool
    query_side: str

    @abstractmethod
    def part(self, side: str | None = None) -> Side:
        """A side; the query side if none is named."""

    @property
    @abstractmethod
    def document_side(self) -> str:
        """The side that is searched for."""

    @abstractmethod
    def encode(self, items: Any, *, side: str | None = None, cache: bool = True, progress: bool | None = None) -> Any:
        """Vectors of items."""

    @property
    def lexicon(self) -> Lexicon:
        """The terms of a sparse space.

        Raises:
            SpaceError: the space is dense, or its terms are not known yet.
        """
        found = self.part().lexicon
        if found is None:
            what = "it has no terms yet: fit it, or give it a lexicon" if self.sparse else "use projector='lexical'"
            raise SpaceError(f"only a sparse space has words; {what}")
        return found

    def term_vectors(self) -> np.ndarray | None:
        """A unit vector of each term, by the first encoder that came with weights and reads texts; None without one."""
        return term_vectors(self, self.lexicon)

    def name_of(self, column: int) -> str:
        """What a column of the vectors is called: a term, or in quotes a word that texts hold themselves."""
        lexicon, own = self.lexicon, column - len(self.lexicon)
        return lexicon.terms[column] if own < 0 else f'"{lexicon.name(own)}"'

    def decode(self, vectors: Any, top_k: int | None = 10) -> list[list[tuple[str, float]]]:
        """The weightiest terms of each vector with their weights.

        Args:
            vectors: CSR (n, dimension).
            top_k: terms of each; None for all.
        """
        vectors, name, found = self._matrix(vectors), self.name_of, []
        for start, stop in zip(vectors.indptr[:-1], vectors.indptr[1:], strict=True):
            columns, weights = vectors.indices[start:stop], vectors.data[start:stop]
            best = np.lexsort((columns, -weights))[:top_k]
            found.append([(name(int(columns[i])), float(weights[i])) for i in best])
        return found

    def sparsity(self, vectors: Any) -> dict[str, float]:
        """Mean number of terms ("active_dims") and share of zeros ("sparsity_ratio") of vectors, CSR (n, dimension)."""
        vectors = self._matrix(vectors)
        mean = vectors.nnz / max(1, vectors.shape[0])
        return {"active_dims": mean, "sparsity_ratio": 1 - mean / max(1, vectors.shape[1])}

    def intersection(self, a: Any, b: Any) -> csr_array:
        """Products of the weights of terms that two vectors share.

        Args:
            a: CSR (n, dimension).
            b: as many rows; or one row, which meets all of the other.

        Returns:
            CSR (n, dimension); a row's sum is the similarity.

        Raises:
            ShapeError: other numbers of rows.
        """
        left, right = self._matrix(a), self._matrix(b)
        counts = left.shape[0], right.shape[0]
        if counts[0] != counts[1] and 1 not in counts:
            raise ShapeError(f"vectors to intersect: {counts[0]} and {counts[1]} rows; equal numbers, or one of 1")
        rows = max(counts)
        left, right = (one if one.shape[0] == rows else one[np.zeros(rows, np.int64)] for one in (left, right))
        return csr_array(left.multiply(right))

    def explain(self, query: Any, document: Any, top_k: int | None = 10) -> Explanation:
        """Which terms carry the match of a query and a document.

        Args:
            query: an item of the query side.
            document: one of the document side.
            top_k: terms shown of either; None for all.
        """
        sides = (query, self.query_side), (document, self.document_side)
        _ = self.lexicon
        asked, given = (self.encode([item], side=side, cache=False, progress=False) for item, side in sides)
        _, left, right = np.intersect1d(asked.indices, given.indices, return_indices=True)
        shared = [
            TermMatch(self.name_of(int(asked.indices[i])), float(asked.data[i]), float(given.data[j]))
            for i, j in zip(left, right, strict=True)
        ]
        shared.sort(key=lambda match: (-match.score, match.term))
        words = [tuple(self.decode(one, top_k)[0]) for one in (asked, given)]
        return Explanation(sum(match.score for match in shared), tuple(shared), words[0], words[1])

    def _matrix(self, vectors: Any) -> csr_array:
        _ = self.lexicon
        if not issparse(vectors):
            raise SpaceError("vectors of a sparse space are SciPy CSR matrices, as `encode` gives them")
        if vectors.ndim == 1:
            vectors = vectors.reshape(1, -1)
        width = self.part().dimension
        if vectors.shape[1] != width:
            raise ShapeError(f"vectors of this space have {width:,} columns, got {vectors.shape[1]:,}")
        return csr_array(vectors)
