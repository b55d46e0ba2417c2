"""What both ways to train a classifier share: the options of a descent, and its steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pairspace.errors import PairspaceError, TrainingError

__all__ = ["Steps"]


@dataclass(frozen=True)
class Steps:
    """How a classifier descends.

    Attributes:
        layers: of the classifier, 1 or 2.
        width: of its hidden layer.
        epochs: passes over the rows.
        batch_size: rows a step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        seed: of the weights and the order.
    """

    layers: int = 2
    width: int = 512
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.layers not in (1, 2):
            raise PairspaceError(f"layers must be 1 or 2, got {self.layers}")
        for name in ("width", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise PairspaceError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise PairspaceError(
                f"learning_rate must be above 0 and weight_decay at least 0, got {self.learning_rate:g} and "
                f"{self.weight_decay:g}"
            )

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW over all weights of a model."""
        return torch.optim.AdamW(model.parameters(), self.learning_rate, weight_decay=self.weight_decay)

    def descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """One step.

        Raises:
            TrainingError: the loss is not finite.
        """
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss became {loss.item()}: lower the learning rate ({self.learning_rate:g})")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
