"""One side of a space: an encoder, the layers taken from it, and a projector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pairspace.encoders import Encoder, load_encoder, resolve_layers
from pairspace.errors import FeatureError, SpaceError
from pairspace.features import Features
from pairspace.features.features import unit_rows
from pairspace.projectors import Projector, create_projector, start_at_identity

__all__ = ["Side", "build_sides", "per_side", "project", "start_where_related"]

CHUNK = 8192  # rows projected at once


@dataclass
class Side:
    """An encoder and its projector.

    Attributes:
        encoder: items to features; two sides may hold the same object.
        layers: which of its layers, the last one last.
        projector: features to vectors; two sides may hold the same object.
        start: the projector as it was before any training.
    """

    encoder: Encoder
    layers: tuple[str, ...]
    projector: Projector
    start: Projector

    @property
    def blocks(self) -> tuple[int, ...]:
        """Dimension of each layer's block in the features."""
        return tuple(self.encoder.dimensions[layer] for layer in self.layers)

    def given_features(self, array: np.ndarray) -> np.ndarray:
        """Features a caller brings, each block made a unit vector.

        Raises:
            FeatureError: the wrong dimension, or a value that is not finite.
        """
        if array.ndim != 2 or array.shape[1] != sum(self.blocks):
            raise FeatureError(
                f"features of {self.encoder.name} have {sum(self.blocks)} values a row "
                f"({' + '.join(f'{layer}: {size}' for layer, size in zip(self.layers, self.blocks, strict=True))}), "
                f"got an array of shape {array.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(array).all(1))
        if len(bad):
            raise FeatureError(f"row {bad[0]} of the features given holds a value that is not finite (NaN or infinity)")
        parts = np.split(array, np.cumsum(self.blocks)[:-1], axis=1)
        return np.concatenate([unit_rows(part) for part in parts], 1)


def per_side(sides: Sequence[str], value: Any, what: str) -> dict[str, Any]:
    """One value for all sides, or a mapping of one for each.

    Raises:
        SpaceError: the mapping misses a side or names one that is not there.
    """
    if not isinstance(value, Mapping):
        return dict.fromkeys(sides, value)
    if set(value) != set(sides):
        raise SpaceError(f"{what} is given for {', '.join(value)}, but the sides are {', '.join(sides)}")
    return {side: value[side] for side in sides}


def build_sides(
    sides: Sequence[str],
    *,
    encoder: Any,
    projector: Any,
    layers: Any,
    prompt: Any,
    max_length: Any,
    precision: str | None,
    dimension: int | None,
    shared_projector: bool,
    device: str | None,
    trust_remote_code: bool,
) -> dict[str, Side]:
    """Load the encoders, each once, and make a projector for every side."""
    names, kinds, chosen, prompts, lengths = (
        per_side(sides, value, what)
        for value, what in (
            (encoder, "encoder"),
            (projector, "projector"),
            (layers, "layers"),
            (prompt, "prompt"),
            (max_length, "max_length"),
        )
    )
    if precision is None and set(kinds.values()) == {"identity"}:
        precision = "fp32"  # the yardstick equals what other tools compute
    loaded: dict[Any, Encoder] = {}
    encoders: dict[str, Encoder] = {}
    for side in sides:
        key = (names[side], prompts[side], lengths[side])
        if key not in loaded and isinstance(names[side], str):
            settings: dict[str, Any] = {"prompt": prompts[side], "max_length": lengths[side], "device": device}
            settings |= {"precision": precision, "trust_remote_code": trust_remote_code}
            loaded[key] = load_encoder(names[side], **settings)
        encoders[side] = loaded.get(key, names[side])
    wanted = {side: chosen[side] or ("last" if kinds[side] == "identity" else "spread") for side in sides}
    taken = {side: resolve_layers(encoders[side], wanted[side]) for side in sides}
    blocks = {side: tuple(encoders[side].dimensions[layer] for layer in taken[side]) for side in sides}
    dimension = dimension or min(blocks[side][-1] for side in sides)
    if shared_projector and len({(kinds[s], blocks[s]) for s in sides}) > 1:
        raise SpaceError("a shared projector needs sides whose features have the same layers and dimensions")
    built: dict[str, Side] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # what a projector starts with is the same in every run
        for side in sides:
            shared = built[sides[0]].projector if shared_projector and built else None
            module = shared or create_projector(kinds[side], blocks=blocks[side], dimension=dimension)
            built[side] = Side(encoders[side], taken[side], module, module)
    return built


def _origin(encoder: Encoder) -> str:
    """Equal for encoders that differ in prompt or length only: their model's folder, else their fingerprint."""
    return str(getattr(encoder, "folder", None) or encoder.fingerprint)


def start_where_related(parts: Mapping[str, Side]) -> bool:
    """Let projectors begin at the identity where that means something; False where the sides must be aligned first.

    It does where all sides use one encoder (their prompts may differ), and where the user asked for the identity.
    """
    if all(part.projector.kind == "identity" for part in parts.values()):
        return True
    dimensions = {part.projector.dimension for part in parts.values()} | {part.blocks[-1] for part in parts.values()}
    origins = {(_origin(part.encoder), part.layers[-1]) for part in parts.values()}
    if len(origins) > 1 or len(dimensions) > 1:
        if len({id(part.projector) for part in parts.values()}) < len(parts):
            raise SpaceError("a shared projector needs sides that use one encoder and the same last layer")
        return False
    for part in parts.values():
        start_at_identity(part.projector)
    return True


@torch.inference_mode()
def project(projector: Projector, features: Features | np.ndarray, device: torch.device) -> np.ndarray:
    """Unit vectors, float32 (n, dimension), of features or of an array of them."""
    parts = []
    for rows in _chunks(features):
        vectors: Tensor = projector(torch.from_numpy(rows).to(device))
        parts.append(torch.nn.functional.normalize(vectors, dim=1).cpu().numpy())
    if not parts:
        return np.empty((0, projector.dimension), np.float32)
    return np.concatenate(parts)


def _chunks(features: Features | np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(features), CHUNK):
        stop = min(start + CHUNK, len(features))
        yield features[start:stop] if isinstance(features, np.ndarray) else features.rows(np.arange(start, stop))
