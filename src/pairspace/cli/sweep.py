"""`pairspace sweep`: try settings on cached features, and print what each is worth."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pairspace.cli.common import Device, Json, NoCache, Sides, SkipBad, one_or_per_side, print_json, read_sides
from pairspace.errors import PairspaceError

__all__ = ["sweep"]


def sweep(
    pairs: Annotated[list[Path], typer.Argument(help="Files of pairs.")],
    tries: Annotated[
        list[str], typer.Option("--try", help="A setting and its values: learning_rate=1e-3,3e-3. Once a setting.")
    ],
    side: Sides = None,
    encoder: Annotated[list[str] | None, typer.Option(help="As in train. (default: minilm)")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose equal values never straddle a split.")] = None,
    random: Annotated[int | None, typer.Option(help="So many combinations drawn at random instead of all.")] = None,
    validation: Annotated[float, typer.Option(help="Share of the pairs that every run is scored on.")] = 0.1,
    epochs: Annotated[int | None, typer.Option(help="Of every run.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Of every run.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw, the split and every run.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the best space to this folder.")] = None,
    device: Device = None,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Try settings of projectors and training; encoders run once, so a run takes seconds."""
    from pairspace.evaluation.table import pipe_table
    from pairspace.space.sweeping import sweep as run

    if output is not None and output.exists():
        raise PairspaceError(f"{output} exists: choose another --output")
    read = read_sides(pairs, side, group=group, skip_bad=skip_bad)
    fixed: dict[str, Any] = {
        name: value for name, value in (("epochs", epochs), ("batch_size", batch_size)) if value is not None
    }
    how: dict[str, Any] = {"encoder": one_or_per_side(encoder, read.sides, "--encoder") or "minilm"}
    how |= {"device": device, "cache": not no_cache}
    found = run(read, dict(map(_parse, tries)), random=random, validation=validation, seed=seed, space=how, **fixed)
    if output is not None and found.space is not None:
        found.space.save_pretrained(output)
    if as_json:
        print_json({"start": found.start, "trials": [asdict(trial) for trial in found.trials]})
        return
    names = list(found.trials[0].settings)
    rows = []
    for trial in found.trials:
        scores = (
            ["-", "-", trial.error[:40]] if trial.error else [f"{trial.recall:.3f}", f"{trial.reciprocal_rank:.3f}"]
        )
        scores += [] if trial.error else [str(trial.best_epoch)]
        rows.append([*(str(trial.settings[name]) for name in names), *scores, f"{trial.seconds:.1f}"])
    print(pipe_table([*names, "R@1", "MRR@10", "best epoch", "seconds"], rows))
    print(f"\nOn held-out pairs; before training R@1 {found.start:.3f}. The best of several is partly luck: measure it")
    print("on pairs that no run has seen (pairspace evaluate).")
    if output is not None:
        print(f"best space written to {output}")


def _parse(text: str) -> tuple[str, list[Any]]:
    """`learning_rate=1e-3,3e-3` to a name and its values; numbers, true, false and null as JSON reads them."""
    name, _, values = text.partition("=")
    if not name or not values:
        raise PairspaceError(f"--try {text}: write it as learning_rate=1e-3,3e-3")
    return name.replace("-", "_"), [_value(value) for value in values.split(",")]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text
