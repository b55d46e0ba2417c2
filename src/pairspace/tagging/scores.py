"""Scores of whole pictures against classes: softmax, where classes compete, and sigmoid, where each stands alone.

    softmax    p_ic = exp(cos_ic / t) / sum_k exp(cos_ik / t)
    sigmoid    p_ic = 1 / (1 + exp(-(cos_ic / t + b)))

CLIP's temperature t is 1/100. In a softmax the classes of one picture share one unit of probability, so a picture of
two things gives each at most a half: good for ranking pictures within a class, bad for one threshold. SigLIP's
sigmoid has no such bond, and needs its bias b.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import expit, softmax

from pairspace.errors import PairspaceError, ShapeError
from pairspace.neighbours import normalise

__all__ = ["cosines", "global_scores"]


def global_scores(
    pictures: np.ndarray,
    classes: np.ndarray,
    *,
    kind: Literal["softmax", "sigmoid"] = "softmax",
    temperature: float = 0.01,
    bias: float = 0.0,
) -> np.ndarray:
    """Probabilities of classes for pictures.

    Args:
        pictures: vectors (..., dim), of any length.
        classes: vectors (classes, dim), see `class_vectors`.
        kind: "softmax" over the classes, or "sigmoid" of each.
        temperature: divides the cosines; positive.
        bias: added to the logits of a sigmoid.

    Returns:
        float32 (..., classes).

    Raises:
        PairspaceError: an unknown kind, or a temperature that is not positive.
        ShapeError: dimensions that differ.
    """
    if kind not in ("softmax", "sigmoid"):
        raise PairspaceError(f"kind must be softmax or sigmoid, got {kind!r}")
    if not temperature > 0:
        raise PairspaceError(f"temperature must be above 0, got {temperature:g}")
    logits = cosines(pictures, classes) / temperature
    found = softmax(logits, -1) if kind == "softmax" else expit(logits + bias)
    return np.asarray(found, np.float32)


def cosines(pictures: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Cosines of vectors (..., dim) with class vectors (classes, dim), float64 (..., classes); 0 for a zero vector.

    Raises:
        ShapeError: dimensions that differ, or one class vector for all.
    """
    a, b = np.asarray(pictures, np.float64), np.asarray(classes, np.float64)
    if b.ndim != 2 or not a.ndim or a.shape[-1] != b.shape[1]:
        raise ShapeError(f"vectors {a.shape} do not fit class vectors {b.shape}: (..., dim) and (classes, dim) do")
    return np.asarray(normalise(a.reshape(-1, a.shape[-1])).reshape(a.shape) @ normalise(b).T)
