"""Templates and class vectors, against a plain loop."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pairspace.errors import DataError, ShapeError
from pairspace.tagging import CLIP_7, CLIP_80, SCENE, check_classes, class_vectors


def encode(texts: list[str]) -> np.ndarray:
    return np.array(
        [np.random.default_rng(int(hashlib.md5(t.encode()).hexdigest()[:8], 16)).normal(size=5) for t in texts]
    )


def test_the_sets_are_clips():
    assert len(CLIP_80) == len(set(CLIP_80)) == 80 and len(CLIP_7) == 7 and len(SCENE) == 5
    assert set(CLIP_7) < set(CLIP_80) and all(t.count("{}") == 1 for t in (*CLIP_80, *CLIP_7, *SCENE))
    # of the list in CLIP's notebook, sorted, a line each
    assert (
        hashlib.sha256("\n".join(sorted(CLIP_80)).encode()).hexdigest()
        == "a8a4822f2921936e2ef07cf2e7a5df69be9532aab2f3f4880156bb03563e2467"
    )


def test_vectors_are_normalised_means_of_unit_vectors():
    vectors = class_vectors(encode, ["cat", "dining table"], templates=CLIP_7)
    assert vectors.dtype == np.float32
    for row, name in zip(vectors, ["cat", "dining table"], strict=True):
        mean = np.zeros(5)
        for template in CLIP_7:
            one = encode([template.format(name)])[0]
            mean += one / np.sqrt((one**2).sum())
        np.testing.assert_allclose(row, mean / np.sqrt((mean**2).sum()), atol=1e-6)


def test_braces_in_a_name_are_part_of_it():
    seen = []
    class_vectors(lambda texts: seen.extend(texts) or np.ones((len(texts), 2)), ["a{0}b", "{}"], templates=["the {}."])
    assert seen == ["the a{0}b.", "the {}."]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([], "no classes"),
        ("cat", "one text"),
        (["cat", " "], "class 1 has no name"),
        (["cat", None], "class 1 has no name"),
        (["cat", "dog", "cat"], "'cat' stands twice, at 0 and 2"),
    ],
)
def test_bad_classes_are_named(classes, words):
    with pytest.raises(DataError, match=words):
        check_classes(classes)


def test_bad_templates_and_encoders_are_named():
    with pytest.raises(DataError, match="no template"):
        class_vectors(encode, ["cat"], templates=[])
    with pytest.raises(DataError, match="'a photo' must hold"):
        class_vectors(encode, ["cat"], templates=["a photo"])
    with pytest.raises(ShapeError, match=r"for 7 sentences; \(7, dim\)"):
        class_vectors(lambda texts: np.ones((3, 2)), ["cat"], templates=CLIP_7)
    with pytest.raises(ShapeError, match="has no direction"):
        class_vectors(lambda texts: np.zeros((len(texts), 2)), ["cat"])
