"""Names of classes, items, and scores beside labels: what every part of tagging is given, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.data.pictures import is_picture
from pairspace.errors import DataError, ShapeError

__all__ = ["check_classes", "check_items", "check_labels"]


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """The class names, each a text and each once.

    Raises:
        DataError: there is none, or one is empty or stands twice; says where.
    """
    if isinstance(classes, str):
        raise DataError(f"classes must be a list of names, and this is one text: {classes!r}")
    names, seen = tuple(classes), dict[str, int]()
    if not names:
        raise DataError("no classes: at least one name is needed")
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"class {place} has no name: {name!r}")
        if name in seen:
            raise DataError(f"class {name!r} stands twice, at {seen[name]} and {place}; each must be there once")
        seen[name] = place
    return names


def check_items(items: Any) -> Any:
    """Items as they are where they can be counted, else a list of them.

    Raises:
        DataError: one item alone, whose letters or rows would be taken for items.
    """
    if isinstance(items, str | bytes | Path) or is_picture(items):
        raise DataError("this is one item, and a sequence of them is needed: put it into a list")
    return items if hasattr(items, "__len__") else list(items)


def check_labels(
    scores: np.ndarray, labels: np.ndarray, judged: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores as float64, labels and what is judged as bool, all (n, classes).

    Raises:
        ShapeError: shapes that differ, no row, labels other than 0 and 1, or scores that are not finite.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels)
    counted = np.ones(labels.shape, bool) if judged is None else np.asarray(judged).astype(bool)
    if scores.ndim != 2 or not scores.size or not scores.shape == labels.shape == counted.shape:
        raise ShapeError(
            "scores, labels and judged must be of one shape (pictures, classes) and not empty, got "
            f"{scores.shape}, {labels.shape}, {counted.shape}"
        )
    if labels.dtype != bool and not np.isin(labels, (0, 1)).all():
        raise ShapeError("labels must be 0 or 1 (what is not judged goes into `judged`)")
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0]
        raise ShapeError(f"the score in row {row}, class {column} is {scores[row, column]}, not a finite number")
    return scores, labels.astype(bool), counted
