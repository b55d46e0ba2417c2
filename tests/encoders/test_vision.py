import importlib.util
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import load_file, save_file

from pairspace.encoders import Encoder, load_encoder
from pairspace.encoders.protocol import Trainable
from pairspace.errors import EncoderError
from pairspace.features import FeatureCache
from pairspace.tagging.places import map_layer

_SPEC = importlib.util.spec_from_file_location("towers", Path(__file__).with_name("towers.py"))
towers = sys.modules["towers"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(towers)

TEXTS = ["a photo of red square", "blue", "a dark green square of a bright photo of red"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return towers.make_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="module")
def siglip(tmp_path_factory):
    return towers.make_siglip(tmp_path_factory.mktemp("siglip") / "model")


@pytest.fixture(scope="module")
def pictures():
    return towers.colours(5)


def processed(folder, pictures, kind="CLIPImageProcessorPil"):
    images = [Image.open(io.BytesIO(one)) for one in pictures]
    return getattr(tf, kind).from_pretrained(folder)(images, return_tensors="pt")


@torch.inference_mode()
def test_clip_gives_what_transformers_gives(clip, pictures):
    encoder = load_encoder(clip, modality="image")
    assert isinstance(encoder, Encoder) and not isinstance(encoder, Trainable)
    found = encoder.encode(pictures, ("0", "1", "3", "pooled", "last", "map", "map_projected")).vectors
    model, inputs = tf.CLIPModel.from_pretrained(clip), processed(clip, pictures)
    whole = model.vision_model(**inputs, output_hidden_states=True)
    wanted = {
        "0": whole.hidden_states[0][:, 1:].mean(1),
        "1": whole.hidden_states[1][:, 0],
        "3": whole.hidden_states[3][:, 0],
        "pooled": whole.pooler_output,
        "last": model.visual_projection(whole.pooler_output),
    }
    tokens = model.vision_model.post_layernorm(whole.last_hidden_state[:, 1:])
    wanted |= {"map": tokens, "map_projected": model.visual_projection(tokens)}
    for layer, own in wanted.items():
        assert np.abs(found[layer].reshape(own.shape) - own.numpy()).max() < 1e-4, layer
    assert found["map"].shape == (5, 4, 4, 32) and encoder.maps["map_projected"] == (4, 4, 16)
    assert {layer: found[layer].shape[1] for layer in encoder.layers if layer in found} == {
        layer: encoder.dimensions[layer] for layer in encoder.layers if layer in found
    }
    features = model.get_image_features(**inputs)
    features = getattr(features, "pooler_output", features)
    assert np.abs(found["last"] - features.numpy()).max() < 1e-4


@torch.inference_mode()
def test_the_text_tower_gives_what_transformers_gives(clip, siglip):
    for folder, kind in ((clip, tf.CLIPModel), (siglip, tf.SiglipModel)):
        encoder = load_encoder(folder, modality="text")
        assert encoder.modality == "text" and isinstance(encoder, Trainable) and encoder.max_length == 10
        tokenizer, model = tf.AutoTokenizer.from_pretrained(folder), kind.from_pretrained(folder)
        padding = "max_length" if kind is tf.SiglipModel else True
        inputs = tokenizer(TEXTS, padding=padding, truncation=True, max_length=10, return_tensors="pt")
        if kind is tf.SiglipModel:
            inputs = {"input_ids": inputs["input_ids"]}
        else:
            inputs.pop("token_type_ids", None)
        wanted = model.get_text_features(**inputs)
        wanted = getattr(wanted, "pooler_output", wanted).numpy()
        found = encoder.encode(TEXTS, ("words", "0", "1", "last"))
        assert np.abs(found.vectors["last"] - wanted).max() < 1e-5, kind
        assert found.vectors["last"].shape[1] == encoder.dimensions["last"]
        assert found.lengths[2] > 10


@torch.inference_mode()
def test_siglip_and_plain_models_give_what_transformers_gives(siglip, pictures, tmp_path):
    encoder = load_encoder(siglip, modality="image")
    found = encoder.encode(pictures, ("0", "2", "last", "map")).vectors
    whole = tf.SiglipModel.from_pretrained(siglip).vision_model(
        **processed(siglip, pictures, "SiglipImageProcessorPil"), output_hidden_states=True
    )
    assert np.abs(found["last"] - whole.pooler_output.numpy()).max() < 1e-4
    assert np.abs(found["2"] - whole.hidden_states[2].mean(1).numpy()).max() < 1e-4
    assert np.abs(found["map"].reshape(5, 16, 32) - whole.last_hidden_state.numpy()).max() < 1e-4
    for kind in ("ViT", "Dinov2"):
        folder = towers.make_vit(tmp_path / kind, kind)
        found = load_encoder(folder).encode(pictures, ("1", "last", "map")).vectors
        model = getattr(tf, f"{kind}Model").from_pretrained(folder)
        inputs = processed(folder, pictures, "ViTImageProcessorPil")
        whole = model(**inputs, output_hidden_states=True)
        assert np.abs(found["last"] - whole.last_hidden_state[:, 0].numpy()).max() < 1e-4
        assert np.abs(found["1"] - whole.hidden_states[1][:, 0].numpy()).max() < 1e-4
        assert np.abs(found["map"].reshape(5, 16, 32) - whole.last_hidden_state[:, 1:].numpy()).max() < 1e-4


def test_pictures_of_another_size_than_trained_on_are_read(tmp_path, pictures):
    for kind in ("ViT", "Dinov2"):
        folder = towers.make_vit(tmp_path / kind, kind)
        tf.ViTImageProcessorPil(size={"height": 48, "width": 64}).save_pretrained(folder)
        assert load_encoder(folder).encode(pictures, ("map",)).vectors["map"].shape == (5, 6, 8, 32)


def test_a_tower_saved_alone_is_read(clip, pictures, tmp_path):
    tf.CLIPVisionModelWithProjection.from_pretrained(clip).save_pretrained(tmp_path / "alone")
    (tmp_path / "alone" / "preprocessor_config.json").write_bytes((clip / "preprocessor_config.json").read_bytes())
    found = load_encoder(tmp_path / "alone").encode(pictures, ("last",)).vectors["last"]
    assert np.allclose(
        found, load_encoder(clip, modality="image").encode(pictures, ("last",)).vectors["last"], atol=1e-5
    )


def test_which_tower_is_meant_must_be_said(clip):
    with pytest.raises(EncoderError, match="modality='image' or 'text'"):
        load_encoder(clip)
    with pytest.raises(EncoderError, match="choose image or text"):
        load_encoder(clip, modality="sound")


def test_the_patches_of_a_head_of_attention_are_no_parts_of_its_output(siglip, clip):
    assert map_layer(load_encoder(clip, modality="image"), ("last",)) == "map_projected"
    with pytest.raises(EncoderError, match="gives no vectors of a picture's parts"):
        map_layer(load_encoder(siglip, modality="image"), ("last",))


def test_both_towers_are_saved_and_loaded(clip, siglip, pictures, tmp_path):
    for folder in (clip, siglip):
        for modality, items in (("image", pictures), ("text", TEXTS)):
            encoder = load_encoder(folder, modality=modality)
            encoder.save(tmp_path / folder.parent.name / modality)
            for again in (load_encoder(tmp_path / folder.parent.name / modality), load_encoder(**encoder.settings())):
                assert again.fingerprint == encoder.fingerprint and again.modality == modality
                one, other = (e.encode(items, ("last",)).vectors["last"] for e in (encoder, again))
                assert np.allclose(one, other, atol=1e-6)
    assert load_encoder(clip, modality="image").fingerprint != load_encoder(clip, modality="text").fingerprint


def test_a_text_tower_that_was_trained_is_kept(clip, tmp_path):
    encoder = load_encoder(clip, modality="text")
    before = encoder.encode(TEXTS, ("last",)).vectors["last"]
    module = encoder.training_module()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02)
    trained = encoder.after_training()
    trained.save(tmp_path / "kept")
    found = load_encoder(tmp_path / "kept").encode(TEXTS, ("last",)).vectors["last"]
    assert np.allclose(found, trained.encode(TEXTS, ("last",)).vectors["last"], atol=1e-6)
    assert np.abs(found - before).max() > 1e-3
    assert np.allclose(encoder.encode(TEXTS, ("last",)).vectors["last"], before, atol=1e-6)
    own, came = (load_file(f / "model.safetensors") for f in (tmp_path / "kept", clip))
    vision = [name for name in came if name.startswith("vision_model")]
    assert vision and all((own[name] == came[name]).all() for name in vision)


def test_weights_that_are_missing_are_named(clip, pictures, tmp_path):
    load_encoder(clip, modality="image").save(tmp_path / "net")
    weights = load_file(clip / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, tmp_path / "net" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"visual_projection.weight has no weights"):
        load_encoder(tmp_path / "net").encode(pictures, ("last",))
    (tmp_path / "net" / "preprocessor_config.json").unlink()
    with pytest.raises(EncoderError, match="preprocessor_config.json: missing"):
        load_encoder(tmp_path / "net")
    config = json.loads((clip / "config.json").read_text())
    (tmp_path / "net" / "config.json").write_text(json.dumps(config | {"model_type": "other"}))
    with pytest.raises(EncoderError, match="CLIP and SigLIP are read here"):
        load_encoder(tmp_path / "net", modality="text")


def test_openvino_gives_the_same_for_many(clip, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr("pairspace.encoders.image._WORTH", 4)
    quick, plain = (load_encoder(clip, modality="image", precision=p) for p in (None, "fp32"))
    many = towers.colours(18)
    a, b = (encoder.encode(many, ("1", "last")).vectors["last"] for encoder in (quick, plain))
    assert quick.engine.startswith("openvino")
    assert ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() > 0.9999


def test_maps_of_two_widths_are_cached(clip, pictures, tmp_path):
    encoder, cache = load_encoder(clip, modality="image"), FeatureCache(tmp_path)
    for name in ("map", "map_projected"):
        wanted = encoder.encode(pictures, (name,)).vectors[name]
        found = cache.token_states(encoder, pictures, name).take(np.arange(5))
        assert np.allclose(found.reshape(wanted.shape), wanted, atol=5e-3)
