"""Retrieval metrics, query by query, computed by ir-measures (trec_eval's own code).

| shown    | ir-measures | what it is, query by query                                              |
|----------|-------------|-------------------------------------------------------------------------|
| R@k      | Success@k   | 1 if a right answer is among the first k (CLIP's recall)                |
| MRR@k    | RR          | 1 / rank of the first right answer, 0 beyond rank k                     |
| nDCG@k   | nDCG@k      | discounted gain over the best possible one; grades count                |
| MAP@k    | AP@k        | mean precision at the right answers, 0 for those beyond the first k     |
| Recall@k | R@k         | share of the right answers among the first k                            |

trec_eval orders equal scores by document id, other tools otherwise, and one run then has several scores. So the order
is fixed before they see it: what is handed over is ranks, as scores that strictly fall, and no tool has a tie to break.
A judged query that a run does not answer counts 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pairspace.errors import PairspaceError

__all__ = ["METRICS", "per_query", "ranked_run"]

METRICS = ("R@1", "R@5", "R@10", "MRR@10", "nDCG@10", "MAP@100", "Recall@100")

_NAMES = {"nDCG": "nDCG", "MAP": "AP", "AP": "AP", "Recall": "R"}


def ranked_run(
    query_ids: Sequence[str], document_ids: Sequence[str], indices: np.ndarray
) -> dict[str, dict[str, float]]:
    """A run whose scores strictly fall along each row of a ranking.

    Args:
        query_ids: one a row of `indices`.
        document_ids: one a document.
        indices: (queries, k) document numbers, best first; -1 for none.
    """
    names = np.asarray([*document_ids, ""], dtype=object)
    falling = np.arange(indices.shape[1], 0, -1, dtype=np.float64).tolist()
    run = {}
    for query, row, found in zip(query_ids, names[indices].tolist(), (indices >= 0).sum(1).tolist(), strict=True):
        run[query] = dict(zip(row[:found], falling, strict=False))
    return run


def per_query(
    run: Mapping[str, Mapping[str, float]], qrels: Mapping[str, Mapping[str, int]], metrics: Sequence[str] = METRICS
) -> np.ndarray:
    """The metrics of every judged query.

    Args:
        run: answers; equal scores are ordered as they stand (first is better).
        qrels: judgements; grades above 0 are right answers. Each query should have one.
        metrics: names as in the table above, or any that ir-measures knows ("P@5", "Rprec").

    Returns:
        float64 (queries in the order of `qrels`, metrics).

    Raises:
        PairspaceError: an unknown metric.
    """
    import ir_measures

    measures = [_measure(name) for name in metrics]
    plain = {query: dict(judged) for query, judged in qrels.items()}
    strict = {query: _strict(answers) for query, answers in run.items() if query in plain and answers}
    values = np.zeros((len(plain), len(metrics)))
    rows = {query: row for row, query in enumerate(plain)}
    columns: dict[str, list[int]] = {}
    for column, (measure, *_) in enumerate(measures):
        columns.setdefault(str(measure), []).append(column)
    by_object: dict[int, list[int]] = {}  # the same objects come back: spares thousands of names made for 6,000 queries
    if strict:
        unique = {str(measure): measure for measure, *_ in measures}
        for found in ir_measures.iter_calc(list(unique.values()), plain, strict):
            where = by_object.get(id(found.measure))
            if where is None:
                where = by_object[id(found.measure)] = columns[str(found.measure)]
            values[rows[found.query_id], where] = found.value
    for column, (_, cutoff, success) in enumerate(measures):
        if cutoff is not None:
            near = values[:, column] > 1 / (cutoff + 0.5)
            values[:, column] = np.where(near, 1.0 if success else values[:, column], 0.0)
    return values


def _strict(answers: Mapping[str, float]) -> dict[str, float]:
    scores = np.fromiter(answers.values(), np.float64, len(answers))
    if (np.diff(scores) < 0).all():
        return answers if isinstance(answers, dict) else dict(answers)
    names = list(answers)
    order = np.argsort(-scores, kind="stable").tolist()
    return {names[at]: float(len(names) - rank) for rank, at in enumerate(order)}


def _measure(name: str) -> tuple[Any, int | None, bool]:
    """The measure of ir-measures; for a reciprocal rank, beyond which rank it is 0, and whether it is 1 up to there.

    Success@k is read off the reciprocal rank, which says the same: three of seven measures less to compute.
    """
    import ir_measures

    family, _, cutoff = name.partition("@")
    if re.fullmatch("[1-9][0-9]*", cutoff):
        if family in ("MRR", "RR", "R", "Success"):
            return ir_measures.RR, int(cutoff), family in ("R", "Success")
        name = f"{_NAMES.get(family, family)}@{cutoff}"
    elif cutoff:
        raise PairspaceError(f"unknown metric {name!r}: the cutoff after @ must be a whole number, as in {METRICS[0]}")
    try:
        return ir_measures.parse_measure("RR" if name == "MRR" else "AP" if name == "MAP" else name), None, False
    except (ValueError, NameError, SyntaxError, AttributeError, KeyError) as error:
        raise PairspaceError(
            f"unknown metric {name!r}: give e.g. {', '.join(METRICS)}, or one of ir-measures"
        ) from error
