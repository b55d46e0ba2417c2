"""Local to global without attention: tagging from a feature map, whatever made it.

    coarse        P_jc   softmax over classes and background words of cos(place j, class c) / t
    affinity      A_jk   softmax over places k of cos(x_j, x_k) / t_a       places that look alike help each other
    refined       R = A P
    image         s_c = max_j R_jc
    once more     M_c = places where R_c, scaled to [0, 1], is above 1/2;  q = P of the mean vector of M_c
                  s_c <- (1 - w) s_c + w q_c     for classes with s_c above the middle of all of R

TagCLIP's three steps (Lin et al., AAAI 2024; see `local`) for encoders such as EfficientNet, which have a map but no
attention: the likeness of the map's own vectors stands for attention, and the mean over the masked places for a
second look at the cut-out. A whole-picture score can be given a part in the end: `mix` averages it with the local
one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from pairspace.errors import PairspaceError, ShapeError
from pairspace.tagging.scores import cosines

__all__ = ["MapOptions", "MapScores", "affinity", "map_scores"]


@dataclass(frozen=True)
class MapOptions:
    """How maps are read.

    Attributes:
        temperature: of the softmax over classes.
        affinity: temperature of the likeness of places; None leaves the refinement out.
        weight: w of the second look, between 0 and 1.
        mix: share of the whole picture's own score in the end, between 0 and 1.
    """

    temperature: float = 0.01
    affinity: float | None = 0.1
    weight: float = 0.5
    mix: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("temperature", self.temperature), ("affinity", self.affinity)):
            if value is not None and not value > 0:
                raise PairspaceError(f"{name} must be above 0, got {value:g}")
        for name, value in (("weight", self.weight), ("mix", self.mix)):
            if not 0 <= value <= 1:
                raise PairspaceError(f"{name} must lie between 0 and 1, got {value:g}")


@dataclass(frozen=True)
class MapScores:
    """What maps gave.

    Attributes:
        scores: float32 (n, classes), background words left out.
        heat: float32 (n, height, width, classes), the refined scores of each place.
        looked: bool (n, classes), which had a second look.
    """

    scores: np.ndarray
    heat: np.ndarray
    looked: np.ndarray


def map_scores(
    maps: np.ndarray,
    classes: np.ndarray,
    *,
    features: np.ndarray | None = None,
    background: np.ndarray | None = None,
    whole: np.ndarray | None = None,
    options: MapOptions | None = None,
) -> MapScores:
    """Score classes from maps of vectors in the space of the class vectors.

    Args:
        maps: (n, height, width, dim), a vector a place.
        classes: (classes, dim), see `class_vectors`.
        features: (n, height, width, any), what likeness is measured on; the maps themselves by default.
        background: (words, dim), vectors of words for what is no object; they take part in the softmax alone.
        whole: (n, dim), vectors of whole pictures, for `mix`; the means of the maps by default.
        options: how.

    Raises:
        ShapeError: shapes that do not fit.
    """
    options = options or MapOptions()
    maps = np.asarray(maps)
    if maps.ndim != 4 or not maps.size:
        raise ShapeError(f"maps must be (pictures, height, width, dim) and not empty, got {maps.shape}")
    n, height, width, _ = maps.shape
    alike = maps if features is None else np.asarray(features)
    if alike.ndim != 4 or alike.shape[:3] != maps.shape[:3]:
        raise ShapeError(f"features {alike.shape} do not lie on the places of maps {maps.shape}")
    if whole is not None and np.shape(whole) != (n, maps.shape[3]):
        raise ShapeError(f"whole must be {(n, maps.shape[3])} beside maps {maps.shape}, got {np.shape(whole)}")
    words = np.asarray(classes) if background is None else np.concatenate([classes, background])
    count = len(classes)
    scores, heat = np.empty((n, count), np.float32), np.empty((n, height * width, count), np.float32)
    looked = np.zeros((n, count), bool)
    for row in range(n):
        places = maps[row].reshape(height * width, -1).astype(np.float64)
        refined = softmax(cosines(places, words) / options.temperature, -1)
        if options.affinity is not None:
            refined = affinity(alike[row].reshape(height * width, -1), options.affinity) @ refined
        value = refined[:, :count].max(0)
        heat[row] = refined[:, :count]
        looked[row] = value > (refined.min() + refined.max()) / 2
        if options.weight:
            again = _second_look(refined, places, words, looked[row], options.temperature)
            value = np.where(looked[row], (1 - options.weight) * value + options.weight * again, value)
        if options.mix:
            vector = places.mean(0) if whole is None else np.asarray(whole[row], np.float64)
            own = softmax(cosines(vector, words) / options.temperature)[:count]
            value = (1 - options.mix) * value + options.mix * own
        scores[row] = value
    return MapScores(scores, heat.reshape(n, height, width, count), looked)


def affinity(features: np.ndarray, temperature: float) -> np.ndarray:
    """How much each place listens to each other one: rows of a softmax over cosines, float64 (places, places)."""
    return np.asarray(softmax(cosines(features, features) / temperature, -1))


def _second_look(
    refined: np.ndarray, places: np.ndarray, words: np.ndarray, which: np.ndarray, temperature: float
) -> np.ndarray:
    """Scores of the classes marked in `which`, each from the mean over the places of its own mask."""
    found = np.zeros(len(which))
    for column in np.flatnonzero(which):
        heat = refined[:, column]
        mask = heat - heat.min() > (heat.max() - heat.min()) / 2
        if mask.any():  # a flat column has no mask, and keeps its score
            found[column] = softmax(cosines(places[mask].mean(0), words) / temperature)[column]
        else:
            found[column] = heat.max()
    return found
