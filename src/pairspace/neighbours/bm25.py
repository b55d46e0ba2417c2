"""BM25: words that are rare in the collection and frequent in the document count, long documents less.

    score(q, d) = sum_t  qtf(t) * idf(t) * tf / (tf + k1 * (1 - b + b * |d| / avg|d|))
    idf(t)      = ln(1 + (N - df + 0.5) / (df + 0.5))

Lucene's form (Robertson and Zaragoza 2009; the constant factor k1 + 1 is left out, it changes no order). It is
written as the dot product of two sparse vectors: the document's holds the tf part, the query's the idf. So it fits an
index that knows sparse vectors, and one that computes the idf itself takes queries with `idf=False`.

A term's id is a 32-bit hash of the term, not a row of a vocabulary: an index can grow, in several processes, with no
list to agree on. Two terms of one id count as one term. With 100,000 distinct terms about one pair collides (n^2 /
2^33), which moves the scores of the few queries that hold one of the two.

k1 = 1.2 and b = 0.75 are Lucene's own defaults, and what most published BM25 numbers stand on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from scipy import sparse

from pairspace.errors import PairspaceError
from pairspace.neighbours.topk import Ranking, top_k
from pairspace.neighbours.words import Words

__all__ = ["TERM_IDS", "Bm25", "term_id"]

TERM_IDS = 2**32  # columns of the sparse vectors: ids are hashes in [0, 2^32)
_BATCH = 16_384  # texts analysed at a time: bounds the Python objects alive at once


def term_id(term: str) -> int:
    """The 32-bit id of a term: the first four bytes (little-endian) of its BLAKE2b digest of length 4."""
    return int.from_bytes(hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little")


class Bm25:
    """BM25 over the texts it was fitted on.

    Args:
        language: name or ISO code of the texts' language, for stopwords and stemming; None for words as they are.
        k1: how soon further occurrences of a term stop counting; 0 or more.
        b: how much a document's length counts, in [0, 1].

    Raises:
        PairspaceError: an unknown language, or k1 or b out of range.
    """

    def __init__(self, language: str | None = "english", *, k1: float = 1.2, b: float = 0.75) -> None:
        if k1 < 0 or not 0 <= b <= 1:
            raise PairspaceError(f"BM25 needs k1 >= 0 and b in [0, 1], got k1={k1}, b={b}")
        self.language, self.k1, self.b = language, float(k1), float(b)
        self.words = Words(language)
        self.count = 0  # documents seen
        self.tokens = 0  # their length in all, in terms
        self._ids = np.empty(0, np.int64)  # sorted term ids, and how many documents hold each
        self._frequencies = np.empty(0, np.int64)
        self._documents: sparse.csr_array | None = None
        self._known = _TermIds(self.words)

    def analyse(self, texts: Iterable[str]) -> list[list[str]]:
        """The terms of each text, in order, stopwords left out."""
        return [[term for word in self.words.split(text) if (term := self.words.term(word))] for text in texts]

    @property
    def average_length(self) -> float:
        """Mean length of the fitted documents in terms; 1 before any were seen."""
        return self.tokens / self.count if self.count and self.tokens else 1.0

    def fit(self, texts: Sequence[str], *, keep: bool = True) -> Bm25:
        """Count the texts' terms: document frequencies and the average length. What was fitted before is forgotten.

        Args:
            texts: strings, or an Arrow array of strings.
            keep: hold the documents' vectors for `search`; False where only the statistics are wanted.
        """
        self.count = self.tokens = 0
        self._ids = self._frequencies = np.empty(0, np.int64)
        counts = []
        for batch in _batches(texts):
            block = self._counts(batch)
            ids, frequencies = np.unique(block.indices, return_counts=True)
            self._ids, where = np.unique(np.concatenate([self._ids, ids]), return_inverse=True)
            self._frequencies = np.bincount(where, np.concatenate([self._frequencies, frequencies])).astype(np.int64)
            self.count += block.shape[0]
            self.tokens += int(block.data.sum(dtype=np.float64))
            if keep:
                counts.append(block)
        self._documents = None
        if keep:
            stacked = sparse.vstack(counts, format="csr") if counts else self._counts([])
            self._documents = self._saturated(stacked)
        return self

    def documents(self, texts: Sequence[str]) -> sparse.csr_array:
        """The document vectors: the tf part of each term, with the average length of the fitted texts.

        Returns:
            float32 CSR (n, 2^32); the columns are term ids, sorted within a row. A row's values lie in (0, 1).
        """
        return self._saturated(self._stack(texts))

    def queries(self, texts: Sequence[str], *, idf: bool = True) -> sparse.csr_array:
        """The query vectors: how often each term occurs, times its idf in the fitted texts.

        Args:
            texts: strings, or an Arrow array of strings.
            idf: False leaves the idf out, for an engine that multiplies it in itself.

        Returns:
            float32 CSR (n, 2^32); a term that the fitted texts do not hold has the idf of df = 0.
        """
        counts = self._stack(texts)
        if idf:
            counts.data *= self.idf(counts.indices)
        return counts

    def idf(self, ids: np.ndarray) -> np.ndarray:
        """The idf (float32) of term ids in the fitted texts."""
        frequency = np.zeros(len(ids))
        if len(self._ids):
            at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
            frequency = np.where(self._ids[at] == ids, self._frequencies[at], 0)
        return np.log1p((self.count - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)

    def search(self, queries: Sequence[str], k: int = 10) -> Ranking:
        """The k best of the fitted texts for each query; a text that shares no term with it is not found.

        Raises:
            PairspaceError: nothing was fitted, or the documents were not kept.
        """
        if self._documents is None:
            raise PairspaceError("BM25 holds no documents to search: call fit(texts) with keep=True first")
        return top_k(self.queries(queries), self._documents, k, similarity="dot")

    def state(self) -> dict[str, Any]:
        """What `from_state` needs to go on: plain numbers and strings, and the arrays "ids" (u32) and "frequencies"."""
        return {
            "language": self.language,
            "k1": self.k1,
            "b": self.b,
            "count": self.count,
            "tokens": self.tokens,
            "ids": self._ids.astype(np.uint32),
            "frequencies": self._frequencies.copy(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Bm25:
        """The BM25 that gave `state`: same vectors; its documents must be fitted again for `search`."""
        made = cls(state["language"], k1=state["k1"], b=state["b"])
        made.count, made.tokens = int(state["count"]), int(state["tokens"])
        made._ids = np.asarray(state["ids"]).astype(np.int64)
        made._frequencies = np.asarray(state["frequencies"]).astype(np.int64)
        return made

    def _stack(self, texts: Sequence[str]) -> sparse.csr_array:
        blocks = [self._counts(batch) for batch in _batches(texts)]
        return sparse.vstack(blocks, format="csr") if blocks else self._counts([])

    def _counts(self, texts: Sequence[str]) -> sparse.csr_array:
        """How often each term occurs in each text: float32 CSR (n, 2^32)."""
        known, split = self._known, self.words.split
        rows = [[known[word] for word in split(text)] for text in texts]
        ids = np.fromiter(chain.from_iterable(rows), np.int64, sum(map(len, rows)))
        owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        kept = ids >= 0
        ids, owners = ids[kept], owners[kept]
        starts = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(rows)))]).astype(np.int64)
        counts = sparse.csr_array((np.ones(len(ids), np.float32), ids, starts), shape=(len(rows), TERM_IDS))
        counts.sum_duplicates()
        return counts

    def _saturated(self, counts: sparse.csr_array) -> sparse.csr_array:
        lengths = np.add.reduceat(np.append(counts.data, 0.0), counts.indptr[:-1]) * (np.diff(counts.indptr) > 0)
        norms = self.k1 * (1 - self.b + self.b * lengths / self.average_length)
        per_entry = np.repeat(norms, np.diff(counts.indptr)).astype(np.float32)
        data = counts.data / (counts.data + per_entry)
        return sparse.csr_array((data, counts.indices, counts.indptr), shape=counts.shape)


class _TermIds(dict[str, int]):
    """Word -> term id, or -1 for a stopword; each distinct word is stemmed and hashed once."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self._words = words

    def __missing__(self, word: str) -> int:
        term = self._words.term(word)
        self[word] = -1 if not term else term_id(term)
        return self[word]


def _batches(texts: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(texts), _BATCH):
        batch: Any = texts[start : start + _BATCH]
        yield batch.to_pylist() if hasattr(batch, "to_pylist") else batch
