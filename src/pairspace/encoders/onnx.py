"""Image models in an ONNX file, run by OpenVINO: `model.onnx`, with `preprocessor_config.json` beside it.

Each output is a layer under its own name, pooled to one vector a picture: (n, width) as it is, (n, tokens, width) and
(n, channels, height, width) by the mean. "last" is the first output that is one vector already, else the first. Weights
that ONNX keeps in files of their own are read with it and belong to the fingerprint.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pairspace.data.files import atomic_folder
from pairspace.encoders.device import has_openvino
from pairspace.encoders.fingerprint import fingerprint
from pairspace.encoders.image import ImageEncoder
from pairspace.encoders.pictures import pixel_batches
from pairspace.encoders.preprocessing import PREPROCESSOR, read_preprocessing
from pairspace.encoders.protocol import SAVED
from pairspace.encoders.quiet import import_openvino
from pairspace.errors import EncoderError

__all__ = ["OnnxImageEncoder"]

_BATCH = 16
_DATA = (".data", ".onnx_data", ".weights")  # how files of weights beside a model end


class OnnxImageEncoder(ImageEncoder):
    """The encoder of one file; see `ImageEncoder` for the other options. It runs on the CPU, in fp32.

    Args:
        name: what the user calls it.
        path: the ONNX file.
    """

    family = "onnx"

    def __init__(self, name: str, path: Path, **options: Any) -> None:
        super().__init__(name, read_preprocessing(path.parent), **(options | {"precision": "fp32", "device": "cpu"}))
        self.path, self.folder, self.maps = path, path.parent, {}
        outputs = list(self._graph.outputs)
        shapes = [output.get_partial_shape() for output in outputs]
        self._names = [output.get_any_name() for output in outputs]
        widths = [_width(shape) for shape in shapes]
        if not all(widths) or len(self._graph.inputs) != 1:
            raise EncoderError(
                f"{path}: a model with one input of pictures, and outputs of fixed width and two to four sizes, is "
                f"needed; it has {len(self._graph.inputs)} inputs and the outputs {', '.join(map(str, shapes))}"
            )
        self._last = next((place for place, shape in enumerate(shapes) if len(shape) == 2), 0)
        self.dimensions = dict(zip(self._names, widths, strict=True)) | {"last": widths[self._last]}
        self.layers = (*(name for name in self.dimensions if name != "last"), "last")

    @cached_property
    def _graph(self) -> Any:
        if not has_openvino():
            raise EncoderError(f"{self.path}: ONNX files are run by OpenVINO: pip install 'pairspace[fast]'")
        ov = import_openvino()
        try:
            graph = ov.Core().read_model(self.path)
            height, width = self.preprocessing.size
            graph.reshape([-1, 3, height, width])
            return graph
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(f"{self.path}: no ONNX model that takes such pictures ({reason})") from None

    @cached_property
    def _compiled(self) -> Any:
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        return import_openvino().Core().compile_model(self._graph, "CPU", options)

    @cached_property
    def _own_fingerprint(self) -> str:
        files = {path.suffix: path for path in self._files()}
        return fingerprint(files, {"preprocessing": self.preprocessing.settings()})

    @property
    def module(self) -> Any:
        """None: there is no torch module."""
        return None

    def _files(self) -> list[Path]:
        beside = [path for path in self.folder.glob(f"{self.path.stem}*") if path.name.endswith(_DATA)]
        return [self.path, *sorted(beside)]

    def _load(self) -> nn.Module:
        raise EncoderError(f"{self.path}: an ONNX file has no torch module")

    def _run(self, pictures: Sequence[Any], layers: tuple[str, ...], put: Callable[..., None]) -> None:
        self.engine = "openvino fp32"
        for rows, pixels in pixel_batches(pictures, self.preprocessing, size=_BATCH, view=self._view):
            found = list(self._compiled([pixels]).values())
            places = [self._last if layer == "last" else self._names.index(layer) for layer in layers]
            put(rows, [_pooled(np.asarray(found[place])) for place in places])

    def _name_or_path(self) -> str:
        return str(self.path.absolute())

    def save(self, folder: str | Path) -> None:
        """See protocol.Encoder."""
        with atomic_folder(folder, True, marker=SAVED) as target:
            for path in (*self._files(), self.folder / PREPROCESSOR):
                shutil.copyfile(path, target / path.name)
            self._write_saved(target, file=self.path.name)


def _width(shape: Any) -> int:
    """Of the pooled vectors of an output; 0 where it has none."""
    if not 2 <= len(shape) <= 4:
        return 0
    size = shape[1] if len(shape) == 4 else shape[len(shape) - 1]
    return int(size.get_length()) if size.is_static else 0


def _pooled(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 2 else values.mean(1) if values.ndim == 3 else values.mean((2, 3))
