"""The sigmoid loss: every pair of the batch is asked on its own whether it belongs together.

    L = -1/N * sum_ij log sigmoid(z_ij * (cos_ij / temperature + bias)),    z_ij = 1 where i = j, else -1

SigLIP (Zhai et al. 2023), divided by the N rows as there. The start is SAIL's (Zhang et al. 2025): scale 20, which is
temperature 0.05, and bias -10, which makes up for the many negatives; both are learnt. SAIL itself divides by N * N.
Hard negatives are further columns with z = -1; a pair that a mask leaves out adds nothing.

No softmax, so no normaliser of a whole row is needed: one pass over blocks of rows gives the loss and, with
dL/dx_ij = (sigmoid(x_ij) - [i = j]) / N, the gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

from pairspace.objectives.batch import Batch
from pairspace.objectives.blocks import block_rows, blocks, check_pairs, with_negatives
from pairspace.objectives.masks import Mask, Near, masks_of
from pairspace.objectives.objective import Objective
from pairspace.objectives.temperature import Temperature

__all__ = ["Sigmoid", "sigmoid"]

EXACT = 40.0  # above this softplus(x) is x to the last bit of float64


class Sigmoid(Objective):
    """The sigmoid loss of a batch, with its hard negatives where it has any.

    Args:
        temperature: learnt along or fixed; SAIL starts at 0.05.
        bias: first value of the bias, learnt.
        debias: as `InfoNce` takes it.
    """

    def __init__(self, temperature: Temperature, *, bias: float = -10.0, debias: float | None = None) -> None:
        super().__init__()
        self.temperature, self.debias = temperature, debias
        self.needs = frozenset() if debias is None else frozenset({"features"})
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def loss(self, batch: Batch) -> Tensor:
        """The loss divided by the number of pairs, in nats."""
        return sigmoid(
            batch.a,
            batch.b,
            temperature=self.temperature(),
            bias=self.bias,
            same=batch.same,
            negatives=batch.negatives,
            near=None if self.debias is None or batch.features is None else Near(batch.features, above=self.debias),
        )

    def scalars(self) -> dict[str, float]:
        """Temperature and bias."""
        return super().scalars() | {"bias": float(self.bias.detach())}


def sigmoid(
    a: Tensor,
    b: Tensor,
    *,
    temperature: Tensor | float,
    bias: Tensor | float,
    same: Tensor | tuple[Tensor, ...] | None = None,
    negatives: Tensor | None = None,
    near: Near | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Sigmoid loss of two aligned batches.

    Args:
        a: unit vectors (n, dim) of the queries.
        b: those of the documents; row i of `a` belongs with row i of `b`.
        temperature: positive scalar.
        bias: scalar added to every logit.
        same: ids as `info_nce` takes them; what shares an id with a known partner is left out.
        negatives: unit vectors (m, dim) of further documents, each a negative of every query.
        near: items that count as the same by their frozen features.
        chunk: rows of logits computed at once.

    Returns:
        The sum over all pairs divided by n, in nats.

    Raises:
        ShapeError: the two batches differ in length or dimension, or `same` or `negatives` do not fit them.
    """
    check_pairs("sigmoid", a, b)
    columns, masks = with_negatives(b, negatives), masks_of(len(a), same, negatives, near)
    scale = 1.0 / torch.as_tensor(temperature, dtype=a.dtype, device=a.device)
    shift = torch.as_tensor(bias, dtype=a.dtype, device=a.device)
    loss: Tensor = _Blocked.apply(a, columns, scale, shift, masks, chunk or block_rows(len(columns)))  # type: ignore[no-untyped-call]
    return loss


class _Blocked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, columns: Tensor, scale: Tensor, bias: Tensor, masks: tuple[Mask, ...], chunk: int
    ) -> Tensor:
        n, learns = len(a), any(ctx.needs_input_grad)
        partner = scale * (a * columns[:n]).sum(1) + bias
        losses = softplus(-partner, threshold=EXACT)
        grad_a, grad_columns, grad_bias = torch.empty_like(a), torch.zeros_like(columns), torch.empty_like(losses)
        for rows, logits in blocks(a, columns, scale, masks, chunk):
            x = logits.add_(bias)
            x.diagonal(rows.start).fill_(-torch.inf)
            losses[rows] += softplus(x, threshold=EXACT).sum(1)
            if learns:
                x.sigmoid_().diagonal(rows.start).copy_(-torch.sigmoid(-partner[rows]))
                torch.mm(x, columns, out=grad_a[rows])
                grad_columns.addmm_(x.T, a[rows])
                grad_bias[rows] = x.sum(1)
        ctx.save_for_backward(a, scale, grad_a, grad_columns, grad_bias)
        return losses.mean()

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, scale, grad_a, grad_columns, grad_bias = ctx.saved_tensors
        outer = grad / len(a)
        gradients = outer * scale * grad_a, outer * scale * grad_columns, outer * (a * grad_a).sum()
        return *gradients, outer * grad_bias.sum(), None, None
