"""pairspace: pairs in, one space out.

`import pairspace as ps` is quick: what is asked of it is loaded when it is asked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Bm25": "neighbours",
    "Corpus": "data",
    "FeatureCache": "features",
    "Hit": "index",
    "History": "training",
    "Index": "index",
    "Pairs": "data",
    "PairspaceError": "errors",
    "Report": "evaluation",
    "Space": "space",
    "TagClassifier": "tagging",
    "Tagger": "tagging",
    "TrainingOptions": "training",
    "ZeroShot": "tagging",
    "class_space": "space",
    "class_vectors": "tagging",
    "centre_space": "space",
    "compare_runs": "evaluation",
    "evaluate": "evaluation",
    "evaluate_bitext": "evaluation",
    "evaluate_multilabel": "evaluation",
    "fit_classifier": "tagging",
    "fit_together": "space",
    "join_spaces": "space",
    "load_encoder": "encoders",
    "mine_negatives": "space",
    "open_space": "tagging",
    "read_beir": "data",
    "read_corpus": "data",
    "read_pairings": "data",
    "read_pairs": "data",
    "read_qrels": "data",
    "read_queries": "data",
    "read_run": "data",
    "read_table": "data",
    "sample_path": "data",
    "solve_space": "space",
    "split_together": "data",
    "sweep": "space",
    "write_pairs": "data",
    "write_run": "data",
}

__all__ = [  # written out: a type checker reads it, and does not compute it
    "Bm25",
    "Corpus",
    "FeatureCache",
    "History",
    "Hit",
    "Index",
    "Pairs",
    "PairspaceError",
    "Report",
    "Space",
    "TagClassifier",
    "Tagger",
    "TrainingOptions",
    "ZeroShot",
    "__version__",
    "centre_space",
    "class_space",
    "class_vectors",
    "compare_runs",
    "evaluate",
    "evaluate_bitext",
    "evaluate_multilabel",
    "fit_classifier",
    "fit_together",
    "join_spaces",
    "load_encoder",
    "mine_negatives",
    "open_space",
    "read_beir",
    "read_corpus",
    "read_pairings",
    "read_pairs",
    "read_qrels",
    "read_queries",
    "read_run",
    "read_table",
    "sample_path",
    "solve_space",
    "split_together",
    "sweep",
    "write_pairs",
    "write_run",
]

if TYPE_CHECKING:
    from pairspace.data import (
        Corpus,
        Pairs,
        read_beir,
        read_corpus,
        read_pairings,
        read_pairs,
        read_qrels,
        read_queries,
        read_run,
        read_table,
        sample_path,
        split_together,
        write_pairs,
        write_run,
    )
    from pairspace.encoders import load_encoder
    from pairspace.errors import PairspaceError
    from pairspace.evaluation import Report, compare_runs, evaluate, evaluate_bitext, evaluate_multilabel
    from pairspace.features import FeatureCache
    from pairspace.index import Hit, Index
    from pairspace.neighbours import Bm25
    from pairspace.space import (
        Space,
        centre_space,
        class_space,
        fit_together,
        join_spaces,
        mine_negatives,
        solve_space,
        sweep,
    )
    from pairspace.tagging import TagClassifier, Tagger, ZeroShot, class_vectors, fit_classifier, open_space
    from pairspace.training import History, TrainingOptions
else:  # a type checker would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'pairspace' has no attribute '{name}'")
        value = getattr(import_module(f"pairspace.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
