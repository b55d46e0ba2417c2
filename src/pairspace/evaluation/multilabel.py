"""Tags against labels: mAP and F1 with intervals over pictures, and whether one system is better than another.

The measures are those of `label_metrics`. Intervals: pictures are drawn anew with replacement, everything is measured
again (thresholds stay), and the middle 95 % of the values is the interval. A difference d between two systems is
tested in two ways, both paired and two-sided:

    over pictures   p = (1 + count |d* - d| >= |d|) / (1 + resamples),  d* the difference on drawn pictures
                    (bootstrap, shifted to no difference: Efron and Tibshirani 1993, sec. 16.4)
    over classes    randomisation of the signs of the classes' differences in AP (see `significance`)

The first asks whether other pictures would say the same, the second whether other classes would.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pairspace.errors import DataError, PairspaceError
from pairspace.evaluation.label_metrics import LABEL_METRICS, LabelMetrics, class_names
from pairspace.evaluation.significance import bootstrap_counts, sign_flip_p_values
from pairspace.evaluation.table import p_text, pipe_table, short
from pairspace.tagging import check_classes, check_labels

__all__ = ["LabelContrast", "LabelResult", "MultilabelReport", "evaluate_multilabel"]

_CELLS = 400_000  # resamples x pictures at once; each class makes a few arrays of that size


@dataclass(frozen=True)
class LabelResult:
    """One system.

    Attributes:
        values: float64 (metrics,), as `LABEL_METRICS`; NaN for what cannot be said, such as ECE of scores that are no
            probabilities.
        low, high: of the 95 % bootstrap interval, likewise.
        average_precision: (classes,), of the classes measured.
        eleven_points: (classes,), VOC 2007's.
        thresholds: (classes,), where F1 per class was measured.
        threshold: for all classes together, of the largest micro F1 and of the largest macro F1.
    """

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    average_precision: np.ndarray
    eleven_points: np.ndarray
    thresholds: np.ndarray
    threshold: tuple[float, float]


@dataclass(frozen=True)
class LabelContrast:
    """A system against another.

    Attributes:
        system, reference: their names.
        difference: system minus reference, (metrics,).
        low, high: of its 95 % interval.
        p: over pictures, (metrics,).
        p_classes: over classes, of the AP.
        better, worse: classes whose AP is higher, and lower.
    """

    system: str
    reference: str
    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    p_classes: float
    better: int
    worse: int


@dataclass(frozen=True)
class MultilabelReport:
    """What `evaluate_multilabel` found; print it.

    Attributes:
        classes: measured.
        left_out: classes without a positive.
        positives: pictures a class.
        results: system -> `LabelResult`.
        contrasts: the tests asked for.
        settings: pictures, cells not judged, resamples, seed.
    """

    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    positives: tuple[int, ...]
    results: Mapping[str, LabelResult]
    contrasts: tuple[LabelContrast, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = LABEL_METRICS

    def value(self, system: str, metric: str = "mAP") -> float:
        """A metric of a system."""
        return float(self._result(system).values[self._column(metric)])

    def interval(self, system: str, metric: str = "mAP") -> tuple[float, float]:
        """Its 95 % bootstrap interval."""
        result, column = self._result(system), self._column(metric)
        return float(result.low[column]), float(result.high[column])

    def p_value(self, system: str, reference: str, metric: str = "mAP") -> float:
        """The p-value over pictures of the difference between two systems."""
        for contrast in self.contrasts:
            if (contrast.system, contrast.reference) == (system, reference):
                return float(contrast.p[self._column(metric)])
        pairs = ", ".join(f"{c.system} against {c.reference}" for c in self.contrasts) or "none"
        raise PairspaceError(f"no test of {system!r} against {reference!r} in this report; there are: {pairs}")

    def per_class(self, system: str) -> dict[str, float]:
        """Class -> AP."""
        return dict(zip(self.classes, self._result(system).average_precision.tolist(), strict=True))

    def __str__(self) -> str:
        parts = [self._head(), self._systems_text()]
        if self.contrasts:
            parts += [self._contrasts_text()]
        return "\n\n".join([*parts, self._classes_text()])

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON values; None for what cannot be said."""

        def by_metric(**arrays: np.ndarray) -> dict[str, dict[str, float | None]]:
            return {m: {key: _plain(array[i]) for key, array in arrays.items()} for i, m in enumerate(self.metrics)}

        return {
            **self.settings,
            "classes": list(self.classes),
            "left_out": list(self.left_out),
            "positives": list(self.positives),
            "systems": {
                name: {
                    "metrics": by_metric(value=one.values, low=one.low, high=one.high),
                    "average_precision": one.average_precision.tolist(),
                    "eleven_points": one.eleven_points.tolist(),
                    "thresholds": [_plain(value) for value in one.thresholds],
                    "threshold": [_plain(value) for value in one.threshold],
                }
                for name, one in self.results.items()
            },
            "comparisons": [
                {
                    "system": c.system,
                    "reference": c.reference,
                    "metrics": by_metric(difference=c.difference, low=c.low, high=c.high, p=c.p),
                    "p_classes": c.p_classes,
                    "better": c.better,
                    "worse": c.worse,
                }
                for c in self.contrasts
            ],
        }

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def _head(self) -> str:
        known = self.settings
        notes = [f"{known.get('not_judged', 0):,} labels not judged"] if known.get("not_judged") else []
        if self.left_out:
            notes.append(f"without a positive, left out: {', '.join(self.left_out)}")
        text = f"{known.get('pictures', 0):,} pictures, {len(self.classes):,} classes"
        where = "given thresholds" if known.get("given_thresholds") else "thresholds that are best on these labels"
        return (
            f"{text}{f' ({chr(59).join(notes)})' if notes else ''}; below each value its 95 % bootstrap interval "
            f"({known.get('resamples', 0):,} resamples, seed {known.get('seed', 0)}); F1 at {where}"
        )

    def _systems_text(self) -> str:
        rows = []
        for name, one in self.results.items():
            rows.append([name, *map(_three, one.values)])
            rows.append(["", *(_span(*span) for span in zip(one.low, one.high, strict=True))])
        return pipe_table(["system", *self.metrics], rows)

    def _contrasts_text(self) -> str:
        rows = []
        for c in self.contrasts:
            rows.append([f"{c.system} - {c.reference}", *(_three(d, "+") for d in c.difference)])
            rows.append(["   95 %", *(_span(*span, "+") for span in zip(c.low, c.high, strict=True))])
            rows.append(["   p, pictures", *("" if np.isnan(p) else p_text(p) for p in c.p)])
            counts = f"{c.better} / {c.worse}"
            rows.append(["   p, classes; better / worse", p_text(c.p_classes), counts, *[""] * (len(self.metrics) - 2)])
        return pipe_table(["difference", *self.metrics], rows)

    def _classes_text(self) -> str:
        columns = [one.average_precision for one in self.results.values()]
        rows = [
            [name, f"{count:,}", *(short(column[place]) for column in columns)]
            for place, (name, count) in enumerate(zip(self.classes, self.positives, strict=True))
        ]
        return pipe_table(["AP by class", "positives", *self.results], rows)

    def _result(self, system: str) -> LabelResult:
        if system not in self.results:
            raise PairspaceError(f"no system {system!r} in this report; there are: {', '.join(self.results)}")
        return self.results[system]

    def _column(self, metric: str) -> int:
        if metric not in self.metrics:
            raise PairspaceError(f"no metric {metric!r} in this report; there are: {', '.join(self.metrics)}")
        return self.metrics.index(metric)


def evaluate_multilabel(
    systems: Mapping[str, np.ndarray],
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    judged: np.ndarray | None = None,
    thresholds: Mapping[str, np.ndarray] | None = None,
    compare: Sequence[tuple[str, str]] = (),
    resamples: int = 1000,
    seed: int = 0,
) -> MultilabelReport:
    """Measure systems on the same labels.

    Args:
        systems: name -> scores (pictures, classes), higher is more certain.
        labels: 0 or 1 (pictures, classes).
        classes: their names, each once, two at least.
        judged: bool (pictures, classes), False where a label is not to be counted, such as VOC's difficult ones.
        thresholds: system -> (classes,) to measure F1 at; by default those that are best on these very labels.
        compare: pairs (system, reference) to test.
        resamples: of the bootstrap and the tests.
        seed: of both.

    Raises:
        DataError: no system, fewer than two classes, a class that is empty or there twice, or no positive label.
        ShapeError: shapes that do not fit, or scores that are not finite.
        PairspaceError: a comparison of a system that is not there.
    """
    names = check_classes(classes)
    if len(names) < 2:
        raise DataError(f"one class only ({names[0]!r}): measures of many labels need two at least")
    if not systems:
        raise DataError("no system to measure: give name -> scores")
    for one in (name for pair in compare for name in pair):
        if one not in systems:
            raise PairspaceError(f"no system {one!r} to compare; there are: {', '.join(systems)}")
    ready = {}
    for name, scores in systems.items():
        values, truth, counted = check_labels(scores, labels, judged)
        if len(names) != values.shape[1]:
            raise DataError(f"{len(names)} class names for scores of {values.shape[1]} classes")
        limits = None if thresholds is None else np.asarray(thresholds[name], np.float64)
        ready[name] = LabelMetrics(values, truth, counted, limits)
    some = next(iter(ready.values()))
    count = len(some.scores)
    drawn = [
        np.stack([one.values(weights) for one in ready.values()])
        for weights in bootstrap_counts(count, resamples=resamples, seed=seed, cells=_CELLS)
    ]
    resampled = dict(zip(ready, np.concatenate(drawn, 1), strict=True))
    results = {name: _result(one, resampled[name]) for name, one in ready.items()}
    kept, left_out = class_names(names, some.used)
    settings = {
        "pictures": count,
        "not_judged": int((~some.counted).sum()),
        "given_thresholds": thresholds is not None,
        "resamples": resamples,
        "seed": seed,
    }
    tests = tuple(_contrast(pair, results, resampled, resamples, seed) for pair in compare)
    positives = tuple((some.truth & some.counted).sum(0).tolist())
    return MultilabelReport(kept, left_out, positives, results, tests, settings)


def _result(one: LabelMetrics, resampled: np.ndarray) -> LabelResult:
    once = np.ones((1, len(one.scores)))
    areas, elevens = one.per_class(once)
    low, high = _quantiles(resampled)
    return LabelResult(
        one.values(once)[0], low, high, areas[0], elevens[0], one.thresholds, (one.single[0], one.single[1])
    )


def _contrast(
    pair: tuple[str, str],
    results: Mapping[str, LabelResult],
    resampled: Mapping[str, np.ndarray],
    resamples: int,
    seed: int,
) -> LabelContrast:
    system, reference = pair
    difference = results[system].values - results[reference].values
    changes = resampled[system] - resampled[reference]
    reached = np.abs(changes - difference) >= np.abs(difference) - 1e-12
    p = np.where(np.isnan(difference), np.nan, (1 + reached.sum(0)) / (1 + resamples))
    low, high = _quantiles(changes)
    by_class = results[system].average_precision - results[reference].average_precision
    p_classes = float(sign_flip_p_values(by_class[:, None], resamples=max(resamples, 10_000), seed=seed)[0])
    better, worse = int((by_class > 0).sum()), int((by_class < 0).sum())
    return LabelContrast(system, reference, difference, low, high, p, p_classes, better, worse)


def _quantiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle 95 % of the columns, NaN for a column without values."""
    spans = np.full((2, values.shape[1]), np.nan)
    known = ~np.isnan(values).all(0)
    spans[:, known] = np.nanquantile(values[:, known], [0.025, 0.975], axis=0)
    return spans[0], spans[1]


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _three(value: float, sign: str = "-") -> str:
    return "" if np.isnan(value) else f"{value:{sign}.3f}"


def _span(low: float, high: float, sign: str = "-") -> str:
    if np.isnan(low):
        return ""
    texts = [short(one, sign) if abs(one) < 0.9995 else f"{one:{sign}.2f}" for one in (low, high)]
    return " ".join(texts) if sign == "+" else "-".join(texts)
