"""A projector whose vectors take some dimensions of a larger space and leave the others at zero.

    y = [0, ..., 0, P(x), 0, ..., 0]

So the vectors of spaces that were trained apart lie beside each other when they are joined, and none disturbs another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional

from pairspace.errors import ShapeError
from pairspace.projectors.projector import Projector

__all__ = ["PlacedProjector"]


class PlacedProjector(Projector):
    """Another projector's vectors, from the dimension `offset` on.

    Args:
        blocks: dimension of each layer's block in the features.
        dimension: of the larger space.
        inner: the other projector.
        offset: the first dimension it takes.
    """

    kind = "placed"

    def __init__(self, blocks: Sequence[int], dimension: int, *, inner: Projector, offset: int) -> None:
        super().__init__(blocks, dimension)
        if inner.blocks != self.blocks:
            raise ShapeError(f"the projector inside takes blocks of {inner.blocks}, not of {self.blocks}")
        if not 0 <= offset <= dimension - inner.dimension:
            raise ShapeError(
                f"{inner.dimension} dimensions do not fit from number {offset} on into a space of {dimension}"
            )
        self.inner, self.offset = inner, offset

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, sum of blocks) to vectors (n, dimension), not normalised."""
        after = self.dimension - self.inner.dimension - self.offset
        return functional.pad(self.inner(features), (self.offset, after))

    @property
    def title(self) -> str:
        """That of the projector inside."""
        return self.inner.title

    def settings(self) -> dict[str, Any]:
        """What `create_projector` needs to build it again."""
        return super().settings() | {"inner": self.inner.settings(), "offset": self.offset}
