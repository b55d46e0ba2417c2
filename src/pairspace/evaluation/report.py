"""The report of an evaluation: all systems, both directions, with intervals and tests; as table, JSON and TREC runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.data import atomic_file, write_run
from pairspace.errors import DataError, PairspaceError
from pairspace.evaluation.sparsity import WordUse
from pairspace.evaluation.table import p_text, pipe_table, short
from pairspace.neighbours import Ranking

__all__ = ["SIGNIFICANT", "Contrast", "Direction", "Report", "Result"]

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Direction:
    """What was searched with what, and which answers are right.

    Attributes:
        name: "title -> body".
        query_ids: the judged queries, in the order of all per-query arrays.
        document_ids: the documents, in the order that ties are broken by.
        qrels: query id -> document id -> grade.
        left_out: queries without a right answer: not counted in any mean.
        missing: judged queries whose text was not given: they count 0.
        cut: share of texts that were longer than the encoder reads, a side; empty where unknown.
    """

    name: str
    query_ids: tuple[str, ...]
    document_ids: tuple[str, ...]
    qrels: Mapping[str, Mapping[str, int]] = field(repr=False)
    left_out: int = 0
    missing: int = 0
    cut: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One system in one direction; arrays over metrics, and `per_query` (queries, metrics)."""

    label: str
    per_query: np.ndarray = field(repr=False)
    low: np.ndarray
    high: np.ndarray
    ranking: Ranking = field(repr=False)

    @property
    def values(self) -> np.ndarray:
        """The means over queries."""
        return np.asarray(self.per_query.mean(0))


@dataclass(frozen=True)
class Contrast:
    """A system against the one it is to beat: mean differences, their intervals, and p-values; arrays over metrics."""

    system: str
    reference: str
    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


@dataclass(frozen=True)
class Report:
    """What `evaluate` found. `print(report)` shows it; `report["space"]` and `report.value(...)` give numbers.

    Attributes:
        metrics: their names, in the order of all arrays.
        directions: one, or two for pairs.
        results: system -> direction name -> `Result`.
        contrasts: direction name -> `Contrast`s.
        settings: space, fingerprint, depth, resamples, seed, and what was evaluated.
        words: of a sparse space, how either side uses its terms.
        flops: of a sparse space, terms that a query and a document share on average.
    """

    metrics: tuple[str, ...]
    directions: tuple[Direction, ...]
    results: Mapping[str, Mapping[str, Result]]
    contrasts: Mapping[str, tuple[Contrast, ...]]
    settings: Mapping[str, Any]
    words: tuple[WordUse, ...] = ()
    flops: float | None = None

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the systems, weakest claim first."""
        return tuple(self.results)

    def __getitem__(self, system: str) -> dict[str, dict[str, float]]:
        """Direction -> metric -> value of a system."""
        self._known(system, self.results, "system")
        return {
            direction: dict(zip(self.metrics, result.values.tolist(), strict=True))
            for direction, result in self.results[system].items()
        }

    def value(self, system: str, metric: str, direction: str | None = None) -> float:
        """A metric of a system; of the first direction unless one is named."""
        return float(self.result(system, direction).values[self._column(metric)])

    def interval(self, system: str, metric: str, direction: str | None = None) -> tuple[float, float]:
        """Its 95 % bootstrap interval."""
        result, column = self.result(system, direction), self._column(metric)
        return float(result.low[column]), float(result.high[column])

    def per_query(self, system: str, metric: str, direction: str | None = None) -> np.ndarray:
        """Its values query by query (queries,)."""
        return self.result(system, direction).per_query[:, self._column(metric)]

    def p_value(self, system: str, reference: str, metric: str, direction: str | None = None) -> float:
        """The p-value of the difference between a system and the one it is set against."""
        direction = direction or self.directions[0].name
        self._known(direction, self.contrasts, "direction")
        for contrast in self.contrasts[direction]:
            if (contrast.system, contrast.reference) == (system, reference):
                return float(contrast.p[self._column(metric)])
        pairs = ", ".join(f"{c.system} against {c.reference}" for c in self.contrasts[direction]) or "none"
        raise PairspaceError(f"no test of {system!r} against {reference!r} in this report; there are: {pairs}")

    def result(self, system: str, direction: str | None = None) -> Result:
        """All about a system in one direction; the first unless one is named."""
        direction = direction or self.directions[0].name
        self._known(system, self.results, "system")
        self._known(direction, self.results[system], "direction")
        return self.results[system][direction]

    def __str__(self) -> str:
        parts = [self._head(), *(self._direction_text(direction) for direction in self.directions)]
        return "\n\n".join([*parts, *([self._words_text()] if self.words else [])])

    def to_dict(self, *, per_query: bool = False) -> dict[str, Any]:
        """All numbers as plain Python values.

        Args:
            per_query: with the values of every query.
        """
        return {
            **self.settings,
            "metrics": list(self.metrics),
            "directions": [self._direction_dict(direction, per_query) for direction in self.directions],
            **({"words": [one.to_dict() for one in self.words], "flops": self.flops} if self.words else {}),
        }

    def to_json(self, *, per_query: bool = False) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(per_query=per_query), ensure_ascii=False, indent=2)

    def save_runs(self, folder: Path | str) -> list[Path]:
        """Write each system's TREC run and each direction's judgements.

        The scores are the systems' own; equal ones are lowered by the least float32 step, so that any tool that reads
        the run keeps the order measured here.

        Returns:
            The files: `title-body.space.run`, `title-body.qrels`, ...

        Raises:
            StorageError: a file could not be written.
            DataError: an id holds white space, which a run cannot carry.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for direction in self.directions:
            stem = _slug(direction.name)
            for system in self.systems:
                path = folder / f"{stem}.{_slug(system)}.run"
                write_run(path, _run(direction, self.results[system][direction.name].ranking), _slug(system))
                written.append(path)
            path = folder / f"{stem}.qrels"
            with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
                for query, judged in direction.qrels.items():
                    for name in (query, *judged):
                        if name.split() != [name]:
                            raise DataError(f"the id {name!r} is empty or holds white space: no qrels can carry it")
                    file.writelines(f"{query} 0 {document} {grade}\n" for document, grade in judged.items())
            written.append(path)
        return written

    def _head(self) -> str:
        known = self.settings
        state = "" if known.get("trained", True) else ", untrained"
        return (
            f"{known.get('space', 'space')}{state}: mean over queries; below it the 95 % bootstrap interval "
            f"({known.get('resamples', 0):,} resamples, seed {known.get('seed', 0)})"
        )

    def _words_text(self) -> str:
        rows = [
            [
                one.side,
                f"{one.terms:.1f}",
                f"{one.empty:,}",
                f"{one.vocabulary:.1%}",
                *("" if value != value else f"{value:.3f}" for value in (one.jaccard, one.exact, one.semantic)),
            ]
            for one in self.words
        ]
        names = ["words", "terms", "without", "vocabulary used", "Jaccard", "Exact@20", "Semantic@20"]
        return f"{pipe_table(names, rows)}\n\nA query and a document share {self.flops:.2f} terms on average (FLOPs)."

    def _direction_text(self, direction: Direction) -> str:
        contrasts = self.contrasts[direction.name]
        letters = {system: "abcdefgh"[place] for place, system in enumerate(self.systems)}
        rows = []
        for system in self.systems:
            result = self.results[system][direction.name]
            marks = [""] * len(self.metrics)
            for contrast in contrasts:
                if contrast.system == system:
                    marks = [
                        mark + (letters[contrast.reference] if p < SIGNIFICANT else "")
                        for mark, p in zip(marks, contrast.p, strict=True)
                    ]
            width = max(map(len, marks))
            cells = [f"{v:.3f}{''.join(sorted(m)):<{width}}" for v, m in zip(result.values, marks, strict=True)]
            rows.append([f"{letters[system]}  {result.label}", *cells])
            spans = zip(result.low, result.high, strict=True)
            rows.append(["", *(f"{short(low)}-{short(high)}" for low, high in spans)])
        parts = [_counts(direction), pipe_table(["system", *self.metrics], rows)]
        if contrasts:
            rows = []
            for contrast in contrasts:
                name = f"{contrast.system} - {contrast.reference}"
                rows.append([name, *(f"{difference:+.3f}" for difference in contrast.difference)])
                rows.append(["   p", *map(p_text, contrast.p)])
            parts.append(pipe_table(["difference", *self.metrics], rows))
            parts.append(
                f"Letters: differs from that system with p < {SIGNIFICANT} (paired randomisation test, two-sided, "
                "each test by itself)."
            )
        return "\n\n".join(parts)

    def _direction_dict(self, direction: Direction, per_query: bool) -> dict[str, Any]:
        def by_metric(**arrays: np.ndarray) -> dict[str, dict[str, float]]:
            return {m: {key: float(array[i]) for key, array in arrays.items()} for i, m in enumerate(self.metrics)}

        systems = {}
        for system in self.systems:
            result = self.results[system][direction.name]
            numbers = by_metric(value=result.values, low=result.low, high=result.high)
            systems[system] = {"label": result.label, "metrics": numbers}
            if per_query:
                columns = zip(self.metrics, result.per_query.T.tolist(), strict=True)
                systems[system]["per_query"] = dict(columns)
        return {
            "name": direction.name,
            "queries": len(direction.query_ids),
            "documents": len(direction.document_ids),
            "without_right_answer": direction.left_out,
            "judged_without_text": direction.missing,
            "cut": dict(direction.cut),
            **({"query_ids": list(direction.query_ids)} if per_query else {}),
            "systems": systems,
            "comparisons": [
                {
                    "system": c.system,
                    "reference": c.reference,
                    "metrics": by_metric(difference=c.difference, low=c.low, high=c.high, p=c.p),
                }
                for c in self.contrasts[direction.name]
            ],
        }

    def _column(self, metric: str) -> int:
        self._known(metric, self.metrics, "metric")
        return self.metrics.index(metric)

    def _known(self, name: str, names: Any, what: str) -> None:
        if name not in names:
            raise PairspaceError(f"no {what} {name!r} in this report; there are: {', '.join(names)}")


def _counts(direction: Direction) -> str:
    notes = []
    if direction.left_out:
        notes.append(f"{direction.left_out:,} queries without a right answer left out")
    if direction.missing:
        notes.append(f"{direction.missing:,} judged queries without a text count 0")
    cut = [f"{share:.1%} of {side}" for side, share in direction.cut.items() if share > 0]
    if cut:
        notes.append(f"longer than the encoder reads: {', '.join(cut)}")
    text = f"{direction.name}: {len(direction.query_ids):,} queries, {len(direction.document_ids):,} documents"
    return f"{text} ({'; '.join(notes)})" if notes else text


def _slug(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name.replace(" -> ", "-").replace(" + ", "-")).strip("-")


def _run(direction: Direction, ranking: Ranking) -> dict[str, dict[str, float]]:
    scores = ranking.scores.astype(np.float32)
    for column in range(1, scores.shape[1]):
        scores[:, column] = np.minimum(scores[:, column], np.nextafter(scores[:, column - 1], np.float32(-np.inf)))
    names = np.asarray([*direction.document_ids, ""], dtype=object)[ranking.indices].tolist()
    run = {}
    for query, row, values, found in zip(
        direction.query_ids, names, scores.tolist(), (ranking.indices >= 0).sum(1).tolist(), strict=True
    ):
        run[query] = dict(zip(row[:found], values[:found], strict=True))
    return run
