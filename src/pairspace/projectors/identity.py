"""The identity: the last layer as it is.

It trains nothing, and is the yardstick every trained projector is held against.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pairspace.errors import ShapeError
from pairspace.projectors.projector import Projector

__all__ = ["IdentityProjector"]


class IdentityProjector(Projector):
    """Passes the block of the last layer through.

    Args:
        blocks: dimension of each layer's block in the features; the last layer stands at the end.
        dimension: must equal the last block's.
    """

    kind = "identity"

    def __init__(self, blocks: Sequence[int], dimension: int) -> None:
        super().__init__(blocks, dimension)
        if dimension != blocks[-1]:
            raise ShapeError(
                f"an identity projector keeps the encoder's {blocks[-1]} dimensions, but the space has {dimension}; "
                "use projector='linear' where the sides' encoders differ in dimension"
            )

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, sum of blocks) to vectors (n, dimension), not normalised."""
        return features[:, -self.dimension :]
