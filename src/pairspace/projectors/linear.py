"""A linear map with a bias: CLIP's projection, taken off the encoder.

    y = W x + b,    x = [x_layer1, ..., x_last], each block a unit vector

The bias is what a centred start (PCA, Procrustes) needs; it starts at zero otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pairspace.projectors.projector import Projector

__all__ = ["LinearProjector"]


class LinearProjector(Projector):
    """One affine map from the layered features to the space.

    Args:
        blocks: dimension of each layer's block in the features; the last layer stands at the end.
        dimension: of the space.
    """

    kind = "linear"

    def __init__(self, blocks: Sequence[int], dimension: int) -> None:
        super().__init__(blocks, dimension)
        self.linear = nn.Linear(sum(self.blocks), dimension)
        nn.init.normal_(self.linear.weight, std=sum(self.blocks) ** -0.5)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, sum of blocks) to vectors (n, dimension), not normalised."""
        out: Tensor = self.linear(features)
        return out

    @torch.no_grad()
    def set_map(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Start as a given map of the last layer's block; the other layers start at zero.

        Args:
            weight: (dimension, blocks[-1]).
            bias: (dimension,), zero if left out.
        """
        self.linear.weight.zero_()
        self.linear.weight[:, -self.blocks[-1] :] = weight
        self.linear.bias.zero_() if bias is None else self.linear.bias.copy_(bias)

    @torch.no_grad()
    def set_whole_map(self, weight: Tensor, bias: Tensor) -> None:
        """Become a given map of all layers.

        Args:
            weight: (dimension, sum of blocks).
            bias: (dimension,).
        """
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(bias)
