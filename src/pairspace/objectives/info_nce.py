"""InfoNCE: every item must find its partner among the others in the batch.

    L = -1/(2N) * sum_i ( log softmax_j(s_ij)[i] + log softmax_j(s_ji)[i] ),    s = a @ b.T / temperature

The symmetric form of CLIP (Radford et al. 2021, sec. 2.3). One direction of it is what sentence-transformers calls
MultipleNegativesRankingLoss; its `scale` is 1 / temperature. Hard negatives are further columns of s for the first term
alone: a query must find its document among them too, while they have no query to find.

The logits are never held whole. Two passes over blocks of rows, one for the normalisers of rows and columns, one for
the gradients, so memory grows with the batch and not with its square. With r_i and c_j the log-sum-exp of row i and
column j,

    dL/ds_ij = ( exp(s_ij - r_i) + exp(s_ij - c_j) - 2 [i = j] ) / (2N)

One exponential serves both terms: with E_ij = exp(s_ij - m_i), m_i the largest logit of row i, and M the largest of
all, exp(s_ij - c_j) = E_ij * exp(m_i - M) * exp(M - c_j). Where a column lies so far below M that this would underflow,
its normaliser is computed again on its own. As much of E as fits 256 MiB is kept, which spares doing its product again.
A column without a second term (a hard negative) has c_j = infinity, and all of the above holds as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pairspace.objectives.batch import Batch
from pairspace.objectives.blocks import block_rows, blocks, check_pairs, with_negatives
from pairspace.objectives.masks import Mask, Near, masks_of
from pairspace.objectives.objective import Objective
from pairspace.objectives.temperature import Temperature

__all__ = ["InfoNce", "info_nce"]

KEEP = 1 << 26  # up to this many exponentials (256 MiB) are kept between the two passes
UNDERFLOW = 1e-30  # a column sum below this has lost digits


class InfoNce(Objective):
    """InfoNCE of a batch, with its hard negatives where it has any.

    Args:
        temperature: learnt along or fixed.
        debias: cosine of frozen features above which two items of a side count as the same, so that neither's partner
            is a negative of the other; None looks at ids alone.
        symmetric: False asks queries for documents only.
    """

    def __init__(self, temperature: Temperature, *, debias: float | None = None, symmetric: bool = True) -> None:
        super().__init__()
        self.temperature, self.debias, self.symmetric = temperature, debias, symmetric
        self.needs = frozenset() if debias is None else frozenset({"features"})

    def loss(self, batch: Batch) -> Tensor:
        """The mean loss, in nats."""
        return info_nce(
            batch.a,
            batch.b,
            temperature=self.temperature(),
            same=batch.same,
            negatives=batch.negatives,
            near=None if self.debias is None or batch.features is None else Near(batch.features, above=self.debias),
            symmetric=self.symmetric,
        )


def info_nce(
    a: Tensor,
    b: Tensor,
    *,
    temperature: Tensor | float,
    same: Tensor | tuple[Tensor, ...] | None = None,
    negatives: Tensor | None = None,
    near: Near | None = None,
    margin: float = 0.0,
    symmetric: bool = True,
    chunk: int | None = None,
) -> Tensor:
    """InfoNCE of two aligned batches.

    Args:
        a: unit vectors (n, dim) of one side, the queries.
        b: those of the other; row i of `a` belongs with row i of `b`.
        temperature: positive scalar; kept at or above 0.01 by its owner, as CLIP does.
        same: ids (n,) of items that are the same thing, of both sides or as (ids of a, ids of b), or with a third for
            the negatives (m,) in the numbering of b. What shares an id with a known partner is no negative.
        negatives: unit vectors (m, dim) of further documents, each a negative of every query.
        near: items that count as the same by their frozen features.
        margin: subtracted from the cosine of every pair with its own partner (additive margin softmax).
        symmetric: False leaves out the second term and its half: queries look for documents only.
        chunk: rows of logits computed at once; by default as many as make 8 MiB, but at least 256.

    Returns:
        The mean loss, in nats. 0 when no negative is left.

    Raises:
        ShapeError: the two batches differ in length or dimension, or `same` or `negatives` do not fit them.
    """
    check_pairs("info_nce", a, b)
    columns = with_negatives(b, negatives)
    masks = masks_of(len(a), same, negatives, near)
    scale = 1.0 / torch.as_tensor(temperature, dtype=a.dtype, device=a.device)
    settings = _Settings(masks, margin, symmetric, chunk or block_rows(len(columns)))
    loss: Tensor = _Blocked.apply(a, columns, scale, settings)  # type: ignore[no-untyped-call]
    return loss


@dataclass(frozen=True)
class _Settings:
    masks: tuple[Mask, ...]
    margin: float
    symmetric: bool
    chunk: int


def _logits(
    a: Tensor, columns: Tensor, scale: Tensor, settings: _Settings, first: int = 0
) -> Iterator[tuple[slice, Tensor]]:
    """Logits of the rows from `first` on, block by block, own partners shifted by the margin."""
    for rows, logits in blocks(a, columns, scale, settings.masks, settings.chunk, first):
        if settings.margin:
            logits.diagonal(rows.start).sub_(settings.margin * scale)
        yield rows, logits


class _Blocked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, columns: Tensor, scale: Tensor, settings: _Settings) -> Tensor:
        n, width, keep = len(a), len(columns), KEEP if any(ctx.needs_input_grad) else 0
        kept: list[tuple[slice, Tensor]] = []
        top, row_sum = a.new_empty(n), a.new_empty(n)
        column_sum, highest = a.new_zeros(width), a.new_full((), -torch.inf)
        for rows, logits in _logits(a, columns, scale, settings):
            top[rows] = logits.amax(1)
            e = logits.sub_(top[rows, None]).exp_()
            row_sum[rows] = e.sum(1)
            higher = torch.maximum(highest, top[rows].max())
            column_sum = column_sum * torch.exp(highest - higher) + torch.exp(top[rows] - higher) @ e
            highest = higher
            if rows.stop * width <= keep:
                kept.append((rows, e))
        row, column = top + row_sum.log(), highest + column_sum.log()
        shared = not settings.symmetric or bool((column_sum[:n] > UNDERFLOW).all())
        if not shared:
            kept, column = [], a.new_full((width,), -torch.inf)
            for _, logits in _logits(a, columns, scale, settings):
                column = torch.logaddexp(column, logits.logsumexp(0))
        column[n if settings.symmetric else 0 :] = torch.inf
        partner = scale * ((a * columns[:n]).sum(1) - settings.margin)
        ctx.save_for_backward(a, columns, scale, top, row, column, highest, partner)
        ctx.settings, ctx.kept, ctx.shared = settings, kept, shared
        loss = (row - partner).mean()
        return (loss + (column[:n] - partner).mean()) / 2 if settings.symmetric else loss

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, columns, scale, _, row, column, _, partner = ctx.saved_tensors
        n, directions, margin = len(a), 2.0 if ctx.settings.symmetric else 1.0, ctx.settings.margin
        grad_a, grad_columns = torch.empty_like(a), torch.zeros_like(columns)
        for rows, both in _softmaxes(ctx):
            torch.mm(both, columns, out=grad_a[rows])
            grad_columns.addmm_(both.T, a[rows])
        grad_a.sub_(columns[:n], alpha=directions)
        grad_columns[:n].sub_(a, alpha=directions)
        grad_scale = (a * grad_a).sum()
        if margin:
            grad_scale -= margin * (torch.exp(partner - row) + torch.exp(partner - column[:n]) - directions).sum()
        outer = grad / (directions * n)
        return outer * scale * grad_a, outer * scale * grad_columns, outer * grad_scale, None


def _softmaxes(ctx: Any) -> Iterator[tuple[slice, Tensor]]:
    """exp(s_ij - r_i) + exp(s_ij - c_j), block by block: from E where it was kept, then from logits computed again."""
    a, columns, scale, top, row, column, highest, _ = ctx.saved_tensors
    kept, ctx.kept = ctx.kept, []  # overwritten below, so a second backward computes all of them again
    by_row, by_height, by_column = torch.exp(top - row), torch.exp(top - highest), torch.exp(highest - column)

    def both(rows: slice, e: Tensor) -> Tensor:
        return e.mul_(torch.addcmul(by_row[rows, None], by_height[rows, None], by_column))

    for rows, e in kept:
        yield rows, both(rows, e)
    first = kept[-1][0].stop if kept else 0
    for rows, logits in _logits(a, columns, scale, ctx.settings, first):
        if ctx.shared:
            yield rows, both(rows, logits.sub_(top[rows, None]).exp_())
        else:
            yield rows, torch.exp(logits - row[rows, None]) + torch.exp(logits - column)
