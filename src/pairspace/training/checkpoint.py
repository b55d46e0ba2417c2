"""A run that was stopped goes on where it was, bit for bit.

A checkpoint is written at the end of an epoch: weights, optimiser state, the best weights so far, and the records. It
carries a key, settings and digests of the pairs by name, so that a run never goes on with others and says what differs.
No state of a random generator is needed, because the loop seeds every epoch anew. Everything is safetensors and JSON:
no pickles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from pairspace.data.files import atomic_file
from pairspace.errors import StorageError, TrainingError

__all__ = ["load_checkpoint", "save_checkpoint"]

NAME = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path, *, model: nn.Module, optimizer: Optimizer, best: Mapping[str, Tensor], state: Mapping[str, Any]
) -> None:
    """Write one file that holds the whole state of a run.

    Args:
        folder: made if missing; an older checkpoint there is replaced at once or not at all.
        model: whose weights are in training.
        optimizer: its AdamW.
        best: the best weights so far, by name.
        state: all else, as JSON: `key`, `epoch`, `history`, ...
    """
    tensors = {f"model/{k}": v for k, v in model.state_dict().items()} | {f"best/{k}": v for k, v in best.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in slots.items()}
    blob = save({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, {"state": json.dumps(state)})
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} could not be made for checkpoints: {error.strerror}") from error
    with atomic_file(folder / NAME) as temporary:
        temporary.write_bytes(blob)


def load_checkpoint(
    folder: Path, *, model: nn.Module, optimizer: Optimizer, key: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Put a run back to where its checkpoint left it.

    Args:
        folder: where `save_checkpoint` wrote.
        model: gets the weights that were in training.
        optimizer: gets its state back.
        key: settings and digests of this run by name; must equal the checkpoint's.

    Returns:
        The best weights so far and the rest of the state, or None if there is no checkpoint.

    Raises:
        TrainingError: the checkpoint is unreadable, or was made with other pairs or settings.
    """
    path = folder / NAME
    if not path.exists():
        return None
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
    try:
        with safe_open(path, framework="pt") as file:
            state: dict[str, Any] = json.loads(file.metadata()["state"])
            for name in file.keys():  # noqa: SIM118 - not a dict
                part, _, rest = name.partition("/")
                parts[part][rest] = file.get_tensor(name).clone()  # the file may be replaced while these are in use
        found: dict[str, Any] = dict(state["key"])
    except Exception as error:
        raise TrainingError(f"{path}: not a readable checkpoint ({error}); remove it to start anew") from error
    if differing := [name for name in {**found, **key} if found.get(name) != json.loads(json.dumps(key.get(name)))]:
        said = ", ".join(_difference(name, found.get(name), key.get(name)) for name in differing)
        raise TrainingError(
            f"{path}: was made with other pairs or settings ({said}); use those again, or remove it to start anew"
        )
    model.load_state_dict(parts["model"])
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, _, slot = name.partition("/")
        slots.setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return parts["best"], state


def _difference(name: str, there: Any, here: Any) -> str:
    """`batch_size 256 there, 128 here`; of what is too long to show, such as digests, the name alone."""
    shown = f"{name} {there} there, {here} here"
    return shown if len(shown) < 60 and not name.startswith("the ") else name
