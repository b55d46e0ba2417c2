"""How to train: every knob with its default, checked once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pairspace.errors import TrainingError

__all__ = ["TrainingOptions"]


@dataclass(frozen=True)
class TrainingOptions:
    """The settings of one training run; the defaults are the measured ones of docs/log.md.

    Attributes:
        epochs: passes over the pairs.
        batch_size: pairs a step; all others of the batch are each pair's negatives.
        learning_rate: AdamW's highest, after the warm-up and before the cosine.
        weight_decay: AdamW's, on matrices only.
        warmup: share of all steps in which the rate rises linearly.
        temperature: its start; CLIP's is 0.07.
        learn_temperature: False keeps the start.
        patience: epochs without a better validation score after which training stops; None never stops early.
        seed: of the order of the pairs and of dropout; equal seeds give equal weights on a CPU.
    """

    epochs: int = 12
    batch_size: int = 2048
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    temperature: float = 0.05
    learn_temperature: bool = True
    patience: int | None = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("batch_size", 2)):
            if getattr(self, name) < low:
                raise TrainingError(f"{name} must be at least {low}, got {getattr(self, name)}")
        if not 0 < self.learning_rate < float("inf"):
            raise TrainingError(f"learning_rate must be above 0, got {self.learning_rate}")
        if not self.weight_decay >= 0:
            raise TrainingError(f"weight_decay must not be negative, got {self.weight_decay}")
        if not 0 <= self.warmup < 1:
            raise TrainingError(f"warmup is a share of all steps, from 0 up to but not 1, got {self.warmup}")
        if not 0.01 <= self.temperature <= 1:
            raise TrainingError(f"temperature must lie between 0.01 and 1, got {self.temperature}")
        if self.seed < 0:
            raise TrainingError(f"seed must not be negative, got {self.seed}")
        if self.patience is not None and self.patience < 1:
            raise TrainingError(f"patience must be at least 1 epoch, or None, got {self.patience}")

    def to_dict(self) -> dict[str, Any]:
        """All settings by name."""
        return asdict(self)
