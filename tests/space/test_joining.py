"""Spaces put together: their similarities add up, what was shared stays shared, and the result is a space like any."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pairspace.errors import SpaceError
from pairspace.space import Space, join_spaces

TEXTS = ["play chess", "the computer files", "", "music for gnome"]


def vectors(space, start=False):
    encode = space.encode_start if start else space.encode
    return [encode(TEXTS, side=side) for side in space.sides]


@pytest.fixture
def trained(new_space, shuffled):
    """`trained(kind)`: a space of that kind, fit for an epoch."""

    def make(kind, **more):
        space, how = new_space(kind, **more)
        space.fit(shuffled, **how | {"epochs": 1, "projector_epochs": 0})
        return space

    return make


@pytest.mark.parametrize("kinds", [("frozen", "whole"), ("frozen", "bag"), ("warm-up", "frozen", "token states")])
def test_similarities_add_up(trained, kinds):
    spaces = [trained(kind) for kind in kinds]
    joined = join_spaces(spaces, name="both")
    assert joined.dimension == sum(space.dimension for space in spaces) and joined.trained
    found = joined.similarity(*vectors(joined))
    expected = [space.similarity(*vectors(space)) for space in spaces]
    full = [i for i, text in enumerate(TEXTS) if text]  # a bag has no vector for an empty text
    np.testing.assert_allclose(found[np.ix_(full, full)], np.mean(expected, 0)[np.ix_(full, full)], atol=1e-5)


def test_every_encoder_counts_once(trained):
    one, two = trained("joined"), trained("frozen")
    joined = join_spaces([one, two])
    (a, b), query = one.part("title").branches, vectors(two)[0]
    parts = [branch.projector(_features(branch)).detach().numpy() for branch in (a, b)]
    units = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9) for part in parts]
    expected = np.concatenate([units[0] + units[1], query], 1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors(joined)[0], expected, atol=1e-5)


def _features(branch):
    return torch.from_numpy(branch.features(TEXTS, cache=None, progress=False).rows())


def test_it_is_saved_loaded_and_trained_on_like_any_other(trained, shuffled, tmp_path):
    spaces = [trained("joined"), trained("whole"), trained("bag")]
    before = [vectors(space) for space in spaces]
    joined = join_spaces(spaces)
    joined.save_pretrained(tmp_path / "both")
    loaded = Space.from_pretrained(tmp_path / "both", device="cpu", cache=False)
    assert loaded.fingerprint == joined.fingerprint
    for start in (False, True):
        for one, two in zip(vectors(loaded, start), vectors(joined, start), strict=True):
            np.testing.assert_array_equal(one, two)
    assert (
        "Joined from spaces that were trained apart: joined, whole, bag." in (tmp_path / "both/README.md").read_text()
    )
    history = loaded.fit(shuffled, epochs=1, batch_size=16, validation=0.2, progress=False, train_encoders=())
    assert len(history.records) == 2 and "joined" not in loaded.record
    joined.fit(shuffled, epochs=1, batch_size=16, validation=0.2, progress=False, learning_rate=0.1)
    for space, expected in zip(spaces, before, strict=True):  # and they stay as they were
        np.testing.assert_array_equal(vectors(space), expected)


def test_encoders_that_are_equal_become_one_and_what_was_shared_stays_shared(trained):
    frozen = trained("frozen")
    joined = join_spaces([frozen, frozen, trained("bag")])
    branches = [joined.part(side).branches for side in joined.sides]
    assert len({id(side[place].encoder) for side in branches for place in (0, 1)}) == 1
    assert branches[0][2].encoder is branches[1][2].encoder
    assert [branch.projector.offset for branch in branches[0]] == [0, 32, 64]
    assert branches[0][2].projector is not branches[0][1].projector


def test_sentence_transformers_gives_the_same_vectors(trained, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    joined = join_spaces([trained("frozen", precision="fp32"), trained("bag")])
    joined.save_pretrained(tmp_path / "both")
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "both"), device="cpu", trust_remote_code=True)
    cosines = np.sum(model.encode_query(TEXTS) * vectors(joined)[0], 1)
    np.testing.assert_allclose(cosines, 1, atol=1e-6)  # features of our own are kept in float16


def test_what_cannot_be_joined(trained, new_space, plain_folder):
    one = trained("frozen")
    with pytest.raises(SpaceError, match="joining takes two or more spaces, got 1"):
        join_spaces([one])
    other = Space.create(("title", "text"), encoder=str(plain_folder), device="cpu", cache=False, name="other")
    with pytest.raises(SpaceError, match="'frozen' has title, body .* and 'other' title, text"):
        join_spaces([one, other])
    new, _ = new_space("half from nothing")
    with pytest.raises(SpaceError, match="'half from nothing' is not trained"):
        join_spaces([one, new])
