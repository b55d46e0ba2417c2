"""A bag of words that learns: one vector and one weight a token, no attention, and of order only where a word stands.

    x = sum over distinct tokens t of w_t E_t + L_b(n) for n tokens,    w_t = log(1 + c_t) exp(l_t + p_b(t))

c_t is how often t occurs in the text, b(t) the place of its first time and b(n) the length, in 16 steps of a
logarithmic scale. E_t starts as a Gaussian vector, L small, p as zero, and l_t as 3/4 log idf_t over the texts it
begins with, idf_t = log(1 + (N - df_t + 1/2) / (df_t + 1/2)) as in BM25. So before any training two texts are near if
they share rare words: random vectors of enough width are almost orthogonal. Training then brings words together that
stand for each other on the two sides and learns which words and places decide. Where queries are short and documents
long, L can make all documents longer by as much, as BM25's b does: cosine no longer favours the shortest of them.

Rare pairs are soon learnt by heart, hence two dropouts: of values, and of tokens, where long texts lose a larger share
and a title of seven words keeps most of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from pairspace.encoders.nothing import FromNothing
from pairspace.encoders.vocabulary import Vocabulary, document_frequencies, train_bpe
from pairspace.errors import EncoderError

if TYPE_CHECKING:
    from pairspace.encoders.transformer import TransformerEncoder

__all__ = ["StaticEncoder", "WeightedBag"]

_STEPS = 16  # of places and lengths: 1.5 a doubling, the last from 1,024 tokens on
_HALF = 40.0  # distinct tokens at which a text loses half the share that `token_dropout` says
_QUICK = 3.0  # how much faster than the vectors the weights of words, places and lengths learn, at one learning rate


class WeightedBag(nn.Module):
    """Vectors and log-weights of tokens, places and lengths; see the module docstring.

    Args:
        tokens: size of the vocabulary.
        width: values a vector.
        token_dropout: in training, the share of tokens left out of a long text, each time others; n / (n + 40) of it
            where there are n distinct ones.
        dropout: in training, the share of values of every text's vector set to zero.
    """

    def __init__(self, tokens: int, width: int, *, token_dropout: float = 0.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(tokens, width))
        self.log_weights = nn.Parameter(torch.zeros(tokens))  # l / 3
        self.log_places = nn.Parameter(torch.zeros(_STEPS))  # p / 3
        self.lengths = nn.Parameter(torch.zeros(_STEPS, width))  # L / 3
        self.token_dropout, self.dropout = token_dropout, dropout

    def start(self, idf: Tensor, generator: torch.Generator, table: Tensor | None = None) -> None:
        """The first weights: idf, and Gaussian vectors of about unit length unless a table of vectors is given."""
        width = self.vectors.shape[1]
        with torch.no_grad():
            self.log_weights.copy_(0.75 * idf.log() / _QUICK)
            self.log_places.zero_()
            self.vectors.normal_(std=width**-0.5, generator=generator)
            self.lengths.normal_(std=width**-0.5 / _QUICK, generator=generator)
            if table is not None:
                self.vectors.copy_(table / table.norm(dim=1).mean())

    def forward(
        self, ids: Tensor, factors: Tensor, places: Tensor, offsets: Tensor, layers: Sequence[str] = ("last",)
    ) -> tuple[Tensor, ...]:
        """Weighted sums.

        Args:
            ids: int64, the distinct tokens of all texts, one text after the other.
            factors: float32, log(1 + count) of each.
            places: int64, the step in which each occurs first.
            offsets: int64 (n,), where each text begins in them.
            layers: "last", the only layer there is.

        Returns:
            (n, width) once for each of `layers`; zeros for a text without tokens.
        """
        sizes = torch.diff(offsets, append=offsets.new_tensor([len(ids)]))
        weights = factors * (_QUICK * (self.log_weights[ids] + self.log_places[places])).exp()
        if self.training and self.token_dropout:
            share = self.token_dropout * sizes / (sizes + _HALF)
            weights = weights * (torch.rand_like(weights) >= torch.repeat_interleave(share, sizes))
        summed = functional.embedding_bag(ids, self.vectors, offsets, mode="sum", per_sample_weights=weights)
        length = _QUICK * self.lengths[_step(sizes - 1)] * (sizes > 0)[:, None]
        out = functional.dropout(summed + length, self.dropout, self.training)
        return tuple(out for _ in layers)


def _step(number: Tensor) -> Tensor:
    """0, 1, 2, ... to their steps on the logarithmic scale."""
    return (1.5 * (1 + number.clamp_min(0)).log2()).long().clamp_max(_STEPS - 1)


class StaticEncoder(FromNothing):
    """An embedding bag with a vocabulary of its own; made by `load_encoder("static")`.

    Args:
        name: what the user calls it.
        width: values a vector.
        vocabulary: most tokens.
        token_dropout: share of tokens left out of a long text in training, see WeightedBag.
        dropout: share of a vector's values set to zero in training.
        like: take the tokenizer and the input embeddings of this encoder as the start, instead of BPE and a Gaussian;
            the width is then that of its embeddings. It is only needed until `begin`.
        max_length: tokens kept of a text; None keeps all.
        prompt: put before every text.
        device: see `device.py`.
    """

    family = "static"
    sorts = False
    cached = False  # quicker than the disk
    learning_rate = 3e-3
    layers = ("last",)

    def __init__(
        self,
        name: str = "static",
        *,
        width: int = 1024,
        vocabulary: int = 8_000,
        token_dropout: float = 0.8,
        dropout: float = 0.2,
        like: TransformerEncoder | None = None,
        max_length: int | None = None,
        prompt: str = "",
        device: str | None = None,
    ) -> None:
        if width < 1:
            raise EncoderError(f"{name}: width {width}; a positive number of values a vector is needed")
        for what, share in (("token_dropout", token_dropout), ("dropout", dropout)):
            if not 0 <= share < 1:
                raise EncoderError(f"{name}: {what} {share} must be at least 0 and below 1")
        if max_length is not None and max_length < 1:
            raise EncoderError(f"{name}: max_length {max_length} must be at least 1")
        super().__init__(name, max_length=max_length, prompt=prompt, device=device)
        self.width = width if like is None else like.dimensions["words"]
        self.vocabulary, self.token_dropout, self.dropout = vocabulary, token_dropout, dropout
        self._like = like
        self.dimensions = {"last": self.width}

    def begin(self, texts: Sequence[str], *, seed: int) -> None:
        """See FromNothing."""
        if self._like is None:
            tokenizer = train_bpe(texts, size=self.vocabulary, mark=False)
        else:
            tokenizer = Tokenizer.from_str(self._like.tokens._fast.to_str())
        self._tokens = self._read(tokenizer)
        module = self._build()
        ids, _ = self._tokens(texts)
        counts = document_frequencies(ids, self._tokens.size)
        idf = torch.from_numpy(np.log1p((len(ids) - counts + 0.5) / (counts + 0.5))).float()
        table = None
        if self._like is not None:
            transformer: Any = self._like.module.transformer
            table = transformer.get_input_embeddings().weight[: self._tokens.size].float()
        module.start(idf, torch.Generator().manual_seed(seed), table)
        self._module = module.to(self.device).eval()

    def collate(self, ids: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
        """Id, factor and place of the distinct tokens, one text after the other; and where each text begins in them."""
        sizes = np.fromiter(map(len, ids), np.int64, len(ids))
        size, rows = self.tokens.size, np.arange(len(ids))
        flat = np.concatenate(ids).astype(np.int64) if len(ids) else np.empty(0, np.int64)
        keys, first, counts = np.unique(np.repeat(rows, sizes) * size + flat, return_index=True, return_counts=True)
        place = first - np.repeat(np.cumsum(sizes) - sizes, sizes)[first]
        factors = np.log1p(counts).astype(np.float32)
        found, weights, steps, offsets = map(
            torch.from_numpy, (keys % size, factors, place, np.searchsorted(keys, rows * size))
        )
        return found, weights, _step(steps), offsets

    def _own(self) -> dict[str, Any]:
        own: dict[str, Any] = {"width": self.width, "vocabulary": self.vocabulary}
        own |= {"token_dropout": self.token_dropout, "dropout": self.dropout}
        return own | {"max_length": self.max_length, "prompt": self.prompt}

    def _read(self, tokenizer: Tokenizer) -> Vocabulary:
        return Vocabulary(tokenizer, max_length=self.max_length, prompt=self.prompt)

    def _build(self) -> WeightedBag:
        return WeightedBag(self.tokens.size, self.width, token_dropout=self.token_dropout, dropout=self.dropout)
