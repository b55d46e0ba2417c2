"""`pairspace sweep`: try settings on cached features, and print what each is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.common import (
    Device,
    Json,
    NoCache,
    Root,
    Sides,
    SkipBad,
    one_or_per_side,
    print_json,
    read_sides,
    sizes,
)
from pairspace.cli.pictures import what_sides_hold
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    from pairspace.space.sweeping import Sweep, Trial

__all__ = ["sweep"]

_LISTS = ("layers", "matryoshka")  # one value of these is a list itself


def sweep(
    pairs: Annotated[list[Path], typer.Argument(help="Files of pairs.")],
    tries: Annotated[
        list[str],
        typer.Option(
            "--try",
            help="A setting and its values: learning_rate=1e-3,3e-3. Those of layers and matryoshka are lists, so ; "
            "stands between them: 'matryoshka=8,16;32'. Once a setting.",
        ),
    ],
    side: Sides = None,
    query_side: Annotated[str | None, typer.Option(help="The side searched with; by default the first.")] = None,
    encoder: Annotated[list[str] | None, typer.Option(help="As in train. (default: minilm)")] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="Text before every item; or side=TEXT.")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose equal values never straddle a split.")] = None,
    id: Annotated[str | None, typer.Option(help="Column of ids, for features filed by id.")] = None,
    negatives: Annotated[list[str] | None, typer.Option(help="Column of items known to be wrong.")] = None,
    random: Annotated[int | None, typer.Option(help="So many combinations drawn at random instead of all.")] = None,
    validation: Annotated[float, typer.Option(help="Share of the pairs that every run is scored on.")] = 0.1,
    epochs: Annotated[int | None, typer.Option(help="Of every run.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Of every run.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw, the split and every run.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the best space to this folder.")] = None,
    root: Root = None,
    device: Device = None,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Try settings of projectors and training; encoders run once, so a run takes seconds."""
    from pairspace.space.sweeping import sweep as run

    if output is not None and output.exists():
        raise PairspaceError(f"{output} exists: choose another --output")
    parsed = [_parse(one) for one in tries]
    names = [name for name, _ in parsed]
    if twice := [name for name in names if names.count(name) > 1]:
        raise PairspaceError(f"--try {twice[0]} is given twice: write all its values into one")
    own: dict[str, Any] = {"group": group, "id": id, "negatives": negatives, "query_side": query_side, "root": root}
    read = read_sides(pairs, side, skip_bad=skip_bad, **own)
    given = {"epochs": epochs, "batch_size": batch_size}
    fixed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    how: dict[str, Any] = {"encoder": one_or_per_side(encoder, read.sides, "--encoder") or "minilm"}
    how |= {"prompt": one_or_per_side(prompt, read.sides, "--prompt"), "device": device, "cache": not no_cache}
    how["sides"] = what_sides_hold(read.sides, [read])
    found = run(read, dict(parsed), random=random, validation=validation, seed=seed, space=how, **fixed)
    if output is not None and found.space is not None:
        found.space.save_pretrained(output)
    if as_json:
        print_json({"trials": [asdict(trial) for trial in found.trials]})
    else:
        _print(found, names, output)


def _print(found: Sweep, names: Sequence[str], output: Path | None) -> None:
    from pairspace.evaluation.table import pipe_table

    rows = [[*_tried(trial), *_scores(trial), f"{trial.seconds:.1f}"] for trial in found.trials]
    print(pipe_table([*names, "R@1 before", "R@1", "MRR@10", "best epoch", "seconds"], rows))
    for trial in found.trials:
        if trial.error is not None:
            tried = ", ".join(f"{name}={value}" for name, value in zip(names, _tried(trial), strict=True))
            print(f"{tried} failed: {trial.error}")
    print("\nOn held-out pairs. The best of several is partly luck: measure it on pairs that no run has seen")
    print("(pairspace evaluate).")
    if output is not None:
        print(f"best space written to {output}")


def _tried(trial: Trial) -> list[str]:
    values = trial.settings.values()
    return [",".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values]


def _scores(trial: Trial) -> list[str]:
    if trial.error is not None:
        return ["-"] * 4
    return [*(f"{value:.3f}" for value in (trial.start, trial.recall, trial.reciprocal_rank)), str(trial.best_epoch)]


def _parse(text: str) -> tuple[str, list[Any]]:
    """`learning_rate=1e-3,3e-3` to a name and its values, each of the type that the setting has.

    Raises:
        PairspaceError: no name, no values, or a value of another type.
    """
    name, _, values = text.partition("=")
    if not name or not values:
        raise PairspaceError(f"--try {text}: write it as learning_rate=1e-3,3e-3")
    name = name.strip().replace("-", "_")
    return name, [_value(name, one.strip()) for one in values.split(";" if name in _LISTS else ",")]


def _value(name: str, text: str) -> Any:
    if name == "matryoshka":
        return () if text == "null" else sizes(text, f"--try {name}")
    kind, *rest = _kinds().get(name, "str").split(" | ")
    if kind == "str" or (text == "null" and "None" in rest):
        return text if kind == "str" else None
    readers: dict[str, Callable[[str], Any]]
    readers = {"int": int, "float": float, "bool": {"true": True, "false": False}.__getitem__}
    try:
        return readers[kind](text)
    except (KeyError, ValueError):
        what = {"int": "a whole number", "float": "a number", "bool": "true or false"}[kind]
        none = ", or null for none," if rest else ""
        raise PairspaceError(f"--try {name}: '{text}' is not {what}{none}") from None


def _kinds() -> dict[str, str]:
    """What type the values of a setting have, as its declaration spells it; those not named are texts."""
    from dataclasses import fields

    from pairspace.training import TrainingOptions

    of_space = {"dimension": "int", "shared_encoder": "bool", "shared_projector": "bool"}
    return of_space | {f.name: str(f.type) for f in fields(TrainingOptions)}
