"""Texts of a large memory that share words with a question: the few that are worth comparing letter by letter.

    likeness(q, t) = 2 * sum of idf of the terms in both / (sum over q + sum over t),    idf = ln(1 + N / df)

It is the fuzzy ratio with words for letters, rare words counting more. Every term has the numbers of its texts in one
file, sorted, which is mapped and not read: a search touches the terms of its question alone. While it is made, pairs of
term and text lie on disk too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pairspace.errors import IndexingError, PairspaceError
from pairspace.neighbours import Words, term_id

__all__ = ["WordIndex"]

_KNOWN = 1 << 20  # words whose terms are remembered while texts are cut
_STEP = 1 << 22  # entries looked at at a time
_ARRAYS = ("terms", "starts", "texts", "weights", "rows")


class WordIndex:
    """The index in a folder; made by `build`.

    Args:
        folder: where it is.
        language: code of the texts' language; of one without a stemmer words stay as they are.

    Raises:
        IndexingError: it is not there, or damaged.
    """

    def __init__(self, folder: Path, language: str) -> None:
        try:
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS]
        except (OSError, ValueError) as error:
            raise IndexingError(f"{folder} is missing or damaged ({error}): build the memory again") from error
        self._terms, self._starts, self._texts, self._weights, self._rows = arrays
        self._term_ids = _TermIds(language)

    @classmethod
    def build(cls, folder: Path, batches: Iterable[tuple[np.ndarray, Sequence[str]]], language: str) -> None:
        """Make an index.

        Args:
            folder: a new one.
            batches: numbers of texts, as they are to be found again, and the texts; fewer than 2^32 in all.
            language: code of their language.
        """
        folder.mkdir(parents=True)
        pairs, term_ids, rows, count = folder / "pairs", _TermIds(language), list[np.ndarray](), 0
        with pairs.open("wb") as file:
            for numbers, texts in batches:
                cut = [term_ids.of(text) for text in texts]
                owners = np.repeat(np.arange(count, count + len(cut), dtype=np.uint64), [len(one) for one in cut])
                (np.concatenate([np.empty(0, np.uint64), *cut]) << np.uint64(32) | owners).tofile(file)
                rows.append(numbers)
                count += len(cut)
        _write(folder, pairs, count)
        np.save(folder / "rows.npy", np.concatenate([np.empty(0, np.int64), *rows]))
        pairs.unlink()

    def search(self, text: str, k: int) -> list[int]:
        """The numbers of the k texts that are most like this one; fewer where fewer share a word with it."""
        asked = self._term_ids.of(text).astype(np.uint32)
        places = np.searchsorted(self._terms, asked).tolist()
        known = [
            at for at, term in zip(places, asked, strict=True) if at < len(self._terms) and self._terms[at] == term
        ]
        likeness = np.zeros(len(self._weights), np.float32)
        total = (len(asked) - len(known)) * _idf(1, len(self._weights))
        for term in known:
            start, end = self._starts[term], self._starts[term + 1]
            weight = _idf(end - start, len(self._weights))
            likeness[self._texts[start:end]] += weight
            total += weight
        found = np.flatnonzero(likeness)
        likeness = 2 * likeness[found] / (total + self._weights[found])
        best = np.argpartition(-likeness, k - 1)[:k] if len(found) > k else np.arange(len(found))
        return [int(row) for row in self._rows[found[best[np.argsort(-likeness[best], kind="stable")]]]]


def _write(folder: Path, pairs: Path, count: int) -> None:
    """The sorted pairs of term and text as terms, where the texts of each start, texts, and each text's sum of idf."""
    if pairs.stat().st_size == 0:
        entries = np.empty(0, np.uint64)
    else:
        entries = np.memmap(pairs, np.uint64, "r+")
        entries.sort()
    texts = np.lib.format.open_memmap(folder / "texts.npy", "w+", np.uint32, entries.shape)
    changes, weights = [np.zeros(min(1, len(entries)), np.int64)], np.zeros(count)
    for start, part in _parts(entries):
        texts[start : start + len(part)] = part & np.uint64(0xFFFFFFFF)
        last = entries[start - 1 : start] if start else part[:1]
        ids = np.concatenate([last, part]) >> np.uint64(32)
        changes.append(np.flatnonzero(ids[1:] != ids[:-1]) + start)
    firsts = np.concatenate(changes)
    starts = np.append(firsts, len(entries))
    idf = _idf(np.diff(starts), count)
    for start, part in _parts(texts):
        term = np.searchsorted(starts, np.arange(start, start + len(part)), "right") - 1
        weights += np.bincount(part, idf[term], count)
    np.save(folder / "terms.npy", (entries[firsts] >> np.uint64(32)).astype(np.uint32))
    np.save(folder / "starts.npy", starts)
    np.save(folder / "weights.npy", weights.astype(np.float32))


def _parts(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(array), _STEP):
        yield start, array[start : start + _STEP]


def _idf(frequency: np.ndarray | int, count: int) -> np.ndarray:
    return np.log1p(count / np.asarray(frequency, float))


class _TermIds(dict[str, int]):
    """Word -> term id, or -1 for a stopword; the latest words are remembered."""

    def __init__(self, language: str) -> None:
        super().__init__()
        try:
            self._words = Words(language)
        except PairspaceError:
            self._words = Words(None)

    def of(self, text: str) -> np.ndarray:
        """The distinct terms of a text (uint64); its stopwords too if it has nothing else."""
        words = self._words.split(text)
        found = {self[word] for word in words} - {-1} or {term_id(word) for word in words}
        return np.fromiter(found, np.uint64, len(found))

    def __missing__(self, word: str) -> int:
        if len(self) >= _KNOWN:
            self.clear()
        term = self._words.term(word)
        self[word] = found = -1 if not term else term_id(term)
        return found
