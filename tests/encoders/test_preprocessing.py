import json
import math
from dataclasses import replace

import numpy as np
import pytest
import transformers
from PIL import Image

from pairspace.encoders import load_encoder
from pairspace.encoders.preprocessing import BICUBIC, Preprocessing, read_preprocessing
from pairspace.errors import EncoderError

CLIP = {"image_processor_type": "CLIPImageProcessor", "size": 20, "crop_size": 16, "do_center_crop": True}


def picture(width, height, seed=0):
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 256, (7, 9, 3), np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def prepared(folder, config, image):
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    own = read_preprocessing(folder)
    return own.normalise([own.shape(image)])[0]


def cubic(x, a=-0.5):
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def slow_resize(rows, length):
    """Bicubic along the first axis with a filter as wide as the shrinkage (Keys 1981), rounded as bytes are."""
    scale = len(rows) / length
    stretch = max(scale, 1.0)
    out = []
    for i in range(length):
        centre = (i + 0.5) * scale
        first, last = max(0, int(centre - 2 * stretch + 0.5)), min(len(rows), int(centre + 2 * stretch + 0.5))
        weights = np.array([cubic((j + 0.5 - centre) / stretch) for j in range(first, last)])
        out.append((rows[first:last] * (weights / weights.sum())[:, None, None]).sum(0))
    return np.clip(np.floor(np.array(out) + 0.5), 0, 255)


@pytest.mark.parametrize(("width", "height"), [(31, 47), (64, 25), (12, 12), (20, 33)])
def test_clip_is_what_a_slow_loop_over_its_definition_gives(tmp_path, width, height):
    image = picture(width, height)
    values = np.asarray(image).astype(float)
    short, long = 20, int(20 * max(width, height) / min(width, height))
    across, down = (short, long) if width <= height else (long, short)
    values = slow_resize(values.transpose(1, 0, 2), across).transpose(1, 0, 2)  # Pillow goes across first
    values = slow_resize(values, down)
    top, left = (down - 16) // 2, (across - 16) // 2
    values = values[top : top + 16, left : left + 16] / 255
    mean, std = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    wanted = ((values - mean) / std).transpose(2, 0, 1)
    found = prepared(tmp_path, CLIP, image)
    assert found.shape == (3, 16, 16) and found.dtype == np.float32
    assert np.abs(found - wanted).max() < 1.01 / 255 / 0.26  # a byte's rounding, and no more
    assert np.abs(found - wanted).mean() < 0.1 / 255 / 0.26


@pytest.mark.parametrize("shape", [(31, 47), (90, 25), (16, 16), (21, 20), (300, 299)])
@pytest.mark.parametrize(
    "name", ["CLIPImageProcessor", "SiglipImageProcessor", "ViTImageProcessor", "BitImageProcessor"]
)
def test_it_equals_the_processors_of_transformers(tmp_path, name, shape):
    own = (
        {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 18}} if name[:3] in ("CLI", "Bit") else {}
    )
    processor = getattr(transformers, name + "Pil")(**(own or {"size": {"height": 18, "width": 14}}))
    processor.save_pretrained(tmp_path)
    image = picture(*shape)
    wanted = processor(image, return_tensors="np")["pixel_values"][0]
    found = read_preprocessing(tmp_path)
    assert np.abs(found.normalise([found.shape(image)])[0] - wanted).max() < 1e-5


def test_old_files_mean_the_same(tmp_path):
    """Before sizes were mappings: `size` was of the short side for CLIP, of both for ViT."""
    image = picture(40, 30)
    old = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 20, "crop_size": 16, "resample": 3}
    new = CLIP | {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}}
    assert (prepared(tmp_path, old, image) == prepared(tmp_path, new, image)).all()
    vit = {"feature_extractor_type": "ViTFeatureExtractor", "size": 20, "resample": 2}
    square = vit | {"size": {"height": 20, "width": 20}}
    assert prepared(tmp_path, vit, image).shape == (3, 20, 20)
    assert (prepared(tmp_path, vit, image) == prepared(tmp_path, square, image)).all()


def test_a_crop_larger_than_the_picture_is_filled_with_black(tmp_path):
    config = CLIP | {"size": {"shortest_edge": 8}, "do_normalize": False}
    found = prepared(tmp_path, config, Image.new("RGB", (8, 8), "white"))
    assert found[0, 4:12, 4:12].min() == 1 and math.isclose(found.sum(), 3 * 64, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be understood"),
        ('{"size": {"shortest_edge": 20}}', "keep their own sizes"),
        ('{"size": 20, "do_resize": false}', "keep their own sizes"),
        ('{"size": 20, "image_mean": [0.5]}', "cannot be understood"),
        ('{"size": {"height": 20, "width": 20}, "crop_size": 16}', "a crop after resizing both sides"),
    ],
)
def test_files_that_cannot_be_followed_are_refused(tmp_path, text, says):
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(EncoderError, match=f"preprocessor_config.json: .*{says}"):
        read_preprocessing(tmp_path)
    with pytest.raises(EncoderError, match="missing"):
        read_preprocessing(tmp_path / "none")


def test_settings_are_plain_and_tell_preprocessings_apart():
    one, other = Preprocessing(20, (16, 16)), Preprocessing(20, (16, 16), resample=2)
    assert json.loads(json.dumps(one.settings())) == one.settings() != other.settings()


def test_a_picture_that_is_not_square_can_be_kept_whole():
    wide = Image.new("RGB", (40, 20), "red")
    wide.paste("blue", (0, 0, 4, 20))  # what a crop would cut off
    wide.paste("blue", (36, 0, 40, 20))
    own = Preprocessing(short=16, size=(16, 16))
    assert not (own.shape(wide)[:, 0] == (0, 0, 255)).all()
    stretched = replace(own, frame="stretch").shape(wide)
    assert stretched.shape == (16, 16, 3) and np.array_equal(stretched, np.asarray(wide.resize((16, 16), BICUBIC)))
    padded = replace(own, frame="pad").shape(wide)
    assert np.array_equal(padded[4:12], np.asarray(wide.resize((16, 8), BICUBIC)))
    assert (padded[:4] == 255).all() and (padded[12:] == 255).all()
    tall = replace(own, frame="pad").shape(Image.new("RGB", (1, 999), "red"))
    assert (tall[:, 7:9] == (255, 0, 0)).any() and (tall[:, :7] == 255).all()
    assert "frame" not in own.settings() and replace(own, frame="pad").settings()["frame"] == "pad"


def test_the_frame_goes_with_the_encoder(network, tmp_path):
    plain, whole = load_encoder(network), load_encoder(network, frame="pad")
    assert plain.fingerprint != whole.fingerprint == load_encoder(**whole.settings()).fingerprint
    whole.save(tmp_path / "saved")
    assert load_encoder(tmp_path / "saved").fingerprint == whole.fingerprint
    assert load_encoder(tmp_path / "saved", frame="own").fingerprint == plain.fingerprint
    with pytest.raises(EncoderError, match="frame 'crop': choose one of own, stretch, pad"):
        load_encoder(network, frame="crop")
