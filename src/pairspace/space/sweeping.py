"""Many small runs on the same cached features: which projector, which rate, which temperature.

Frozen encoders run once, whatever is tried, so a run costs seconds. The same pairs are held out of all runs, which are
ranked by their score on them. The best of many is partly luck: measure it on pairs that no run has seen.
"""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from pairspace.data import Pairs
from pairspace.errors import PairspaceError, TrainingError
from pairspace.features import FeatureCache
from pairspace.progress import progress_bar
from pairspace.space.model import Space
from pairspace.space.preparing import hold_out
from pairspace.training import TrainingOptions

__all__ = ["Sweep", "Trial", "sweep"]

_OF_SPACE = ("dimension", "encoder", "frame", "layers", "projector", "shared_encoder", "shared_projector", "views")
_OF_TRAINING = tuple(sorted(f.name for f in fields(TrainingOptions)))


@dataclass(frozen=True)
class Trial:
    """One run.

    Attributes:
        settings: what was tried.
        recall: R@1 on the held-out pairs, mean of both directions, of the weights kept.
        reciprocal_rank: MRR@10 on them, by which trials are ranked.
        start: R@1 on them before any training: other layers or projectors start elsewhere.
        best_epoch: whose weights were kept.
        seconds: of the whole run.
        error: why there is no score; None if there is one.
    """

    settings: dict[str, Any]
    recall: float = math.nan
    reciprocal_rank: float = math.nan
    start: float = math.nan
    best_epoch: int = 0
    seconds: float = 0.0
    error: str | None = None


@dataclass
class Sweep:
    """What a sweep found.

    Attributes:
        trials: best first, failed ones last.
        space: of the best trial.
    """

    trials: list[Trial] = field(default_factory=list)
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
        seed: of the draw, of the split, and of every run that is not to try another.
        space: further arguments of `Space.create` for all trials; the query side is that of the pairs unless said
            otherwise. With `cache=False` features are kept in a temporary folder until the end.
        progress: show a bar; None where a person can see it.
        **settings: fields of `TrainingOptions` for all trials.

    Returns:
        The trials, best first, and the space of the best. A trial that cannot be is one that failed, and says why.

    Raises:
        TrainingError: an unknown name, nothing to try, no validation, or no trial that ended well.
    """
    combinations = _combinations(tries, random, seed)
    if unknown := [name for name in settings if name not in _OF_TRAINING]:
        raise TrainingError(f"'{unknown[0]}' is no setting of training: choose among {', '.join(_OF_TRAINING)}")
    (rest,), held, notes = hold_out([pairs], validation, seed, pairs.sides)
    if not held:
        why = f" ({notes[0]})" if notes else ""
        raise TrainingError(f"no pairs are held out, so trials cannot be compared{why}: give a share or more pairs")
    result, best = Sweep(), -math.inf
    with ExitStack() as stack:
        loaded: dict[str, Any] = {"sides": pairs.sides, "query_side": pairs.query_side} | dict(space or {})
        kept = loaded.get("cache", True)
        if not kept:
            loaded["cache"] = FeatureCache(stack.enter_context(tempfile.TemporaryDirectory(prefix="pairspace-")))
        bar = stack.enter_context(progress_bar("sweep", len(combinations), unit="runs", show=progress))
        for tried in combinations:
            trial, one = _try(rest, held[0], tried, loaded, {"seed": seed} | settings)
            if one is not None and trial.reciprocal_rank > best:
                best, result.space = trial.reciprocal_rank, one
            result.trials.append(trial)
            bar.advance(1, note=f"best MRR@10 {best:.3f}" if best > -math.inf else "")
    result.trials.sort(key=lambda trial: -trial.reciprocal_rank if trial.error is None else math.inf)
    if result.space is None:
        raise TrainingError(f"no trial ended well; the first says: {result.trials[0].error}")
    if not kept:
        result.space.cache = None
    return result


def _try(
    pairs: Pairs, held: Pairs, tried: dict[str, Any], loaded: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[Trial, Space | None]:
    """One run; a setting that does not fit, or a loss that diverges, is a result too."""
    began = time.perf_counter()
    try:
        space = Space.create(**{**loaded, **{k: v for k, v in tried.items() if k in _OF_SPACE}})
        own = {**settings, **{k: v for k, v in tried.items() if k not in _OF_SPACE}}
        history = space.fit(pairs, validation=held, progress=False, **own)
    except PairspaceError as error:
        return Trial(tried, seconds=time.perf_counter() - began, error=str(error)), None
    after = space.record["after"]
    trial = Trial(
        tried,
        recall=after["validation_R@1"],
        reciprocal_rank=after["validation_MRR@10"],
        start=history.records[0].get("validation_R@1", math.nan),
        best_epoch=history.best_epoch,
        seconds=time.perf_counter() - began,
    )
    return trial, space


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
