"""From settings to an objective: the list of objectives by name, and what may be put around or beside them."""

from __future__ import annotations

from pairspace.errors import TrainingError
from pairspace.objectives import (
    AdditiveMargin,
    DistillKl,
    InfoNce,
    MarginMse,
    Matryoshka,
    Objective,
    Sigmoid,
    Structure,
    Sum,
    Temperature,
)
from pairspace.training.examples import Examples
from pairspace.training.options import TrainingOptions

__all__ = ["build_objective"]


def build_objective(
    options: TrainingOptions, temperature: Temperature, examples: Examples, *, dimension: int, bias: float | None = None
) -> Objective:
    """What a run minimises.

        teacher_weight * distillation + (1 - teacher_weight) * objective,   each at all Matryoshka sizes,
        + structure * regulariser

    Args:
        options: name the objective and what goes with it.
        temperature: the space's own; every part uses it.
        examples: what was given: negatives, scores, a teacher, features.
        dimension: of the space, which no Matryoshka size may exceed.
        bias: where the sigmoid loss starts; None for its own start.

    Raises:
        TrainingError: the objective needs something that was not given, or a setting does not fit the others.
    """
    given = {name for name in ("negatives", "scores", "teacher") if getattr(examples, name) is not None}
    given |= {"features"} if examples.guide is not None else set()
    objective = _main(options, temperature, bias)
    if examples.teacher is not None and options.objective not in ("distill", "margin-mse"):
        teacher = DistillKl(temperature, teacher_temperature=options.teacher_temperature)
        share = options.teacher_weight
        objective = Sum([(share, teacher), (1 - share, objective)])
    if options.matryoshka:
        if too_large := [size for size in options.matryoshka if size > dimension]:
            raise TrainingError(f"matryoshka sizes {too_large} exceed the space's {dimension} dimensions")
        objective = Matryoshka(objective, sorted({*options.matryoshka, dimension}))
    if options.structure:
        objective = Sum([(1.0, objective), (options.structure, Structure())])
    for need in sorted(objective.needs - given):
        if not (need == "teacher" and "scores" in given):
            raise TrainingError(f"the objective '{options.objective}' {_MISSING[need]}")
    if options.mix and examples.negatives is not None:
        raise TrainingError(
            "mixing of features has no place for given negatives: set mix=0, or leave the negatives out"
        )
    return objective


_MISSING = {
    "negatives": "needs negatives: read_pairs(negatives=...), or make them with mine_negatives",
    "scores": "needs a teacher's scores: read_pairs(score=...) of each pair and its negatives",
    "teacher": "needs a teacher space (teacher=) or scores (read_pairs(score=...))",
    "features": "with debias, structure or grouping needs features of frozen encoders, and these start from nothing",
}


def _main(options: TrainingOptions, temperature: Temperature, bias: float | None) -> Objective:
    if options.objective == "sigmoid":
        return Sigmoid(temperature) if bias is None else Sigmoid(temperature, bias=bias)
    if options.objective == "margin":
        return AdditiveMargin(temperature, margin=options.margin)
    if options.objective == "distill":
        return DistillKl(temperature, teacher_temperature=options.teacher_temperature)
    if options.objective == "margin-mse":
        return MarginMse()
    return InfoNce(temperature, debias=options.debias)
