"""Taggers that are trained and saved with their encoders."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest

import pairspace as ps
from pairspace.encoders.pictures import BadPicture
from pairspace.errors import DataError, PairspaceError, ShapeError, SpaceError, StorageError
from pairspace.tagging import CdulOptions, JointOptions, Tagger, fit_classifier, label_matrix

CLASSES = ["red", "green", "blue", "black", "circle", "square", "cross"]


@pytest.fixture(scope="module")
def data(tmp_path_factory, network, write_drawings):
    """Encoders, drawings, what their texts say of them (the shape), and labels (colour and shape)."""
    folder = tmp_path_factory.mktemp("tagger")
    with write_drawings(folder, 60).open() as file:
        rows = list(csv.DictReader(file))
    pictures = [str(folder / "drawings" / row["path"]) for row in rows]
    labels = [row["text"].split()[1:] for row in rows]
    encoders = {"image": ps.load_encoder(str(network)), "text": ps.load_encoder("minilm")}
    return encoders, pictures, [f"the drawing of a {shape}" for _, shape in labels], label_matrix(labels, CLASSES)


@pytest.fixture(scope="module")
def both(data):
    return fitted(data)


def fitted(data, **more):
    encoders, pictures, texts, labels = data
    options = JointOptions(epochs=200, validation=0, seed=1)
    given = {"images": pictures, "texts": texts} | more
    return Tagger.fit(labels, CLASSES, encoders=encoders, options=options, **given)


def test_both_together_say_more_than_each(data, both):
    _, pictures, texts, labels = data
    found = both.scores(pictures, texts)
    assert np.mean((found > 0.5) == labels) > 0.95
    words = fitted(data, images=None).scores(None, texts)
    assert np.mean((words[:, 4:] > 0.5) == labels[:, 4:]) > 0.95  # shapes stand in the texts,
    assert words[:, :4].max() < 0.6  # colours do not
    alone = both.scores(None, texts)
    assert np.mean((alone[:, 4:] > 0.5) == labels[:, 4:]) > 0.9
    some = both.scores([*pictures[:2], None], [None, texts[1], texts[2]])
    assert np.allclose(some[1], found[1], atol=1e-5) and np.allclose(some[2], alone[2], atol=1e-5)


def test_it_is_the_classifier_on_the_encoders_features(data):
    encoders, pictures, _, labels = data
    tagger = fitted(data, texts=None, layers={"image": "2,last"})
    network = encoders["image"].encode(pictures, ("2", "last")).vectors
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (network["2"], network["last"])]
    model = fit_classifier(
        labels, CLASSES, image=np.concatenate(unit, 1), options=JointOptions(epochs=200, validation=0, seed=1)
    )
    assert np.allclose(tagger.scores(pictures), model.predict(np.concatenate(unit, 1)), atol=2e-2)


def test_it_is_saved_and_read_with_its_encoders(data, both, tmp_path):
    _, pictures, texts, _ = data
    tagger = both
    tagger.save_pretrained(tmp_path / "tagger")
    tagger.save_pretrained(tmp_path / "tagger")
    assert sum(p.stat().st_size for p in (tmp_path / "tagger" / "classifier").iterdir()) < 25e6
    again = Tagger.from_pretrained(tmp_path / "tagger", cache=False)
    assert again.classes == tuple(CLASSES) and again.layers == {"image": ("last",), "text": ("last",)}
    assert np.allclose(again.scores(pictures, texts), tagger.scores(pictures, texts), atol=1e-4)
    assert Tagger.is_at(tmp_path / "tagger") and not Tagger.is_at(tmp_path)
    cached = Tagger.from_pretrained(tmp_path / "tagger", cache=ps.FeatureCache(tmp_path / "cache"))
    assert np.allclose(cached.scores(pictures, texts), tagger.scores(pictures, texts), atol=2e-2)
    with pytest.raises(SpaceError, match="no tagger; `pairspace train-tagger` makes one"):
        Tagger.from_pretrained(tmp_path)
    config = tmp_path / "tagger" / "config.json"
    whole = config.read_text()
    for layers in ('{"image": ["last"]}', '{"image": ["last"], "text": ["99"]}', "null"):
        config.write_text('{"kind": "pairspace tagger", "format": 1, "layers": ' + layers + "}")
        with pytest.raises(SpaceError, match="incomplete or was altered"):
            Tagger.from_pretrained(tmp_path / "tagger")
    config.write_text(whole)
    shutil.rmtree(tmp_path / "tagger" / "encoders" / "text")
    with pytest.raises(SpaceError, match="incomplete or was altered"):
        Tagger.from_pretrained(tmp_path / "tagger")


def test_a_folder_of_something_else_is_never_replaced(both, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    for one in (both, both.classifier):
        with pytest.raises(StorageError, match=r"has content but no .*classifier\.safetensors"):
            one.save_pretrained(tmp_path)
    assert "clip" in (tmp_path / "config.json").read_text()


def test_encoders_may_be_named_in_any_order_and_items_come_in_any_form(data, both):
    encoders, pictures, texts, _ = data
    layers = {"text": ("last",), "image": ("last",)}
    other = Tagger(both.classifier, {"text": encoders["text"], "image": encoders["image"]}, layers)
    assert other.encoder is encoders["image"]
    found = both.scores(pictures, texts)
    assert np.array_equal(other.scores(np.array(pictures), (text for text in texts)), found)
    gaps = both.scores([None, *pictures[1:3]], [texts[0], float("nan"), texts[2]])
    same = both.scores([None, *pictures[1:3]], [texts[0], None, texts[2]])
    assert np.array_equal(gaps, same) and both.scores([], []).shape == (0, 7)


def test_a_student_needs_no_teacher(data, tmp_path):
    encoders, pictures, _, labels = data
    scores = np.where(labels[:, :4], 0.6, 0.1).astype(np.float32)
    options = CdulOptions(epochs=60, every=0, learning_rate=1e-3)
    student = Tagger.distil(scores, CLASSES[:4], images=pictures, encoder=encoders["image"], options=options)
    student.save_pretrained(tmp_path / "student")
    found = Tagger.from_pretrained(tmp_path / "student", cache=False).scores(pictures)
    assert np.mean(found.argmax(1) == labels[:, :4].argmax(1)) > 0.8
    heat = student.heat(pictures[:2], [["red"], ["blue", "green"]])
    places = encoders["image"].encode(pictures[:2], ("map",)).vectors["map"][1].reshape(-1, 16)
    places /= np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-12)
    blue = student.classifier.predict(places)[:, 2].reshape(heat[1]["blue"].shape)
    assert list(heat[0]) == ["red"] and np.allclose(heat[1]["blue"], blue, atol=1e-2)


def test_what_does_not_fit_is_said(data, both):
    encoders, pictures, texts, _ = data
    with pytest.raises(PairspaceError, match="nothing given: this tagger reads images and texts"):
        fitted(data, images=None, texts=None)
    tagger = fitted(data, images=None)
    for kind, encoder in (("image", encoders["text"]), ("pictures", encoders["image"])):
        with pytest.raises(PairspaceError, match=f"reads {encoder.modality}s, and is given for '{kind}'"):
            Tagger.fit(np.eye(2), ["a", "b"], images=pictures[:2], encoders={kind: encoder})
    with pytest.raises(DataError, match="this is one item, and a sequence"):
        both.scores(None, texts[0])
    with pytest.raises(PairspaceError, match="no encoder for images: this tagger reads texts"):
        tagger.scores(pictures, texts)
    with pytest.raises(PairspaceError, match="this tagger reads texts: there is nothing to show"):
        tagger.heat(pictures, [[]])
    with pytest.raises(ShapeError, match="row 1 has no vector at all"):
        both.scores([pictures[0], None], [texts[0], None])
    with pytest.raises(DataError, match="'pink' is none of the 7 classes"):
        both.heat(pictures[:1], [["pink"]])
    with pytest.raises(BadPicture, match=r"item 2: a picture: not a picture") as error:
        both.scores([None, pictures[0], b"no picture"], texts[:3])
    assert error.value.position == 2
    with pytest.raises(ShapeError, match="the classifier takes vectors of"):
        Tagger(tagger.classifier, {"text": encoders["text"]}, {"text": ("0", "last")})
