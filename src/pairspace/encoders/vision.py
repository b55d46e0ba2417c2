"""Image encoders that transformers loads from a folder: ViT, DINOv2, and the vision towers of CLIP and SigLIP.

Layers are vectors of one pass: "0" the embedded patches, "1" and on what each block gave, "last" the output. A block is
pooled as its model does: the class token where there is one, else the mean of the patches; "0" is always the mean,
since a class token knows nothing yet. "last" is the image embedding of CLIP (projected) and SigLIP (its pooling head),
the class token's output of the others; where there is a projection, "pooled" is what goes into it. Maps are the patch
tokens of the output, row by row: "map", and "map_projected" in the space of CLIP's texts.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from pairspace.data.files import atomic_folder
from pairspace.encoders.fingerprint import fingerprint, model_files
from pairspace.encoders.image import MAP, ImageEncoder
from pairspace.encoders.layout import Layout, refuse_pickles
from pairspace.encoders.parts import load_part
from pairspace.encoders.preprocessing import read_preprocessing
from pairspace.encoders.protocol import SAVED
from pairspace.errors import EncoderError

__all__ = ["PROJECTED", "VisionEncoder", "VisionModule", "has_text", "has_vision", "model_config", "tower_scale"]

PROJECTED, POOLED = "map_projected", "pooled"
_WITH_PROJECTION = "VisionModelWithProjection"  # how such architectures are called


def model_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a folder; empty where it cannot be read."""
    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def has_vision(config: dict[str, Any]) -> bool:
    """Whether a model reads pictures in patches."""
    own = config.get("vision_config") or config
    return "vision_config" in config or ("patch_size" in own and "vocab_size" not in own)


def has_text(config: dict[str, Any]) -> bool:
    """Whether a model of pictures has a tower for texts too."""
    return "vision_config" in config and "text_config" in config


def tower_scale(encoder: Any) -> tuple[float | None, float]:
    """Scale and bias of the cosines that a model with two towers was trained with; (None, 0) of all others.

    CLIP keeps `logit_scale`, the logarithm of the scale; SigLIP keeps `logit_bias` too.
    """
    found = {"logit_scale": None, "logit_bias": 0.0}
    if isinstance(encoder, VisionEncoder) and has_text(model_config(encoder.folder)):
        for path in model_files(encoder.folder).values():
            if path.suffix == ".safetensors":
                with safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
                    there = set(file.keys())
                    found |= {name: float(file.get_tensor(name)) for name in there.intersection(found)}
    scale = found["logit_scale"]
    return None if scale is None else math.exp(scale), found["logit_bias"] or 0.0


class VisionModule(nn.Module):
    """Pixels in, one tensor a layer out.

    Args:
        tower: a vision model of transformers.
        projection: of its pooled output, or None.
        grid: patches down and across.
        pools: the tower's own pooled output is its image embedding; else its class token is.
        interpolates: the pictures are of another size than the model was trained on.
    """

    def __init__(
        self, tower: Any, projection: nn.Module | None, *, grid: tuple[int, int], pools: bool, interpolates: bool
    ) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection
        self.grid, self.pools = grid, pools
        self._more = {"interpolate_pos_encoding": True} if interpolates else {}

    def forward(self, pixels: Tensor, layers: Sequence[str]) -> tuple[Tensor, ...]:
        """(n, 3, height, width) -> a float tensor (n, width of the layer) for each of `layers`; of a map
        (n, patches down, patches across, width).
        """
        inner = any(layer.isdigit() for layer in layers)
        out = self.tower(pixel_values=pixels, output_hidden_states=inner, **self._more)
        return tuple(self._layer(layer, out) for layer in layers)

    def _layer(self, layer: str, out: Any) -> Tensor:
        if layer.isdigit():
            return self._pooled(out.hidden_states[int(layer)], first=layer == "0")
        if layer == POOLED or (layer == "last" and self.pools):
            pooled: Tensor = out.pooler_output
            return self._projected(pooled) if layer == "last" else pooled
        if layer == "last":
            return self._pooled(out.last_hidden_state)
        states = self._patches(out.last_hidden_state)
        if self.projection is not None:  # CLIP's last states are those before its last norm
            states = self.tower.post_layernorm(states)
        states = self._projected(states) if layer == PROJECTED else states
        return states.reshape(len(states), *self.grid, states.shape[-1])

    def _projected(self, states: Tensor) -> Tensor:
        projected: Tensor = states if self.projection is None else self.projection(states)
        return projected

    def _patches(self, states: Tensor) -> Tensor:
        """Without the tokens in front of them: the class token, registers."""
        return states[:, states.shape[1] - self.grid[0] * self.grid[1] :]

    def _pooled(self, states: Tensor, *, first: bool = False) -> Tensor:
        has_class = states.shape[1] > self.grid[0] * self.grid[1]
        return states[:, 0] if has_class and not first else self._patches(states).mean(1)


class VisionEncoder(ImageEncoder):
    """The image encoder of a model folder; see `ImageEncoder` for the other options.

    Args:
        name: what the user calls it.
        folder: of transformers, with preprocessor_config.json and safetensors.
        trust_remote_code: run Python code that comes with the model.
    """

    family = "vision"

    def __init__(self, name: str, folder: Path, *, trust_remote_code: bool = False, **options: Any) -> None:
        refuse_pickles(folder)
        super().__init__(name, read_preprocessing(folder), **options)
        self.folder, self._trust = folder, trust_remote_code
        config = model_config(folder)
        own = config.get("vision_config") or config
        try:
            patch, width = int(own["patch_size"]), int(own["hidden_size"])
            blocks, trained_on = int(own["num_hidden_layers"]), own["image_size"]
        except (KeyError, TypeError, ValueError) as error:
            raise EncoderError(
                f"{folder / 'config.json'}: not the settings of an image model that works in patches ({error})"
            ) from None
        self._kind = next((str(kind) for kind in config.get("architectures") or [] if _WITH_PROJECTION in kind), None)
        projects = "clip" in str(config.get("model_type")) and ("vision_config" in config or self._kind is not None)
        self._pools = projects or "siglip" in str(config.get("model_type"))
        height, across = self.preprocessing.size
        self._grid = height // patch, across // patch
        learnt = trained_on if isinstance(trained_on, int) else int(trained_on[0])
        self._interpolates = (height, across) != (learnt, learnt) and "dinov2" not in str(config.get("model_type"))
        self.dimensions = {str(block): width for block in range(blocks + 1)}
        self.maps = {MAP: (*self._grid, width)}
        output = width
        if projects:
            output = int(own.get("projection_dim", 512) if self._kind else config.get("projection_dim", 512))
            self.dimensions[POOLED] = width
            self.maps[PROJECTED] = (*self._grid, output)
        self.dimensions["last"] = output
        self.layers = tuple(self.dimensions)
        self._projects = projects

    @property
    def pools_by_head(self) -> bool:
        """The last layer is what a head of attention makes of the patches, as in SigLIP: they lie in another space."""
        return self._pools and not self._projects

    @cached_property
    def _own_fingerprint(self) -> str:
        return fingerprint(
            model_files(self.folder), {"modality": "image", "preprocessing": self.preprocessing.settings()}
        )

    def _load(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            own: dict[str, Any] = {"weights": True, "output_loading_info": True}
            model, found = load_part(self.folder, self._kind or "AutoModel", self._trust, **own)
        inside = hasattr(model, "vision_model")
        missing = [key for key in found["missing_keys"] if not inside or key.startswith(("vision_model", "visual_"))]
        if missing := sorted(key for key in missing if self._pools or "pooler" not in key):
            raise EncoderError(f"{self.folder}: {missing[0]} has no weights ({len(missing)} such in all)")
        tower = model.vision_model if inside else model
        projection = getattr(model, "visual_projection", None) if self._projects else None
        how: dict[str, Any] = {"grid": self._grid, "pools": self._pools, "interpolates": self._interpolates}
        return VisionModule(tower, projection, **how)

    def _name_or_path(self) -> str:
        return str(self.folder.absolute())

    def settings(self) -> dict[str, Any]:
        """See protocol.Encoder."""
        return super().settings() | {"modality": "image", "trust_remote_code": self._trust}

    def save(self, folder: str | Path) -> None:
        """See protocol.Encoder; of a model with two towers both are written."""
        with atomic_folder(folder, True, marker=SAVED) as target:
            for path in Layout(self.folder, self.folder).all_files(code=self._trust):
                shutil.copyfile(path, target / path.name)
            self._write_saved(target)
