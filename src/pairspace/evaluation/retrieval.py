"""Evaluate a space: does it find what belongs together, and better than what one had without it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pairspace.data import Corpus, Pairs, Qrels
from pairspace.errors import PairspaceError
from pairspace.evaluation.metrics import METRICS, per_query, ranked_run
from pairspace.evaluation.report import Contrast, Direction, Report, Result
from pairspace.evaluation.significance import bootstrap_intervals, sign_flip_p_values
from pairspace.evaluation.systems import CONTRASTS, Systems
from pairspace.evaluation.tasks import Task, collection_task, pair_tasks
from pairspace.neighbours import Ranking
from pairspace.progress import progress_bar

__all__ = ["evaluate"]


def evaluate(
    space: Any,
    pairs: Pairs | Sequence[Pairs] | None = None,
    *,
    corpus: Corpus | None = None,
    queries: Corpus | None = None,
    qrels: Qrels | None = None,
    passages: bool = False,
    depth: int = 100,
    fusion: bool = True,
    bm25: bool = True,
    pruning: Mapping[str, Any] | None = None,
    start: bool = True,
    resamples: int = 10_000,
    seed: int = 0,
    cache: bool = True,
    progress: bool | None = None,
) -> Report:
    """Measure a space on pairs, in both directions, or on a judged collection, beside what it should beat.

    Equal scores are ordered alike in every system and metric: by position in the pairs, by falling document id in a
    collection (trec_eval's rule).

    Args:
        space: a `Space`.
        pairs: distinct items of each side search the other's; every pairing that occurs is a right answer. Several data
            sets, of other sides each, are measured one by one.
        corpus: or documents to search, with
        queries: what to search with and
        qrels: the judgements. Queries without a right answer are left out; judged ones without a text count 0.
        passages: split documents longer than the encoder reads into passages; the best passage counts.
        depth: documents ranked a query; metrics see no further.
        fusion: show the fusion with BM25: z-scores if the space has learnt a weight, else reciprocal rank.
        bm25: show BM25 (stopwords and stemming in the space's language), where the items are texts.
        pruning: of a sparse space show also what it costs to cut its documents: {"mass": 0.9}, {"count": 64} or both,
            see `pairspace.neighbours.prune`.
        start: show the encoders before training, if the space is trained.
        resamples: of the bootstrap intervals and of the randomisation tests.
        seed: of both.
        cache: read and write the feature cache.
        progress: show bars; None where a person can see them.

    Returns:
        A `Report`; print it.

    Raises:
        DataError: nothing to evaluate, or ids of corpus, queries and judgements that do not fit together.
        PairspaceError: neither or both of pairs and a collection, or a bad depth.
    """
    if depth < 1 or resamples < 1:
        raise PairspaceError(f"depth and resamples must be at least 1, got {depth} and {resamples}")
    sets = [pairs] if isinstance(pairs, Pairs) else None if pairs is None else list(pairs)
    tasks = _tasks(space, sets, corpus, queries, qrels)
    systems = Systems(
        space,
        passages=passages,
        depth=depth,
        bm25=bm25,
        fusion=fusion,
        pruning=pruning,
        start=start,
        cache=cache,
        progress=progress,
    )
    results: dict[str, dict[str, Result]] = {}
    contrasts: dict[str, tuple[Contrast, ...]] = {}
    directions = []
    for task in tasks:
        direction = _direction(task, systems)
        ranked = {name: (label, _padded(r, task)) for name, (label, r) in systems.rankings(task).items()}
        found, tests = _measure(direction, ranked, resamples, seed, progress)
        for system, result in found.items():
            results.setdefault(system, {})[task.name] = result
        contrasts[task.name] = tests
        directions.append(direction)
    settings = {
        "space": space.name,
        "fingerprint": space.fingerprint,
        "trained": space.trained,
        "evaluated": getattr(corpus, "source", None)
        if sets is None
        else ", ".join(dict.fromkeys(s.source for s in sets)),
        **({} if sets is None else {"pairs": sum(map(len, sets)), "duplicates": sum(s.duplicates for s in sets)}),
        "passages": passages,
        "depth": depth,
        "resamples": resamples,
        "seed": seed,
    }
    words, flops = systems.words(tasks[0]) if getattr(space, "sparse", False) else ((), None)
    return Report(METRICS, tuple(directions), results, contrasts, settings, words, flops)


def _tasks(
    space: Any, pairs: Sequence[Pairs] | None, corpus: Corpus | None, queries: Corpus | None, qrels: Qrels | None
) -> list[Task]:
    collection = {"corpus": corpus, "queries": queries, "qrels": qrels}
    given = [name for name, part in collection.items() if part is not None]
    if pairs is not None and not given:
        return [task for one in pairs for task in pair_tasks(space, one)]
    if pairs is None and corpus is not None and queries is not None and qrels is not None:
        return [collection_task(space, corpus, queries, qrels)]
    have = ", ".join((["pairs"] if pairs is not None else []) + given) or "nothing"
    raise PairspaceError(f"evaluate needs either pairs, or all of corpus, queries and qrels; it was given {have}")


def _direction(task: Task, systems: Systems) -> Direction:
    cut = {}
    for items, passages in ((task.queries, False), (task.documents, systems.passages)):
        share = systems.encoded(items, passages=passages).cut
        if share is not None:
            cut[items.side] = float(share)
    return Direction(
        task.name,
        tuple(task.qrels),
        task.documents.ids,
        task.qrels,
        left_out=task.left_out,
        missing=task.missing,
        cut=cut,
    )


def _padded(ranking: Ranking, task: Task) -> Ranking:
    """Empty rows for the judged queries that have no text; they stand last."""
    short = len(task.qrels) - len(task.queries)
    if not short:
        return ranking
    width = ranking.indices.shape[1]
    return Ranking(
        np.vstack([ranking.scores, np.full((short, width), -np.inf, np.float32)]),
        np.vstack([ranking.indices, np.full((short, width), -1, np.int64)]),
    )


def _measure(
    direction: Direction,
    ranked: Mapping[str, tuple[str, Ranking]],
    resamples: int,
    seed: int,
    progress: bool | None,
) -> tuple[dict[str, Result], tuple[Contrast, ...]]:
    """Metrics, intervals and tests of all systems in one direction; one set of resamples serves them all."""
    values = {}
    with progress_bar(f"scoring {direction.name}", len(ranked) + 1, unit="rankings", show=progress) as bar:
        for name, (_, ranking) in ranked.items():
            run = ranked_run(direction.query_ids, direction.document_ids, ranking.indices)
            values[name] = per_query(run, direction.qrels)
            bar.advance()
        tested = [pair for pair in CONTRASTS if pair[0] in values and pair[1] in values]
        differences = [values[system] - values[reference] for system, reference in tested]
        low, high = bootstrap_intervals(np.hstack([*values.values(), *differences]), resamples=resamples, seed=seed)
        lows, highs = low.reshape(-1, len(METRICS)), high.reshape(-1, len(METRICS))
        p = np.empty((0, len(METRICS)))
        if tested:
            p = sign_flip_p_values(np.hstack(differences), resamples=resamples, seed=seed).reshape(-1, len(METRICS))
        bar.advance()
    results = {
        name: Result(ranked[name][0], values[name], lows[row], highs[row], ranked[name][1])
        for row, name in enumerate(values)
    }
    tests = tuple(
        Contrast(system, reference, differences[row].mean(0), lows[len(values) + row], highs[len(values) + row], p[row])
        for row, (system, reference) in enumerate(tested)
    )
    return results, tests
