"""From a picture to the pixels that a model was trained on: resize, crop, normalise, without torchvision.

    short side (or both sides) to a size by Pillow's filter -> the middle -> (x * scale - mean) / std

A crop is what photographs were trained with; it cuts off what drawings and cut-outs have at their edges. Two more ways
to make a picture square keep all of it:

    stretch   both sides to the size
    pad       the long side to the size, the rest filled with white

It is what `preprocessor_config.json` of a model folder says, in the forms that transformers wrote over the years, and
CLIP's (Radford et al. 2021) is the model of all: bicubic, short side 224, the middle 224 x 224. Tests hold it to
transformers' own processors. Pictures stay bytes until a whole batch is normalised at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pairspace.errors import EncoderError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FRAMES", "PREPROCESSOR", "Preprocessing", "read_preprocessing"]

PREPROCESSOR = "preprocessor_config.json"
FRAMES = ("own", "stretch", "pad")  # how a picture becomes square; own: as the model's file says
NEAREST, LANCZOS, BILINEAR, BICUBIC, BOX, HAMMING = range(6)  # Pillow's numbers, which the files hold
_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_KINDS = {  # by the kind of processor: numbers where the file has none, filter, whether `size` is of the short side
    "CLIP": (_CLIP, BICUBIC, True),
    "Bit": (_CLIP, BICUBIC, True),
    "ConvNext": (_IMAGENET, BILINEAR, True),
    "Siglip": (_HALF, BICUBIC, False),
}

_OTHERS = _HALF, BILINEAR, False  # ViT's, which most others follow


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes pixels.

    Attributes:
        short: the short side after resizing, the other in proportion; 0 where both sides are resized to `size`.
        size: height and width of what the model takes.
        resample: the filter, by Pillow's number.
        scale: bytes are multiplied with it.
        mean, std: of each channel, after scaling.
        frame: one of `FRAMES`.
    """

    short: int
    size: tuple[int, int]
    resample: int = BICUBIC
    scale: float = 1 / 255
    mean: tuple[float, float, float] = _CLIP[0]
    std: tuple[float, float, float] = _CLIP[1]
    frame: str = FRAMES[0]

    def settings(self) -> dict[str, Any]:
        """All that decides the pixels, as plain JSON values."""
        found = asdict(self) | {"size": list(self.size), "mean": list(self.mean), "std": list(self.std)}
        if self.frame == FRAMES[0]:
            del found["frame"]  # features from before there was a choice stay valid
        return found

    def shape(self, image: Image) -> np.ndarray:
        """Resize and crop.

        Args:
            image: of mode RGB.

        Returns:
            uint8 (height, width, 3); a side that is too short is filled up with black, as transformers does.
        """
        width, height = image.size
        if self.frame == "pad":
            return self._padded(image)
        if self.short and self.frame != "stretch":
            new = max(1, int(self.short * max(width, height) / min(width, height)))
            wanted = (self.short, new) if width <= height else (new, self.short)
        else:
            wanted = self.size[1], self.size[0]
        if image.size != wanted:
            image = image.resize(wanted, self.resample)
        if wanted != self.size[::-1]:
            left, top = (wanted[0] - self.size[1]) // 2, (wanted[1] - self.size[0]) // 2
            image = image.crop((left, top, left + self.size[1], top + self.size[0]))
        return np.asarray(image)

    def _padded(self, image: Image) -> np.ndarray:
        height, width = self.size
        share = min(width / image.width, height / image.height)
        inner = max(1, round(image.width * share)), max(1, round(image.height * share))
        small = np.asarray(image if image.size == inner else image.resize(inner, self.resample))
        whole = np.full((height, width, 3), 255, np.uint8)
        top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
        whole[top : top + inner[1], left : left + inner[0]] = small
        return whole

    def normalise(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Bytes of several pictures, (height, width, 3) each, as float32 (n, 3, height, width)."""
        out = np.empty((len(pictures), 3, *pictures[0].shape[:2]), np.float32)
        for place, picture in zip(out, pictures, strict=True):
            place[...] = picture.transpose(2, 0, 1)
        mean, std = (np.asarray(one, np.float32)[:, None, None] for one in (self.mean, self.std))
        out *= np.float32(self.scale)
        out -= mean
        out /= std
        return out


def read_preprocessing(folder: Path) -> Preprocessing:
    """What the file of a model folder says.

    Raises:
        EncoderError: there is no such file, it is broken, or the pictures would not all become of one size.
    """
    path = folder / PREPROCESSOR
    try:
        config = json.loads(path.read_text("utf-8"))
        return _from_config(config.get("image_processor", config))
    except FileNotFoundError:
        raise EncoderError(f"{path}: missing; it says how pictures are prepared for the model") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EncoderError(f"{path}: cannot be understood ({error})") from None


def _from_config(config: Mapping[str, Any]) -> Preprocessing:
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    (mean, std), resample, by_short = next((own for name, own in _KINDS.items() if kind.startswith(name)), _OTHERS)
    size = config.get("size", 224)
    if isinstance(size, int):
        size = {"shortest_edge": size} if by_short else {"height": size, "width": size}
    short = int(size.get("shortest_edge", 0)) if config.get("do_resize", True) else 0
    final = size
    if config.get("do_center_crop", "crop_size" in config):
        crop = config.get("crop_size", size)
        final = {"height": crop, "width": crop} if isinstance(crop, int) else crop
    if "height" not in final or not config.get("do_resize", True):
        raise ValueError(
            "pictures would keep their own sizes; 'size' with height and width, or 'crop_size', makes them equal"
        )
    if not short and final is not size and size != final:
        raise ValueError("a crop after resizing both sides is not read; give 'size' a shortest_edge")
    plain = not config.get("do_normalize", True)
    return Preprocessing(
        short=short,
        size=(int(final["height"]), int(final["width"])),
        resample=int(config.get("resample", resample)),
        scale=float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        mean=_three((0, 0, 0) if plain else config.get("image_mean", mean)),
        std=_three((1, 1, 1) if plain else config.get("image_std", std)),
    )


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
