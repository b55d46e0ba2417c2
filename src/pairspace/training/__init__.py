"""Batches, the loop, checkpoints: from features and pairs to trained projectors."""

from pairspace.training.history import History
from pairspace.training.loop import train
from pairspace.training.options import TrainingOptions
from pairspace.training.towers import FrozenTower
from pairspace.training.validation import Validation

__all__ = ["FrozenTower", "History", "TrainingOptions", "Validation", "train"]
