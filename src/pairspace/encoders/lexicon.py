"""The terms of a sparse space: what its dimensions are called, and which of them a text holds itself.

Terms are whole words made from the training texts, a word list of the user's, or the pieces of a tokenizer. Words that
have one stem are one term, which is called as it is written most often: "packages" counts as "package" where that is
the commoner form. A word list may hold phrases; in a text the longest one that fits is taken.

A text also holds words that are no term: names, above all, which decide many searches. Each gets a column of its own
behind the terms, by a hash, so that two texts can still meet in it though nothing was ever learnt about the word.
Tokenizers have pieces for everything and need no such columns.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from tokenizers import Tokenizer

from pairspace.data.files import atomic_folder
from pairspace.encoders.tokens import _explain
from pairspace.errors import EncoderError
from pairspace.neighbours import Words, term_id

__all__ = ["UNKNOWN_COLUMNS", "Lexicon"]

UNKNOWN_COLUMNS = 1 << 22  # of words that are no terms: among 50,000 of them some 600 share a column with another
_FILE, _TOKENIZER = "lexicon.json", "tokenizer.json"
_NAMES = 1_000_000  # unknown words whose names are remembered
_BATCH = 16_384
_FEW = 500  # terms


class Lexicon:
    """Terms by number; made by `from_texts`, `from_file` or `from_tokenizer`.

    Args:
        terms: their names, none twice.
        language: of the words, for stemming and stopwords; None for words as they are.
        tokenizer: cuts texts into pieces, which then are the terms, in its order.

    Raises:
        EncoderError: no terms, or one twice.
    """

    def __init__(
        self, terms: Sequence[str], *, language: str | None = "english", tokenizer: Tokenizer | None = None
    ) -> None:
        if not terms:
            raise EncoderError("a lexicon needs at least one term")
        if len(set(terms)) < len(terms):
            twice = next(term for term, count in Counter(terms).items() if count > 1)
            raise EncoderError(f"the term {twice!r} stands twice in the lexicon")
        self.terms, self.language, self.tokenizer = tuple(terms), language, tokenizer
        self._words = Words(language)
        self._names: dict[int, str] = {}  # of columns behind the terms
        self._stems: dict[str, str | None] = {}  # word -> stem, None for a stopword: each word is stemmed once
        self._columns: dict[str, int] = {}  # stem -> column
        self._phrases: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        if tokenizer is None:
            self._read_keys()
        else:
            tokenizer.no_truncation()
            tokenizer.no_padding()
            added = tokenizer.get_added_tokens_decoder()
            self._special = np.array(sorted(id for id, token in added.items() if token.special), np.int64)

    def _read_keys(self) -> None:
        for number, term in enumerate(self.terms):
            stems = tuple(stem for word in self._words.split(term) if (stem := self._words.term(word)))
            if len(stems) == 1:
                self._columns.setdefault(stems[0], number)
            elif stems:
                self._phrases.setdefault(stems[0], []).append((stems, number))
        for longer in self._phrases.values():
            longer.sort(key=lambda one: -len(one[0]))

    @classmethod
    def from_texts(
        cls, texts: Sequence[str], *, language: str | None = "english", least: int | None = None, most: int = 2000
    ) -> Lexicon:
        """The words of some texts, the most frequent first.

        Args:
            texts: strings, or an Arrow array of strings.
            language: for stemming and stopwords.
            least: in how many texts a word must occur; None for 5, and for 2 or 1 where so few terms would be left that
                little could be said with them (fewer than 500): a term's vector needs no text, as its encoder knows it.
            most: terms kept.

        Raises:
            EncoderError: no word occurs so often, or an item is no text.
        """
        words = Words(language)
        stems: dict[str, str | None] = {}
        forms: Counter[str] = Counter()  # in how many texts each form stands
        found: Counter[str] = Counter()  # and each stem
        for batch in _batches(texts):
            for text in batch:
                distinct = set(words.split(text))
                forms.update(distinct)
                for word in distinct - stems.keys():
                    stems[word] = words.term(word)
                found.update({stem for word in distinct if (stem := stems[word])})
        best: dict[str, str] = {}
        for word in sorted(forms):
            stem = stems[word]
            if stem and (stem not in best or forms[word] > forms[best[stem]]):
                best[stem] = word
        ordered = sorted(filter(_readable, found), key=_rank(found))
        for enough in (5, 2, 1) if least is None else (least,):
            kept = [stem for stem in ordered if found[stem] >= enough]
            if len(kept) >= _FEW:
                break
        if not kept:
            raise EncoderError(
                f"no word occurs in {enough} of these {len(texts):,} texts: lower `least`, or give a list"
            )
        return cls([best[stem] for stem in kept[:most]], language=language)

    @classmethod
    def from_file(cls, path: str | Path, *, language: str | None = None) -> Lexicon:
        """A word list, one term a line, in any language.

        Args:
            path: UTF-8 text.
            language: for stemming; None looks for the words as they are written, only lower-cased.

        Raises:
            EncoderError: the file cannot be read, or a line is empty or repeats another; names the line.
        """
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise EncoderError(f"{path}: the word list cannot be read: {error}") from error
        seen: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            term = line.strip()
            if not term:
                raise EncoderError(f"{path}, line {number}: empty; a word list has one term a line")
            if term in seen:
                raise EncoderError(f"{path}, line {number}: {term!r} stands already on line {seen[term]}")
            seen[term] = number
        if not seen:
            raise EncoderError(f"{path}: empty; a word list has one term a line")
        return cls(list(seen), language=language)

    @classmethod
    def from_tokenizer(cls, tokenizer: Tokenizer) -> Lexicon:
        """The pieces of a tokenizer, by their ids."""
        names = (tokenizer.id_to_token(id) for id in range(tokenizer.get_vocab_size()))
        terms = [name if name is not None else f"[no piece {id}]" for id, name in enumerate(names)]
        return cls(terms, language=None, tokenizer=Tokenizer.from_str(tokenizer.to_str()))

    def __len__(self) -> int:
        return len(self.terms)

    @property
    def width(self) -> int:
        """Columns of the vectors: the terms, and behind them those of unknown words."""
        return len(self) + (UNKNOWN_COLUMNS if self.tokenizer is None else 0)

    def name(self, column: int) -> str:
        """What a column is called; an unknown word that this object has not met is shown by its number."""
        if column < len(self):
            return self.terms[column]
        return self._names.get(column, f"#{column - len(self)}")

    def counts(self, texts: Sequence[str]) -> sparse.csr_array:
        """How often each term, and each unknown word, occurs in each text: float32 CSR (n, width).

        Raises:
            EncoderError: an item is no text; names its row.
        """
        blocks = [self._counted(batch) for batch in _batches(texts)]
        return sparse.vstack(blocks, format="csr") if blocks else self._counted([])

    def _counted(self, texts: Sequence[str]) -> sparse.csr_array:
        tokenizer = self.tokenizer
        rows: Any = [self._columns_of(t) for t in texts] if tokenizer is None else self._piece_ids(tokenizer, texts)
        ids = np.fromiter(chain.from_iterable(rows), np.int64, sum(map(len, rows)))
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        counts = sparse.csr_array((np.ones(len(ids), np.float32), ids, starts), shape=(len(rows), self.width))
        counts.sum_duplicates()
        return counts

    def _piece_ids(self, tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
        encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False) if len(texts) else []
        ids = (np.asarray(one.ids, np.int64) for one in encoded)
        return [one[~np.isin(one, self._special)] for one in ids]

    def _columns_of(self, text: str) -> list[int]:
        stems, columns, phrases = self._stems, self._columns, self._phrases
        found: list[str] = []
        for word in self._words.split(text):
            if word not in stems:
                stems[word] = self._words.term(word) or None
            if stem := stems[word]:
                found.append(stem)
                if stem not in columns:
                    columns[stem] = self._new_column(stem, word)
        if not phrases:
            return [columns[stem] for stem in found]
        kept, at = [], 0
        while at < len(found):
            fit = next(
                (one for one in phrases.get(found[at], ()) if tuple(found[at : at + len(one[0])]) == one[0]), None
            )
            kept.append(fit[1] if fit else columns[found[at]])
            at += len(fit[0]) if fit else 1
        return kept

    def _new_column(self, stem: str, word: str) -> int:
        column = len(self) + term_id(stem) % UNKNOWN_COLUMNS
        if len(self._names) < _NAMES:
            self._names.setdefault(column, word)
        return column

    @property
    def fingerprint(self) -> str:
        """32 hex digits over all that decides columns and counts."""
        own: list[Any] = [self.terms, self.language, self.tokenizer and self.tokenizer.to_str(), UNKNOWN_COLUMNS]
        return hashlib.blake2b(json.dumps(own).encode(), digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        """Write it to a new folder."""
        with atomic_folder(folder) as made:
            own = {"language": self.language, "pieces": self.tokenizer is not None, "terms": list(self.terms)}
            (made / _FILE).write_text(json.dumps(own, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
            if self.tokenizer is not None:
                self.tokenizer.save(str(made / _TOKENIZER))

    @classmethod
    def load(cls, folder: Path) -> Lexicon:
        """The lexicon in a folder that `save` made."""
        own = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER)) if own["pieces"] else None
        return cls(own["terms"], language=own["language"], tokenizer=tokenizer)


def _readable(stem: str) -> bool:
    """No number, and no single letter; a single CJK character is a word."""
    return not stem.isdigit() and (len(stem) > 1 or ord(stem) > 0x2E7F)


def _rank(found: Counter[str]) -> Any:
    return lambda stem: (-found[stem], stem)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), _BATCH):
        batch: Any = texts[start : start + _BATCH]
        plain = batch.to_pylist() if hasattr(batch, "to_pylist") else list(batch)
        for row, text in enumerate(plain):
            if not isinstance(text, str):
                raise _explain(plain[row : row + 1], TypeError(), first=start + row)
        yield plain
