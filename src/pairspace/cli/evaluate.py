"""`pairspace evaluate`: how good a space is, beside BM25 and the encoders as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pairspace.cli.common import Device, Json, NoCache, Root, Sides, SkipBad, TrustCode, read_sets
from pairspace.cli.pictures import with_pictures
from pairspace.errors import PairspaceError

__all__ = ["evaluate"]


def evaluate(
    space: Annotated[str, typer.Argument(help="Folder of a space.")],
    pairs: Annotated[list[Path] | None, typer.Option(help="Test pairs.")] = None,
    side: Sides = None,
    pivot: Annotated[
        str | None, typer.Option(help="Of more than two sides, the one that all others are paired with, or all.")
    ] = None,
    id: Annotated[str | None, typer.Option(help="Column of ids, for features filed by id.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Documents: JSONL, Parquet, CSV, TSV or TREC.")] = None,
    queries: Annotated[Path | None, typer.Option(help="Queries, in the same formats.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgements: BEIR TSV or TREC.")] = None,
    beir: Annotated[Path | None, typer.Option(help="A BEIR folder, instead of the three above.")] = None,
    split: Annotated[str, typer.Option(help="Which qrels of the BEIR folder.")] = "test",
    passages: Annotated[bool, typer.Option("--passages", help="Cut long documents; the best passage counts.")] = False,
    bitext: Annotated[
        bool, typer.Option("--bitext", help="The pairs are translations: accuracy, xsim, mining.")
    ] = False,
    mass: Annotated[
        float | None, typer.Option(help="Of sparse documents, also try keeping this share of the weight.")
    ] = None,
    terms: Annotated[int | None, typer.Option(help="Of sparse documents, also try keeping so many terms.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder to write TREC runs and qrels to.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write the report to, as JSON.")] = None,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    root: Root = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Measure a space on pairs, or on a corpus with queries and judgements."""
    from pairspace.data import column_names, read_beir, read_corpus, read_qrels, read_queries
    from pairspace.data.files import atomic_file
    from pairspace.evaluation import BitextReport, Report, evaluate_bitext
    from pairspace.evaluation import evaluate as measure
    from pairspace.space import Space

    three = (corpus, queries, qrels)
    if sum((pairs is not None, beir is not None, any(three))) != 1 or any(three) != all(three):
        raise PairspaceError("give either --pairs, or --corpus with --queries and --qrels, or --beir")
    if bitext and (pairs is None or passages or runs or mass is not None or terms is not None):
        raise PairspaceError("--bitext measures --pairs; it has no passages, pruning or runs")
    loaded = Space.from_pretrained(space, device=device, cache=not no_cache, trust_remote_code=trust_remote_code)
    settings: dict[str, Any] = {"passages": passages, "seed": seed}
    if mass is not None or terms is not None:
        if not loaded.sparse:
            raise PairspaceError(f"{space} is a dense space: --mass and --terms are of sparse ones")
        settings["pruning"] = {"mass": mass or 1.0, "count": terms}
    report: Report | BitextReport
    if pairs is not None:
        query_side = loaded.query_side if len(loaded.sides) > 2 else None
        named = side or [one for one in loaded.sides if one in column_names(pairs[0])] or None
        sets = read_sets(pairs, named, pivot=pivot, query_side=query_side, id=id, skip_bad=skip_bad, root=root)
        sets = with_pictures(loaded, sets, skip_bad=skip_bad)
        report = evaluate_bitext(loaded, sets, seed=seed) if bitext else measure(loaded, sets, **settings)
    else:
        if beir is not None:
            documents, questions, judged = read_beir(beir, split)
        else:
            assert corpus and queries and qrels  # for the type checker: all three were seen to be given
            documents = read_corpus(corpus, skip_bad=skip_bad)
            questions, judged = read_queries(queries, skip_bad=skip_bad), read_qrels(qrels)
        report = measure(loaded, corpus=documents, queries=questions, qrels=judged, **settings)
    if runs is not None and isinstance(report, Report):
        report.save_runs(runs)
    if output is not None:
        with atomic_file(output) as temporary:
            temporary.write_text(report.to_json() + "\n", encoding="utf-8")
    print(report.to_json() if as_json else report)
