"""A small transformer that starts from nothing, sized by one number.

    h = E[ids];    h += attention(norm(h));    h += mlp(norm(h))  for every block;    x = pool(norm(h))

Pre-norm, with rotary positions (Su et al. 2021): queries and keys are turned by an angle that grows with the position,
so that their product depends on the distance alone, and no table of positions limits the length. Every token sees
every other. No dropout: inside attention it halves the speed on a CPU. Weights start as in CLIP (Radford et al. 2021,
its released code). Depth follows from the width as in nanochat: one block and one head of 64 for every 64 values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from pairspace.encoders.batching import pad
from pairspace.encoders.nothing import FromNothing
from pairspace.encoders.vocabulary import END, PAD, Vocabulary, train_bpe
from pairspace.errors import EncoderError

__all__ = ["SmallTransformer", "SmallTransformerEncoder", "rotate"]

_HEAD = 64
_BASE = 10_000.0  # longest wavelength of the rotary angles, in positions over 2 pi


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i + d/2}) of the last dimension d by the angle whose cosine and sine are given.

    Args:
        x: (..., tokens, d).
        cos: (tokens, d / 2).
        sin: (tokens, d / 2).
    """
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        n, tokens, width = h.shape
        parts = self.qkv(self.attention_norm(h)).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = rotate(parts[0], cos, sin), rotate(parts[1], cos, sin), parts[2]
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        h = h + self.out(seen.transpose(1, 2).reshape(n, tokens, width))
        out: Tensor = h + self.down(functional.gelu(self.up(self.mlp_norm(h))))
        return out


class SmallTransformer(nn.Module):
    """Token ids and their mask in, pooled layers out.

    Args:
        tokens: size of the vocabulary.
        width: values a token.
        depth: blocks.
        heads: of each block.
        pooling: "mean" over the tokens, or "eot": the last token's state.
    """

    def __init__(self, tokens: int, *, width: int, depth: int, heads: int, pooling: str) -> None:
        super().__init__()
        self.width, self.pooling = width, pooling
        self.embeddings = nn.Embedding(tokens, width)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        half = width // heads // 2
        self.register_buffer("angles", _BASE ** (-torch.arange(half) / half), persistent=False)

    def start(self, generator: torch.Generator) -> None:
        """CLIP's first weights: no block is louder than another, however many there are."""
        width, depth = self.width, len(self.blocks)
        for parameter in self.parameters():
            if parameter.ndim == 1:
                nn.init.zeros_(parameter)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
        nn.init.normal_(self.embeddings.weight, std=0.02, generator=generator)
        for block in self.blocks:
            for name, std in (
                ("qkv", width**-0.5),
                ("out", (2 * depth * width) ** -0.5),
                ("up", (2 * width) ** -0.5),
                ("down", (2 * depth * width) ** -0.5),
            ):
                nn.init.normal_(getattr(block, name).weight, std=std, generator=generator)

    def forward(self, ids: Tensor, mask: Tensor, layers: Sequence[str] = ("last",)) -> tuple[Tensor, ...]:
        """Pool the asked layers.

        Args:
            ids: int64 (n, tokens), padded at the end.
            mask: int64 (n, tokens), 1 where there is a token; at least one in every row.
            layers: "0" for the embeddings, "1" and on for what that block gave, "last" for the normed output.

        Returns:
            One tensor (n, width) for each of `layers`.
        """
        angles: Any = self.angles
        turn = torch.arange(ids.shape[1], device=ids.device, dtype=angles.dtype)[:, None] * angles
        cos, sin = turn.cos(), turn.sin()
        seen = None if bool(mask.all()) else mask.bool()[:, None, None, :]
        h = self.embeddings(ids)
        pooled = {"0": self._pool(h, mask)} if "0" in layers else {}
        for number, block in enumerate(self.blocks, 1):
            h = block(h, cos, sin, seen)
            if str(number) in layers:
                pooled[str(number)] = self._pool(h, mask)
        if "last" in layers:
            pooled["last"] = self._pool(self.norm(h), mask)
        return tuple(pooled[layer] for layer in layers)

    def _pool(self, h: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "eot":
            return h[torch.arange(len(h), device=h.device), mask.sum(1) - 1]
        weight = mask.to(h.dtype)[:, :, None]
        return (h * weight).sum(1) / weight.sum(1)


class SmallTransformerEncoder(FromNothing):
    """A transformer with a vocabulary of its own; made by `load_encoder("transformer")`.

    Args:
        name: what the user calls it.
        width: values a token, a multiple of 64 (or 32, with one head); depth and heads follow: width / 64 of each.
        vocabulary: most tokens.
        pooling: "mean", or "eot" as in CLIP.
        max_length: tokens kept of a text, the end token included.
        prompt: put before every text.
        device: see `device.py`.
    """

    family = "small"
    sorts = True

    def __init__(
        self,
        name: str = "transformer",
        *,
        width: int = 256,
        vocabulary: int = 16_000,
        pooling: str = "mean",
        max_length: int | None = None,
        prompt: str = "",
        device: str | None = None,
    ) -> None:
        if width != 32 and (width < _HEAD or width % _HEAD):
            raise EncoderError(f"{name}: width {width} must be 32 or a multiple of {_HEAD}, such as 256 or 384")
        if pooling not in ("mean", "eot"):
            raise EncoderError(f"{name}: pooling {pooling!r} is unknown: use 'mean' or 'eot'")
        length = 256 if max_length is None else max_length
        if length < 2:
            raise EncoderError(f"{name}: max_length {length} leaves no room beside the end token: use 2 or more")
        super().__init__(name, max_length=length, prompt=prompt, device=device)
        self.width, self.vocabulary, self.pooling = width, vocabulary, pooling
        self.depth = self.heads = max(1, width // _HEAD)
        self.layers = (*map(str, range(self.depth + 1)), "last")
        self.dimensions = dict.fromkeys(self.layers, width)

    def begin(self, texts: Sequence[str], *, seed: int) -> None:
        """See FromNothing."""
        self._tokens = self._read(train_bpe(texts, size=self.vocabulary))
        module = self._build()
        module.start(torch.Generator().manual_seed(seed))
        self._module = module.to(self.device).eval()

    def collate(self, ids: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
        """Ids and mask, int64 (n, longest), padded at the end."""
        return pad([one.tolist() for one in ids], value=self.tokens.id_of(PAD))

    def _own(self) -> dict[str, Any]:
        own = {"width": self.width, "vocabulary": self.vocabulary, "pooling": self.pooling}
        return own | {"max_length": self.max_length, "prompt": self.prompt}

    def _read(self, tokenizer: Tokenizer) -> Vocabulary:
        return Vocabulary(tokenizer, max_length=self.max_length, prompt=self.prompt, end=END)

    def _build(self) -> SmallTransformer:
        return SmallTransformer(
            self.tokens.size, width=self.width, depth=self.depth, heads=self.heads, pooling=self.pooling
        )
