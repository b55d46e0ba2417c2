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

__all__ = ["align", "set_axes", "start_at_identity", "turn"]


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
    turn(other, set_axes(first, x_first), x_other)


def set_axes(projector: Projector, x: Tensor) -> Tensor:
    """Let a projector set the axes of the space, and give the features on them (n, dimension).

    Args:
        projector: an identity keeps the features as they are, a linear one takes their principal axes.
        x: last-layer features (n, blocks[-1]).

    Raises:
        TrainingError: features without variation.
    """
    if isinstance(projector, IdentityProjector):
        return x
    axes, mean = _principal_axes(x, projector.reach)
    if isinstance(projector, LinearProjector):
        projector.set_map(axes.T, -mean @ axes)
    return (x - mean) @ axes


def turn(projector: Projector, y: Tensor, x: Tensor) -> None:
    """Start a projector so that its features lie close to given vectors.

    Args:
        projector: the one that is turned; an identity stays.
        y: vectors in the space (n, dimension).
        x: last-layer features (n, blocks[-1]) of their partners.

    Raises:
        TrainingError: features without variation.
    """
    axes, mean = _principal_axes(x, projector.reach)
    x = (x - mean) @ axes
    u, _, vt = torch.linalg.svd(x.T @ y)
    turned = axes @ (u @ vt) * (y.norm() / x.norm().clamp_min(1e-12))
    if isinstance(projector, LinearProjector | LexicalProjector):
        projector.set_map(turned.T, -mean @ turned)


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
