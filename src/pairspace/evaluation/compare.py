"""Two runs over the same judgements: is one better, by how much, and could it be chance?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.data import Qrels, Run, read_qrels, read_run
from pairspace.errors import DataError
from pairspace.evaluation.metrics import METRICS, per_query
from pairspace.evaluation.significance import bootstrap_intervals, sign_flip_p_values
from pairspace.evaluation.table import p_text, pipe_table, short

__all__ = ["Comparison", "compare_runs"]


@dataclass(frozen=True)
class Comparison:
    """Two systems, metric by metric; arrays are over `metrics`, and their second axis over (low, high) for intervals.

    Attributes:
        names: what the runs are called.
        metrics: names of the metrics.
        per_query: (2, queries, metrics).
        intervals: (2, metrics, 2), 95 % bootstrap intervals of the means.
        difference: mean of b - a.
        difference_interval: (metrics, 2).
        p: two-sided p-values of the difference.
        query_ids: the judged queries.
        unanswered: judged queries that each run does not answer; they count 0.
        left_out: judged queries without a right answer.
        resamples: of the intervals and tests.
        seed: of both.
    """

    names: tuple[str, str]
    metrics: tuple[str, ...]
    per_query: np.ndarray = field(repr=False)
    intervals: np.ndarray
    difference: np.ndarray
    difference_interval: np.ndarray
    p: np.ndarray
    query_ids: tuple[str, ...] = field(repr=False)
    unanswered: tuple[int, int]
    left_out: int
    resamples: int
    seed: int

    def __str__(self) -> str:
        means = self.per_query.mean(1)
        rows = []
        for name, values, spans in zip(self.names, means, self.intervals, strict=True):
            rows.append([_cut(name), *(f"{value:.4f}" for value in values)])
            rows.append(["   95 %", *(f"{short(low)}-{short(high)}" for low, high in spans)])
        rows.append(["difference", *(f"{value:+.4f}" for value in self.difference)])
        rows.append(["   95 %", *(f"{short(low, '+')} {short(high, '+')}" for low, high in self.difference_interval)])
        rows.append(["   p", *map(p_text, self.p)])
        signs = np.sign(self.per_query[1] - self.per_query[0])
        counts = [f"{int((column > 0).sum())} / {int((column < 0).sum())}" for column in signs.T]
        rows.append(["   better / worse", *counts])
        notes = [
            f"{count:,} not answered by {name}"
            for name, count in zip(self.names, self.unanswered, strict=True)
            if count
        ]
        if self.left_out:
            notes.append(f"{self.left_out:,} without a right answer left out")
        head = f"{self.names[1]} against {self.names[0]}: {len(self.query_ids):,} queries" + (
            f" ({'; '.join(notes)})" if notes else ""
        )
        tail = (
            f"95 %: bootstrap intervals; p: paired randomisation test, two-sided ({self.resamples:,} resamples, "
            f"seed {self.seed})."
        )
        return "\n\n".join([head, pipe_table(["run", *self.metrics], rows), tail])

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain Python values."""
        metrics = {}
        for column, metric in enumerate(self.metrics):
            runs = [
                {"name": name, "value": float(values), "low": float(span[0]), "high": float(span[1])}
                for name, values, span in zip(
                    self.names, self.per_query.mean(1)[:, column], self.intervals[:, column], strict=True
                )
            ]
            low, high = self.difference_interval[column].tolist()
            difference = float(self.difference[column])
            metrics[metric] = {"runs": runs, "difference": difference, "low": low, "high": high}
            metrics[metric]["p"] = float(self.p[column])
        return {
            "runs": list(self.names),
            "queries": len(self.query_ids),
            "unanswered": list(self.unanswered),
            "without_right_answer": self.left_out,
            "resamples": self.resamples,
            "seed": self.seed,
            "metrics": metrics,
        }

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)


def compare_runs(
    run_a: Run | Path | str,
    run_b: Run | Path | str,
    qrels: Qrels | Path | str,
    *,
    metrics: Sequence[str] = METRICS,
    names: tuple[str, str] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two runs on the queries that have a right answer.

    Equal scores are ordered as they stand in the run, first is better. A query that a run does not answer counts 0.

    Args:
        run_a: query id -> document id -> score, or a TREC run file.
        run_b: likewise; the difference shown is b - a.
        qrels: query id -> document id -> grade, or a file of judgements.
        metrics: names as in `pairspace.evaluation.metrics`.
        names: what to call the two; by default the names of the files, or "a" and "b".
        resamples: of the bootstrap and of the randomisation test.
        seed: of both.

    Raises:
        DataError: a file cannot be read, no judged query has a right answer, or a run answers none of them.
        PairspaceError: an unknown metric.
    """
    called = names or (_name(run_a, "a"), _name(run_b, "b"))
    if called[0] == called[1]:
        called = (str(run_a), str(run_b)) if isinstance(run_a, (str, Path)) else (f"{called[0]} a", f"{called[1]} b")
    runs = [read_run(run) if isinstance(run, (str, Path)) else run for run in (run_a, run_b)]
    judged = read_qrels(qrels) if isinstance(qrels, (str, Path)) else qrels
    kept = {query: grades for query, grades in judged.items() if any(grade > 0 for grade in grades.values())}
    if not kept:
        raise DataError("the judgements hold no right answer (no grade above 0): there is nothing to measure")
    unanswered = [sum(not run.get(query) for query in kept) for run in runs]
    for name, run, count in zip(called, runs, unanswered, strict=True):
        if count == len(kept):
            raise DataError(
                f"the run {name} answers none of the {len(kept):,} judged queries: its query ids are like "
                f"{next(iter(run), None)!r}, those of the judgements like {next(iter(kept))!r}"
            )
    values = np.stack([per_query(run, kept, metrics) for run in runs])
    difference = values[1] - values[0]
    low, high = bootstrap_intervals(np.hstack([*values, difference]), resamples=resamples, seed=seed)
    spans = np.stack([low, high], axis=1).reshape(3, len(metrics), 2)
    return Comparison(
        names=called,
        metrics=tuple(metrics),
        per_query=values,
        intervals=spans[:2],
        difference=difference.mean(0),
        difference_interval=spans[2],
        p=sign_flip_p_values(difference, resamples=resamples, seed=seed),
        query_ids=tuple(kept),
        unanswered=(unanswered[0], unanswered[1]),
        left_out=len(judged) - len(kept),
        resamples=resamples,
        seed=seed,
    )


def _name(run: Mapping[str, Any] | Path | str, otherwise: str) -> str:
    return Path(run).stem if isinstance(run, (str, Path)) else otherwise


def _cut(name: str) -> str:
    return name if len(name) <= 17 else f"{name[:16].rstrip()}\u2026"
