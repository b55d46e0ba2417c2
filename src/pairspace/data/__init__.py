"""Pairs, corpora, queries, judgements, runs and translators' files: read, checked, and held as Arrow."""

from pairspace.data.bundled import sample_path
from pairspace.data.corpus import Corpus, read_beir, read_corpus, read_queries
from pairspace.data.files import atomic_file, atomic_folder, open_binary, open_text
from pairspace.data.moses import read_moses
from pairspace.data.pairings import EVERY, read_pairings, split_together
from pairspace.data.pairs import Pairs, read_pairs
from pairspace.data.qrels import Qrels, read_qrels
from pairspace.data.runs import Run, read_run, write_run
from pairspace.data.tables import column_names, read_table
from pairspace.data.tmx import tmx_languages
from pairspace.data.tmx_writing import write_tmx
from pairspace.data.translations import read_units, update_units
from pairspace.data.units import Change, Tag, Unit
from pairspace.data.writing import write_pairs

__all__ = [
    "EVERY",
    "Change",
    "Corpus",
    "Pairs",
    "Qrels",
    "Run",
    "Tag",
    "Unit",
    "atomic_file",
    "atomic_folder",
    "column_names",
    "open_binary",
    "open_text",
    "read_beir",
    "read_corpus",
    "read_moses",
    "read_pairings",
    "read_pairs",
    "read_qrels",
    "read_queries",
    "read_run",
    "read_table",
    "read_units",
    "sample_path",
    "split_together",
    "tmx_languages",
    "update_units",
    "write_pairs",
    "write_run",
    "write_tmx",
]
