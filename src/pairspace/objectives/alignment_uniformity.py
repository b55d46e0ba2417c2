"""Alignment and uniformity: the two things a contrastive loss asks for, each on its own.

    alignment  = mean over pairs of |a_i - b_i|^2                                 partners are near: 0 is best
    uniformity = log mean over i != j of exp(-t |x_i - x_j|^2),    t = 2          all are spread: low is best

Wang & Isola 2020. For the records of a training run, so no gradients; a block of rows at a time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pairspace.errors import ShapeError
from pairspace.objectives.blocks import block_rows, blocks, check_pairs

__all__ = ["alignment", "uniformity"]


@torch.no_grad()
def alignment(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared distance of partners.

    Args:
        a: unit vectors (n, dim).
        b: those they belong with.

    Returns:
        A scalar from 0 to 4; 2 for vectors that have nothing to do with each other.

    Raises:
        ShapeError: the two differ in shape.
    """
    check_pairs("alignment", a, b)
    return (a - b).square().sum(1).mean()


@torch.no_grad()
def uniformity(x: Tensor, *, t: float = 2.0) -> Tensor:
    """Logarithm of the mean Gaussian potential of all pairs of different rows.

    Args:
        x: unit vectors (n, dim), at least 2; the work grows with n^2, so a sample of a few thousand is enough.
        t: sharpness of the potential.

    Returns:
        A scalar from -4t (never quite reached) to 0, where all rows are one point; about -2t (1 - 1/dim) for vectors
        spread evenly over a sphere of many dimensions.

    Raises:
        ShapeError: fewer than two rows.
    """
    if x.ndim != 2 or len(x) < 2:
        raise ShapeError(f"uniformity needs at least two vectors (n, dim), got the shape {tuple(x.shape)}")
    sums = []
    for rows, cosines in blocks(x, x, 2 * t, (), block_rows(len(x))):
        cosines.diagonal(rows.start).fill_(-torch.inf)
        sums.append(cosines.logsumexp(1))
    return torch.cat(sums).logsumexp(0) - 2 * t - math.log(len(x) * (len(x) - 1))
