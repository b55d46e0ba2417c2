"""Every error a user can meet, as one small tree.

The message of each says what was wrong, where (file and line, or row), and what would be right. The command line prints
the message alone and leaves with code 2; a library user catches `PairspaceError` for all of them or one branch of it.
What is doubtful but no error is a `PairspaceWarning`, which points at the user's own line.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

__all__ = [
    "DataError",
    "EncoderError",
    "FeatureError",
    "IndexingError",
    "PairspaceError",
    "PairspaceWarning",
    "ShapeError",
    "SpaceError",
    "StorageError",
    "TrainingError",
    "warn",
]

_PACKAGE = str(Path(__file__).parent) + os.sep


class PairspaceError(Exception):
    """The root of all errors that pairspace raises on purpose."""


class DataError(PairspaceError):
    """A file, column or row that cannot be read as what it should be."""


class StorageError(PairspaceError):
    """A write that did not finish (full disk, no permission): nothing half-written was left behind."""


class EncoderError(PairspaceError):
    """An encoder that is unknown, incomplete, unsafe to load, or was given items it cannot read."""


class FeatureError(PairspaceError):
    """Features that are not usable: NaN, the wrong dimension, or missing for an item."""


class ShapeError(PairspaceError):
    """Arrays whose lengths or dimensions do not fit each other."""


class TrainingError(PairspaceError):
    """Training that cannot start or go on: one pair only, all rows equal, NaN, collapse."""


class SpaceError(PairspaceError):
    """A space folder that is incomplete or altered, or a space used where it does not belong."""


class IndexingError(PairspaceError):
    """An index that is missing, held by another process, of another space, or given the same id twice."""


class PairspaceWarning(UserWarning):
    """What goes on, but perhaps not as its user means it."""


def warn(message: str) -> None:
    """A `PairspaceWarning` at the line outside of pairspace that led here, however deep within it is called."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, PairspaceWarning, stacklevel=level)
