"""A vocabulary made from a side's own texts: byte-level BPE, and the tokenizer that cuts texts by it.

Bytes are the alphabet, so no text is unreadable: a script that the training texts never showed becomes single bytes
instead of one [UNK] for everything. Texts are brought to NFKC and lower case, cut into words (letters, marks and digits
of any script) and what stands between them, so a word is the same token at the start of a title and in the middle of a
sentence. A mark before each piece keeps the beginnings of words apart from their insides, for a model that reads order;
a bag does better without it, as "chess" in "gnuchess" is then the word itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pairspace.encoders.tokens import _explain
from pairspace.errors import EncoderError

__all__ = ["END", "PAD", "Vocabulary", "document_frequencies", "train_bpe"]

PAD, END = "[PAD]", "[EOT]"  # ids 0 and 1
_WORD = Regex(r"[\p{L}\p{M}\p{N}]+")
_LONGEST = 24  # characters of a token: keeps runs of dashes and unspaced sentences from becoming one
_CHUNK = 8192


def train_bpe(texts: Sequence[str], *, size: int, lower: bool = True, mark: bool = True, least: int = 2) -> Tokenizer:
    """Byte-level BPE (Sennrich et al. 2016, over bytes as in GPT-2) over some texts.

    Args:
        texts: all texts that the vocabulary is for.
        size: most tokens, the 256 bytes and the two special ones included; few texts give fewer.
        lower: lower-case first.
        mark: put a mark before every word, so that tokens at its beginning are others than inside.
        least: how often a pair of tokens must occur to become one.

    Raises:
        EncoderError: an item is no text, all texts are empty, or `size` leaves no room beside the bytes.
    """
    if size < 300:
        raise EncoderError(f"a vocabulary of {size} has no room beside 256 bytes and 2 special tokens: use 300 or more")
    tokenizer = Tokenizer(models.BPE())
    steps: list[Any] = [normalizers.NFKC(), normalizers.Lowercase()] if lower else [normalizers.NFKC()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(_WORD, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=mark, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=least,
        special_tokens=[PAD, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=_LONGEST,
        show_progress=False,
    )
    texts = _checked(texts)
    if not any(text.strip() for text in texts):
        raise EncoderError(f"no vocabulary can be made of {len(texts):,} texts that are all empty")
    tokenizer.train_from_iterator(_chunks(texts), trainer)
    return tokenizer


class Vocabulary:
    """Texts to token ids, at most `max_length` of them, with their length before the cut.

    Args:
        tokenizer: of `tokenizers`; special tokens of its own are not added.
        max_length: tokens kept of a text, the end token included; None keeps all.
        prompt: put before every text.
        end: token put after the last one kept, also of an empty text; None puts none.

    Raises:
        EncoderError: the tokenizer does not know the end token.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, max_length: int | None, prompt: str = "", end: str | None = None
    ) -> None:
        self.tokenizer, self.max_length, self.prompt = tokenizer, max_length, prompt
        self._ending = [] if end is None else [self.id_of(end)]
        tokenizer.no_truncation()
        tokenizer.no_padding()

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return int(self.tokenizer.get_vocab_size())

    def id_of(self, token: str) -> int:
        """The id of a token that must be there, such as PAD."""
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise EncoderError(f"the vocabulary has no token {token!r}")
        return int(found)

    def __call__(self, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray]:
        """Tokenise.

        Returns:
            int32 token ids of each text, at most `max_length`; and int32 lengths (n,) before that cut.

        Raises:
            EncoderError: an item is no text, or no valid Unicode; names its row.
        """
        encode = getattr(self.tokenizer, "encode_batch_fast", self.tokenizer.encode_batch)
        found: list[np.ndarray] = []
        lengths = np.empty(len(texts), np.int32)
        ending = self._ending
        room = None if self.max_length is None else self.max_length - len(ending)
        for start in range(0, len(texts), _CHUNK):
            block = _plain(texts[start : start + _CHUNK])
            try:
                asked = [self.prompt + text for text in block] if self.prompt else block
                encoded = encode(asked, add_special_tokens=False)
            except (TypeError, ValueError) as error:
                raise _explain(block, error, first=start) from error
            for row, one in enumerate(encoded, start):
                ids = one.ids
                lengths[row] = len(ids) + len(ending)
                found.append(np.array(ids[:room] + ending, np.int32))
        return found, lengths


def document_frequencies(ids: Sequence[np.ndarray], size: int) -> np.ndarray:
    """In how many texts each token occurs: int64 (size,)."""
    counts = np.zeros(size, np.int64)
    for one in ids:
        counts[np.unique(one)] += 1
    return counts


def _checked(texts: Sequence[str]) -> list[str]:
    plain = _plain(texts)
    for row, text in enumerate(plain):
        try:
            str.encode(text)
        except (TypeError, UnicodeEncodeError) as error:
            raise _explain(plain[row : row + 1], error, first=row) from error
    return plain


def _plain(texts: Any) -> list[str]:
    return texts.to_pylist() if hasattr(texts, "to_pylist") else list(texts)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), _CHUNK):
        yield texts[start : start + _CHUNK]
