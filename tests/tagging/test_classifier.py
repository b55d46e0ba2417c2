"""The classifier of pictures and texts: each fusion by hand, what is missing, and what is saved."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pairspace.errors import DataError, PairspaceError, ShapeError, SpaceError, StorageError
from pairspace.tagging import FUSIONS, TagClassifier

DRAW = np.random.default_rng(0)
IMAGE, TEXT = DRAW.normal(size=(5, 6)).astype(np.float32), DRAW.normal(size=(5, 4)).astype(np.float32)


def make(fusion="concat", layers=2, **more) -> TagClassifier:
    torch.manual_seed(1)
    model = TagClassifier(["cat", "dog", "sky"], image=6, text=4, fusion=fusion, layers=layers, width=5, **more)
    with torch.no_grad():
        for name in ("image", "text"):
            getattr(model, f"mean_{name}").normal_()
            getattr(model, f"scale_{name}").uniform_(0.5, 2)
            model.stand_in[name].normal_()
    return model.eval()


def slow(model: TagClassifier, image, text) -> np.ndarray:
    state = {name: one.numpy().astype(float) for name, one in model.state_dict().items()}
    parts = []
    for name, x in (("image", image), ("text", text)):
        if x is None or np.isnan(x).any():
            parts.append(state[f"stand_in.{name}"])
        else:
            parts.append((x / np.sqrt((x**2).sum()) - state[f"mean_{name}"]) / state[f"scale_{name}"])
    fusion = model.settings["fusion"]
    if fusion == "concat":
        z = np.concatenate(parts)
    else:
        a, b = (
            state[f"common.{name}.weight"] @ part + state[f"common.{name}.bias"]
            for name, part in zip(("image", "text"), parts, strict=True)
        )
        if fusion == "gate":
            g = 1 / (1 + np.exp(-(state["gate.weight"] @ np.concatenate([a, b]) + state["gate.bias"])))
        z = {"sum": lambda: a + b, "product": lambda: a * b, "gate": lambda: g * a + (1 - g) * b}[fusion]()
    if model.settings["layers"] == 2:
        h = state["head.0.weight"] @ z + state["head.0.bias"]
        z = h * torch.special.ndtr(torch.tensor(h)).numpy()
        logits = state["head.3.weight"] @ z + state["head.3.bias"]
    else:
        logits = state["head.1.weight"] @ z + state["head.1.bias"]
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_each_fusion_by_hand_and_what_is_missing(fusion, layers):
    model = make(fusion, layers)
    image, text = IMAGE.copy(), TEXT.copy()
    image[1], text[3] = np.nan, np.nan
    found = model.predict(image, text, batch=2)
    for row in range(5):
        np.testing.assert_allclose(found[row], slow(model, image[row], text[row]), atol=1e-5)
    np.testing.assert_allclose(model.predict(IMAGE)[2], slow(model, IMAGE[2], None), atol=1e-5)
    np.testing.assert_allclose(model.predict(text=TEXT)[2], slow(model, None, TEXT[2]), atol=1e-5)


def test_one_kind_alone_has_no_fusion():
    model = TagClassifier(["a", "b"], image=None, text=4, fusion="gate", width=5)
    assert not model.common and model.gate is None
    assert model.predict(text=TEXT).shape == (5, 2) and model.predict(text=TEXT[:0]).shape == (0, 2)


def test_tags_are_what_reaches_its_threshold():
    model = make()
    model.thresholds.copy_(torch.tensor([0.5, 0.2, torch.inf]))
    tags = model.tags(np.array([[0.5, 0.9, 1.0], [0.4, 0.1, 0.9]]))
    assert tags == [[("dog", 0.9), ("cat", 0.5)], []]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_saved_and_read_again_it_is_the_same(tmp_path, fusion):
    model = make(fusion)
    model.thresholds.copy_(torch.tensor([0.1, 0.2, torch.inf]))
    model.save_pretrained(tmp_path / "it")
    model.save_pretrained(tmp_path / "it")
    again = TagClassifier.from_pretrained(tmp_path / "it")
    assert np.array_equal(again.predict(IMAGE, TEXT), model.predict(IMAGE, TEXT))
    assert torch.equal(again.thresholds, model.thresholds) and again.classes == model.classes
    assert sorted(p.name for p in (tmp_path / "it").iterdir()) == ["classifier.safetensors", "config.json"]


def test_of_clips_width_it_takes_less_than_25_mb(tmp_path):
    for fusion in FUSIONS:
        TagClassifier([f"c{i}" for i in range(100)], image=768, text=768, fusion=fusion).save_pretrained(
            tmp_path / fusion
        )
        assert sum(p.stat().st_size for p in (tmp_path / fusion).iterdir()) < 25e6


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(SpaceError, match="no tag classifier"):
        TagClassifier.from_pretrained(tmp_path)
    make().save_pretrained(tmp_path / "it")
    config = tmp_path / "it" / "config.json"
    whole = json.loads(config.read_text())
    for change, words in (
        ({"kind": "other"}, "not that of"),
        ({"width": 9}, "do not fit"),
        ({"more": 1}, "do not fit"),
    ):
        config.write_text(json.dumps(whole | change))
        with pytest.raises(SpaceError, match=words):
            TagClassifier.from_pretrained(tmp_path / "it")
    (tmp_path / "it" / "classifier.safetensors").write_bytes(b"x" * 50)
    with pytest.raises(SpaceError, match="no tag classifier"):
        TagClassifier.from_pretrained(tmp_path / "it")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError):
        make().save_pretrained(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_bad_input_is_named():
    with pytest.raises(DataError, match="stands twice"):
        TagClassifier(["a", "a"], image=2)
    with pytest.raises(PairspaceError, match="fusion must be"):
        TagClassifier(["a"], image=2, fusion="max")
    with pytest.raises(PairspaceError, match="layers must be"):
        TagClassifier(["a"], image=2, layers=3)
    with pytest.raises(PairspaceError, match="needs the dimension"):
        TagClassifier(["a"], image=None)
    model, gap = make(), np.full((5, 6), np.nan)
    with pytest.raises(ShapeError, match="row 0 has no vector"):
        model.predict(gap)
    with pytest.raises(ShapeError, match="image or text is needed"):
        model.predict()
    with pytest.raises(ShapeError, match=r"text vectors must be \(5, 4\)"):
        model.predict(IMAGE, TEXT[:3])
    with pytest.raises(ShapeError, match="infinite"):
        model.predict(np.where(np.eye(5, 6), np.inf, IMAGE))
    with pytest.raises(ShapeError, match="takes no text"):
        TagClassifier(["a"], image=6).predict(IMAGE, TEXT)
