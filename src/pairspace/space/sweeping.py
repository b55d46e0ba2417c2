"""Many small runs on the same cached features: which projector, which rate, which temperature.

Encoders run once, whatever is tried, so a run costs seconds. All runs hold out the same pairs and are ranked by their
score on them. The best of many is partly luck: measure it on pairs that no run has seen.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from pairspace.data import Pairs
from pairspace.errors import TrainingError
from pairspace.progress import progress_bar
from pairspace.space.model import Space
from pairspace.training import TrainingOptions

__all__ = ["Sweep", "Trial", "sweep"]

_OF_SPACE = ("dimension", "encoder", "layers", "projector", "shared_encoder", "shared_projector")
_OF_TRAINING = tuple(sorted(f.name for f in fields(TrainingOptions)))


@dataclass(frozen=True)
class Trial:
    """One run.

    Attributes:
        settings: what was tried.
        recall: R@1 on the held-out pairs, mean of both directions, of the weights kept.
        reciprocal_rank: MRR@10 on them, by which trials are ranked.
        best_epoch: whose weights were kept.
        seconds: of the whole run.
        error: why there is no score; None if there is one.
    """

    settings: dict[str, Any]
    recall: float = math.nan
    reciprocal_rank: float = math.nan
    best_epoch: int = 0
    seconds: float = 0.0
    error: str | None = None


@dataclass
class Sweep:
    """What a sweep found.

    Attributes:
        trials: best first, failed ones last.
        start: R@1 on the held-out pairs before any training, where there is a start.
        space: of the best trial.
    """

    trials: list[Trial] = field(default_factory=list)
    start: float = math.nan
    space: Space | None = None

    @property
    def best(self) -> Trial:
        """The first trial."""
        return self.trials[0]


def sweep(
    pairs: Pairs,
    tries: Mapping[str, Sequence[Any]],
    *,
    random: int | None = None,
    validation: float | Pairs = 0.1,
    seed: int = 0,
    space: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Sweep:
    """Train once for every combination of settings.

    Args:
        pairs: to train on.
        tries: name -> values; names are arguments of `Space.create` (projector, layers, dimension, ...) or fields of
            `TrainingOptions` (learning_rate, temperature, weight_decay, ...).
        random: try so many combinations drawn at random, instead of all.
        validation: share of the pairs, or pairs, that every trial is scored on.
        seed: of the draw, of the split and of every run.
        space: further arguments of `Space.create` for all trials.
        progress: show a bar; None where a person can see it.
        **settings: fields of `TrainingOptions` for all trials.

    Returns:
        The trials, best first, and the space of the best.

    Raises:
        TrainingError: an unknown name, nothing to try, no validation, or no trial that ended well.
    """
    combinations = _combinations(tries, random, seed)
    result, best = Sweep(), -math.inf
    loaded = dict(space or {})
    with progress_bar("sweep", len(combinations), unit="runs", show=progress) as bar:
        for tried in combinations:
            began = time.perf_counter()
            try:
                one = Space.create(pairs.sides, **loaded | {k: v for k, v in tried.items() if k in _OF_SPACE})
                own = {"seed": seed} | settings | {k: v for k, v in tried.items() if k not in _OF_SPACE}
                history = one.fit(pairs, validation=validation, progress=False, **own)
                kept = one.record["after"]
                trial = Trial(
                    tried,
                    kept["validation_R@1"],
                    kept["validation_MRR@10"],
                    history.best_epoch,
                    time.perf_counter() - began,
                )
                result.start = history.records[0]["validation_R@1"]
                if trial.reciprocal_rank > best:
                    best, result.space = trial.reciprocal_rank, one
            except KeyError as error:
                raise TrainingError("no validation split, so trials cannot be compared: use more pairs") from error
            except TrainingError as error:  # one that diverges is a result too
                trial = Trial(tried, seconds=time.perf_counter() - began, error=str(error))
            result.trials.append(trial)
            bar.advance(1, note=f"best MRR@10 {best:.3f}" if best > -math.inf else "")
    result.trials.sort(key=lambda trial: -trial.reciprocal_rank if trial.error is None else math.inf)
    if result.space is None:
        raise TrainingError(f"no trial ended well; the first says: {result.trials[0].error}")
    return result


def _combinations(tries: Mapping[str, Sequence[Any]], random: int | None, seed: int) -> list[dict[str, Any]]:
    if unknown := [name for name in tries if name not in _OF_SPACE + _OF_TRAINING]:
        raise TrainingError(
            f"'{unknown[0]}' cannot be tried: choose among {', '.join(_OF_SPACE)}, or {', '.join(_OF_TRAINING)}"
        )
    if not tries or not all(len(values) for values in tries.values()):
        raise TrainingError("nothing to try: name settings and values, such as learning_rate=1e-3,3e-3")
    every = [dict(zip(tries, values, strict=True)) for values in itertools.product(*tries.values())]
    if random is None or random >= len(every):
        return every
    if random < 1:
        raise TrainingError(f"random must be at least 1 combination, got {random}")
    chosen = np.random.default_rng(seed).choice(len(every), random, replace=False)
    return [every[i] for i in sorted(chosen)]
