"""The learnable temperature of a contrastive loss, with CLIP's start and clamp.

    logits = cosine / temperature = cosine * exp(log_scale),    log_scale starts at ln(1/0.07), kept in [0, ln 100]

CLIP (Radford et al. 2021, sec. 2.5) learns the logarithm of the scale, so that a step is relative, and never lets
logits grow beyond 100 times the cosine. sentence-transformers' `scale` is 1 / temperature.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Temperature"]

START = 0.07
LOWEST = 0.01


class Temperature(nn.Module):
    """A positive scalar, learnt as the logarithm of its inverse.

    Args:
        start: first value; CLIP's is 0.07.
        learnable: False keeps it at `start`.
    """

    def __init__(self, start: float = START, *, learnable: bool = True) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(start), dtype=torch.float32), requires_grad=learnable)

    def forward(self) -> Tensor:
        """The temperature as a scalar tensor that carries a gradient."""
        return torch.exp(-self.log_scale)

    @torch.no_grad()
    def clamp_(self) -> None:
        """Bring it back into [0.01, 1]; to be called after every optimiser step."""
        self.log_scale.clamp_(0.0, -math.log(LOWEST))

    @property
    def value(self) -> float:
        """The temperature as a number."""
        return float(self.forward().detach())
