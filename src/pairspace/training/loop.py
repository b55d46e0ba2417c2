"""The loop: AdamW, warm-up and cosine, the best weights on validation kept, stopped and resumed at will.

Everything random comes from the seed and the number of the epoch, so an epoch that was broken off is simply run again.
What a step does stands in `step.py`; nothing is logged inside an epoch but the bar.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor, nn

from pairspace.errors import TrainingError
from pairspace.objectives import InfoNce, Objective
from pairspace.progress import Bar, progress_bar
from pairspace.training.batches import Batches
from pairspace.training.checkpoint import load_checkpoint, save_checkpoint
from pairspace.training.examples import Examples
from pairspace.training.history import History
from pairspace.training.optimizer import make_optimizer, schedule, set_rate
from pairspace.training.options import TrainingOptions
from pairspace.training.processes import Processes
from pairspace.training.routing import Validations
from pairspace.training.step import Step
from pairspace.training.towers import Tower, distinct_modules
from pairspace.training.validation import Validation
from pairspace.training.watch import describe_batches, describe_chance, describe_collapse, describe_divergence

__all__ = ["train"]


def train(
    query: Tower,
    document: Tower,
    examples: Examples,
    *,
    objective: Objective,
    options: TrainingOptions | None = None,
    validation: Validation | Validations | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    processes: Processes | None = None,
    progress: bool | None = None,
    after_epoch: Callable[[History], None] | None = None,
) -> History:
    """Train what is trainable of two towers on pairs.

    Args:
        query: the tower of the side that is searched with.
        document: the tower of the side that is searched for.
        examples: the pairs, as rows of the towers.
        objective: what is minimised; its temperature is trained along.
        options: the settings.
        validation: held-out pairs; without them the last weights are kept and training never stops early.
        checkpoint: folder to write a checkpoint to after every epoch; None writes none.
        resume: go on from the checkpoint if there is one.
        processes: that share the work; alone if left out.
        progress: show a bar; None where a person can see it.
        after_epoch: called with the history so far, in the first process.

    Returns:
        The history; the towers hold the best weights, also when an exception ends the run.

    Raises:
        TrainingError: nothing to learn from, a batch that does not fit the data, NaN, a checkpoint of another run, or
            another process that ended.
    """
    examples.check()
    alone = processes or Processes()
    run = _Run((query, document), examples, objective, options or TrainingOptions(), validation, alone)
    try:
        if not (resume and checkpoint is not None and run.resume(checkpoint)):
            run.record()
        with progress_bar("training", run.pairs_left, unit="pairs", show=progress if alone.first else False) as bar:
            while not run.finished:
                run.train_epoch(bar)
                if alone.first:
                    if checkpoint is not None:
                        run.save(checkpoint)
                    if after_epoch is not None:
                        after_epoch(run.history)
    finally:
        run.put_back_best()
    run.history.notes += describe_batches(len(examples), run.options) + describe_collapse(query, document)
    if type(objective) is InfoNce and examples.negatives is None and not run.options.mix:
        run.history.notes += describe_chance(run.history, len(examples) // run.batches.steps)
    return run.history


class _Run:
    """The state of one run: what trains, what was best so far, and how far it got."""

    def __init__(
        self,
        towers: tuple[Tower, Tower],
        examples: Examples,
        objective: Objective,
        options: TrainingOptions,
        validation: Validation | Validations | None,
        processes: Processes,
    ) -> None:
        self.towers, self.examples, self.objective = towers, examples, objective
        self.options, self.validation, self.processes = options, validation, processes
        self.device = towers[0].device
        modules = [module for tower in towers for module in tower.modules()]
        self.model = nn.ModuleList(distinct_modules([*modules, objective])).to(self.device)
        self.optimizer = make_optimizer(towers, objective, options)
        self.batches = Batches(
            (examples.query, examples.document),
            batch_size=options.batch_size,
            seed=options.seed,
            near=_near(examples) if options.group_batches else None,
            sources=examples.sources,
            mixing=options.mixing,
        )
        self.step = Step(towers, objective, examples, options, processes)
        self.history, self.best = History(), _weights(self.model)
        self.key = self._key()
        if processes.tell(self.key) != self.key:
            raise TrainingError(
                "the processes of this run do not begin alike: they need the same files, settings and library versions"
            )
        self.epoch, self.stale, self.top = 0, 0, -math.inf  # epochs done, those without a better score, the best score

    @property
    def finished(self) -> bool:
        """True after the last epoch, or when patience ran out."""
        patience = self.options.patience
        return self.epoch >= self.options.epochs or (patience is not None and self.stale >= patience)

    @property
    def pairs_left(self) -> int:
        """Pairs still to go by if no early stop comes."""
        return (self.options.epochs - self.epoch) * len(self.examples)

    def train_epoch(self, bar: Bar) -> None:
        """Go once over the pairs, then see whether the weights are better than all before."""
        epoch, began, losses, pairs = self.epoch + 1, time.perf_counter(), [], 0
        total, rng = self.options.epochs * self.batches.steps, np.random.default_rng([self.options.seed, epoch, 1])
        self.model.train()
        with _seeded(self.options.seed, epoch, self.device):
            for step, rows in enumerate(self.batches.epoch(epoch)):
                done = (epoch - 1) * self.batches.steps + step
                set_rate(self.optimizer, schedule(self.options, done, total))
                self.step.at(done / total)
                losses.append(self._update(rows, rng, f"in epoch {epoch}, step {step + 1}"))
                pairs += len(rows)
                bar.advance(len(rows), note=self._note(losses[-1]))
        self._check_weights(f"in epoch {epoch}")
        seconds = time.perf_counter() - began
        self.epoch = epoch
        self.record(
            loss=sum(losses) / len(losses),
            learning_rate=self.optimizer.param_groups[0]["lr"],
            seconds=round(seconds, 3),
            pairs_per_second=round(pairs / seconds),
        )

    def _update(self, rows: np.ndarray, rng: np.random.Generator, where: str) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        value = self.step(rows, rng)
        if not math.isfinite(value):
            raise TrainingError(describe_divergence(f"the loss became {value} {where}", self.options))
        self.optimizer.step()
        self.objective.clamp_()
        return value

    def _check_weights(self, where: str) -> None:
        """A last step can spoil the weights without a loss that shows it."""
        if not all(bool(p.isfinite().all()) for p in self.model.parameters()):
            raise TrainingError(describe_divergence(f"weights became NaN or infinite {where}", self.options))

    def record(self, **values: Any) -> None:
        """Append a record, with the score on validation if there is one, and keep the weights if they are the best."""
        top = math.inf
        if self.validation is not None:
            values |= self.processes.tell(self.validation.record() if self.processes.first else None)
            top = values["validation_MRR@10"]
        self.history.records.append({"epoch": self.epoch} | self.objective.scalars() | values)
        perfect = top == self.top == 1.0  # which says no more: the epoch that has seen more is kept
        if self.validation is None or top > self.top or perfect:
            self.best, self.top, self.stale, self.history.best_epoch = _weights(self.model), top, 0, self.epoch
        else:
            self.stale += 1

    def _note(self, loss: float) -> str:
        scores = self.history.column("validation_R@1")
        shown = f" validation R@1 {' '.join(f'{score:.3f}' for score in scores[-3:])}" if scores else ""
        return f"epoch {self.epoch + 1}/{self.options.epochs} loss {loss:.3f}{shown}"

    def put_back_best(self) -> None:
        """Give the towers the best weights, ready for use."""
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

    def _key(self) -> dict[str, Any]:
        """What a checkpoint must share with this run, by name, so that a difference can be named."""
        one = self.examples
        held_out = () if self.validation is None else self.validation.codes
        given = [part for part in (one.negatives, one.scores, one.sources) if part is not None]
        return {
            **self.options.to_dict(),
            "the pairs": _digest([one.query, one.document, *given]),
            "the validation pairs": _digest(held_out),
            "the teacher": _digest(_some(of) for of in one.teacher or ()),
            "the shapes of what trains": [f"{name} {list(value.shape)}" for name, value in self.best.items()],
            "the weights at the start": _digest(value.float().cpu().numpy() for value in self.best.values()),
            "the items": _digest(part for tower in self.towers for part in tower.sample()),
        }


def _digest(arrays: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _some(vectors: Any) -> np.ndarray:
    """A few rows, spread over all, dense."""
    found = vectors[np.unique(np.linspace(0, vectors.shape[0] - 1, 64).astype(np.int64))]
    return np.asarray(found.toarray() if issparse(found) else found)


def _near(examples: Examples) -> np.ndarray:
    """The documents' features, one row a pair."""
    if examples.guide is None:
        raise TrainingError("batches of near topics are made by the features of frozen encoders, and there are none")
    return examples.guide[1].rows(examples.document)


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Torch's random numbers (dropout) come from seed and epoch inside the block; outside nothing changes."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]))
        yield


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
