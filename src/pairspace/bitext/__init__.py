"""Bitext: what is done with two texts in two languages, given one space for both."""

from pairspace.bitext.alignment import Alignment, AlignmentOptions, Bead, align_vectors

__all__ = ["Alignment", "AlignmentOptions", "Bead", "align_vectors"]
