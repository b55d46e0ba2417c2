"""SPLADE's head: for every text and term the highest score that one of its tokens gives the term.

    m_v = max_t ( h_t . E_v + b_v ),    w_v = log(1 + relu(m_v))

over the tokens t that are no padding. log(1 + relu(.)) never falls, so the maximum may be taken first (Sparton, Nguyen
et al. 2026) and the saturation is computed once a term. Nothing of the size texts x tokens x terms is ever held: the
terms go by in pieces, and of each piece only the maximum and the token it came from are kept. The gradient has to go
through that token alone,

    dL/dh_t = sum_v [t = argmax_v] g_v E_v,    dL/dE_v = sum_texts g_v h_argmax,    g_v = dL/dw_v exp(-w_v) [w_v > 0]

which is a product with a sparse matrix of at most one entry a text and term, and none where w_v is zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["max_pool_head"]

PIECE = 1 << 23  # scores held at once: 32 MiB


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, mask: Tensor, head: Tensor, bias: Tensor) -> Tensor:
        texts, tokens, _ = hidden.shape
        terms = len(head)
        flat = hidden.reshape(texts * tokens, -1)
        outside = torch.zeros(texts, tokens, 1, dtype=hidden.dtype, device=hidden.device)
        outside.masked_fill_(~mask.bool()[:, :, None], -torch.inf)
        best = hidden.new_empty(texts, terms)
        where = torch.empty(texts, terms, dtype=torch.int16 if tokens < 1 << 15 else torch.int32, device=hidden.device)
        piece = max(1, PIECE // max(1, texts * tokens))
        for start in range(0, terms, piece):
            part = slice(start, min(start + piece, terms))
            scores = (flat @ head[part].T).view(texts, tokens, -1)
            found, place = scores.add_(outside).max(1)
            best[:, part], where[:, part] = found, place
        weights = best.add_(bias).relu_().log1p_()
        ctx.save_for_backward(flat, head, weights, where)
        ctx.shape = hidden.shape
        return weights

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        flat, head, weights, where = ctx.saved_tensors
        tokens = ctx.shape[1]
        text, term = (weights > 0).nonzero(as_tuple=True)
        values = gradient[text, term] * torch.exp(-weights[text, term])
        token = text * tokens + where[text, term].long()
        grad_bias = torch.zeros_like(head[:, 0]).index_add_(0, term, values.to(head.dtype))
        grad_hidden = _product(token, term, values, len(flat), head)
        return grad_hidden.view(ctx.shape), None, _product(term, token, values, len(head), flat), grad_bias


def _product(rows: Tensor, columns: Tensor, values: Tensor, count: int, dense: Tensor) -> Tensor:
    """A sparse matrix of `count` rows, its entries in any order, times a dense one: sums of weighted rows of that."""
    order = torch.argsort(rows)
    starts = torch.searchsorted(rows[order], torch.arange(count, device=rows.device))
    return functional.embedding_bag(
        columns[order], dense, starts, mode="sum", per_sample_weights=values[order].to(dense.dtype)
    )


def max_pool_head(hidden: Tensor, mask: Tensor, head: Tensor, bias: Tensor) -> Tensor:
    """Weights of terms from the states of tokens.

    Args:
        hidden: (texts, tokens, dim), after the head's own transform.
        mask: (texts, tokens), zero where there is padding.
        head: (terms, dim).
        bias: (terms,).

    Returns:
        (texts, terms), not negative; zeros for a text without tokens.
    """
    out: Tensor = _MaxPool.apply(hidden, mask, head, bias)  # type: ignore[no-untyped-call]
    return out
