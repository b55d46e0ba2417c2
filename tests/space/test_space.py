"""The space: create, fit, encode, go on, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pairspace.data import Pairs
from pairspace.errors import FeatureError, PairspaceError, SpaceError, TrainingError
from pairspace.space import Space

WORDS = [
    "play",
    "chess",
    "against",
    "the",
    "computer",
    "game",
    "cards",
    "friends",
    "music",
    "player",
    "gnome",
    "library",
    "files",
]


def sentences(count: int, seed: int = 0, length: int = 5) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, length)) for _ in range(count)]


@pytest.fixture
def pairs() -> Pairs:
    """Title and body share their words in another order: an encoder with random weights finds some, not all."""
    titles = list(dict.fromkeys(sentences(300)))
    random = np.random.default_rng(1)
    bodies = [" ".join([*random.permutation(t.split()), *random.choice(WORDS, 3)]) for t in titles]
    return Pairs.from_columns({"title": titles, "body": bodies})


@pytest.fixture
def create(plain_folder, tmp_path):
    from pairspace.features import FeatureCache

    cache = FeatureCache(tmp_path / "cache")
    return lambda **options: Space.create(
        ("title", "body"), cache=cache, device="cpu", **({"encoder": str(plain_folder)} | options)
    )


def test_a_new_space_is_the_encoder_as_it_is(create, pairs):
    space, identity = create(), create(projector="identity")
    (layered,), (plain,) = (one.part("title").branches for one in (space, identity))
    assert layered.layers[-1] == "last" and len(layered.layers) > 1
    assert plain.layers == ("last",)
    space.fit(pairs, epochs=1, batch_size=64)
    texts = sentences(20, seed=5)
    np.testing.assert_allclose(space.encode_start(texts), identity.encode(texts), atol=2e-3)


def test_fit_finds_more_than_before_and_keeps_the_state_before(create, pairs):
    space = create()
    history = space.fit(pairs, validation=0.2, epochs=15, batch_size=64, learning_rate=3e-3, patience=None)
    scores = history.column("validation_R@1")
    assert max(scores) > scores[0] + 0.1
    assert space.trained and space.record["before"]["validation_R@1"] == scores[0]
    texts = sentences(5, seed=9)
    assert not np.allclose(space.encode(texts), space.encode_start(texts), atol=1e-2)
    assert 0 <= space.fusion_weight <= 1


def test_equal_seeds_give_equal_weights(create, pairs):
    first, second, other = create(), create(), create()
    for space, seed in ((first, 3), (second, 3), (other, 4)):
        space.fit(pairs, epochs=2, batch_size=64, seed=seed)
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_fit_again_goes_on_from_where_it_is(create, pairs):
    space = create()
    space.fit(pairs, epochs=2, batch_size=64)
    start, before = space.encode_start("play chess"), space.encode("play chess")
    space.fit(pairs, epochs=1, batch_size=64, learning_rate=1e-6, validation=None)
    np.testing.assert_array_equal(space.encode_start("play chess"), start)
    np.testing.assert_allclose(space.encode("play chess"), before, atol=1e-3)


def test_two_encoders_of_different_origin_are_brought_together(create, transformer, plain_folder, pairs):
    other = transformer("other", seed=7)
    space = create(encoder={"title": str(plain_folder), "body": str(other)})
    history = space.fit(pairs, epochs=1, batch_size=64, learning_rate=1e-6, validation=0.3)
    chance = 1 / space.record["validation_pairs"]
    assert history.records[0]["validation_MRR@10"] > 5 * chance


def test_identity_trains_nothing_and_says_so(create, pairs):
    space = create(projector="identity")
    before = space.fingerprint
    history = space.fit(pairs)
    assert space.fingerprint == before and not space.trained
    assert "nothing to train" in history.notes[0] and "validation_R@1" in history.records[0]


def test_a_shared_projector_is_one(create, pairs):
    space = create(shared_projector=True)
    space.fit(pairs, epochs=1, batch_size=64)
    np.testing.assert_array_equal(space.encode(["a game"], side="title"), space.encode(["a game"], side="body"))


def test_a_prompt_belongs_to_its_side_and_to_the_fingerprint(create):
    plain, prompted = create(), create(prompt={"title": "play ", "body": ""})
    assert plain.fingerprint != prompted.fingerprint
    np.testing.assert_allclose(
        prompted.encode("chess", side="title"), plain.encode("play chess", side="title"), atol=1e-6
    )


def test_encode_takes_one_or_many_or_features(create):
    space = create()
    one, many = space.encode("a game"), space.encode(["a game", "music player"])
    assert one.shape == (32,) and many.shape == (2, 32) and many.dtype == np.float32
    np.testing.assert_allclose(many[0], one, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-5)
    features = space.features(["a game"], "title").rows()
    np.testing.assert_allclose(space.encode(features), space.encode(["a game"]), atol=1e-6)
    assert space.encode([]).shape == (0, 32)
    np.testing.assert_allclose(space.similarity(many, many).diagonal(), 1, atol=1e-5)


def test_query_and_document_sides(create):
    space = create(query_side="body")
    assert (space.query_side, space.document_side) == ("body", "title")
    with pytest.raises(SpaceError, match="query_side 'x' is not one of the sides title, body"):
        create(query_side="x")
    with pytest.raises(SpaceError, match="no side 'x' in this space: it has title, body"):
        space.encode("a", side="x")


def test_features_of_the_wrong_dimension_or_with_nan_are_refused(create):
    space = create()
    with pytest.raises(FeatureError, match=r"have 160 values a row .*got an array of shape \(2, 5\)"):
        space.encode(np.zeros((2, 5), np.float32))
    bad = np.ones((3, 160), np.float32)
    bad[1, 4] = np.nan
    with pytest.raises(FeatureError, match="row 1 .*not finite"):
        space.encode(bad)


def test_features_of_your_own_follow_their_rows_through_splits(tmp_path):
    random = np.random.default_rng(0)
    hidden = random.normal(size=(200, 16)).astype(np.float32)
    np.save(tmp_path / "left.npy", hidden)
    np.save(tmp_path / "right.npy", hidden @ np.linalg.qr(random.normal(size=(16, 16)))[0].astype(np.float32))
    pairs = Pairs.from_columns({"a": [f"a{i}" for i in range(200)], "b": [f"b{i}" for i in range(200)]})
    train, test = pairs.split(test=0.25, seed=1)
    space = Space.create(
        ("a", "b"), encoder={s: str(tmp_path / f"{n}.npy") for s, n in (("a", "left"), ("b", "right"))}
    )
    space.fit(train, epochs=1, batch_size=32, learning_rate=1e-6, validation=None)
    a, b = (space.encode(space.part(side).items(test, side), side=side) for side in ("a", "b"))
    assert (space.similarity(a, b).argmax(1) == np.arange(len(test))).mean() == 1.0  # the planted rotation was found


def test_one_pair_and_equal_pairs_are_refused_in_plain_words(create):
    with pytest.raises(TrainingError, match="at least 2 are needed"):
        create().fit(Pairs.from_columns({"title": ["a"], "body": ["b"]}))
    with pytest.raises(TrainingError, match="no negatives are left"):
        create().fit(Pairs.from_columns({"title": ["a"] * 9, "body": ["b"] * 9}))


def test_sides_that_do_not_fit_are_named(create, pairs):
    with pytest.raises(SpaceError, match="the pairs of memory have the sides title, body, the space needs 'query'"):
        Space.create(("query", "body"), encoder=create().part("title").encoder).fit(pairs)
    with pytest.raises(SpaceError, match="two or more sides of different names"):
        Space.create(("a", "a"))
    with pytest.raises(SpaceError, match="encoder is given for title, but the sides are title, body"):
        create(encoder={"title": "minilm"})
    with pytest.raises(PairspaceError, match="unknown projector 'cubic': choose one of identity, linear, residual"):
        create(projector="cubic")


def test_the_state_before_training_is_of_encoders_that_came_with_weights(fitted_space, plain_folder):
    texts = sentences(6, seed=3)
    bare = Space.create(("title", "body"), encoder=str(plain_folder), projector="identity", device="cpu", cache=False)
    for kind in ("frozen", "whole", "adapters", "joined"):
        space = fitted_space(kind)
        assert (
            space.has_start
            and [space.part(side).starts_equal for side in space.sides]
            == {
                "frozen": [True, True],
                "whole": [False, True],
                "adapters": [False, False],
                "joined": [False, False],
            }[kind]
        )
        for side in space.sides:
            found, expected = space.encode_start(texts, side=side), bare.encode(texts)
            np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=5e-3)


def test_where_nothing_came_with_weights_there_is_no_state_before(fitted_space):
    for kind, side in (("bag", "title"), ("transformer", "body"), ("half from nothing", "body")):
        space = fitted_space(kind)
        assert not space.has_start
        with pytest.raises(SpaceError, match=f"side '{side}' has no encoder that came with weights"):
            space.encode_start("play", side=side)
    assert fitted_space("half from nothing").encode_start("play", side="title").shape == (16,)


def test_joined_encoders_are_added_in_the_space(fitted_space):
    space, texts = fitted_space("joined"), ["play chess", "music for gnome", ""]
    total = 0
    for branch in space.part("title").branches:
        vectors = branch.encoder.encode(texts, branch.layers).vectors
        units = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in vectors.values()]
        out = branch.projector(torch.from_numpy(np.concatenate(units, 1).astype(np.float32))).detach().numpy()
        total = total + out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(space.encode(texts, side="title"), expected, atol=2e-3)


def test_features_of_joined_encoders_stand_side_by_side(fitted_space):
    space, texts = fitted_space("joined"), ["play chess", "music for gnome"]
    features = space.features(texts, "title")
    sizes = [sum(branch.blocks) for branch in space.part("title").branches]
    assert features.rows().shape == (2, sum(sizes)) and len(features) == 2
    np.testing.assert_allclose(space.encode(features.rows()), space.encode(texts), atol=1e-6)
    with pytest.raises(FeatureError, match=rf"have {sum(sizes)} values a row \(words: 32 \+ .* \+ last: \d+\), got"):
        space.encode(np.ones((2, 5), np.float32))


def test_features_of_an_encoder_that_trained_are_not_those_before(create, pairs):
    space = create()
    before = space.features(["a game"], "title").rows()
    space.fit(pairs, train_encoders=["title"], epochs=1, batch_size=64, validation=None)
    after, start = (space.features(["a game"], "title", start=start).rows() for start in (False, True))
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_array_equal(start, before)  # from the cache, whose entries know which weights they are of
