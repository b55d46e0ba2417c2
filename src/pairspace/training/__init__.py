"""Batches, the loop, checkpoints: from features and pairs to trained projectors and encoders."""

from pairspace.training.examples import Examples
from pairspace.training.history import History
from pairspace.training.loop import train
from pairspace.training.objective import build_objective, check_effect
from pairspace.training.options import TrainingOptions
from pairspace.training.own_words import Expansion, OwnWords
from pairspace.training.processes import Processes
from pairspace.training.routing import RoutedFeatures, RoutedTower, Validations
from pairspace.training.towers import FrozenBranch, LiveBranch, Tower
from pairspace.training.validation import Validation

__all__ = [
    "Examples",
    "Expansion",
    "FrozenBranch",
    "History",
    "LiveBranch",
    "OwnWords",
    "Processes",
    "RoutedFeatures",
    "RoutedTower",
    "Tower",
    "TrainingOptions",
    "Validation",
    "Validations",
    "build_objective",
    "check_effect",
    "train",
]
