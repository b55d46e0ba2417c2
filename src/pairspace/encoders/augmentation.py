"""Views of a picture: cropped, mirrored and recoloured at random, and the same whenever they are made.

    crop of 50 to 100 % of the area, sides 3:4 to 4:3 -> mirrored or not -> brightness, contrast, saturation +-20 %

What chance decides hangs on the picture's content and the view's number alone, so the features of a view can be kept
like any others and a run can be repeated. Random resized crops and colour jitter are those of SimCLR (Chen et al.
2020), but milder: the caption must stay true.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["AUGMENTATION", "augment"]

_AREA, _SIDES, _COLOUR = (0.5, 1.0), (0.75, 4 / 3), 0.2
AUGMENTATION = {"area": list(_AREA), "sides": list(_SIDES), "colour": _COLOUR}  # part of a view's fingerprint
_TRIES = 10


def augment(image: Image, key: bytes, view: int) -> Image:
    """One view.

    Args:
        image: of mode RGB.
        key: 16 bytes that stand for its content.
        view: its number, 1 and on.
    """
    from PIL import ImageEnhance, ImageOps

    chance = np.random.default_rng([view, *np.frombuffer(key, "<u4").tolist()])
    image = image.crop(_box(chance, *image.size))
    if chance.random() < 0.5:
        image = ImageOps.mirror(image)
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(1 + _COLOUR * chance.uniform(-1, 1))
    return image


def _box(chance: np.random.Generator, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a random part; all of it where none fits."""
    narrow, wide = (math.log(side) for side in _SIDES)
    for _ in range(_TRIES):
        area = width * height * chance.uniform(*_AREA)
        ratio = math.exp(chance.uniform(narrow, wide)) * width / height
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, top = int(chance.integers(width - across + 1)), int(chance.integers(height - down + 1))
            return left, top, left + across, top + down
    return 0, 0, width, height
