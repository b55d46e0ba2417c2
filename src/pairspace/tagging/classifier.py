"""A classifier of many labels on cached vectors of a picture, a text, or both; either may be missing.

    a, b   = (u(x) - mean) / deviation     for the picture's and the text's vector, u(x) = x / |x|
    concat   z = [a; b]                    sum      z = A a + B b
    product  z = (A a) * (B b)             gate     z = g A a + (1 - g) B b,   g = sigmoid(G [A a; B b])
    logits = W z                           or W2 gelu(W1 z) with two layers

The parts that Guo (2024, arXiv 2406.16141) compares on frozen CLIP vectors. A vector that is missing is replaced by one
that is learnt, a picture's and a text's each, after normalisation; it starts at 0, the mean. A folder of it holds
`config.json` and `classifier.safetensors`, a few MB.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pairspace.data import atomic_folder
from pairspace.errors import PairspaceError, ShapeError, SpaceError
from pairspace.tagging.checks import check_classes

__all__ = ["FUSIONS", "TagClassifier"]

FUSIONS = ("concat", "sum", "product", "gate")
CONFIG, WEIGHTS, KIND = "config.json", "classifier.safetensors", "pairspace tag classifier"


class TagClassifier(nn.Module):
    """Vectors to logits of classes.

    Args:
        classes: their names.
        image: dimension of pictures' vectors; None for a classifier of texts.
        text: dimension of texts' vectors; None for a classifier of pictures.
        fusion: one of `FUSIONS`; without meaning for one kind alone.
        width: of the space both are brought to, and of the hidden layer.
        layers: 1 or 2.
        dropout: before the last layer, in training.
        outputs: how logits become probabilities: "sigmoid" of each, or "softmax" over the classes.

    Raises:
        DataError: no class, or one that is empty or there twice.
        PairspaceError: an unknown fusion or output, neither kind of vector, or layers other than 1 and 2.
    """

    mean_image: Tensor
    mean_text: Tensor
    scale_image: Tensor
    scale_text: Tensor
    thresholds: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        *,
        image: int | None,
        text: int | None = None,
        fusion: str = "concat",
        width: int = 512,
        layers: int = 2,
        dropout: float = 0.1,
        outputs: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.classes = check_classes(classes)
        if fusion not in FUSIONS:
            raise PairspaceError(f"fusion must be one of {', '.join(FUSIONS)}, got {fusion!r}")
        if image is None and text is None:
            raise PairspaceError("a classifier needs the dimension of pictures' vectors, of texts' vectors, or of both")
        if layers not in (1, 2):
            raise PairspaceError(f"layers must be 1 or 2, got {layers}")
        if outputs not in ("sigmoid", "softmax"):
            raise PairspaceError(f"outputs must be sigmoid or softmax, got {outputs!r}")
        self.settings: dict[str, Any] = {
            **{"image": image, "text": text, "fusion": fusion, "width": width, "layers": layers, "dropout": dropout},
            "outputs": outputs,
        }
        for name, size in self.dimensions.items():
            self.register_buffer(f"mean_{name}", torch.zeros(size))
            self.register_buffer(f"scale_{name}", torch.ones(size))
        self.stand_in = nn.ParameterDict({name: nn.Parameter(torch.zeros(n)) for name, n in self.dimensions.items()})
        both = len(self.dimensions) == 2
        joint = sum(self.dimensions.values()) if fusion == "concat" or not both else width
        shared = both and fusion != "concat"
        self.common = nn.ModuleDict(
            {name: nn.Linear(n, width) for name, n in self.dimensions.items()} if shared else {}
        )
        self.gate = nn.Linear(2 * width, width) if shared and fusion == "gate" else None
        last = nn.Linear(joint if layers == 1 else width, len(self.classes))
        before = [] if layers == 1 else [nn.Linear(joint, width), nn.GELU()]
        self.head = nn.Sequential(*before, nn.Dropout(dropout), last)
        self.register_buffer("thresholds", torch.full((len(self.classes),), 0.5))

    @property
    def dimensions(self) -> dict[str, int]:
        """Kind of vector ("image", "text") -> dimension, of those it takes."""
        return {name: self.settings[name] for name in ("image", "text") if self.settings[name] is not None}

    def forward(self, vectors: dict[str, Tensor], here: dict[str, Tensor]) -> Tensor:
        """Logits (n, classes) of vectors (n, dim) a kind, and of whether each is there, bool (n,) a kind."""
        parts = []
        for name in self.dimensions:
            unit = nn.functional.normalize(vectors[name], dim=1)
            scaled = (unit - getattr(self, f"mean_{name}")) / getattr(self, f"scale_{name}")
            parts.append(torch.where(here[name][:, None], scaled, self.stand_in[name]))
        logits: Tensor = self.head(self._fuse(parts))
        return logits

    def _fuse(self, parts: list[Tensor]) -> Tensor:
        if not self.common:
            return torch.cat(parts, 1)
        a: Tensor
        b: Tensor
        a, b = (self.common[name](part) for name, part in zip(self.dimensions, parts, strict=True))
        if self.settings["fusion"] == "sum":
            return a + b
        if self.settings["fusion"] == "product":
            return a * b
        assert self.gate is not None
        g: Tensor = torch.sigmoid(self.gate(torch.cat([a, b], 1)))
        return g * a + (1 - g) * b

    @torch.no_grad()
    def predict(
        self, image: np.ndarray | Tensor | None = None, text: np.ndarray | Tensor | None = None, *, batch: int = 4096
    ) -> np.ndarray:
        """Probabilities of the classes.

        Args:
            image: vectors (n, dim) of pictures; None where there are none, a row of NaN where one is missing.
            text: likewise of texts.
            batch: rows at once.

        Returns:
            float32 (n, classes).

        Raises:
            ShapeError: nothing given, lengths or dimensions that do not fit, or a row that has neither.
        """
        vectors, here = self.prepare(image, text)
        was, found = self.training, []
        self.eval()
        for start in range(0, len(next(iter(vectors.values()))), batch):
            rows = slice(start, start + batch)
            some = [{name: one[rows] for name, one in kind.items()} for kind in (vectors, here)]
            logits = self(*some)
            found.append(torch.sigmoid(logits) if self.settings["outputs"] == "sigmoid" else logits.softmax(1))
        self.train(was)
        return torch.cat(found).cpu().numpy() if found else np.empty((0, len(self.classes)), np.float32)

    def tags(self, probabilities: np.ndarray) -> list[list[tuple[str, float]]]:
        """Names and probabilities, highest first, of the classes at or above their thresholds, a row."""
        limits = self.thresholds.cpu().numpy()
        return [
            [(self.classes[c], float(row[c])) for c in np.argsort(-row, kind="stable") if row[c] >= limits[c]]
            for row in np.asarray(probabilities)
        ]

    def prepare(
        self, image: np.ndarray | Tensor | None, text: np.ndarray | Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What `forward` takes, of what `predict` takes."""
        where = self.thresholds.device
        given = {name: one for name, one in (("image", image), ("text", text)) if one is not None}
        for name in given:
            if name not in self.dimensions:
                raise ShapeError(f"this classifier takes no {name} vectors")
        if not given:
            raise ShapeError(f"no vectors given: {' or '.join(self.dimensions)} is needed")
        rows = len(next(iter(given.values())))
        vectors, here = {}, {}
        for name, size in self.dimensions.items():
            one = torch.as_tensor(given.get(name, np.zeros((rows, size)))).to(where, torch.float32)
            if tuple(one.shape) != (rows, size):
                raise ShapeError(f"{name} vectors must be {(rows, size)}, got {tuple(one.shape)}")
            missing = one.isnan().any(1)
            vectors[name] = one.masked_fill(missing[:, None], 0.0)
            here[name] = ~missing if name in given else torch.zeros(rows, dtype=torch.bool, device=where)
            if not vectors[name].isfinite().all():
                raise ShapeError(f"{name} vectors hold infinite values")
        neither = ~torch.stack(list(here.values())).any(0)
        if neither.any():
            raise ShapeError(
                f"row {int(neither.nonzero()[0, 0])} has no vector at all: it needs a picture's or a text's"
            )
        return vectors, here

    @torch.no_grad()
    def standardise(self, vectors: dict[str, Tensor], here: dict[str, Tensor]) -> None:
        """Take means and deviations from the vectors that are there, as `prepare` gives them."""
        for name, one in vectors.items():
            unit = nn.functional.normalize(one[here[name]], dim=1).double()
            if len(unit):
                deviation = unit.std(0, unbiased=False)
                getattr(self, f"mean_{name}").copy_(unit.mean(0))
                getattr(self, f"scale_{name}").copy_(torch.where(deviation > 1e-6, deviation, 1.0))

    def save_pretrained(self, folder: Path | str) -> None:
        """Write `config.json` and `classifier.safetensors`; an older classifier there is replaced.

        Raises:
            StorageError: the disk is full, or the folder holds something else.
        """
        with atomic_folder(folder, overwrite=True, marker=WEIGHTS) as target:
            save_file({name: one.contiguous().cpu() for name, one in self.state_dict().items()}, target / WEIGHTS)
            config = {"kind": KIND, "classes": list(self.classes), **self.settings}
            text = json.dumps(config, indent=2, ensure_ascii=False)
            (target / CONFIG).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> TagClassifier:
        """Read what `save_pretrained` wrote.

        Raises:
            SpaceError: no such folder, or one that is incomplete, altered, or of something else.
        """
        folder = Path(folder)
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            state = load_file(folder / WEIGHTS)
        except (OSError, ValueError, SafetensorError) as error:
            raise SpaceError(f"{folder}: no tag classifier can be read there ({error})") from error
        if not isinstance(config, dict) or config.pop("kind", None) != KIND:
            raise SpaceError(f"{folder}: {CONFIG} is not that of a tag classifier")
        try:
            model = cls(config.pop("classes"), **config)
            model.load_state_dict(state)
        except (KeyError, TypeError, RuntimeError, PairspaceError) as error:
            raise SpaceError(f"{folder}: {CONFIG} and {WEIGHTS} do not fit each other ({error})") from error
        return model.eval()
