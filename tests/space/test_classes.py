"""Pictures said in the names of classes: against the formula, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.space import Space, class_space, join_spaces, solve_space

NAMES = ["red fox", "small boat", "the sea", "bread"]


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def pictures():
    draw = np.random.default_rng(0)
    return [draw.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in range(12)]


@pytest.fixture
def space(network, mean):
    return class_space(NAMES, encoder=(str(network), str(mean)), template="a {}", cache=False)


def test_vectors_are_those_of_the_formula(space, network, mean, pictures):
    from pairspace import load_encoder

    texts, images = load_encoder(mean), load_encoder(network)
    said = unit(texts.encode([f"a {name}" for name in NAMES], ("last",)).vectors["last"])
    middle = said.mean(0)
    shares = images.encode(pictures, ("classes",)).vectors["classes"]
    np.testing.assert_allclose((shares**2).sum(1), 1, atol=1e-4)
    wanted = unit(shares @ unit(said - middle))
    np.testing.assert_allclose(space.encode(pictures, side="image"), wanted, atol=5e-3)  # features are float16
    words = ["red boat", "bread on the sea"]
    wanted = unit(unit(texts.encode(words, ("last",)).vectors["last"]) - middle)
    np.testing.assert_allclose(space.encode(words, side="caption"), wanted, atol=5e-3)


def test_it_is_saved_and_joined_without_any_training(space, network, mean, pictures, tmp_path):
    assert not space.trained
    space.save_pretrained(tmp_path / "space")
    assert "names of 4 classes" in (tmp_path / "space" / "README.md").read_text("utf-8")
    again = Space.from_pretrained(tmp_path / "space", cache=False)
    np.testing.assert_allclose(again.encode(pictures, side="image"), space.encode(pictures, side="image"), atol=1e-5)
    captions = [f"a {name} and {'the ' * (n % 3)}boat" for n, name in enumerate(NAMES * 3)]
    other = Space.create(("image", "caption"), encoder={"image": str(network), "caption": str(mean)}, cache=False)
    solve_space(other, Pairs.from_columns({"image": [png(one) for one in pictures], "caption": captions}))
    joined = join_spaces([space, other])
    left, right = joined.encode(pictures, side="image"), joined.encode(captions, side="caption")
    parts = [one.encode(pictures, side="image") @ one.encode(captions, side="caption").T for one in (space, other)]
    np.testing.assert_allclose(left @ right.T, sum(parts) / 2, atol=1e-4)


def png(array):
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def test_names_that_do_not_fit_the_layer_are_refused(network, mean):
    with pytest.raises(SpaceError, match="4 classes, but 3 names"):
        class_space(NAMES[:3], encoder=(str(network), str(mean)), cache=False)
    with pytest.raises(SpaceError, match="one text to this encoder"):
        class_space(["fox"] * 4, encoder=(str(network), str(mean)), cache=False)
    for template in ("a fox", "{} {}", "a {name}"):
        with pytest.raises(SpaceError, match="must hold {} once, where a class's name goes"):
            class_space(NAMES, encoder=(str(network), str(mean)), template=template, cache=False)


def test_braces_in_a_template_or_a_name_are_part_of_them(network, mean):
    names = ["red {fox}", *NAMES[1:]]
    space = class_space(names, encoder=(str(network), str(mean)), template="{a} {}", cache=False)
    assert space.record == {"classes": 4, "template": "{a} {}"}
