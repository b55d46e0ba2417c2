"""From names to sides: which encoders are one object, which start from what, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.encoders import load_encoder
from pairspace.errors import EncoderError, PairspaceError, SpaceError
from pairspace.space import Space


@pytest.fixture
def create(plain_folder):
    def create(encoder="MODEL", **options):
        named = encoder.items() if isinstance(encoder, dict) else [("", encoder)]
        put = {side: one.replace("MODEL", str(plain_folder)) if isinstance(one, str) else one for side, one in named}
        encoder = put if isinstance(encoder, dict) else put[""]
        return Space.create(("title", "body"), encoder=encoder, device="cpu", cache=False, **options)

    return create


def branches(space):
    return [space.part(side).branches for side in space.sides]


def test_a_frozen_encoder_is_loaded_once_for_sides_that_read_alike(create):
    (title,), (body,) = branches(create())
    assert title.encoder is body.encoder is title.origin and title.projector is not body.projector
    (title,), (body,) = branches(create(prompt={"title": "play ", "body": ""}))
    assert title.encoder is not body.encoder


def test_encoders_that_start_from_nothing_are_each_sides_own_unless_shared(create):
    (title,), (body,) = branches(create("static:16"))
    assert title.encoder is not body.encoder and title.trains and body.trains and title.origin is None
    (title,), (body,) = branches(create("static:16", shared_encoder=True))
    assert title.encoder is body.encoder


def test_they_pass_through_unless_a_projector_is_asked_for(create):
    assert [one.projector.kind for (one,) in branches(create("static:16"))] == ["identity", "identity"]
    assert [one.projector.kind for (one,) in branches(create("static:16", projector="linear"))] == ["linear"] * 2
    space = create({"title": "MODEL", "body": "static:16"})
    assert space.dimension == 16  # the smaller one
    assert [one.projector.kind for (one,) in branches(space)] == ["linear", "identity"]
    space = create({"title": "MODEL", "body": "static:48"})
    assert space.dimension == 32
    assert [one.projector.kind for (one,) in branches(space)] == ["linear", "linear"]
    with pytest.raises(PairspaceError, match="keeps the encoder's 48 dimensions, but the space has 32"):
        create({"title": "MODEL", "body": "static:48"}, projector={"title": "linear", "body": "identity"})


def test_joined_encoders_are_branches_in_their_order(create, plain_folder):
    space = create("MODEL+static")
    for side, (model, bag) in zip(space.sides, branches(space), strict=True):
        assert space.part(side).name == f"{plain_folder}+static"
        assert not model.trains and bag.trains
    (model, bag), (same, other) = branches(space)
    assert model.encoder is same.encoder and bag.encoder is not other.encoder
    with pytest.raises(SpaceError, match=r"'minilm\+': write encoders that are joined as minilm\+static"):
        create("minilm+")


def test_a_bag_beside_another_encoder_has_room_of_its_own(create):
    space = create("MODEL+static", max_length=7, prompt="play ")
    (model, bag), _ = branches(space)
    assert (bag.encoder.max_length, bag.encoder.prompt) == (7, "play ")
    assert bag.encoder.dimensions == {"last": 64} and space.dimension == 64
    assert (model.projector.kind, bag.projector.kind) == ("linear", "identity")
    (_, bag), _ = branches(create("MODEL+static", dimension=48))
    assert bag.encoder.dimensions == {"last": 48}


def test_a_bag_may_start_from_a_transformers_token_embeddings(create, plain_folder):
    texts = ["play chess", "music files"]
    (_, bag), _ = branches(create("MODEL+static:MODEL"))
    bag.encoder.begin(texts, seed=0)
    model = load_encoder(plain_folder, device="cpu")
    table = model.module.transformer.get_input_embeddings().weight
    ours, theirs = (x.detach().numpy()[1:] for x in (bag.encoder.module.vectors, table))  # the first is padding
    ours, theirs = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert bag.encoder.tokens.tokenizer.get_vocab() == model.tokens._fast.get_vocab()
    (_, own), _ = branches(create("MODEL+static:16"))
    assert own.encoder.dimensions == {"last": 16}


def test_a_path_may_hold_a_plus(create, transformer):
    folder = transformer("chess+music")
    (one,), _ = branches(create(str(folder)))
    assert one.encoder.name == str(folder)


def test_encoder_objects_may_be_given(create, plain_folder):
    encoder = load_encoder(plain_folder, device="cpu")
    (title,), (body,) = branches(create(encoder))
    assert title.encoder is body.encoder is encoder


def test_joined_encoders_read_the_same_items(create, tmp_path):
    np.save(tmp_path / "own.npy", np.ones((4, 8), np.float32))
    with pytest.raises(SpaceError, match="encoders that are joined read the same items, but these read different ones"):
        create(f"MODEL+{tmp_path / 'own.npy'}")


def test_a_shared_encoder_is_one_name_one_prompt_one_length(create):
    for options in (
        {"encoder": {"title": "MODEL", "body": "static"}},
        {"prompt": {"title": "a", "body": "b"}},
        {"max_length": {"title": 5, "body": 6}},
    ):
        with pytest.raises(SpaceError, match="one for all sides: give one name, one prompt and one max_length"):
            create(shared_encoder=True, **options)


def test_a_shared_projector_needs_features_of_one_shape(create):
    (title, *_), (body, *_) = branches(create("MODEL+static", shared_projector=True))
    assert title.projector is body.projector
    for encoder in (
        {"title": "MODEL", "body": "static:16"},
        {"title": "MODEL+static", "body": "MODEL"},
        {"title": "MODEL", "body": "MODEL+static"},
    ):
        with pytest.raises(SpaceError, match="a shared projector needs sides"):
            create(encoder, shared_projector=True)


def test_a_shared_projector_needs_one_encoder_behind_it(create, transformer):
    other = transformer("other", seed=3)
    with pytest.raises(SpaceError, match="a shared projector needs sides that use one encoder"):
        create({"title": "MODEL", "body": str(other)}, shared_projector=True)


def test_encoders_of_different_origin_share_no_space_before_they_are_fit(create, transformer):
    space = create({"title": "MODEL", "body": str(transformer("other", seed=3))})
    assert not space.started and not space.has_start
    with pytest.raises(SpaceError, match="share no space yet: fit it on pairs"):
        space.encode("play")


@pytest.mark.parametrize("encoder", ["static:16", "transformer:32", "MODEL+static"])
def test_what_has_no_vocabulary_yet_says_to_fit(create, encoder, tmp_path):
    space = create(encoder)
    for use in (lambda: space.encode("play"), lambda: space.save_pretrained(tmp_path / "space")):
        with pytest.raises(EncoderError, match="has no vocabulary yet: fit the space on pairs first"):
            use()
    assert not (tmp_path / "space").exists()


def test_every_side_needs_an_encoder(create):
    with pytest.raises(SpaceError, match="encoder is given for title, but the sides are title, body"):
        create({"title": "MODEL"})
