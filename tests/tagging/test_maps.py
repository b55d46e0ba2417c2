"""Tagging from maps, step by step against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.errors import PairspaceError, ShapeError
from pairspace.tagging import MapOptions, map_scores

DRAW = np.random.default_rng(0)
MAPS, FEATURES = DRAW.normal(size=(3, 2, 4, 6)), DRAW.random(size=(3, 2, 4, 5))
CLASSES, WORDS = DRAW.normal(size=(4, 6)), DRAW.normal(size=(2, 6))


def soft(vector, words, t):
    cosines = [vector @ w / np.sqrt((vector @ vector) * (w @ w)) for w in words]
    raised = [np.exp(c / t) for c in cosines]
    return np.array(raised) / sum(raised)


def slow(places, alike, options):
    words = [*CLASSES, *WORDS]
    coarse = np.array([soft(p, words, options.temperature) for p in places])
    refined = coarse
    if options.affinity is not None:
        refined = np.array([sum(a * c for a, c in zip(soft(p, alike, options.affinity), coarse)) for p in alike])
    scores, looked = [], []
    middle = (refined.min() + refined.max()) / 2
    for c in range(len(CLASSES)):
        heat = refined[:, c]
        value = max(heat)
        looked.append(value > middle)
        if value > middle:
            mask = [j for j in range(len(heat)) if (heat[j] - min(heat)) / (max(heat) - min(heat)) > 0.5]
            again = soft(sum(places[j] for j in mask) / len(mask), words, options.temperature)[c]
            value = (1 - options.weight) * value + options.weight * again
        whole = soft(sum(places) / len(places), words, options.temperature)[c]
        scores.append((1 - options.mix) * value + options.mix * whole)
    return refined[:, : len(CLASSES)], scores, looked


@pytest.mark.parametrize(
    "options",
    [
        MapOptions(0.2, 0.3, 0.5, 0.25),
        MapOptions(0.1, None, 0.0, 0.0),
        MapOptions(0.05, 0.1, 1.0, 0.0),
        MapOptions(0.3, 0.5, 0.5, 1.0),
    ],
)
def test_equal_to_plain_loops(options):
    found = map_scores(MAPS, CLASSES, features=FEATURES, background=WORDS, options=options)
    assert found.looked.any()
    for row in range(3):
        heat, scores, looked = slow(MAPS[row].reshape(8, 6), FEATURES[row].reshape(8, 5), options)
        np.testing.assert_allclose(found.heat[row].reshape(8, 4), heat, rtol=1e-5)
        np.testing.assert_allclose(found.scores[row], scores, rtol=1e-5)
        assert found.looked[row].tolist() == looked


def test_a_small_thing_is_found_where_it_is():
    classes = np.eye(4)[:2]
    maps = np.tile(np.eye(4)[3], (1, 5, 5, 1)).astype(float)
    maps[0, 1, 3] = classes[1]
    found = map_scores(maps, classes, background=np.eye(4)[2:], options=MapOptions(0.1, 0.1))
    assert found.scores[0, 1] > 0.9 and found.scores[0, 0] < 0.1
    assert np.unravel_index(found.heat[0, ..., 1].argmax(), (5, 5)) == (1, 3)
    whole = map_scores(maps, classes, background=np.eye(4)[2:], options=MapOptions(0.1, mix=1))
    assert whole.scores[0, 1] < 0.1  # the whole picture hides it


def test_a_flat_map_keeps_its_score():
    maps = np.tile(np.ones(6), (1, 2, 2, 1))
    found = map_scores(maps, np.stack([np.ones(6), -np.ones(6)]), options=MapOptions(0.5))
    assert found.scores[0, 0] == pytest.approx(1 / (1 + np.exp(-4)))


def test_bad_input_is_named():
    with pytest.raises(ShapeError, match="maps must be"):
        map_scores(MAPS[0], CLASSES)
    with pytest.raises(ShapeError, match="do not lie on the places"):
        map_scores(MAPS, CLASSES, features=FEATURES[:, :1])
    with pytest.raises(ShapeError, match="whole must be"):
        map_scores(MAPS, CLASSES, whole=np.ones((3, 2)))
    with pytest.raises(PairspaceError, match="weight must lie"):
        MapOptions(weight=2)
    with pytest.raises(PairspaceError, match="affinity must be above 0"):
        MapOptions(affinity=0)
