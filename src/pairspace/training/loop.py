"""The loop: AdamW, warm-up and cosine, the best weights on validation kept, stopped and resumed at will.

Everything random comes from the seed and the number of the epoch, so an epoch that was broken off is simply run again.
What a step costs is two gathers, two projections and the loss; nothing is logged inside an epoch but the bar.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pairspace.errors import TrainingError
from pairspace.objectives import Temperature, info_nce
from pairspace.progress import progress_bar
from pairspace.training.checkpoint import load_checkpoint, save_checkpoint
from pairspace.training.history import History
from pairspace.training.options import TrainingOptions
from pairspace.training.towers import FrozenTower
from pairspace.training.validation import Validation
from pairspace.training.watch import check_codes, describe_collapse, describe_loss

__all__ = ["train"]


def train(
    query: FrozenTower,
    document: FrozenTower,
    codes: tuple[np.ndarray, np.ndarray],
    *,
    temperature: Temperature,
    options: TrainingOptions | None = None,
    validation: Validation | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    after_epoch: Callable[[History], None] | None = None,
) -> History:
    """Train the projectors of two towers on pairs.

    Args:
        query, document: the two sides.
        codes: of each pair, the row of its query and of its document in the towers; equal rows are equal items and are
            never each other's negatives.
        temperature: trained along.
        options: the settings.
        validation: held-out pairs; without them the last weights are kept and training never stops early.
        checkpoint: folder to write a checkpoint to after every epoch; None writes none.
        resume: go on from the checkpoint if there is one.
        progress: show a bar; None where a person can see it.
        after_epoch: called with the history so far.

    Returns:
        The history; the towers' projectors hold the best weights.

    Raises:
        TrainingError: nothing to learn from, NaN, or a checkpoint of another run.
    """
    options = options or TrainingOptions()
    check_codes(codes)
    pairs = len(codes[0])
    batch = min(options.batch_size, pairs)
    steps = max(1, pairs // batch)
    model = nn.ModuleList([*query.modules(), *document.modules(), temperature]).to(query.device)
    optimizer = _optimizer(model, options)
    schedule = _schedule(options, steps * options.epochs)
    history, start, best = History(), 1, _weights(model)
    stale, top = 0, -1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        key = _key(codes, options)
        found = load_checkpoint(checkpoint, model=model, optimizer=optimizer, key=key) if checkpoint and resume else None
        if found is not None:
            best, state = found
            history = History(state["records"], state["best_epoch"], state["notes"])
            start, stale, top = state["epoch"] + 1, state["stale"], state["top"]
        else:
            top = _record(history, validation, epoch=0, temperature=temperature.value)
        total = steps * (options.epochs - start + 1)
        with progress_bar("training", total * batch, unit="pairs", show=progress) as bar:
            for epoch in range(start, options.epochs + 1):
                if options.patience is not None and stale >= options.patience:
                    break
                began, losses = time.perf_counter(), []
                model.train()
                for step, rows in enumerate(_batches(pairs, batch, steps, seed=options.seed, epoch=epoch)):
                    rate = schedule((epoch - 1) * steps + step)
                    for group in optimizer.param_groups:
                        group["lr"] = rate
                    left, right = codes[0][rows], codes[1][rows]
                    loss = info_nce(
                        query.vectors(left),
                        document.vectors(right),
                        temperature=temperature(),
                        same=(torch.from_numpy(left).to(query.device), torch.from_numpy(right).to(query.device)),
                    )
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    losses.append(float(loss))
                    if not math.isfinite(losses[-1]):
                        raise TrainingError(describe_loss(losses[-1], epoch=epoch, step=step + 1, options=options))
                    optimizer.step()
                    temperature.clamp_()
                    bar.advance(batch, note=f"epoch {epoch}/{options.epochs} loss {losses[-1]:.3f}{_shown(history)}")
                score = _record(
                    history,
                    validation,
                    epoch=epoch,
                    loss=sum(losses) / len(losses),
                    temperature=temperature.value,
                    learning_rate=rate,
                    seconds=round(time.perf_counter() - began, 3),
                    pairs_per_second=round(steps * batch / (time.perf_counter() - began)),
                )
                if validation is None or score > top:
                    best, top, stale, history.best_epoch = _weights(model), score, 0, epoch
                else:
                    stale += 1
                if checkpoint is not None:
                    state = {"key": key, "epoch": epoch, "stale": stale, "top": top, "records": history.records}
                    state |= {"best_epoch": history.best_epoch, "notes": history.notes}
                    save_checkpoint(checkpoint, model=model, optimizer=optimizer, best=best, state=state)
                if after_epoch is not None:
                    after_epoch(history)
    model.load_state_dict(best)
    model.eval()
    history.notes += [n for n in describe_collapse(query, document, history, batch) if n not in history.notes]
    return history


def _optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    """AdamW that decays matrices only; a shared projector is counted once."""
    parameters = [p for p in dict.fromkeys(model.parameters()) if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)


def _schedule(options: TrainingOptions, total: int) -> Callable[[int], float]:
    """Linear warm-up, then half a cosine down to zero."""
    warm = max(1, round(options.warmup * total))

    def rate(step: int) -> float:
        if step < warm:
            return options.learning_rate * (step + 1) / warm
        return options.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

    return rate


def _batches(pairs: int, batch: int, steps: int, *, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """The pairs in an order that depends on nothing but seed and epoch; what does not fill a batch waits for the next."""
    order = np.random.default_rng([seed, epoch]).permutation(pairs)
    for step in range(steps):
        yield order[step * batch : (step + 1) * batch]


def _record(history: History, validation: Validation | None, **values: Any) -> float:
    """Append a record; its validation score decides which weights are best."""
    if validation is not None:
        score = validation.score()
        values |= {"validation_R@1": round(score.recall, 5), "validation_MRR@10": round(score.reciprocal_rank, 5)}
    history.records.append(values)
    return float(values.get("validation_MRR@10", 0.0))


def _shown(history: History) -> str:
    scores = history.column("validation_R@1")
    return f" validation R@1 {scores[-1]:.3f}" if scores else ""


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _key(codes: tuple[np.ndarray, np.ndarray], options: TrainingOptions) -> str:
    digest = hashlib.blake2b(json.dumps(options.to_dict(), sort_keys=True).encode(), digest_size=16)
    for one in codes:
        digest.update(np.ascontiguousarray(one).tobytes())
    return digest.hexdigest()


