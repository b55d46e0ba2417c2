"""The model: sides, each an encoder and a projector, that share one space."""

from pairspace.space.mining import mine_negatives
from pairspace.space.model import Space

__all__ = ["Space", "mine_negatives"]
