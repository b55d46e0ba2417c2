"""From settings to an objective: the list of objectives by name, and what may be put around or beside them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from pairspace.errors import TrainingError
from pairspace.objectives import (
    AdditiveMargin,
    DistillKl,
    InfoNce,
    MarginMse,
    Matryoshka,
    Objective,
    Sigmoid,
    Sparsity,
    Structure,
    Sum,
    Temperature,
)
from pairspace.training.examples import Examples
from pairspace.training.options import TrainingOptions

__all__ = ["build_objective", "check_effect"]

OF_WORDS = ("regulariser", "sparsity", "terms", "expansion", "expansion_rate")  # settings


def build_objective(
    options: TrainingOptions,
    temperature: Temperature,
    examples: Examples,
    *,
    dimension: int,
    bias: float | None = None,
    sparse: bool = False,
) -> Objective:
    """What a run minimises.

        teacher_weight * distillation + (1 - teacher_weight) * objective,   each at all Matryoshka sizes,
        + structure * regulariser (+ regulariser of sparse vectors)

    Args:
        options: name the objective and what goes with it.
        temperature: the space's own; every part uses it.
        examples: what was given: negatives, scores, a teacher, features.
        dimension: of the space, which no Matryoshka size may exceed.
        bias: where the sigmoid loss starts; None for its own start.
        sparse: the vectors are weights of terms.

    Raises:
        TrainingError: the objective needs something that was not given, or a setting does not fit the others.
    """
    given = {name for name in ("negatives", "scores", "teacher") if getattr(examples, name) is not None}
    given |= {"features"} if examples.guide is not None else set()
    _check(options, examples)
    softness = options.teacher_temperature or (1.0 if examples.teacher is None else 0.05)
    objective = _main(options, temperature, bias, softness)
    if examples.teacher is not None and options.objective != "distill":
        teacher = DistillKl(temperature, teacher_temperature=softness, within=options.teacher_within)
        share = options.teacher_weight
        objective = Sum([(share, teacher), (1 - share, objective)])
    if options.matryoshka:
        if sparse:
            raise TrainingError("the terms of a sparse space have no order to be cut in: leave matryoshka out")
        if too_large := [size for size in options.matryoshka if size > dimension]:
            raise TrainingError(f"matryoshka sizes {too_large} exceed the space's {dimension} dimensions")
        objective = Matryoshka(objective, sorted({*options.matryoshka, dimension}))
    if options.structure:
        objective = Sum([(1.0, objective), (options.structure, Structure())])
    if sparse:
        regulariser = Sparsity(options.regulariser, weights=options.sparsity)  # type: ignore[arg-type]
        objective = Sum([(1.0, objective), (1.0, regulariser)])
    for need in sorted(objective.needs - given):
        if not (need == "teacher" and "scores" in given):
            raise TrainingError(f"the objective '{options.objective}' {_MISSING[need]}")
    return objective


def _check(options: TrainingOptions, examples: Examples) -> None:
    """See that what was given and what was asked for go together."""
    if options.mix and examples.negatives is not None:
        raise TrainingError(
            "mixing of features has no place for given negatives: set mix=0, or leave the negatives out"
        )
    from_scores = options.objective == "margin-mse" or (options.objective == "distill" and examples.teacher is None)
    if from_scores and examples.scores is not None and examples.negatives is not None:
        scored = np.isfinite(examples.scores[:, 1:]) & (examples.negatives >= 0)
        if not bool((scored.any(1) & np.isfinite(examples.scores[:, 0])).any()):
            raise TrainingError(
                f"the objective '{options.objective}' compares a pair's score with those of its negatives, and no "
                "negative has one: give lists of scores, the pair's first and then one for each of its negatives"
            )
    if examples.teacher is not None and options.objective == "margin-mse":
        raise TrainingError("'margin-mse' learns from scores, not from a teacher space: use objective='distill'")


def check_effect(
    options: TrainingOptions,
    named: Collection[str],
    *,
    teacher: bool,
    scores: bool,
    sets: int,
    sparse: bool = False,
    lexical: bool = True,
) -> None:
    """See that no setting was named that does nothing here.

    Args:
        options: all settings.
        named: those that the caller gave.
        teacher: there is a teacher space.
        scores: there are scores.
        sets: how many data sets there are.
        sparse: the space is one of words.
        lexical: and has lexical projectors.

    Raises:
        TrainingError: one has no effect.
    """
    objective = options.objective
    idle = {
        "margin": (objective != "margin", "of the objective 'margin'"),
        "score_scale": (objective != "margin-mse", "of the objective 'margin-mse'"),
        "teacher_weight": (not teacher or objective == "distill", "of a teacher beside another objective"),
        "teacher_within": (not teacher, "of a teacher space"),
        "teacher_temperature": (not teacher and not (scores and objective == "distill"), "of a teacher"),
        "temperature_rate": (not options.learn_temperature, "of a temperature that is learnt, and this one is fixed"),
        "mixing": (sets < 2, "of several data sets, and there is one"),
        "expansion_rate": (options.expansion == "free", "of expansion='texts' or 'words'"),
        "terms": (not lexical, "of lexical projectors: these encoders give weights of terms themselves"),
        **dict.fromkeys(
            OF_WORDS if not sparse else (),
            (not sparse, "of a sparse space, and this one is dense (projector='lexical')"),
        ),
    }
    for name in named:
        if name in idle and idle[name][0]:
            raise TrainingError(f"{name} is {idle[name][1]}: it would have no effect here")


_MISSING = {
    "negatives": "needs negatives: read_pairs(negatives=...), or make them with mine_negatives",
    "scores": "needs a teacher's scores: read_pairs(score=...) of each pair and its negatives",
    "teacher": "needs a teacher space (teacher=) or scores (read_pairs(score=...))",
    "features": "with debias, structure or grouping needs features of frozen encoders, and these start from nothing",
}


def _main(options: TrainingOptions, temperature: Temperature, bias: float | None, softness: float) -> Objective:
    if options.objective == "sigmoid":
        return Sigmoid(temperature, debias=options.debias, **({} if bias is None else {"bias": bias}))
    if options.objective == "margin":
        return AdditiveMargin(temperature, margin=options.margin, debias=options.debias)
    if options.objective == "distill":
        return DistillKl(temperature, teacher_temperature=softness, within=options.teacher_within)
    if options.objective == "margin-mse":
        return MarginMse(scale=options.score_scale)
    return InfoNce(temperature, debias=options.debias)
