"""The records of a run sent to TensorBoard or Weights & Biases, each through its own package.

Neither is a dependency: the package is imported when its tracker is opened. `history.jsonl` and the picture hold the
same numbers, so a tracker is for those who compare many runs in one place.

Names are those of the records, with a group where both tools fold by one: `validation/R@1`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from pairspace.data.files import atomic_file
from pairspace.errors import TrainingError

__all__ = ["Tracker", "open_tracker"]


class Tracker(Protocol):
    """Where records go."""

    def log(self, record: Mapping[str, Any]) -> None:
        """Send the numbers of a record, at its `epoch`."""
        ...

    def close(self) -> None:
        """Send what is left and end the run."""
        ...


def open_tracker(
    kind: str, folder: str | Path, settings: Mapping[str, Any] | None = None, *, resume: bool = False
) -> Tracker:
    """A tracker for one run.

    Args:
        kind: "tensorboard" (its package, or tensorboardX) or "wandb" (whose environment variables count, such as
            WANDB_PROJECT and WANDB_MODE=offline).
        folder: what the tracker writes goes there; its name is the run's.
        settings: of the run, shown beside the curves.
        resume: go on with the run whose records are in the folder.

    Raises:
        TrainingError: an unknown kind, a missing package, or Weights & Biases would not start.
    """
    if kind == "tensorboard":
        return _TensorBoard(Path(folder), dict(settings or {}))
    if kind == "wandb":
        return _WeightsAndBiases(Path(folder), dict(settings or {}), resume)
    raise TrainingError(f"unknown tracker {kind!r}: there are tensorboard and wandb")


class _TensorBoard:
    """A run that goes on writes a further file into the same folder, which continues the same curves."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._writer = _summary_writer()(str(folder))
        self._writer.add_text("settings", f"```json\n{json.dumps(settings, indent=2, default=str)}\n```", 0)

    def log(self, record: Mapping[str, Any]) -> None:
        for name, value in _numbers(record).items():
            self._writer.add_scalar(name, value, record["epoch"])
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    """Keeps the run's id in the folder, so that a run that goes on is the same run there."""

    def __init__(self, folder: Path, settings: dict[str, Any], resume: bool) -> None:
        try:
            wandb = import_module("wandb")
        except ImportError as error:
            raise _missing("wandb") from error
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / "wandb.id"
        options: dict[str, Any] = {"project": os.environ.get("WANDB_PROJECT", "pairspace"), "name": folder.name}
        if resume and kept.exists():
            options |= {"id": kept.read_text(encoding="utf-8").strip(), "resume": "allow"}
        try:
            self._run = wandb.init(dir=str(folder), config=settings, **options)
        except Exception as error:
            raise TrainingError(
                f"Weights & Biases did not start ({error}): log in with `wandb login`, or set WANDB_MODE=offline"
            ) from error
        with atomic_file(kept) as temporary:
            temporary.write_text(f"{self._run.id}\n", encoding="utf-8")

    def log(self, record: Mapping[str, Any]) -> None:
        self._run.log(_numbers(record), step=record["epoch"])

    def close(self) -> None:
        self._run.finish()


def _summary_writer() -> Any:
    """The class that writes event files, of the package that is installed."""
    for module in ("torch.utils.tensorboard", "tensorboardX"):
        with suppress(ImportError):
            return import_module(module).SummaryWriter
    raise _missing("tensorboard")


def _missing(package: str) -> TrainingError:
    return TrainingError(f"tracking with {package} needs its package: pip install {package}")


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """What can be drawn; the epoch is where, not what."""
    return {
        name.replace("validation_", "validation/"): value
        for name, value in record.items()
        if name != "epoch" and isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }
