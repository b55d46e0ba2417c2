"""The model: sides, each an encoder and a projector, that share one space."""

from pairspace.space.mining import mine_negatives
from pairspace.space.model import Space
from pairspace.space.sweeping import Sweep, Trial, sweep

__all__ = ["Space", "Sweep", "Trial", "mine_negatives", "sweep"]
