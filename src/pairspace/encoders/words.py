"""A text as its words: the model's own token embeddings, before any attention has mixed them.

    words(x) = sum over the distinct tokens t of x of  w_t E_t,      w_t = log(1 + rank_t / 100)

E are the input embeddings and rank_t is the place of t in the vocabulary, special and unused entries left out.
Tokenizers list frequent tokens first, and by Zipf's law the frequency falls with the rank, so log rank stands for
idf = log(N / df), up to a constant, without any corpus to count in. Words that BM25 would match stay visible beside
what the model made of the sentence. As one more layer under a trained projector it costs nothing to compute.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["WordBag", "word_weights", "words_of_padded"]

_UNUSED = re.compile(r"[\[<]unused_?\d+[\]>]")
_SCALE = 100.0  # ranks below this weigh little: articles, punctuation, single letters


def word_weights(tokenizer: Any) -> np.ndarray:
    """w_t for every token id of a transformers tokenizer: float32 (vocabulary,); 0 for special and unused ones."""
    special = set(tokenizer.all_special_ids)
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    ordinary = np.array(
        [id not in special and not (token and _UNUSED.fullmatch(token)) for id, token in enumerate(tokens)]
    )
    rank = np.cumsum(ordinary)
    return np.where(ordinary, np.log1p(rank / _SCALE), 0.0).astype(np.float32)


class WordBag:
    """Token ids in, weighted sums of their embeddings out.

    Args:
        embeddings: (vocabulary or more, dim), the model's input embeddings.
        weights: (vocabulary,), see `word_weights`.
        skip: leading ids of every text that are left out (a prompt).
    """

    def __init__(self, embeddings: Tensor, weights: np.ndarray, *, skip: int = 0) -> None:
        self.embeddings, self.skip = embeddings.detach().float().cpu(), skip
        self.weights = torch.from_numpy(weights)

    @torch.inference_mode()
    def __call__(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        """Vectors, float32 (n, dim); a text without ordinary tokens gives zeros."""
        distinct = [np.unique(np.asarray(one[self.skip :], np.int64)) for one in ids]
        offsets = torch.from_numpy(np.cumsum([0, *(len(one) for one in distinct[:-1])]))
        flat = torch.from_numpy(np.concatenate(distinct))
        summed = torch.nn.functional.embedding_bag(
            flat, self.embeddings, offsets, mode="sum", per_sample_weights=self.weights[flat]
        )
        return summed.numpy()


def words_of_padded(
    input_ids: Tensor, attention_mask: Tensor, table: Tensor, weights: Tensor, *, skip: int | Tensor = 0
) -> Tensor:
    """The same for a padded batch, with a gradient to the table.

    Args:
        input_ids: (batch, tokens), padded on either side.
        attention_mask: (batch, tokens).
        table: (vocabulary or more, dim), the input embeddings.
        weights: (vocabulary,), see `word_weights`.
        skip: leading tokens of every text that are left out (a prompt); one number, or (batch,) of them.

    Returns:
        (batch, dim).
    """
    first_counted = torch.as_tensor(skip, device=input_ids.device).reshape(-1, 1)
    counted = (attention_mask > 0) & (attention_mask.cumsum(1) > first_counted)
    ids = input_ids.masked_fill(~counted, -1).sort(dim=1).values
    first = torch.ones_like(ids, dtype=torch.bool)
    first[:, 1:] = ids[:, 1:] != ids[:, :-1]
    ids, kept = ids.clamp(min=0), first & (ids >= 0)
    return torch.nn.functional.embedding_bag(ids, table, mode="sum", per_sample_weights=weights.to(table)[ids] * kept)
