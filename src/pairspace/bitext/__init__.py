"""Bitext: what is done with two texts in two languages, given one space for both."""

from pairspace.bitext.aligned_files import write_alignment
from pairspace.bitext.alignment import Alignment, Bead, align_vectors
from pairspace.bitext.bead_costs import AlignmentOptions
from pairspace.bitext.calibration import Calibration, calibrate, threshold_for
from pairspace.bitext.documents import align_documents, trusted_score
from pairspace.bitext.filters import FILTERS, filter_pairs
from pairspace.bitext.matching import Match, Origin, Question
from pairspace.bitext.memory import TranslationMemory
from pairspace.bitext.mining import Candidates, mine_vectors
from pairspace.bitext.pairing import MinedPairs, language_sides, mine, pair_scores
from pairspace.bitext.pretranslation import Pretranslation, pretranslate
from pairspace.bitext.scoring import DOUBTS, Scored, score_pairs
from pairspace.bitext.sentences import split_sentences

__all__ = [
    "DOUBTS",
    "FILTERS",
    "Alignment",
    "AlignmentOptions",
    "Bead",
    "Calibration",
    "Candidates",
    "Match",
    "MinedPairs",
    "Origin",
    "Pretranslation",
    "Question",
    "Scored",
    "TranslationMemory",
    "align_documents",
    "align_vectors",
    "calibrate",
    "filter_pairs",
    "language_sides",
    "mine",
    "mine_vectors",
    "pair_scores",
    "pretranslate",
    "score_pairs",
    "split_sentences",
    "threshold_for",
    "trusted_score",
    "write_alignment",
]
