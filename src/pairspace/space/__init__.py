"""The model: sides, each an encoder and a projector, that share one space."""

from pairspace.space.centring import centre_space
from pairspace.space.classes import class_space
from pairspace.space.joining import join_spaces
from pairspace.space.mining import mine_negatives
from pairspace.space.model import Space
from pairspace.space.solving import solve_space
from pairspace.space.sweeping import Sweep, Trial, sweep
from pairspace.space.teaching import DENSE
from pairspace.space.together import fit_together
from pairspace.space.worded import Explanation, TermMatch

__all__ = [
    "DENSE",
    "Explanation",
    "Space",
    "Sweep",
    "TermMatch",
    "Trial",
    "centre_space",
    "class_space",
    "fit_together",
    "join_spaces",
    "mine_negatives",
    "solve_space",
    "sweep",
]
