"""AdamW over all that trains, each part at its own rate, under one schedule of warm-up and cosine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from pairspace.errors import TrainingError
from pairspace.training.options import TrainingOptions
from pairspace.training.towers import Tower

__all__ = ["make_optimizer", "schedule", "set_rate"]


def make_optimizer(towers: Sequence[Tower], objective: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    """AdamW that decays matrices only, each parameter at its module's rate times its own; what is shared comes once.

    Raises:
        TrainingError: no parameter of a projector or encoder to train.
    """
    seen: set[int] = set()
    groups: list[dict[str, object]] = []
    for module, rate in _parts(towers, options):
        kinds: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, p in module.named_parameters():
            if p.requires_grad and id(p) not in seen:
                seen.add(id(p))
                own_rate = rate * getattr(module, "rates", {}).get(name, 1.0)
                kinds.setdefault((own_rate, options.weight_decay if p.ndim > 1 else 0.0), []).append(p)
        for (own_rate, decay), chosen in kinds.items():
            groups.append({"params": chosen, "lr": own_rate, "base": own_rate, "weight_decay": decay})
    if not groups:
        raise TrainingError(
            "nothing to train: the projectors have no weights and no encoder trains; use projector='linear', or name "
            "the sides whose encoders shall train (train_encoders=, --train-encoder)"
        )
    rate = options.learning_rate * options.temperature_rate
    own = [p for p in objective.parameters() if p.requires_grad]
    if own:
        groups.append({"params": own, "lr": rate, "base": rate, "weight_decay": 0.0})
    fused = all(p.device.type in ("cpu", "cuda") for group in groups for p in group["params"])  # type: ignore[attr-defined]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=fused)


def _parts(towers: Sequence[Tower], options: TrainingOptions) -> Iterator[tuple[nn.Module, float]]:
    for tower in towers:
        for branch in tower.branches:
            yield branch.projector, options.learning_rate
            if branch.encoder_module is not None:
                yield branch.encoder_module, options.encoder_learning_rate or branch.encoder_rate


def schedule(options: TrainingOptions, step: int, total: int) -> float:
    """The share of its highest rate that a step has: linear warm-up, then half a cosine down to zero."""
    warm = max(1, round(options.warmup * total))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Set every group to this share of its highest rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * share
