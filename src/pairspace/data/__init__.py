"""Pairs, corpora, queries, judgements and runs: read, checked, and held as Arrow."""

from pairspace.data.bundled import sample_path
from pairspace.data.corpus import Corpus, read_beir, read_corpus, read_queries
from pairspace.data.files import atomic_file, atomic_folder, open_binary, open_text
from pairspace.data.pairs import Pairs, read_pairs
from pairspace.data.qrels import Qrels, read_qrels
from pairspace.data.runs import Run, read_run, write_run
from pairspace.data.tables import column_names, read_table
from pairspace.data.writing import write_pairs

__all__ = [
    "Corpus",
    "Pairs",
    "Qrels",
    "Run",
    "atomic_file",
    "atomic_folder",
    "column_names",
    "open_binary",
    "open_text",
    "read_beir",
    "read_corpus",
    "read_pairs",
    "read_qrels",
    "read_queries",
    "read_run",
    "read_table",
    "sample_path",
    "write_pairs",
    "write_run",
]
