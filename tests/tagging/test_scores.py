"""Global scores against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pairspace.errors import PairspaceError, ShapeError
from pairspace.tagging import global_scores

DRAW = np.random.default_rng(0)
PICTURES, CLASSES = DRAW.normal(size=(4, 3)), DRAW.normal(size=(5, 3))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_softmax_and_sigmoid_by_hand():
    soft = global_scores(PICTURES, CLASSES, temperature=0.3)
    own = global_scores(PICTURES, CLASSES, kind="sigmoid", temperature=0.3, bias=-2)
    for i, picture in enumerate(PICTURES):
        raised = [math.exp(cosine(picture, c) / 0.3) for c in CLASSES]
        assert soft[i].tolist() == pytest.approx([r / sum(raised) for r in raised], rel=1e-5)
        assert own[i].tolist() == pytest.approx([1 / (1 + math.exp(2) / r) for r in raised], rel=1e-5)


def test_more_axes_are_more_pictures_and_nothing_overflows():
    maps = DRAW.normal(size=(2, 3, 3, 3))
    flat = global_scores(maps.reshape(-1, 3), CLASSES)
    assert np.array_equal(global_scores(maps, CLASSES).reshape(-1, 5), flat)
    for kind in ("softmax", "sigmoid"):
        assert np.isfinite(global_scores(PICTURES * 1e6, CLASSES, kind=kind, temperature=1e-4)).all()
    assert global_scores(np.zeros((1, 3)), CLASSES).tolist() == [pytest.approx([0.2] * 5)]


def test_bad_input_is_named():
    with pytest.raises(PairspaceError, match="softmax or sigmoid"):
        global_scores(PICTURES, CLASSES, kind="max")
    with pytest.raises(PairspaceError, match="above 0"):
        global_scores(PICTURES, CLASSES, temperature=0)
    with pytest.raises(ShapeError, match="do not fit"):
        global_scores(PICTURES, CLASSES[:, :2])
