"""Evaluation: retrieval metrics with intervals and tests, always beside what a space should beat."""

from pairspace.evaluation.alignment import AlignmentScores, alignment_scores
from pairspace.evaluation.bitext import BitextReport, evaluate_bitext
from pairspace.evaluation.compare import Comparison, compare_runs
from pairspace.evaluation.label_metrics import LABEL_METRICS
from pairspace.evaluation.metrics import METRICS, per_query, ranked_run
from pairspace.evaluation.multilabel import LabelContrast, LabelResult, MultilabelReport, evaluate_multilabel
from pairspace.evaluation.report import Contrast, Direction, Report, Result
from pairspace.evaluation.retrieval import evaluate
from pairspace.evaluation.significance import bootstrap_intervals, sign_flip_p_values

__all__ = [
    "LABEL_METRICS",
    "METRICS",
    "AlignmentScores",
    "BitextReport",
    "Comparison",
    "Contrast",
    "Direction",
    "LabelContrast",
    "LabelResult",
    "MultilabelReport",
    "Report",
    "Result",
    "alignment_scores",
    "bootstrap_intervals",
    "compare_runs",
    "evaluate",
    "evaluate_bitext",
    "evaluate_multilabel",
    "per_query",
    "ranked_run",
    "sign_flip_p_values",
]
