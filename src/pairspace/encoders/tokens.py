"""Texts to token ids, many at once, with their full length; and long texts to passages that fit.

The fast tokenizer's own batch call is used, without truncation, so that the length before it is known and can be
reported; the cut is made here, to the same ids that the tokenizer would have given (a test holds the two together).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pairspace.errors import EncoderError

__all__ = ["Tokens"]


class Tokens:
    """A tokenizer with a prompt and a maximum length.

    Args:
        tokenizer: a fast tokenizer of transformers; it is copied, not changed.
        max_length: tokens kept, special ones included.
        prompt: put before every text.
        lower: lower-case first, for folders whose settings say so.
    """

    def __init__(self, tokenizer: Any, *, max_length: int, prompt: str = "", lower: bool = False) -> None:
        from tokenizers import Tokenizer, normalizers

        self._fast = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._fast.no_truncation()
        self._fast.no_padding()
        if lower:
            rest = [] if self._fast.normalizer is None else [self._fast.normalizer]
            self._fast.normalizer = normalizers.Sequence([normalizers.Lowercase(), *rest])
        self.max_length, self.prompt = max_length, prompt
        self.pad, self.unknown = int(tokenizer.pad_token_id or 0), tokenizer.unk_token_id
        self.pad_left = tokenizer.padding_side == "left"
        self._cut_left = tokenizer.truncation_side == "left"
        specials = self._fast.encode("a").special_tokens_mask
        self._before = specials.index(0) if 0 in specials else 0
        self._after = specials[::-1].index(0) if 0 in specials else 0
        if max_length <= self._before + self._after:
            raise EncoderError(
                f"max_length {max_length} leaves no room beside {self._before + self._after} special tokens"
            )
        prompt_ids = self._fast.encode(prompt).ids
        ends_special = bool(prompt_ids) and prompt_ids[-1] in set(tokenizer.all_special_ids)
        self.prompt_length = len(prompt_ids) - ends_special if prompt else 0

    @property
    def backend(self) -> Any:
        """The tokenizer of `tokenizers` that does the work."""
        return self._fast

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], np.ndarray]:
        """Tokenise.

        Returns:
            Token ids of each text, at most `max_length`; and int32 lengths (n,) before that cut.

        Raises:
            EncoderError: an item is no text, or no valid Unicode; names its row.
        """
        encode = getattr(self._fast, "encode_batch_fast", self._fast.encode_batch)
        try:
            ids = [one.ids for one in encode([self.prompt + text for text in texts] if self.prompt else list(texts))]
        except (TypeError, ValueError) as error:
            raise _explain(texts, error) from error
        lengths = np.fromiter(map(len, ids), np.int32, len(ids))
        for row in np.flatnonzero(lengths > self.max_length):
            ids[row] = self._cut(ids[row])
        return ids, lengths

    def _cut(self, ids: list[int]) -> list[int]:
        room = self.max_length - self._before - self._after
        end = len(ids) - self._after
        inner = ids[end - room : end] if self._cut_left else ids[self._before : self._before + room]
        return ids[: self._before] + inner + ids[end:]

    def split(self, texts: Sequence[str], *, stride: int = 0) -> tuple[list[str], np.ndarray]:
        """Cut texts that are too long into passages that fit, between words where that is possible.

        Args:
            texts: any number of texts.
            stride: tokens that two neighbouring passages share (the tokenizers' word for it).

        Returns:
            The passages, and int64 owners: `owners[i]` is the row of the text that passage i is from. Every text has at
            least one passage; a text that fits is its own, unchanged.

        Raises:
            EncoderError: the prompt or the stride leaves no room for text.
        """
        room = (
            self.max_length
            - self._before
            - self._after
            - (len(self._fast.encode(self.prompt, add_special_tokens=False)))
        )
        if not 0 <= stride < room:
            raise EncoderError(f"stride {stride} with max_length {self.max_length} leaves no room: use 0 to {room - 1}")
        passages: list[str] = []
        owners: list[int] = []
        for start in range(0, len(texts), 1024):
            block = list(texts[start : start + 1024])
            try:
                encoded = self._fast.encode_batch(block, add_special_tokens=False)
            except (TypeError, ValueError) as error:
                raise _explain(block, error, first=start) from error
            for row, (text, one) in enumerate(zip(block, encoded, strict=True), start):
                own = [text] if len(one.ids) <= room else self._windows(text, one, room, stride)
                passages += own
                owners += [row] * len(own)
        return passages, np.asarray(owners, np.int64)

    def _windows(self, text: str, encoded: Any, room: int, stride: int) -> list[str]:
        offsets, words = encoded.offsets, encoded.word_ids
        starts = [i for i in range(1, len(words)) if words[i] is None or words[i] != words[i - 1]]
        free = np.zeros(len(words) + 1, bool)
        free[starts] = free[len(words)] = True
        out, first = [], 0
        while True:
            end = self._end(text, offsets, free, first, room)
            out.append(text[offsets[first][0] : offsets[end - 1][1]].strip())
            if end >= len(words):
                return [passage for passage in out if passage] or [text]
            first = max(first + 1, end - stride) if stride else end

    def _end(self, text: str, offsets: Any, free: np.ndarray, first: int, room: int) -> int:
        """Where a window that begins at token `first` stops: between words, and so that its text really fits.

        Cut out of its context a text may have other tokens than it had inside (a word's rest becomes a word), hence
        the second look.
        """
        size = room
        while True:
            end = min(first + size, len(free) - 1)
            inside = np.flatnonzero(free[first + 1 : end + 1])
            if len(inside):
                end = first + 1 + int(inside[-1])
            piece = text[offsets[first][0] : offsets[end - 1][1]].strip()
            excess = len(self._fast.encode(piece, add_special_tokens=False).ids) - room
            if excess <= 0 or size == 1:
                return end
            size = max(1, min(size, end - first) - excess)


def _explain(texts: Sequence[Any], error: Exception, first: int = 0) -> EncoderError:
    for row, text in enumerate(texts, first):
        if not isinstance(text, str):
            return EncoderError(f"item {row} is {type(text).__name__}, not a text: a text encoder takes strings only")
        try:
            text.encode()
        except UnicodeEncodeError as wrong:
            return EncoderError(f"item {row} is not valid Unicode ({wrong.reason} at character {wrong.start})")
    return EncoderError(f"the tokenizer failed: {error}")
