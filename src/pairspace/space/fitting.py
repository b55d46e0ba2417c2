"""From pairs to a trained space: split, features, start, train, and the weight of the fusion with BM25.

    hold out -> encoders begin -> towers -> align -> train projectors -> train with encoders -> keep what was learnt

An encoder that trains is run on token ids; all others give their features from the cache, once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from pairspace.data import Pairs
from pairspace.encoders.protocol import Layered
from pairspace.errors import PairspaceError, SpaceError, TrainingError
from pairspace.features import TokenStates
from pairspace.objectives import Objective, Temperature
from pairspace.projectors import LexicalProjector
from pairspace.space.aligning import align_sides
from pairspace.space.building import from_nothing
from pairspace.space.pictures import located
from pairspace.space.preparing import (
    begin_encoders,
    choose_trained,
    describe_vocabularies,
    hold_out,
    keep_trained,
    options_for,
)
from pairspace.space.reading import PairData, pairings, read_data
from pairspace.space.side import Branch
from pairspace.space.teaching import DENSE, dense_teacher, side_of_teacher, taught_vectors
from pairspace.space.weighing import set_weights
from pairspace.space.wording import begin_on_pairs, keep_terms, own_words
from pairspace.training import (
    Examples,
    FrozenBranch,
    History,
    LiveBranch,
    Processes,
    RoutedFeatures,
    RoutedTower,
    Tower,
    TrainingOptions,
    Validation,
    Validations,
    build_objective,
    check_effect,
    train,
)

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["Fitting", "fit"]

_log = logging.getLogger(__name__)
SAMPLE = 256  # items by which the size of all is guessed


def fit(
    space: Space,
    pairs: Pairs | Sequence[Pairs],
    *,
    train_encoders: Sequence[str] | None,
    validation: float | Pairs | Sequence[Pairs] | None,
    teacher: Space | str | None,
    options: TrainingOptions | None,
    settings: Mapping[str, Any],
    checkpoint: Path | None,
    resume: bool,
    progress: bool | None,
    after_epoch: Callable[[History], None] | None,
) -> History:
    """Train a space; see `Space.fit`."""
    parts = _located(space, pairs)
    if validation is not None and not isinstance(validation, float | int):
        validation = _located(space, validation)
    sides = dict.fromkeys(side for _, *two in pairings(space, parts) for side in two)
    branches = [branch for side in sides for branch in space.part(side).branches]
    before = [(branch, branch.encoder, branch.trains) for branch in branches]
    try:
        if train_encoders is not None:
            choose_trained(space, train_encoders)
        pretrained = any(branch.trains and not from_nothing(branch.encoder) for branch in branches)
        chosen = options or options_for(space, settings, parts, taught=teacher is not None, pretrained=pretrained)
        chosen.check_trained(encoders=any(branch.trains for branch in branches), pretrained=pretrained)
        if isinstance(teacher, str) and teacher != DENSE:
            raise SpaceError(f"teacher='{teacher}': give a space, or '{DENSE}'")
        parts, held_out, notes = hold_out(parts, validation, chosen.seed, space.sides)
        data = read_data(space, pairings(space, parts))
        known: dict[str, Any] = {"teacher": teacher is not None, "scores": data.scores is not None}
        known["sets"] = len(data.parts)
        known["lexical"] = any(isinstance(branch.projector, LexicalProjector) for branch in branches)
        check_effect(chosen, settings, sparse=space.sparse, **known)
        if not space.trained or options is not None or {"temperature", "learn_temperature"} & set(settings):
            space.temperature = Temperature(chosen.temperature, learnable=chosen.learn_temperature)
        run = Fitting(space, data, held_out, chosen, Processes.join(space.device), progress, after_epoch)
        run.check(teacher is not None)
        if space.trained and "terms" in settings:
            keep_terms(space, chosen.terms)
        if isinstance(teacher, str):
            own: dict[str, Any] = {"seed": chosen.seed, "checkpoint": checkpoint, "resume": resume}
            teacher = dense_teacher(space, parts, held_out or None, progress=progress, **own)
    except PairspaceError:  # what cannot be trained leaves no trace
        for branch, encoder, trains in before:
            branch.encoder, branch.trains = encoder, trains
        raise
    notes += describe_vocabularies(space, data.items)
    begin_encoders(space, parts, chosen.seed)
    history = run.train(teacher=teacher, checkpoint=checkpoint, resume=resume)
    history.notes = notes + history.notes
    space.record = run.describe(history)
    return history


def _located(space: Space, pairs: Pairs | Sequence[Pairs]) -> list[Pairs]:
    return [located(space, one) for one in ([pairs] if isinstance(pairs, Pairs) else pairs)]


class Fitting:
    """One fit: the data, the towers over it, and what becomes of the space."""

    def __init__(
        self,
        space: Space,
        data: PairData,
        held_out: Sequence[Pairs],
        options: TrainingOptions,
        processes: Processes,
        progress: bool | None,
        after_epoch: Callable[[History], None] | None,
    ) -> None:
        self.space, self.data, self.held_out = space, data, held_out
        self.options, self.processes = options, processes
        self.progress = progress if processes.first else False
        self.after_epoch = after_epoch
        self.sides = data.sides
        apart = pairings(space, held_out, held=True) if held_out else []
        self.held = [read_data(space, [one], negatives=False) for one in apart]
        self.truncated: dict[str, float] = {}

    def check(self, taught: bool) -> None:
        """See that the objective can be had from what is given, before anything is encoded."""
        comes = self._wants_guide and all(self.space.part(side).starting() for side in self.sides)
        stand_in = np.empty((0, 0))
        given = {"negatives": self.data.negatives, "scores": self.data.scores}
        examples = Examples(
            self.data.query,
            self.data.document,
            teacher=(stand_in, stand_in) if taught else None,
            guide=(stand_in, stand_in) if comes else None,  # type: ignore[arg-type]
            **given,
        )
        self._objective(examples)

    def _objective(self, examples: Examples) -> Objective:
        space = self.space
        how: dict[str, Any] = {"dimension": space.dimension, "bias": space.bias, "sparse": space.sparse}
        return build_objective(self.options, space.temperature, examples, **how)

    @property
    def _wants_guide(self) -> bool:
        options = self.options
        return options.debias is not None or bool(options.structure) or options.group_batches

    def train(self, *, teacher: Space | None, checkpoint: Path | None, resume: bool) -> History:
        """Train the projectors, then all that trains; the space keeps the best weights, also when a run breaks off."""
        self.begin(teacher)
        with side_of_teacher(self.space, teacher):
            return self._train(self.examples(teacher), checkpoint, resume)

    def _train(self, examples: Examples, checkpoint: Path | None, resume: bool) -> History:
        space, options = self.space, self.options
        trains = any(branch.trains for side in self.sides for branch in space.part(side).branches)
        first = History()
        if trains and options.projector_epochs:
            first = self._projectors_first(examples, checkpoint, resume)
        try:
            towers, watched = self.towers(self.data, live=True), self.watched(live=True)
            self.truncated = self._truncated(towers)
            if not trains and not any(list(m.parameters()) for tower in towers for m in tower.modules()):
                return self._untrained(watched)
            history = self._run(towers, examples, options, watched, checkpoint, resume, first)
        finally:
            keep_trained(space)
        history.notes += self.finish(watched)
        return first.then(history)

    def begin(self, teacher: Space | None = None) -> None:
        """Let a new space begin: with its terms, or with encoders that are brought together."""
        space = self.space
        if space.sparse and not space.trained:
            how: dict[str, Any] = {"teacher": teacher, "progress": self.progress}
            begin_on_pairs(space, self.data, self._features, self.options, **how)
            keep_terms(space, self.options.terms)
        elif not space.started:
            align_sides(space, self.data, self._features, self.options.seed)
            space.keep_start()

    def finish(self, watched: Validation | Validations | None) -> list[str]:
        """Mark the space as trained, and learn on the held-out pairs what own words and BM25 count for beside it."""
        self.space.trained = True
        return self._weigh(watched)

    def _weigh(self, watched: Validation | Validations | None) -> list[str]:
        if isinstance(watched, Validation):
            return set_weights(self.space, self.held_out[0], watched)
        return []

    def _run(
        self,
        towers: tuple[Tower, Tower],
        examples: Examples,
        options: TrainingOptions,
        watched: Validation | Validations | None,
        checkpoint: Path | None,
        resume: bool,
        before: History,
    ) -> History:
        space, after_epoch = self.space, self.after_epoch
        objective = self._objective(examples)
        history = train(
            *towers,
            examples,
            objective=objective,
            options=options,
            validation=watched,
            checkpoint=checkpoint,
            resume=resume,
            processes=self.processes,
            progress=self.progress,
            after_epoch=after_epoch and (lambda history: after_epoch(before.then(history))),
        )
        space.bias = objective.scalars().get("bias", space.bias)
        return history

    def _projectors_first(self, examples: Examples, checkpoint: Path | None, resume: bool) -> History:
        """The warm-up: encoders as they are, from the cache where they came with weights.

        Raises:
            TrainingError: no projector has weights.
        """
        branches = [branch for side in self.sides for branch in self.space.part(side).branches]
        if not any(list(branch.projector.parameters()) for branch in branches):
            raise TrainingError(
                "projector_epochs train the projectors alone, and these have no weights: leave them out, or use "
                "projector='linear'"
            )
        options = replace(self.options, epochs=self.options.projector_epochs, projector_epochs=0)
        towers, watched = self.towers(self.data, live=False), self.watched(live=False)
        folder = None if checkpoint is None else checkpoint / "projectors"
        return self._run(towers, examples, options, watched, folder, resume, History())

    def towers(self, data: PairData, *, live: bool) -> tuple[Tower, Tower]:
        """Towers over the distinct items on either end; with `live`, encoders that train are run, not read."""
        views = data is self.data  # what watches training sees the items as they are
        ends = [[self._tower(side, items, live, views) for side, items in end.items()] for end in data.items]
        query, document = (made[0] if len(made) == 1 else RoutedTower(made) for made in ends)
        return query, document

    def _tower(self, side: str, items: Any, live: bool, views: bool) -> Tower:
        part, device = self.space.part(side), self.space.device
        branches = [self._branch(branch, items, live, views) for branch in part.branches]
        return Tower(branches, words=own_words(part, items, self.options, device), device=device)

    def _truncated(self, towers: Sequence[Tower]) -> dict[str, float]:
        """Of each side the share of items that its encoders cut."""
        ends = zip(self.data.items, towers, strict=True)
        return {
            side: round(one.truncated, 4) for end, tower in ends for side, one in zip(end, tower.parts, strict=True)
        }

    def _branch(self, branch: Branch, items: Any, live: bool, views: bool) -> FrozenBranch | LiveBranch:
        space, options = self.space, self.options
        if not (live and branch.trains):
            count = getattr(branch.encoder, "views", 0) if views else 0
            others = [replace(branch, encoder=branch.encoder.view(number)) for number in range(1, count + 1)]
            drawn = [self._features(one, items) for one in others]
            return FrozenBranch(self._features(branch, items), branch.projector, views=drawn, device=space.device)
        module = branch.encoder.training_module(blocks=options.train_blocks, lora=options.lora)
        return LiveBranch(
            branch.encoder,
            branch.layers,
            items.to_pylist(),
            branch.projector,
            module,
            states=self._states(branch, items),
            device=space.device,
            bf16=_bf16(options.precision, space.device),
        )

    def _states(self, branch: Branch, items: Any) -> TokenStates | None:
        """What the blocks that stay as they are give for every token, where the others need no more than that."""
        cache, blocks, encoder = self.space.cache, self.options.train_blocks, branch.encoder
        if cache is None or blocks is None or not isinstance(encoder, Layered) or self.space.device.type != "cpu":
            return None  # on GPUs it has not been measured whether reading states is quicker than running blocks
        rows = np.unique(np.linspace(0, len(items) - 1, SAMPLE).astype(np.int64))
        some = items.take(pa.array(rows)).to_pylist()
        layer = encoder.states_layer(blocks, branch.layers, some[:: max(1, len(some) // 8)])
        if layer is None:
            return None
        size = int(np.mean([len(ids) for ids in encoder.tokens(some)[0]]) * len(items) * encoder.width * 2)
        if not cache.has_room(size):
            _log.warning("no room for %.1f GB of token states: the lower blocks are run in every step", size / 1e9)
            return None
        if self.processes.count > 1:
            cache.token_states(encoder, self._share(items), layer, progress=False)
            self.processes.wait()
        return cache.token_states(encoder, items, layer, progress=self.progress)

    def _share(self, items: Any) -> Any:
        return items.take(pa.array(self.processes.share(np.arange(len(items)))))

    def _features(self, branch: Branch, items: Any) -> Any:
        """Of the encoder as it is; each process encodes its share, and then all read the cache."""
        cache, encoder = self.space.cache, branch.encoder
        if cache is not None and getattr(encoder, "cached", True) and self.processes.count > 1:
            branch.features(self._share(items), cache=cache, progress=False)
            self.processes.wait()
        return branch.features(items, cache=cache, progress=self.progress)

    def watched(self, *, live: bool) -> Validation | Validations | None:
        """The held-out pairs over towers that share what trains; in a space of many sides two by two."""
        made = [Validation(*self.towers(held, live=live), (held.query, held.document)) for held in self.held]
        if len(self.space.sides) == 2:
            return made[0] if made else None
        names = [f"{held.parts[0].query}-{held.parts[0].document}" for held in self.held]
        return Validations(dict(zip(names, made, strict=True))) if made else None

    def examples(self, teacher: Space | None) -> Examples:
        """The pairs, with what the objective needs beside them."""
        data = self.data
        taught = None if teacher is None else taught_vectors(teacher, data, progress=self.progress)
        guide = self._guide() if self._wants_guide else None
        return Examples(
            data.query,
            data.document,
            negatives=data.negatives,
            scores=data.scores,
            sources=data.sources,
            teacher=taught,
            guide=guide,
        )

    def _guide(self) -> tuple[Any, Any] | None:
        """Features of the encoders as they came, for objectives and batches that look at them."""
        ends = []
        for end in self.data.items:
            found = []
            for side, items in end.items():
                came = self.space.part(side).starting()
                if not came:
                    return None
                found.append(self._features(replace(came[0], encoder=came[0].origin), items))
            ends.append(found[0] if len(found) == 1 else RoutedFeatures(found))
        return ends[0], ends[1]

    def _untrained(self, watched: Validation | Validations | None) -> History:
        record: dict[str, Any] = {"epoch": 0} | ({} if watched is None else watched.record())
        self._weigh(watched)
        note = "identity projectors: there is nothing to train, the space is the encoder's own"
        return History([record], notes=[note])

    def describe(self, history: History) -> dict[str, Any]:
        """What the space remembers of its training."""
        return {
            "pairs": len(self.data.query),
            "validation_pairs": sum(len(held.query) for held in self.held),
            "source": self.data.source,
            "truncated": self.truncated,
            "options": self.options.to_dict() | {"learn_temperature": self.space.temperature.log_scale.requires_grad},
            "best_epoch": history.best_epoch,
            "before": history.records[0] if history.records else {},
            "after": next((r for r in history.records if r["epoch"] == history.best_epoch), {}),
        }


def _bf16(precision: str, device: torch.device) -> bool:
    """Whether encoders in training run in bf16: on a CPU autocast was far slower, so only where asked for."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"
