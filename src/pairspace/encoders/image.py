"""What the image encoders have in common: pictures prepared ahead, run in batches, by the quickest engine that agrees.

A family brings its torch module, its layers and its fingerprint. Beside the layers, which are one vector a picture, an
encoder has maps: a vector for each part of the picture, (height, width, channels). `encode` gives both; the cache keeps
a map as it keeps token states, one part after the other, row by row.
"""

from __future__ import annotations

import copy
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from pairspace.encoders.augmentation import AUGMENTATION
from pairspace.encoders.device import has_openvino, pick_device, pick_precision
from pairspace.encoders.engines import Batch, Engine, OpenVinoEngine, TorchEngine, agrees_or_warns
from pairspace.encoders.fingerprint import fingerprint
from pairspace.encoders.pictures import pixel_batches
from pairspace.encoders.preprocessing import FRAMES, Preprocessing
from pairspace.encoders.protocol import SAVED, Encoded
from pairspace.errors import EncoderError
from pairspace.progress import progress_bar

__all__ = ["MAP", "ImageEncoder"]

MAP = "map"  # the layer of the output's parts
_log = logging.getLogger(__name__)
_WORTH = 128  # pictures: about what torch encodes in the time that conversion takes
_BATCH, _BATCH_GPU = 16, 128
_LEAST = 0.9999  # cosine to torch fp32 below which an engine is not used


class ImageEncoder(ABC):
    """Pictures to vectors; items are paths, bytes, PIL images or arrays.

    Args:
        name: what the user calls it.
        preprocessing: how pictures become pixels.
        device, precision: see `device.py`.
        views: how many augmented views of a picture training may draw from beside the picture itself.
        frame: how pictures become square, one of `FRAMES`; see `preprocessing.py`.

    Attributes:
        layers, dimensions: of vectors, one a picture.
        maps: name -> (height, width, channels).
        module: the torch module (loaded at first use): `module(pixels, layers)` gives a tensor a layer.
        engine: which engine ran last, in words.
    """

    modality = "image"
    dtype = "float16"
    max_length: int | None = None
    prompt = ""
    family: str
    folder: Path
    layers: tuple[str, ...]
    dimensions: dict[str, int]
    maps: dict[str, tuple[int, int, int]]

    def __init__(
        self,
        name: str,
        preprocessing: Preprocessing,
        *,
        device: str | None = None,
        precision: str = "auto",
        views: int = 0,
        frame: str = FRAMES[0],
    ) -> None:
        if views < 0:
            raise EncoderError(f"views {views}: give the number of augmented views, 0 for none")
        if frame not in FRAMES:
            raise EncoderError(f"frame {frame!r}: choose one of {', '.join(FRAMES)}")
        self.name, self.preprocessing, self.views = name, replace(preprocessing, frame=frame), views
        self.device = pick_device(device)
        self.precision, self._asked = pick_precision(precision, self.device), precision
        self.engine = "none yet"
        self._view, self._seen = 0, 0
        self._engines: dict[tuple[str, ...], Engine] = {}

    @property
    @abstractmethod
    def _own_fingerprint(self) -> str:
        """Over weights and preprocessing."""

    @abstractmethod
    def _load(self) -> nn.Module:
        """The torch module with its weights."""

    @abstractmethod
    def _name_or_path(self) -> str:
        """What `load_encoder` takes to make it again."""

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """See protocol.Encoder."""

    @property
    def fingerprint(self) -> str:
        """See protocol.Encoder; that of a view is its own."""
        if not self._view:
            return self._own_fingerprint
        return fingerprint({}, {"of": self._own_fingerprint, "view": self._view, "augmentation": AUGMENTATION})

    @cached_property
    def module(self) -> nn.Module:
        """The torch module, in evaluation mode on `device`."""
        return self._load().to(self.device).eval()

    @property
    def width(self) -> int:
        """Of a map's parts."""
        return next(iter(self.maps.values()))[2]

    def view(self, number: int) -> Self:
        """The encoder of an augmented view of every picture, 1 to `views`; it shares the weights."""
        _ = self.module
        other = copy.copy(self)
        other._view = number
        return other

    def encode(self, items: Sequence[Any], layers: Sequence[str], *, progress: bool | None = None) -> Encoded:
        """The asked layers of every picture; of a map float32 (n, height, width, channels).

        Args:
            items: pictures, or an Arrow array of paths or bytes.
            layers: names from `layers` and `maps`.
            progress: see `progress_bar`.

        Raises:
            EncoderError: there is no such layer.
            BadPicture: a picture cannot be decoded.
        """
        pictures: Sequence[Any] = items.to_pylist() if hasattr(items, "to_pylist") else items
        if unknown := [layer for layer in layers if layer not in self.layers and layer not in self.maps]:
            raise EncoderError(
                f"{self.name} has no layer {unknown[0]!r}; it has {', '.join([*self.layers, *self.maps])}"
            )
        shapes = {layer: self.maps.get(layer) or (self.dimensions[layer],) for layer in layers}
        vectors = {layer: np.empty((len(pictures), *shape), np.float32) for layer, shape in shapes.items()}
        with progress_bar(f"encoding with {self.name}", len(pictures), unit="pictures", show=progress) as bar:

            def put(rows: np.ndarray, results: Sequence[np.ndarray]) -> None:
                for layer, result in zip(shapes, results, strict=True):
                    vectors[layer][rows] = result
                bar.advance(len(rows))

            if len(pictures) and shapes:
                self._run(pictures, tuple(shapes), put)
        return Encoded(vectors, np.ones(len(pictures), np.int32))

    def token_states(self, items: Sequence[Any], layer: str) -> tuple[np.ndarray, np.ndarray]:
        """A map's parts, row by row and one picture after the other, as the cache keeps them.

        Args:
            items: n pictures.
            layer: the map's name.

        Returns:
            float16 (n * height * width, channels); int32 lengths (n,), height * width each.
        """
        height, width, channels = self.maps[layer]
        found = self.encode(items, (layer,), progress=False).vectors[layer]
        return found.reshape(-1, channels).astype(self.dtype), np.full(len(items), height * width, np.int32)

    def settings(self) -> dict[str, Any]:
        """Arguments with which `load_encoder` makes this encoder again."""
        own = {"name_or_path": self._name_or_path(), "precision": self._asked}
        return own | {"views": self.views, "frame": self.preprocessing.frame}

    def _write_saved(self, folder: Path, **more: Any) -> None:
        own = {"format": 1, "family": self.family, "name": self.name, "precision": self._asked}
        own |= {"views": self.views, "frame": self.preprocessing.frame}
        (folder / SAVED).write_text(json.dumps(own | more, indent=2), "utf-8")

    def _run(self, pictures: Sequence[Any], layers: tuple[str, ...], put: Callable[..., None]) -> None:
        size = _BATCH if self.device.type == "cpu" else _BATCH_GPU
        batches: Iterator[Batch] = (
            (rows, torch.from_numpy(pixels))
            for rows, pixels in pixel_batches(pictures, self.preprocessing, size=size, view=self._view)
        )
        first = list(islice(batches, 1))
        engine = self._pick(first, layers, total=len(pictures))
        engine.run(chain(first, batches), layers, put)
        self.engine = engine.title

    def _pick(self, sample: list[Batch], layers: tuple[str, ...], total: int) -> Engine:
        """The engine for these layers: torch for few pictures, else the quickest that agrees with it."""
        for covered, engine in self._engines.items():
            if set(layers) <= set(covered):
                return engine
        plain = TorchEngine(self.module, self.device)
        self._seen += total
        if self._seen < _WORTH:
            return plain
        candidates = map(self._try, self._candidates(layers))
        good = (one for one in candidates if one and agrees_or_warns(one, plain, sample, layers, _LEAST))
        self._engines[layers] = next(good, plain)
        return self._engines[layers]

    def _candidates(self, layers: tuple[str, ...]) -> list[Callable[[], Engine]]:
        bf16 = self.precision == "bf16"
        if self._asked == "fp32":
            return []
        if self.device.type == "cuda":
            return [lambda: TorchEngine(self.module, self.device, bf16=True)] if bf16 else []
        if self.device.type != "cpu" or not has_openvino():
            return []
        pixels = {"pixels": torch.zeros(2, 3, *self.preprocessing.size)}
        kinds = (True, False) if bf16 else (False,)
        return [lambda kind=kind: OpenVinoEngine(self.module, layers, bf16=kind, example=pixels) for kind in kinds]  # type: ignore[misc]

    def _try(self, make: Callable[[], Engine]) -> Engine | None:
        try:
            return make()
        except Exception as error:
            _log.warning("%s: no faster engine (%s); torch is used", self.name, str(error).strip().splitlines()[:1])
            return None
