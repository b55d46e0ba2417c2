"""A small planted problem: two sides that see one hidden vector through different maps, and towers over them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from pairspace.objectives import Temperature
from pairspace.projectors import create_projector
from pairspace.training import (
    Examples,
    FrozenBranch,
    History,
    Tower,
    TrainingOptions,
    Validation,
    build_objective,
    train,
)


class Rows:
    """Features in memory."""

    truncated = 0.0

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dimension = values.astype(np.float32), values.shape[1]

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, indices: np.ndarray | None = None) -> np.ndarray:
        return self.values if indices is None else self.values[indices]


def tower(values: np.ndarray, projector: torch.nn.Module) -> Tower:
    return Tower([FrozenBranch(Rows(values), projector)])


@dataclass
class Problem:
    """`n` pairs to train on and `held_out` others; equal arguments give equal problems."""

    n: int = 120
    held_out: int = 60
    kind: str = "linear"
    seed: int = 0
    options: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        hidden = random.normal(size=(self.n + self.held_out, 8))
        self.sides = [hidden @ random.normal(size=(8, d)) for d in (10, 12)]
        torch.manual_seed(self.seed)
        self.projectors = [
            create_projector(self.kind, blocks=[4, s.shape[1] - 4], dimension=8, **self.options) for s in self.sides
        ]
        self.towers = tuple(tower(s[: self.n], p) for s, p in zip(self.sides, self.projectors, strict=True))
        self.examples = Examples(np.arange(self.n), np.arange(self.n))
        self.temperature = Temperature()
        self.validation = None
        if self.held_out:
            watched = (tower(s[self.n :], p) for s, p in zip(self.sides, self.projectors, strict=True))
            self.validation = Validation(*watched, (np.arange(self.held_out), np.arange(self.held_out)))

    def train(self, *, options: dict | None = None, **rest) -> History:
        chosen = {
            "epochs": 6,
            "batch_size": 50,
            "learning_rate": 0.02,
            "weight_decay": 0.01,
            "patience": None,
            "seed": 3,
        }
        settings = TrainingOptions(**chosen | (options or {}))
        return train(
            *self.towers,
            self.examples,
            objective=build_objective(settings, self.temperature, self.examples, dimension=8),
            options=settings,
            **{"validation": self.validation, "progress": False} | rest,
        )

    def weights(self) -> dict[str, torch.Tensor]:
        modules = torch.nn.ModuleList([*self.projectors, self.temperature])
        return {name: value.clone() for name, value in modules.state_dict().items()}

    def has_the_weights_of(self, other: Problem) -> bool:
        return all(torch.equal(a, b) for a, b in zip(self.weights().values(), other.weights().values(), strict=True))

    @staticmethod
    def without_times(history: History) -> list[dict]:
        return [{k: v for k, v in r.items() if k not in ("seconds", "pairs_per_second")} for r in history.records]


@pytest.fixture
def planted() -> type[Problem]:
    return Problem


@pytest.fixture
def rows() -> type[Rows]:
    return Rows
