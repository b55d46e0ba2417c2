"""Class names as sentences: CLIP's templates, and class vectors that are the mean over them.

    w_c = u( mean_t u( encode(t.format(c)) ) ),    u(x) = x / |x|

The 80 templates that CLIP was measured on ImageNet with, and the 7 that were chosen from them one after the other and
do slightly better (Radford et al. 2021, sec. 3.1.4 and its notebook). `SCENE` are the five that TagCLIP adds to the
80.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pairspace.errors import DataError, ShapeError
from pairspace.tagging.checks import check_classes

__all__ = ["BACKGROUND", "CLIP_7", "CLIP_80", "PHOTO", "SCENE", "class_vectors"]

PHOTO = ("a photo of a {}.",)

CLIP_7 = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)

_EITHER = (  # of those that stand with "a" and with "the"
    "a bad photo of {} {{}}.",
    "a sculpture of {} {{}}.",
    "a photo of {} hard to see {{}}.",
    "a low resolution photo of {} {{}}.",
    "a rendering of {} {{}}.",
    "graffiti of {} {{}}.",
    "a cropped photo of {} {{}}.",
    "a tattoo of {} {{}}.",
    "{} embroidered {{}}.",
    "a bright photo of {} {{}}.",
    "a photo of {} clean {{}}.",
    "a photo of {} dirty {{}}.",
    "a dark photo of {} {{}}.",
    "a drawing of {} {{}}.",
    "{} plastic {{}}.",
    "a photo of {} cool {{}}.",
    "a close-up photo of {} {{}}.",
    "a black and white photo of {} {{}}.",
    "a painting of {} {{}}.",
    "a pixelated photo of {} {{}}.",
    "a jpeg corrupted photo of {} {{}}.",
    "a blurry photo of {} {{}}.",
    "a photo of {} {{}}.",
    "a good photo of {} {{}}.",
    "{} {{}} in a video game.",
    "a doodle of {} {{}}.",
    "{} origami {{}}.",
    "a sketch of {} {{}}.",
    "{} toy {{}}.",
    "a rendition of {} {{}}.",
    "a photo of {} large {{}}.",
    "a photo of {} nice {{}}.",
    "a photo of {} weird {{}}.",
    "{} cartoon {{}}.",
    "art of {} {{}}.",
    "{} plushie {{}}.",
    "a photo of {} small {{}}.",
    "itap of {} {{}}.",
)
_OWN = ("a photo of many {}.", "a photo of my {}.", "a photo of one {}.", "itap of my {}.")
CLIP_80 = (*(t.format(article) for t in _EITHER for article in ("a", "the")), *_OWN)

SCENE = (
    "there is a {} in the scene.",
    "there is the {} in the scene.",
    "this is a {} in the scene.",
    "this is the {} in the scene.",
    "this is one {} in the scene.",
)

BACKGROUND = (  # words for what is no object; TagCLIP's for VOC
    *("ground", "land", "grass", "tree", "building", "wall", "sky", "lake", "water", "river", "sea", "railway"),
    *("railroad", "keyboard", "helmet", "cloud", "house", "mountain", "ocean", "road", "rock", "street", "valley"),
    *("bridge", "sign"),
)


def class_vectors(
    encode: Callable[[list[str]], Any], classes: Sequence[str], *, templates: Sequence[str] = CLIP_80
) -> np.ndarray:
    """A unit vector a class: the normalised mean of the unit vectors of its sentences.

    Args:
        encode: sentences to vectors (n, dim), such as `lambda texts: space.encode(texts, side="caption")`.
        classes: names, each once.
        templates: sentences with `{}` where the name goes.

    Returns:
        float32 (classes, dim).

    Raises:
        DataError: no class, a class that is empty or there twice, no template, or a template without `{}`.
        ShapeError: `encode` gave another number of vectors, or one without a direction.
    """
    names = check_classes(classes)
    if not templates:
        raise DataError("no template: a class needs at least one sentence, such as 'a photo of a {}.'")
    for template in templates:
        if template.count("{}") != 1:
            raise DataError(f"the template {template!r} must hold {{}} once, where the class name goes")
    texts = [template.replace("{}", name) for name in names for template in templates]
    vectors = np.asarray(encode(texts), np.float64)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise ShapeError(f"encode gave {vectors.shape} for {len(texts):,} sentences; ({len(texts)}, dim) is needed")
    means = _unit(vectors, texts).reshape(len(names), len(templates), -1).mean(1)
    return _unit(means, list(names)).astype(np.float32)


def _unit(vectors: np.ndarray, names: Sequence[str]) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~(lengths[:, 0] > 0) | ~np.isfinite(lengths[:, 0]))
    if len(bad):
        raise ShapeError(f"the vector of {names[bad[0]]!r} has no direction: its length is {lengths[bad[0], 0]}")
    return np.asarray(vectors / lengths)
