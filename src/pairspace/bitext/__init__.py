"""Bitext: what is done with two texts in two languages, given one space for both."""

from pairspace.bitext.alignment import Alignment, Bead, align_vectors
from pairspace.bitext.bead_costs import AlignmentOptions

__all__ = ["Alignment", "AlignmentOptions", "Bead", "align_vectors"]
