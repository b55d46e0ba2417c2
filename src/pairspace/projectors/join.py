"""Several vectors of one item made one: what a side does whose encoders are joined.

    unit(v) = v / |v|,    join(v_1, ..., v_k) = unit( sum_i unit(v_i) )

Every encoder of the side speaks with the same weight, however long its vectors are. The gradient is written down,

    dL/dv = ( g - y (y . g) ) / |v|,    y = unit(v),  g = dL/dy

because autograd makes five times as many passes over memory of a norm and a division, and a step of training does
little else beside its matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["join_vectors", "unit_vectors"]

SMALLEST = 1e-12


class _Unit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        y: Tensor = x / length.clamp_min(SMALLEST)
        ctx.save_for_backward(y, length)
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        y, length = ctx.saved_tensors
        along = torch.linalg.vecdot(gradient, y)[:, None]
        inverse = torch.where(length > SMALLEST, 1 / length, 0)  # nothing is learnt from an empty item
        found: Tensor = torch.addcmul(gradient, y, along, value=-1).mul_(inverse)
        return found


def unit_vectors(x: Tensor) -> Tensor:
    """Rows of (n, dim) at length one; a row of zeros stays."""
    out: Tensor = _Unit.apply(x)  # type: ignore[no-untyped-call]
    return out


def join_vectors(vectors: Sequence[Tensor]) -> Tensor:
    """Unit vectors out of one or several.

    Args:
        vectors: one (n, dim) tensor an encoder, of any lengths.

    Returns:
        (n, dim), unit rows.
    """
    total = unit_vectors(vectors[0])
    if len(vectors) == 1:
        return total
    for one in vectors[1:]:
        total = total + unit_vectors(one)
    return unit_vectors(total)
