"""Starts that do not destroy what the encoders know.

Two sides of one encoder already share a space: their projectors start as the identity of the last layer. Two encoders
of different origin do not, even where their dimensions agree: each is reduced to the space's dimension along its
principal axes, and the second is turned onto the first by the rotation that brings the training pairs closest,

    R = argmin ||X R - Y||_F, R'R = I    =    U V',   X'Y = U S V'       (orthogonal Procrustes, Schoenemann 1966)

where Y are the centred, reduced features of the first side and X those of the other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pairspace.errors import ShapeError, TrainingError
from pairspace.projectors.identity import IdentityProjector
from pairspace.projectors.lexical import LexicalProjector
from pairspace.projectors.linear import LinearProjector
from pairspace.projectors.projector import Projector

__all__ = ["align", "start_at_identity"]


def start_at_identity(projector: Projector) -> None:
    """Let a projector pass the last layer through, as the identity does from the beginning.

    A space of more dimensions than the layer has room left, which starts at zero.

    Raises:
        ShapeError: the space has fewer dimensions than the last layer.
    """
    if projector.blocks[-1] > projector.dimension:
        raise ShapeError(f"no identity from {projector.blocks[-1]} to {projector.dimension} dimensions")
    if isinstance(projector, LinearProjector):
        projector.set_map(torch.eye(projector.dimension, projector.blocks[-1]))


def align(first: Projector, other: Projector, x_first: Tensor, x_other: Tensor) -> None:
    """Start two projectors of different encoders so that paired items lie close.

    Args:
        first: the projector that sets the axes of the space (an identity does, wherever it stands).
        other: the one that is turned onto them.
        x_first: last-layer features (n, blocks[-1]) of the first side; some thousands are enough.
        x_other: those of the other side, row by row the partners.

    Raises:
        TrainingError: fewer than two distinct pairs, or features without variation.
    """
    if len(x_first) < 2:
        raise TrainingError("at least two pairs are needed to align two encoders")
    if isinstance(other, IdentityProjector):
        first, other, x_first, x_other = other, first, x_other, x_first
    if isinstance(first, IdentityProjector):
        axes_first, mean_first = torch.eye(first.dimension), torch.zeros(first.dimension)
    else:
        axes_first, mean_first = _principal_axes(x_first, first.reach)
    axes_other, mean_other = _principal_axes(x_other, other.reach)
    y, x = (x_first - mean_first) @ axes_first, (x_other - mean_other) @ axes_other
    u, _, vt = torch.linalg.svd(x.T @ y)
    scale = y.norm() / x.norm().clamp_min(1e-12)
    turned = axes_other @ (u @ vt) * scale
    if isinstance(first, LinearProjector):
        first.set_map(axes_first.T, -mean_first @ axes_first)
    if isinstance(other, LinearProjector | LexicalProjector):
        other.set_map(turned.T, -mean_other @ turned)


def _principal_axes(x: Tensor, dimension: int) -> tuple[Tensor, Tensor]:
    """Orthonormal columns (d, dimension) along the largest variation, zero columns past d, and the mean (d,)."""
    mean = x.mean(0)
    centred = x - mean
    if float(centred.norm()) < 1e-6:
        raise TrainingError("all features are equal: there is no direction to align them along")
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors.flip(1)[:, :dimension]
    missing = dimension - axes.shape[1]
    return (torch.nn.functional.pad(axes, (0, missing)) if missing > 0 else axes), mean
