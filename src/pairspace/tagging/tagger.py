"""A tagger that is trained: encoders that run once, their features cached, and a small classifier over them.

    config.json       what it is, and the layers read
    classifier/       see `TagClassifier`: a few MB
    encoders/image    the encoder of pictures, encoders/text that of texts

Trained with labels (`fit`, Guo 2024), or without any from the scores of a teacher (`distil`, CDUL): then the teacher,
such as a space or CLIP, is not needed any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.data import atomic_folder
from pairspace.encoders import Encoder, load_encoder
from pairspace.encoders.pictures import numbered
from pairspace.encoders.protocol import resolve_layers
from pairspace.errors import EncoderError, PairspaceError, ShapeError, SpaceError
from pairspace.features import FeatureCache, features_of
from pairspace.features.features import unit_rows
from pairspace.tagging.cdul import CdulOptions, train_student
from pairspace.tagging.checks import check_items
from pairspace.tagging.classifier import WEIGHTS, TagClassifier
from pairspace.tagging.joint import JointOptions, fit_classifier
from pairspace.tagging.places import map_layer, place_vectors, wanted_maps

__all__ = ["Tagger"]

CONFIG, KIND = "config.json", "pairspace tagger"
MARKER = f"classifier/{WEIGHTS}"  # what no other folder has: one without is never replaced


class Tagger:
    """Pictures, texts, or both to probabilities of classes.

    Args:
        classifier: over the encoders' features.
        encoders: kind ("image", "text") -> encoder, of the kinds that the classifier takes.
        layers: kind -> layers that are read, side by side.
        cache: for features; None for none.

    Raises:
        ShapeError: encoders and classifier do not fit.
    """

    def __init__(
        self,
        classifier: TagClassifier,
        encoders: Mapping[str, Encoder],
        layers: Mapping[str, Sequence[str]],
        *,
        cache: FeatureCache | None = None,
    ) -> None:
        self.classifier, self.encoders, self.cache = classifier, dict(encoders), cache
        self.layers = {kind: tuple(layers[kind]) for kind in self.encoders}
        sizes = {kind: self._size(kind) for kind in self.encoders}
        if sizes != classifier.dimensions:
            raise ShapeError(f"the classifier takes vectors of {classifier.dimensions}, the encoders give {sizes}")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.classifier.classes

    @property
    def encoder(self) -> Encoder:
        """Of pictures, or where it reads none of texts."""
        return self.encoders["image" if self.of_pictures else "text"]

    @property
    def of_pictures(self) -> bool:
        """It reads pictures."""
        return "image" in self.encoders

    @classmethod
    def fit(
        cls,
        labels: np.ndarray,
        classes: Sequence[str],
        *,
        images: Any = None,
        texts: Any = None,
        encoders: Mapping[str, Encoder],
        layers: Mapping[str, str | Sequence[str]] | None = None,
        options: JointOptions | None = None,
        cache: FeatureCache | None = None,
        progress: bool | None = None,
    ) -> Tagger:
        """Train with labels.

        Args:
            labels: (n, classes), 0 or 1.
            classes: names.
            images: pictures (n,), None in a row that has none; None for a tagger of texts.
            texts: likewise.
            encoders: kind -> encoder.
            layers: kind -> names; "last" by default.
            options: how.
            cache: for features.
            progress: see `progress_bar`.

        Raises:
            PairspaceError: no items, or of a kind without encoder, or an encoder of another kind; and what
                `fit_classifier` refuses.
        """
        chosen = _layers(encoders, layers)
        found = _vectors(encoders, chosen, {"image": images, "text": texts}, cache, progress)
        model = fit_classifier(labels, classes, image=found.get("image"), text=found.get("text"), options=options)
        return cls(model, {kind: encoders[kind] for kind in found}, chosen, cache=cache)

    @classmethod
    def distil(
        cls,
        scores: np.ndarray,
        classes: Sequence[str],
        *,
        images: Any,
        encoder: Encoder,
        layers: str | Sequence[str] = "last",
        options: CdulOptions | None = None,
        cache: FeatureCache | None = None,
        progress: bool | None = None,
    ) -> Tagger:
        """Train without labels.

        Args:
            scores: a teacher's (n, classes), between 0 and 1; see `pseudo_labels`.
            classes: names.
            images: pictures (n,).
            encoder: of pictures, the teacher's or another.
            layers: names.
            options: how.
            cache: for features.
            progress: see `progress_bar`.

        Raises:
            PairspaceError: what `train_student` refuses.
        """
        encoders = {"image": encoder}
        chosen = _layers(encoders, {"image": layers})
        found = _vectors(encoders, chosen, {"image": images}, cache, progress)
        model = train_student(found["image"], scores, classes, options=options).model
        return cls(model, encoders, chosen, cache=cache)

    def scores(self, images: Any = None, texts: Any = None, *, progress: bool | None = None) -> np.ndarray:
        """Probabilities of the classes, float32 (n, classes).

        Args:
            images: pictures (n,), None in a row that has none; None where there are none at all.
            texts: likewise.
            progress: see `progress_bar`.

        Raises:
            PairspaceError: no items, of a kind that this tagger does not read, or a row that has neither.
        """
        found = _vectors(self.encoders, self.layers, {"image": images, "text": texts}, self.cache, progress)
        return self.classifier.predict(found.get("image"), found.get("text"))

    def heat(self, items: Any, names: Sequence[Sequence[str]]) -> list[dict[str, np.ndarray]]:
        """Where pictures show classes: probabilities of each place as if it were a picture of its own.

        Args:
            items: pictures.
            names: of each picture, some of the classes.

        Returns:
            A map (height, width) a name, float32, for each picture.

        Raises:
            PairspaceError: this tagger reads no pictures, its encoder gives no parts of them, or a name is no class.
        """
        if not self.of_pictures:
            raise PairspaceError("this tagger reads texts: there is nothing to show on pictures")
        encoder = self.encoder
        layer = map_layer(encoder, self.layers["image"])
        found = place_vectors(encoder, layer, check_items(items), cache=self.cache, progress=False)
        return wanted_maps(((rows, self._heat(maps)) for rows, maps in found), self.classes, names)

    def _heat(self, maps: np.ndarray) -> np.ndarray:
        found = self.classifier.predict(unit_rows(maps.reshape(-1, maps.shape[-1])))
        return found.reshape(*maps.shape[:3], -1)

    def tags(self, scores: np.ndarray) -> list[list[tuple[str, float]]]:
        """See `TagClassifier.tags`."""
        return self.classifier.tags(scores)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the tagger to a folder; an older one there is replaced.

        Raises:
            StorageError: the disk is full, or the folder holds something else.
        """
        with atomic_folder(folder, overwrite=True, marker=MARKER) as target:
            self.classifier.save_pretrained(target / "classifier")
            for kind, encoder in self.encoders.items():
                encoder.save(target / "encoders" / kind)
            config = {"kind": KIND, "format": 1, "layers": self.layers}
            (target / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls,
        folder: Path | str,
        *,
        device: str | None = None,
        cache: FeatureCache | bool = True,
        trust_remote_code: bool = False,
    ) -> Tagger:
        """Read what `save_pretrained` wrote.

        Raises:
            SpaceError: no such folder, or one that is incomplete, altered, or of something else.
        """
        folder = Path(folder)
        if not cls.is_at(folder):
            raise SpaceError(f"{folder}: no tagger; `pairspace train-tagger` makes one")
        layers = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("layers")
        classifier = TagClassifier.from_pretrained(folder / "classifier")
        more: dict[str, Any] = {"device": device, "trust_remote_code": trust_remote_code}
        kept = FeatureCache() if cache is True else cache or None
        try:
            encoders = {
                kind: load_encoder(folder / "encoders" / kind, modality=kind, **more) for kind in classifier.dimensions
            }
            return cls(classifier, encoders, layers, cache=kept)
        except (KeyError, TypeError, EncoderError, ShapeError) as error:
            raise SpaceError(
                f"{folder}: a tagger that is incomplete or was altered ({error}); train it anew"
            ) from error

    @staticmethod
    def is_at(folder: Path | str) -> bool:
        """Whether a folder is one that `save_pretrained` wrote."""
        try:
            config = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(config, dict) and config.get("kind") == KIND

    def _size(self, kind: str) -> int:
        return sum(self.encoders[kind].dimensions[layer] for layer in self.layers[kind])


def _layers(
    encoders: Mapping[str, Encoder], layers: Mapping[str, str | Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    asked = layers or {}
    for kind, encoder in encoders.items():
        if kind not in ("image", "text") or encoder.modality in {"image", "text"} - {kind}:
            raise PairspaceError(f"encoder {encoder.name} reads {encoder.modality}s, and is given for {kind!r}")
    return {kind: tuple(resolve_layers(encoder, asked.get(kind, "last"))) for kind, encoder in encoders.items()}


def _vectors(
    encoders: Mapping[str, Encoder],
    layers: Mapping[str, Sequence[str]],
    items: Mapping[str, Any],
    cache: FeatureCache | None,
    progress: bool | None,
) -> dict[str, np.ndarray]:
    """Features of the kinds that are given, NaN in a row without an item."""
    found = {}
    for kind, given in items.items():
        if given is None:
            continue
        if kind not in encoders:
            raise PairspaceError(f"no encoder for {kind}s: this tagger reads {_kinds(encoders)}")
        values = given.to_pylist() if hasattr(given, "to_pylist") else list(check_items(given))
        there = np.flatnonzero([_is_there(one) for one in values])
        some = [values[row] for row in there]
        with numbered(there):
            features = features_of(encoders[kind], some, layers[kind], cache=cache, progress=progress)
        found[kind] = np.full((len(values), features.dimension), np.nan, np.float32)
        found[kind][there] = features.rows()
    if not found:
        raise PairspaceError(f"nothing given: this tagger reads {_kinds(encoders)}")
    return found


def _is_there(item: Any) -> bool:
    """Not None, nor NaN as data frames have it, nor a text of blanks."""
    return bool(item.strip()) if isinstance(item, str) else item is not None and not isinstance(item, float)


def _kinds(encoders: Mapping[str, Encoder]) -> str:
    return " and ".join(f"{kind}s" for kind in encoders)
