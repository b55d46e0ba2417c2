"""A space as a tagger: classes are words on its side of texts, and nothing is trained.

    whole    softmax or sigmoid over the classes of cos(picture, class) / t                            (`scores`)
    local    TagCLIP where the pictures' encoder is CLIP's, else its map version; averaged with whole  (`local`)

t is what a trained space has learnt, and of a model with two towers the model's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from pairspace.encoders.pictures import pixel_batches
from pairspace.encoders.vision import PROJECTED, tower_scale
from pairspace.errors import EncoderError, PairspaceError, SpaceError
from pairspace.progress import progress_bar
from pairspace.space import Space, class_space
from pairspace.space.pictures import picture_sides
from pairspace.tagging.checks import check_classes, check_items
from pairspace.tagging.local import LocalOptions, LocalScores, local_scores
from pairspace.tagging.maps import MapOptions, map_scores
from pairspace.tagging.places import map_layer, place_vectors, wanted_maps
from pairspace.tagging.scores import global_scores
from pairspace.tagging.templates import BACKGROUND, PHOTO, class_vectors

__all__ = ["ZeroShot", "open_space"]

CLASSIFIER = "efficientnet-lite0"  # what stands in for CLIP where there is none
_VALUES = 1 << 21  # of vectors scored at once: 4,096 of 512 dimensions, 70 of 30,000 terms


def open_space(model: str, *, device: str | None = None, cache: bool = True, trust_remote_code: bool = False) -> Space:
    """A space for classes that are named in words, from what may be at hand.

    Args:
        model: the folder of a space; the folder or hub name of a model with two towers, such as CLIP; or
            "efficientnet-lite0", whose own classes then stand between pictures and words (`class_space`), and which a
            text encoder may follow ("efficientnet-lite0+e5-multilingual"; minilm by default).
        device: as in `Space.create`.
        cache: likewise.
        trust_remote_code: likewise.

    Raises:
        SpaceError: the folder holds no space that can be read, or the model reads pictures or texts alone.
        EncoderError: there is no such model.
    """
    more: dict[str, Any] = {"device": device, "cache": cache, "trust_remote_code": trust_remote_code}
    if (Path(model) / "projectors.safetensors").exists():
        return Space.from_pretrained(model, **more)
    pictures, _, texts = model.partition("+")
    if pictures == CLASSIFIER:
        pair = (pictures, texts or "minilm")
        return class_space(sides=("image", "text"), encoder=pair, query_side="text", device=device, cache=cache)
    sides = {"image": "image", "text": "text"}
    return Space.create(sides, encoder=model, projector="identity", query_side="text", name=Path(model).name, **more)


class ZeroShot:
    """Scores of classes that are named in words.

    Args:
        space: trained, or of a model with two towers.
        classes: names.
        side: of the items; by default that of pictures, else the document side.
        words: the side that class names are texts of; by default the first one of texts, other than `side` if possible.
        templates: sentences with `{}` where the name goes.
        background: words for what is no object; they take part in local scores alone.
        kind: "softmax" over the classes, or "sigmoid" of each.
        temperature: t; None takes the space's own.

    Attributes:
        vectors: unit vectors of the classes, (classes, dimension).

    Raises:
        SpaceError: no such side, or none of texts.
        PairspaceError: an unknown kind, a temperature that is not above 0, or one class alone under a softmax, which
            gives it 1 whatever the picture.
        DataError: a class that is empty or there twice, or a template without `{}`.
    """

    def __init__(
        self,
        space: Space,
        classes: Sequence[str],
        *,
        side: str | None = None,
        words: str | None = None,
        templates: Sequence[str] = PHOTO,
        background: Sequence[str] = BACKGROUND,
        kind: Literal["softmax", "sigmoid"] = "softmax",
        temperature: float | None = None,
    ) -> None:
        self.space, self.classes = space, check_classes(classes)
        if kind not in ("softmax", "sigmoid"):
            raise PairspaceError(f"kind must be softmax or sigmoid, got {kind!r}")
        if kind == "softmax" and len(self.classes) == 1:
            raise PairspaceError(
                f"one class only, {self.classes[0]!r}: a softmax gives it 1 whatever the item; name others beside it, "
                "or let each class stand alone: kind='sigmoid', `pairspace tag --kind sigmoid`"
            )
        if temperature is not None and not temperature > 0:
            raise PairspaceError(f"temperature must be above 0, got {temperature:g}")
        self.side = side or next(iter(picture_sides(space)), space.document_side)
        space.part(self.side)  # says which sides there are, where this is none
        texts = [name for name in space.sides if space.part(name).encoder.modality == "text"]
        self.words = words or next((name for name in texts if name != self.side), next(iter(texts), None))
        if self.words not in texts:
            wrong = f"side '{words}' is none of" if words else "this space has no side of"
            raise SpaceError(
                f"classes are named in words, and {wrong} texts (sides of texts: {', '.join(texts) or '-'})"
            )
        scale, bias = (None, space.bias or 0.0) if space.trained else tower_scale(self.encoder)
        self.kind, self.bias = kind, bias
        own = space.temperature.value if scale is None else 1 / scale
        self.temperature = own if temperature is None else temperature
        self.vectors = class_vectors(self._encode, self.classes, templates=templates)
        self._background = list(background)

    def scores(self, items: Any, *, progress: bool | None = None) -> np.ndarray:
        """Scores of whole items, float32 (n, classes), between 0 and 1.

        Args:
            items: of the side; a sequence or Arrow array.
            progress: see `progress_bar`.

        Raises:
            DataError: one item alone, or one that cannot be read.
        """
        found = self.space.encode(check_items(items), side=self.side, progress=progress)
        out = np.empty((found.shape[0], len(self.classes)), np.float32)
        how: dict[str, Any] = {"kind": self.kind, "temperature": self.temperature, "bias": self.bias}
        step = max(1, _VALUES // self.vectors.shape[1])
        for start in range(0, len(out), step):
            rows = slice(start, start + step)
            out[rows] = global_scores(_dense(found[rows]), self.vectors, **how)
        return out

    @property
    def encoder(self) -> Any:
        """Of the items."""
        return self.space.part(self.side).encoder

    @property
    def of_pictures(self) -> bool:
        """Its items are pictures."""
        return bool(self.encoder.modality == "image")

    @property
    def reads_patches(self) -> bool:
        """Its pictures' encoder has CLIP's attention, so that TagCLIP can be used; else there must be a map."""
        return map_layer(self.encoder, self.space.part(self.side).branches[0].layers) == PROJECTED

    def local(self, items: Any, *, mix: float = 0.5, progress: bool | None = None) -> np.ndarray:
        """Scores from the parts of pictures, float32 (n, classes).

        Args:
            items: pictures.
            mix: share of the whole pictures' own scores, between 0 and 1.
            progress: see `progress_bar`.

        Raises:
            EncoderError: the encoder gives no parts (says which do), or the side adds several encoders.
            PairspaceError: `mix` is out of range.
        """
        if not 0 <= mix <= 1:
            raise PairspaceError(f"mix must lie between 0 and 1, got {mix:g}")
        items = check_items(items)
        found = np.empty((len(items), len(self.classes)), np.float32)
        for rows, scores, _ in self._parts(items, progress):
            found[rows] = scores
        return (1 - mix) * found + mix * self.scores(items, progress=progress) if mix else found

    def heat(self, items: Any, names: Sequence[Sequence[str]]) -> list[dict[str, np.ndarray]]:
        """Where pictures show these classes: a map (height, width) a name, float32, for each picture.

        Args:
            items: pictures.
            names: of each picture, some of the classes.

        Raises:
            EncoderError: as `local`.
            DataError: a name that is no class.
            ShapeError: not as many lists of names as pictures.
        """
        maps = ((rows, heat) for rows, _, heat in self._parts(check_items(items), False))
        return wanted_maps(maps, self.classes, names)

    def _parts(self, items: Any, progress: bool | None) -> Any:
        """Rows, scores and heat of some pictures at a time."""
        part = self.space.part(self.side)
        if len(part.branches) > 1:
            raise EncoderError(f"side '{self.side}' adds {part.name}, and the parts of a picture are one encoder's")
        if self.reads_patches:
            yield from self._by_attention(items, progress)
            return
        encoder, background = self.encoder, self._nothing()
        layer = map_layer(encoder, part.branches[0].layers)
        options = MapOptions(self.temperature, 0.3)
        for rows, features in place_vectors(encoder, layer, items, cache=self.space.cache, progress=progress):
            flat = self.space.encode(features.reshape(-1, features.shape[-1]), side=self.side)
            maps = _dense(flat).reshape(*features.shape[:3], -1)
            found = map_scores(maps, self.vectors, features=features, background=background, options=options)
            yield rows, found.scores, found.heat

    def _by_attention(self, items: Any, progress: bool | None) -> Any:
        encoder, background = self.encoder, self._nothing()
        model, options = self._model(encoder), LocalOptions(scale=1 / self.temperature)
        pictures = items.to_pylist() if hasattr(items, "to_pylist") else items
        with progress_bar(f"parts of pictures by {encoder.name}", len(pictures), show=progress) as bar:
            for positions, pixels in pixel_batches(pictures, encoder.preprocessing, size=1):
                tensor = torch.from_numpy(pixels).to(encoder.device)
                found: LocalScores = local_scores(model, tensor, self.vectors, background=background, options=options)
                yield slice(int(positions[0]), int(positions[0]) + 1), found.scores[None], found.heat[None]
                bar.advance()

    def _model(self, encoder: Any) -> Any:
        """What `local_scores` reads of a CLIPModel, its projection going on into the space."""
        height, _ = encoder.preprocessing.size
        sizes = SimpleNamespace(patch_size=height // encoder.maps[PROJECTED][0], image_size=height)
        into = _Into(encoder.module.projection, self.space.part(self.side).branches[0].projector)
        config = SimpleNamespace(vision_config=sizes)
        return SimpleNamespace(vision_model=encoder.module.tower, visual_projection=into, config=config)

    def _encode(self, texts: list[str]) -> np.ndarray:
        return _dense(self.space.encode(texts, side=self.words, progress=False))

    def _nothing(self) -> np.ndarray | None:
        """Vectors of the background, less what is itself a class."""
        own = [name for name in self._background if name not in self.classes]
        return class_vectors(self._encode, own, templates=("{}",)) if own else None


class _Into(nn.Module):
    """CLIP's projection of its states, and the space's of what it gives."""

    def __init__(self, projection: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.projection, self.projector = projection, projector

    def forward(self, states: Tensor) -> Tensor:
        """(..., width) to (..., dimension)."""
        inner = nn.functional.normalize(self.projection(states), dim=-1)
        out: Tensor = self.projector(inner.reshape(-1, inner.shape[-1])).reshape(*inner.shape[:-1], -1)
        return out


def _dense(vectors: Any) -> np.ndarray:
    return np.asarray(vectors.toarray() if sparse.issparse(vectors) else vectors, np.float32)
