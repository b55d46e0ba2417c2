"""InfoNCE: every item must find its partner among the others in the batch.

    L = -1/(2N) * sum_i ( log softmax_j(s_ij)[i] + log softmax_j(s_ji)[i] ),    s = a @ b.T / temperature

The symmetric form of CLIP (Radford et al. 2021, sec. 2.3). One direction of it is what sentence-transformers calls
MultipleNegativesRankingLoss; its `scale` is 1 / temperature.

The logits are never held whole. Two passes over blocks of rows, one for the normalisers of rows and columns, one for
the gradients, so memory grows with the batch and not with its square. With r_i and c_j the log-sum-exp of row i and
column j,

    dL/ds_ij = ( exp(s_ij - r_i) + exp(s_ij - c_j) - 2 [i = j] ) / (2N)

One exponential serves both terms: with E_ij = exp(s_ij - m_i), m_i the largest logit of row i, and M the largest of
all, exp(s_ij - c_j) = E_ij * exp(m_i - M) * exp(M - c_j). Where a column lies so far below M that this would underflow,
its normaliser is computed again on its own. As much of E as fits 256 MiB is kept, which spares doing its product again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pairspace.errors import ShapeError

__all__ = ["info_nce"]

BLOCK = 1 << 21  # logits held at once (8 MiB): a block stays in the processor's cache between its few passes
ROWS = 256  # but never fewer rows than this: thinner products run at two thirds of the speed
KEEP = 1 << 26  # up to this many exponentials (256 MiB) are kept between the two passes
UNDERFLOW = 1e-30  # a column sum below this has lost digits


def info_nce(
    a: Tensor,
    b: Tensor,
    *,
    temperature: Tensor | float,
    same: Tensor | tuple[Tensor, Tensor] | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Symmetric InfoNCE of two aligned batches.

    Args:
        a: unit vectors (n, dim) of one side.
        b: those of the other; row i of `a` belongs with row i of `b`.
        temperature: positive scalar; kept at or above 0.01 by its owner, as CLIP does.
        same: ids (n,) of items that are the same thing, of both sides or as (ids of a, ids of b); pairs that share an
            id on either side never count as each other's negatives.
        chunk: rows of logits computed at once; by default as many as make 8 MiB, but at least 256.

    Returns:
        The mean loss, in nats. 0 when no negative is left.

    Raises:
        ShapeError: the two batches differ in length or dimension, or `same` has another length.
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise ShapeError(
            f"info_nce needs two batches of equal shape (n, dim), got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    ids = () if same is None else same if isinstance(same, tuple) else (same,)
    for one in ids:
        if one.shape != (len(a),):
            raise ShapeError(f"info_nce: `same` must have one id a pair, ({len(a)},), got {tuple(one.shape)}")
    scale = 1.0 / torch.as_tensor(temperature, dtype=a.dtype, device=a.device)
    repeated = tuple(_Repeated(one) for one in ids)
    repeated = tuple(one for one in repeated if len(one.rows))
    chunk = chunk or max(ROWS, BLOCK // max(1, len(a)))
    loss: Tensor = _InfoNCE.apply(a, b, scale, repeated, chunk)  # type: ignore[no-untyped-call]
    return loss


class _Repeated:
    """The rows of a batch whose id occurs more than once: the only ones that need a mask."""

    def __init__(self, ids: Tensor) -> None:
        _, inverse, counts = torch.unique(ids, return_inverse=True, return_counts=True)
        self.ids = inverse
        self.rows = torch.nonzero(counts[inverse] > 1).flatten()

    def mask_(self, logits: Tensor, start: int) -> None:
        """Set to -inf the logits of rows `start`... against columns of equal id, their own partner excepted."""
        low, high = torch.searchsorted(self.rows, torch.tensor([start, start + len(logits)], device=self.rows.device))
        rows = self.rows[low:high]
        if len(rows) == 0:
            return
        equal = self.ids[rows][:, None] == self.ids[None, :]
        equal[torch.arange(len(rows), device=rows.device), rows] = False
        logits[rows - start] = logits[rows - start].masked_fill(equal, -torch.inf)


def _blocks(
    a: Tensor, b: Tensor, scale: Tensor, repeated: tuple[_Repeated, ...], chunk: int, first: int = 0
) -> Iterator[tuple[slice, Tensor]]:
    """Logits of the rows from `first` on, block by block."""
    for start in range(first, len(a), chunk):
        logits = (a[start : start + chunk] * scale) @ b.T
        for ids in repeated:
            ids.mask_(logits, start)
        yield slice(start, start + len(logits)), logits


class _InfoNCE(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scale: Tensor, repeated: tuple[_Repeated, ...], chunk: int) -> Tensor:
        n, keep = len(a), KEEP if any(ctx.needs_input_grad) else 0
        kept: list[tuple[slice, Tensor]] = []
        top, row_sum = a.new_empty(n), a.new_empty(n)
        column_sum, highest = a.new_zeros(n), a.new_full((), -torch.inf)
        for rows, logits in _blocks(a, b, scale, repeated, chunk):
            top[rows] = logits.amax(1)
            e = logits.sub_(top[rows, None]).exp_()
            row_sum[rows] = e.sum(1)
            higher = torch.maximum(highest, top[rows].max())
            column_sum = column_sum * torch.exp(highest - higher) + torch.exp(top[rows] - higher) @ e
            highest = higher
            if rows.stop * n <= keep:
                kept.append((rows, e))
        row, column = top + row_sum.log(), highest + column_sum.log()
        shared = bool((column_sum > UNDERFLOW).all())
        if not shared:
            kept, column = [], a.new_full((n,), -torch.inf)
            for _, logits in _blocks(a, b, scale, repeated, chunk):
                column = torch.logaddexp(column, logits.logsumexp(0))
        ctx.save_for_backward(a, b, scale, top, row, column, highest)
        ctx.repeated, ctx.chunk, ctx.kept, ctx.shared = repeated, chunk, kept, shared
        diagonal = scale * (a * b).sum(1)
        return ((row - diagonal).mean() + (column - diagonal).mean()) / 2

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b, scale, *_ = ctx.saved_tensors
        grad_a, grad_b = torch.empty_like(a), torch.zeros_like(b)
        for rows, both in _softmaxes(ctx):
            torch.mm(both, b, out=grad_a[rows])
            grad_b.addmm_(both.T, a[rows])
        grad_a.sub_(b, alpha=2.0)
        grad_b.sub_(a, alpha=2.0)
        outer = grad / (2 * len(a))
        return outer * scale * grad_a, outer * scale * grad_b, outer * (a * grad_a).sum(), None, None


def _softmaxes(ctx: Any) -> Iterator[tuple[slice, Tensor]]:
    """exp(s_ij - r_i) + exp(s_ij - c_j), block by block: from E where it was kept, then from logits computed again."""
    a, b, scale, top, row, column, highest = ctx.saved_tensors
    kept, ctx.kept = ctx.kept, []  # overwritten below, so a second backward computes all of them again
    by_row, by_height, by_column = torch.exp(top - row), torch.exp(top - highest), torch.exp(highest - column)

    def both(rows: slice, e: Tensor) -> Tensor:
        return e.mul_(torch.addcmul(by_row[rows, None], by_height[rows, None], by_column))

    for rows, e in kept:
        yield rows, both(rows, e)
    first = kept[-1][0].stop if kept else 0
    for rows, logits in _blocks(a, b, scale, ctx.repeated, ctx.chunk, first):
        if ctx.shared:
            yield rows, both(rows, logits.sub_(top[rows, None]).exp_())
        else:
            yield rows, torch.exp(logits - row[rows, None]) + torch.exp(logits - column)
