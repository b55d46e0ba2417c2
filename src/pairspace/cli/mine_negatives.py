"""`pairspace mine-negatives`: a file of pairs in, the same with hard negatives out."""

from __future__ import annotations

from enum import StrEnum
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
    TrustCode,
    one_or_per_side,
    print_json,
    read_sides,
)
from pairspace.cli.items import stoppable
from pairspace.cli.pictures import what_sides_hold, with_pictures
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    from pairspace.data import Pairs
    from pairspace.training.negatives import Mining, Negatives

__all__ = ["mine_negatives"]


class Sampling(StrEnum):
    """Which of the candidates to take."""

    top = "top"
    random = "random"


def mine_negatives(
    pairs: Annotated[
        list[Path], typer.Argument(help="Files of pairs: CSV, TSV, JSONL, Parquet, or a datasets folder.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .parquet or .jsonl.")],
    side: Sides = None,
    space: Annotated[str | None, typer.Option(help="Folder of a space to mine with.")] = None,
    encoder: Annotated[
        list[str] | None, typer.Option(help="Mine with encoders as they are instead: a name; or side=NAME.")
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="Text before every item, for --encoder; or side=TEXT.")
    ] = None,
    query_side: Annotated[
        str | None, typer.Option(help="The side searched with, for --encoder; else the first.")
    ] = None,
    num_negatives: Annotated[int, typer.Option(help="Negatives a query, at most.")] = 3,
    range_min: Annotated[int, typer.Option(help="So many of the nearest are passed over.")] = 0,
    range_max: Annotated[
        int | None, typer.Option(help="So many of the nearest are candidates; by default as few as may do.")
    ] = None,
    max_score: Annotated[float | None, typer.Option(help="No negative has a cosine above this.")] = None,
    absolute_margin: Annotated[
        float | None, typer.Option(help="A negative is so much below the query's lowest positive.")
    ] = None,
    relative_margin: Annotated[
        float | None, typer.Option(help="Likewise, as a share of the positive: 0.05 is a good start.")
    ] = None,
    sampling: Annotated[Sampling, typer.Option(help="The nearest that are left, or some by chance.")] = Sampling.top,
    seed: Annotated[int, typer.Option(help="Of the chance.")] = 0,
    group: Annotated[str | None, typer.Option(help="Column to keep as group.")] = None,
    id: Annotated[str | None, typer.Option(help="Column to keep as id; for features filed by id.")] = None,
    root: Root = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Find documents near a query that do not belong to it, and write them beside the pairs."""
    from pairspace.data.writing import check_pairs_path, write_pairs
    from pairspace.space import Space
    from pairspace.space.mining import find_negatives, with_negatives
    from pairspace.training.negatives import Mining

    mining = Mining(
        num_negatives=num_negatives,
        range_min=range_min,
        range_max=range_max,
        max_score=max_score,
        absolute_margin=absolute_margin,
        relative_margin=relative_margin,
        sampling=sampling.value,
        seed=seed,
    )
    if (space is None) == (not encoder):
        raise PairspaceError(
            "say what to mine with: --space FOLDER, or --encoder NAME (such as minilm), one of the two"
        )
    if space is not None and (prompt or query_side):
        raise PairspaceError(f"--prompt and --query-side belong to --encoder: {space} has its own")
    check_pairs_path(output)
    if any(output.absolute() == path.absolute() for path in pairs):
        raise PairspaceError(f"{output} is what is read: choose another --output")
    read = read_sides(pairs, side, group=group, id=id, skip_bad=skip_bad, root=root)
    options: dict[str, Any] = {"device": device, "cache": not no_cache, "trust_remote_code": trust_remote_code}
    with stoppable():
        if space is not None:
            model = Space.from_pretrained(space, **options)
        else:
            model = Space.create(
                what_sides_hold(read.sides, [read]),
                encoder=one_or_per_side(encoder, read.sides, "--encoder"),
                prompt=one_or_per_side(prompt, read.sides, "--prompt"),
                query_side=query_side,
                projector="identity",
                **options,
            )
        (read,) = with_pictures(model, [read], skip_bad=skip_bad)
        found = find_negatives(model, read, mining=mining)
        mined = with_negatives(read, found, model)
        write_pairs(output, mined)
    summary = _summary(mined, found, mining, output)
    if as_json:
        print_json(summary)
    else:
        _print(summary, mined)


def _summary(pairs: Pairs, found: Negatives, mining: Mining, output: Path) -> dict[str, Any]:
    import numpy as np

    counts = (found.documents >= 0).sum(1)
    some = bool(counts.any())
    return {
        "pairs": len(pairs),
        "skipped": pairs.skipped,
        "queries": len(counts),
        "negatives": int(counts.sum()),
        "queries_with_fewer": int(((counts > 0) & (counts < mining.num_negatives)).sum()),
        "queries_without": int((counts == 0).sum()),
        "removed": found.removed,
        "mean_positive": round(float(np.nanmean(found.positives)), 4),
        "mean_negative": round(float(np.nanmean(found.scores)), 4) if some else None,
        "output": str(output),
    }


def _print(summary: dict[str, Any], pairs: Pairs) -> None:
    print(
        f"{summary['negatives']:,} negatives for {summary['queries']:,} queries of {summary['pairs']:,} pairs, "
        f"{summary['skipped']:,} bad rows left out"
    )
    if summary["mean_negative"] is not None:
        print(
            f"mean cosine with the query: {summary['mean_negative']:.3f}; "
            f"of the query's lowest positive: {summary['mean_positive']:.3f}"
        )
    for name, count in summary["removed"].items():
        print(f"{name} took {count:,} candidates")
    if summary["queries_with_fewer"] or summary["queries_without"]:
        print(
            f"{summary['queries_with_fewer']:,} queries have fewer negatives and {summary['queries_without']:,} none: "
            "a higher --range-max or softer filters give more"
        )
    named = " ".join(f"--side {side}" for side in pairs.sides)
    named += f" --query-side {pairs.query_side}" if pairs.query_side != pairs.sides[0] else ""
    print(f"written to {summary['output']}; train on it with {named} --negatives negatives")
