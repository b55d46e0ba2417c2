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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pairspace.errors import TrainingError
from pairspace.objectives import Temperature, info_nce
from pairspace.progress import Bar, progress_bar
from pairspace.training.checkpoint import load_checkpoint, save_checkpoint
from pairspace.training.history import History
from pairspace.training.options import TrainingOptions
from pairspace.training.towers import FrozenTower
from pairspace.training.validation import Validation
from pairspace.training.watch import check_codes, describe_collapse, describe_divergence

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
        query: the tower of the side that is searched with.
        document: the tower of the side that is searched for.
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
        The history; the towers' projectors hold the best weights, also when an exception ends the run.

    Raises:
        TrainingError: nothing to learn from, NaN, or a checkpoint of another run.
    """
    check_codes(codes)
    run = _Run((query, document), codes, temperature, options or TrainingOptions(), validation)
    try:
        if not (resume and checkpoint is not None and run.resume(checkpoint)):
            run.record()
        with progress_bar("training", run.pairs_left, unit="pairs", show=progress) as bar:
            while not run.finished:
                run.train_epoch(bar)
                if checkpoint is not None:
                    run.save(checkpoint)
                if after_epoch is not None:
                    after_epoch(run.history)
    finally:
        run.put_back_best()
    run.history.notes += describe_collapse(query, document, run.history, len(codes[0]) // run.steps)
    return run.history


class _Run:
    """The state of one run: what trains, what was best so far, and how far it got."""

    def __init__(
        self,
        towers: tuple[FrozenTower, FrozenTower],
        codes: tuple[np.ndarray, np.ndarray],
        temperature: Temperature,
        options: TrainingOptions,
        validation: Validation | None,
    ) -> None:
        self.towers, self.codes, self.temperature = towers, codes, temperature
        self.options, self.validation = options, validation
        self.device = towers[0].device
        self.model = nn.ModuleList([*towers[0].modules(), *towers[1].modules(), temperature]).to(self.device)
        self.optimizer = _optimizer(self.model, options)
        self.steps = min(math.ceil(len(codes[0]) / options.batch_size), len(codes[0]) // 2)
        self.history, self.best = History(), _weights(self.model)
        self.key = self._key()
        self.epoch, self.stale, self.top = 0, 0, -math.inf  # epochs done, those without a better score, the best score

    @property
    def finished(self) -> bool:
        """True after the last epoch, or when patience ran out."""
        patience = self.options.patience
        return self.epoch >= self.options.epochs or (patience is not None and self.stale >= patience)

    @property
    def pairs_left(self) -> int:
        """Pairs still to go by if no early stop comes."""
        return (self.options.epochs - self.epoch) * len(self.codes[0])

    def train_epoch(self, bar: Bar) -> None:
        """Go once over the pairs, then see whether the weights are better than all before."""
        epoch, began, losses, rate = self.epoch + 1, time.perf_counter(), [], 0.0
        self.model.train()
        with _seeded(self.options.seed, epoch, self.device):
            for step, rows in enumerate(_batches(len(self.codes[0]), self.steps, self.options.seed, epoch)):
                rate = _rate(self.options, (epoch - 1) * self.steps + step, self.options.epochs * self.steps)
                losses.append(self._step(rows, rate, f"in epoch {epoch}, step {step + 1}"))
                bar.advance(len(rows), note=self._note(losses[-1]))
        self._check_weights(f"in epoch {epoch}")
        seconds = time.perf_counter() - began
        self.epoch = epoch
        self.record(
            loss=sum(losses) / len(losses),
            learning_rate=rate,
            seconds=round(seconds, 3),
            pairs_per_second=round(len(self.codes[0]) / seconds),
        )

    def _step(self, rows: np.ndarray, rate: float, where: str) -> float:
        left, right = (code[rows] for code in self.codes)
        loss = info_nce(
            self.towers[0].vectors(left),
            self.towers[1].vectors(right),
            temperature=self.temperature(),
            same=(torch.from_numpy(left).to(self.device), torch.from_numpy(right).to(self.device)),
        )
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(describe_divergence(f"the loss became {value} {where}", self.options))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.temperature.clamp_()
        return value

    def _check_weights(self, where: str) -> None:
        """A last step can spoil the weights without a loss that shows it."""
        if not all(bool(p.isfinite().all()) for p in self.model.parameters()):
            raise TrainingError(describe_divergence(f"weights became NaN or infinite {where}", self.options))

    def record(self, **values: Any) -> None:
        """Append a record, with the score on validation if there is one, and keep the weights if they are the best."""
        top = math.inf
        if self.validation is not None:
            score = self.validation.score()
            values |= {"validation_R@1": round(score.recall, 5), "validation_MRR@10": round(score.reciprocal_rank, 5)}
            top = values["validation_MRR@10"]
        self.history.records.append({"epoch": self.epoch, "temperature": self.temperature.value} | values)
        if self.validation is None or top > self.top:
            self.best, self.top, self.stale, self.history.best_epoch = _weights(self.model), top, 0, self.epoch
        else:
            self.stale += 1

    def _note(self, loss: float) -> str:
        scores = self.history.column("validation_R@1")
        shown = f" validation R@1 {scores[-1]:.3f}" if scores else ""
        return f"epoch {self.epoch + 1}/{self.options.epochs} loss {loss:.3f}{shown}"

    def put_back_best(self) -> None:
        """Give the projectors the best weights, ready for use."""
        self.model.load_state_dict(self.best)
        self.model.eval()

    def save(self, folder: Path) -> None:
        """Write all of this as a checkpoint."""
        history = {"records": self.history.records, "best_epoch": self.history.best_epoch, "notes": self.history.notes}
        state = {"key": self.key, "epoch": self.epoch, "stale": self.stale, "top": self.top, "history": history}
        save_checkpoint(folder, model=self.model, optimizer=self.optimizer, best=self.best, state=state)

    def resume(self, folder: Path) -> bool:
        """Go back to where a checkpoint left off; False if there is none."""
        found = load_checkpoint(folder, model=self.model, optimizer=self.optimizer, key=self.key)
        if found is None:
            return False
        self.best, state = found
        self.history = History(**state["history"])
        self.epoch, self.stale, self.top = state["epoch"], state["stale"], state["top"]
        return True

    def _key(self) -> str:
        """What a checkpoint must share with this run: settings, pairs, starting weights, a sample of features."""
        start = {name: list(value.shape) for name, value in self.best.items()}
        settings = json.dumps([self.options.to_dict(), start], sort_keys=True)
        digest = hashlib.blake2b(settings.encode(), digest_size=16)
        held_out = () if self.validation is None else self.validation.codes
        weights = (value.cpu().numpy() for value in self.best.values())
        for part in (*self.codes, *held_out, *weights, *(tower.sample() for tower in self.towers)):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def _optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    """AdamW that decays matrices only; a shared projector's parameters come once.

    Raises:
        TrainingError: no parameter to train.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise TrainingError("nothing to train: the projectors have no weights; use projector='linear'")
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)


def _rate(options: TrainingOptions, step: int, total: int) -> float:
    """Learning rate of a step: linear warm-up, then half a cosine down to zero."""
    warm = max(1, round(options.warmup * total))
    if step < warm:
        return options.learning_rate * (step + 1) / warm
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def _batches(pairs: int, steps: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """All pairs, dealt out evenly, in an order that depends on nothing but seed and epoch."""
    yield from np.array_split(np.random.default_rng([seed, epoch]).permutation(pairs), steps)


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Torch's random numbers (dropout) come from seed and epoch inside the block; outside nothing changes."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]))
        yield


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
