"""From token states to one vector: the pooling modes of sentence-transformers, on padded batches.

Written with plain tensor operations only (no data-dependent branches), so that a graph compiler can follow them. Modes
may be combined; their vectors are then joined in the order given, as sentence-transformers does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["MODES", "pool"]


def _mean(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)


def _mean_sqrt(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9).sqrt()


def _weighted_mean(states: Tensor, mask: Tensor, every: Tensor) -> Tensor:
    weights = every.cumsum(1) * mask  # positions count from the first token that is not padding
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def _max(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return states.masked_fill(mask == 0, float("-inf")).amax(1)


def _pick(states: Tensor, scores: Tensor) -> Tensor:
    index = scores.argmax(1, keepdim=True).expand(-1, 1, states.shape[-1])
    return states.gather(1, index).squeeze(1)


def _cls(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return _pick(states, mask)


def _last_token(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return _pick(states, mask.cumsum(1) * mask)


MODES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": _last_token,
}


def pool(states: Tensor, attention_mask: Tensor, modes: Sequence[str], *, skip: int = 0) -> Tensor:
    """One vector a text.

    Args:
        states: token states (batch, tokens, dim).
        attention_mask: (batch, tokens), 1 for a token, 0 for padding; padding may stand on either side.
        modes: names from `MODES`; several are joined.
        skip: how many first tokens of each text belong to a prompt that pooling leaves out.

    Returns:
        (batch, dim * number of modes).
    """
    every = attention_mask.to(states.dtype).unsqueeze(-1)
    mask = every * (every.cumsum(1) > skip).to(states.dtype) if skip else every
    return torch.cat([MODES[mode](states, mask, every) for mode in modes], -1)
