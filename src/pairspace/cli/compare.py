"""`pairspace compare`: two runs on the same judgements, with a paired test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pairspace.cli.common import Json

__all__ = ["compare"]


def compare(
    first: Annotated[Path, typer.Argument(help="A TREC run.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    qrels: Annotated[Path, typer.Option(help="Judgements: BEIR TSV or TREC.")],
    resamples: Annotated[int, typer.Option(help="Of the bootstrap and the randomisation test.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare two runs query by query."""
    from pairspace.data import read_qrels, read_run
    from pairspace.evaluation import compare_runs

    result = compare_runs(read_run(first), read_run(second), read_qrels(qrels), resamples=resamples, seed=seed)
    print(result.to_json() if as_json else result)
