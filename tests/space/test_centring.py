"""Sides moved onto each other: their means are taken from the vectors, whatever the projector was."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.errors import SpaceError
from pairspace.space import Space, centre_space

TITLES = ["play chess", "the computer files", "a red boat", "music for gnome"]
BODIES = ["the fox and the boat", "bread on the sea", "a small red fox", "of and is"]


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_the_mean_of_each_side_is_taken_from_its_features(mean, tmp_path):
    space = Space.create(("title", "body"), encoder=str(mean), projector="identity", cache=False)
    before = [space.encode(texts, side=side) for texts, side in ((TITLES, "title"), (BODIES, "body"))]
    centre_space(space, {"title": TITLES, "body": BODIES})
    for texts, side, x in ((TITLES, "title", before[0]), (BODIES, "body", before[1])):
        np.testing.assert_allclose(space.encode(texts, side=side), unit(x - x.mean(0)), atol=1e-5)
        np.testing.assert_allclose(space.encode_start(texts, side=side), x, atol=1e-6)
    space.save_pretrained(tmp_path / "space")
    again = Space.from_pretrained(tmp_path / "space", cache=False)
    np.testing.assert_allclose(again.encode(TITLES), space.encode(TITLES), atol=1e-5)


def test_a_side_that_is_left_out_stays_also_where_the_projector_was_shared(mean):
    how = {"encoder": str(mean), "projector": "residual", "shared_projector": True, "cache": False}
    space = Space.create(("title", "body"), **how)
    before, other = space.encode(TITLES, side="title"), space.encode(TITLES, side="body")
    centre_space(space, {"title": TITLES})
    np.testing.assert_array_equal(space.encode(TITLES, side="body"), other)
    assert np.abs(space.encode(TITLES, side="title") - before).max() > 0.01


def test_it_is_a_start_for_training(mean, shuffled):
    space = Space.create(("title", "body"), encoder=str(mean), cache=False)
    centre_space(space, {side: shuffled.unique(side)[0] for side in space.sides})
    texts = shuffled.unique("title")[0].to_pylist()
    centred = space.encode(texts, side="title")
    history = space.fit(shuffled, epochs=1, learning_rate=1e-12, validation=None)
    assert len(history.records) == 2
    np.testing.assert_allclose(space.encode(texts, side="title"), centred, atol=1e-5)


@pytest.mark.parametrize(
    ("how", "texts", "words"),
    [
        ({}, {"title": ["one", "one"]}, "two different texts"),
        ({}, {"picture": TITLES}, "no side 'picture'"),
        ({"projector": "lexical"}, {"title": TITLES}, "dense spaces"),
        ({"encoder": "static"}, {"title": TITLES}, "starts from nothing"),
    ],
)
def test_what_has_no_mean_is_refused_and_nothing_changes(mean, how, texts, words):
    space = Space.create(("title", "body"), **{"encoder": str(mean), "cache": False} | how)
    before = [branch.projector for branch in space.part("title").branches]
    with pytest.raises(SpaceError, match=words):
        centre_space(space, texts)
    assert [branch.projector for branch in space.part("title").branches] == before
