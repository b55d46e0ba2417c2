"""Neighbours: exact top-k, similarities, BM25, fusion of rankings, scores as probabilities. Arrays in, arrays out."""

from pairspace.neighbours.bm25 import TERM_IDS, Bm25, term_id
from pairspace.neighbours.both_ways import BothWays
from pairspace.neighbours.fusion import learn_scale, learn_weight, reciprocal_rank_fusion, zscore_fusion
from pairspace.neighbours.hubness import CORRECTIONS, Hubs, correct, corrected_top_k, find_hubs, neighbour_means
from pairspace.neighbours.platt import platt
from pairspace.neighbours.pruning import prune
from pairspace.neighbours.similarity import Similarity, normalise, similarity_matrix
from pairspace.neighbours.topk import Ranking, top_k
from pairspace.neighbours.words import LANGUAGES, STOPWORDS, Words, language_name

__all__ = [
    "CORRECTIONS",
    "LANGUAGES",
    "STOPWORDS",
    "TERM_IDS",
    "Bm25",
    "BothWays",
    "Hubs",
    "Ranking",
    "Similarity",
    "Words",
    "correct",
    "corrected_top_k",
    "find_hubs",
    "language_name",
    "learn_scale",
    "learn_weight",
    "neighbour_means",
    "normalise",
    "platt",
    "prune",
    "reciprocal_rank_fusion",
    "similarity_matrix",
    "term_id",
    "top_k",
    "zscore_fusion",
]
