"""A small planted problem: two sides that see one hidden vector through different maps, and towers over them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

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


SERVER = """
import importlib.util, json, os, signal, socket, sys
from pathlib import Path
import transformers.models.bert.modeling_bert, torch, pairspace.space
from pairspace.errors import PairspaceError
from pairspace.training import Processes

def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def child(rank, path, function, folder, arguments):
    signal.alarm(120)
    torch.set_num_threads(1)
    conftest = load(sys.argv[1])
    try:
        result = getattr(load(path), function)(Processes.join(), conftest, *arguments)
        torch.save(result, f"{folder}/{rank}.pt")
    except PairspaceError as error:
        Path(f"{folder}/{rank}.txt").write_text(str(error))
        os._exit(2)
    os._exit(0)

for line in sys.stdin:
    path, function, count, folder, arguments = json.loads(line)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    children = []
    for rank in range(count):
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count)}
        children.append(os.fork())
        if children[-1] == 0:
            child(rank, path, function, folder, arguments)
    codes = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in children]
    print(json.dumps(codes), flush=True)
"""


class Ended(NamedTuple):
    """How one of several processes ended."""

    code: int
    message: str
    result: Any


@pytest.fixture(scope="session")
def server():
    """A process that has imported everything once, and forks as many as are to work together."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", SERVER, __file__], **pipes) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def together(server, tmp_path):
    """`together(function, *arguments)`: `function(processes, conftest, *arguments)` in several processes at once."""

    def run(function: Callable, *arguments: Any, count: int = 2) -> list[Ended]:
        folder = tmp_path / f"together-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        path = sys.modules[function.__module__].__file__
        print(json.dumps([path, function.__name__, count, str(folder), arguments]), file=server.stdin, flush=True)
        codes = json.loads(server.stdout.readline())
        return [Ended(code, *_left_by(folder, rank)) for rank, code in enumerate(codes)]

    return run


def _left_by(folder: Path, rank: int) -> tuple[str, Any]:
    message, result = folder / f"{rank}.txt", folder / f"{rank}.pt"
    return (
        message.read_text() if message.exists() else "",
        torch.load(result, weights_only=False) if result.exists() else None,
    )
