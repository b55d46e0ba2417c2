"""A linear map and, beside it, a small network that starts at nothing.

    y = W x + b + V dropout(gelu(U norm(x))),    V = 0 at the start

The residual form of FuseMix (Vouitsis et al., CVPR 2024) with one block. Because V starts at zero, the projector begins
as the linear one, with the same start, and departs from it only where the pairs ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pairspace.projectors.linear import LinearProjector

__all__ = ["ResidualProjector"]


class ResidualProjector(LinearProjector):
    """Linear map plus a two-layer network.

    Args:
        blocks: dimension of each layer's block in the features; the last layer stands at the end.
        dimension: of the space.
        hidden: width of the network; four times `dimension` if left out.
        dropout: share of hidden units dropped while training.
    """

    kind = "residual"

    def __init__(
        self, blocks: Sequence[int], dimension: int, *, hidden: int | None = None, dropout: float = 0.3
    ) -> None:
        super().__init__(blocks, dimension)
        self.hidden, self.dropout = hidden or 4 * dimension, dropout
        last = nn.Linear(self.hidden, dimension)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(
            nn.LayerNorm(sum(self.blocks)),
            nn.Linear(sum(self.blocks), self.hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            last,
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, sum of blocks) to vectors (n, dimension), not normalised."""
        out: Tensor = self.linear(features) + self.network(features)
        return out

    def settings(self) -> dict[str, Any]:
        """What `create_projector` needs to build it again."""
        return super().settings() | {"hidden": self.hidden, "dropout": self.dropout}
