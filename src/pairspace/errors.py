"""Every error a user can meet, as one small tree.

The message of each says what was wrong, where (file and line, or row), and what would be right. The command line prints
the message alone and leaves with code 2; a library user catches `PairspaceError` for all of them or one branch of it.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "EncoderError",
    "FeatureError",
    "IndexingError",
    "PairspaceError",
    "ShapeError",
    "SpaceError",
    "StorageError",
    "TrainingError",
]


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
