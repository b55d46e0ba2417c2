"""Spaces solved in closed form: what they find, what they keep, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.projectors.canonical import canonical_maps
from pairspace.space import Space, join_spaces, solve_space

WORDS = ["red", "small", "the", "a", "fox", "boat", "boats", "sea", "bread"]


def texts(seed, count=40):
    draw = np.random.default_rng(seed)
    found = [" ".join(draw.choice(WORDS, 4)) for _ in range(count)]
    return {"title": found, "body": [f"{text} and {text.split()[0]}" for text in found]}


@pytest.fixture
def made(mean, other):
    """A new space over two encoders that never saw each other."""
    return lambda **more: Space.create(
        ("title", "body"), encoder={"title": str(mean), "body": str(other)}, cache=False, **more
    )


def rank_one(space, pairs):
    a, b = (space.encode(pairs.items(side), side=side, progress=False) for side in space.sides)
    return float(((a @ b.T).argmax(1) == np.arange(len(a))).mean())


def test_it_finds_partners_it_has_not_seen(made):
    space, train, test = made(), Pairs.from_columns(texts(0, 200)), Pairs.from_columns(texts(1))
    assert not space.trained
    solve_space(space, train)
    assert space.trained and rank_one(space, test) > 0.4


def test_its_maps_are_the_canonical_ones_of_features_centred_by_data_set(made):
    one, two = Pairs.from_columns(texts(0)), Pairs.from_columns(texts(1, 25))
    space = made(layers="spread")
    solve_space(space, [one, two], weights=[1, 0.25], ridge=2.0, power=0.25, components=9)
    rows = {
        side: [torch.from_numpy(space.features(p.items(side), side).rows()) for p in (one, two)] for side in space.sides
    }
    x, y = (torch.cat([found - found.mean(0) for found in rows[side]]) for side in space.sides)
    weights = torch.tensor([1.0] * 40 + [0.25] * 25)
    how = {"weights": weights, "ridge": 2.0, "power": 0.25, "components": 9, "dimension": space.dimension}
    for side, found in zip(space.sides, canonical_maps(x, y, **how), strict=True):
        wanted = (rows[side][0] - rows[side][0].mean(0)) @ found.T
        wanted = torch.nn.functional.normalize(wanted, dim=1).numpy()
        np.testing.assert_allclose(space.encode(one.items(side), side=side), wanted, atol=1e-4)


def test_it_is_saved_joined_and_trained_further(made, tmp_path):
    pairs = Pairs.from_columns(texts(0, 60))
    space, other = made(name="one"), made(name="two")
    solve_space(space, pairs)
    solve_space(other, pairs, ridge=5.0)
    space.save_pretrained(tmp_path / "space")
    assert "closed form" in (tmp_path / "space" / "README.md").read_text("utf-8")
    again = Space.from_pretrained(tmp_path / "space", cache=False)
    title = texts(3)["title"]
    np.testing.assert_allclose(again.encode(title), space.encode(title), atol=1e-5)
    joined = join_spaces([space, other])
    both = space.encode(title) @ space.encode(title).T + other.encode(title) @ other.encode(title).T
    np.testing.assert_allclose(joined.encode(title) @ joined.encode(title).T, both / 2, atol=1e-5)
    history = again.fit(pairs, epochs=1, learning_rate=1e-12, validation=None, progress=False)
    assert len(history.records) == 2
    np.testing.assert_allclose(again.encode(title), space.encode(title), atol=1e-5)


@pytest.mark.parametrize(
    ("how", "more", "words"),
    [
        ({"projector": "identity"}, {}, "sets linear projectors"),
        ({"projector": "residual"}, {}, "sets linear projectors"),
        ({"encoder": "static"}, {}, "linear projectors|frozen encoders"),
        ({}, {"weights": [1, 1]}, "one weight for each of 1 data sets"),
        ({}, {"weights": [0]}, "the first above"),
        ({}, {"weights": [float("inf")]}, "data sets, finite"),
        ({}, {"weights": [float("nan")]}, "data sets, finite"),
    ],
)
def test_what_cannot_be_solved_is_refused_and_nothing_changes(mean, how, more, words):
    space = Space.create(("title", "body"), **{"encoder": str(mean), "projector": "linear", "cache": False} | how)
    before = space.fingerprint if how.get("encoder") != "static" else None
    with pytest.raises(SpaceError, match=words):
        solve_space(space, Pairs.from_columns(texts(0)), **more)
    assert not space.trained and (before is None or space.fingerprint == before)


def test_pairs_of_other_sides_are_refused(made):
    with pytest.raises(SpaceError, match="give a data set at least"):
        solve_space(made(), [])
    with pytest.raises(SpaceError, match="of the sides title, body are needed"):
        solve_space(made(), Pairs.from_columns({"title": ["a", "the"], "photo": ["sea", "fox"]}))
