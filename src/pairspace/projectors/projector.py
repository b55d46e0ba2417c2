"""What every projector is: a module from layered features to vectors that knows its shape and can be made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

__all__ = ["Projector"]


class Projector(nn.Module):
    """Features (n, sum of blocks) to vectors (n, dimension), not normalised.

    Args:
        blocks: dimension of each layer's block in the features; the last layer stands at the end.
        dimension: of the space.
    """

    kind: ClassVar[str]
    sparse: ClassVar[bool] = False  # its vectors are weights of terms, most of them zero
    unit: ClassVar[bool] = True  # the side's vectors are brought to length one
    rates: ClassVar[
        Mapping[str, float]
    ] = {}  # of parameters that train at another multiple of the learning rate than 1

    def __init__(self, blocks: Sequence[int], dimension: int) -> None:
        super().__init__()
        self.blocks, self.dimension = tuple(blocks), dimension

    @property
    def reach(self) -> int:
        """Dimensions that a map set as the start leads to."""
        return self.dimension

    @property
    def title(self) -> str:
        """What it does, in a word."""
        return self.kind

    def settings(self) -> dict[str, Any]:
        """What `create_projector` needs to build it again."""
        return {"kind": self.kind, "blocks": list(self.blocks), "dimension": self.dimension}
