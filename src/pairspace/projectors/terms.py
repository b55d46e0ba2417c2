"""Weights of terms as an encoder gives them, passed through: the identity of sparse spaces."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pairspace.projectors.projector import Projector

__all__ = ["TermsProjector"]


class TermsProjector(Projector):
    """Passes the weights of terms through.

    Args:
        blocks: one, as wide as there are terms.
        dimension: the same.
    """

    kind = "terms"
    sparse = True
    unit = False  # models that were trained so mean the length of their vectors

    def __init__(self, blocks: Sequence[int], dimension: int) -> None:
        super().__init__(blocks, dimension or blocks[-1])

    def forward(self, features: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Weights (n, terms) as they are, where they are allowed."""
        return features if allowed is None else features * allowed
