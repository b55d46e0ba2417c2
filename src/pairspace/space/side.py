"""One side of a space: its branches, each an encoder, the layers taken from it and a projector."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse
from torch import Tensor

from pairspace.data import Pairs
from pairspace.data.picture_paths import locate
from pairspace.encoders import Encoder
from pairspace.encoders.lexicon import Lexicon
from pairspace.errors import FeatureError, SpaceError
from pairspace.features import FeatureCache, Features, JoinedFeatures, TermFeatures, compute_terms, features_of
from pairspace.features.features import unit_rows
from pairspace.neighbours import normalise
from pairspace.projectors import Echo, Projector, join_vectors, to_csr

__all__ = [
    "AnyFeatures",
    "Branch",
    "Side",
    "WithWords",
    "fingerprint",
    "is_sparse",
    "project",
    "wanted_items",
    "with_own_words",
]

CHUNK = 8192  # rows projected at once
CELLS = 1 << 25  # weights of terms held at once as a dense array: 128 MiB


@dataclass
class Branch:
    """An encoder and its projector.

    Attributes:
        encoder: items to features; several branches may hold the same object.
        layers: which of its layers, the last one last.
        projector: features to vectors; several branches may hold the same object.
        start: the projector as it was before any training.
        trains: the encoder's weights change in training.
        origin: the encoder as it was before any training, where it is at hand; it may be `encoder` itself.
    """

    encoder: Any
    layers: tuple[str, ...]
    projector: Projector
    start: Projector
    trains: bool = False
    origin: Encoder | None = None

    @property
    def blocks(self) -> tuple[int, ...]:
        """Dimension of each layer's block in the features."""
        return tuple(self.encoder.dimensions[layer] for layer in self.layers)

    def features(
        self, items: Any, *, cache: FeatureCache | None, start: bool = False, progress: bool | None = None
    ) -> Features | TermFeatures:
        """The encoder's features, from the cache unless the encoder is quicker than the disk.

        Args:
            items: what the encoder takes.
            cache: None for none.
            start: of the encoder as it was before any training.
            progress: show a bar; None where a person can see it.
        """
        encoder: Any = self.origin if start else self.encoder
        if is_sparse(encoder):
            return compute_terms(encoder, items, cache=cache, progress=progress)
        return features_of(encoder, items, self.layers, cache=cache, progress=progress)


@dataclass(frozen=True)
class WithWords:
    """Features of texts, and how often each text holds each term: what an echo needs beside features.

    Attributes:
        features: of the side's encoders.
        counts: CSR (n, terms and columns of unknown words).
    """

    features: Features | JoinedFeatures | TermFeatures
    counts: sparse.csr_array

    def __len__(self) -> int:
        return len(self.features)

    @property
    def truncated(self) -> float:
        """The largest share of items that are longer than an encoder reads."""
        return self.features.truncated

    def rows(self, indices: Any = None) -> np.ndarray:
        """Joined vectors, float32 (n, dimension); see `Features.rows`."""
        return self.features.rows(indices)


AnyFeatures = Features | JoinedFeatures | TermFeatures | WithWords


def is_sparse(encoder: Any) -> bool:
    """The encoder gives weights of terms itself."""
    return bool(getattr(encoder, "sparse", False))


@dataclass
class Side:
    """Branches whose vectors are added; mostly there is one.

    Attributes:
        branches: one an encoder, in the order they were named.
        lexicon: the terms of a sparse space; None for a dense one, and before the terms are known.
        wants_echo: the items' own words count too, where they are texts.
        echo: gives them weights; None before the terms are known.
    """

    branches: tuple[Branch, ...]
    lexicon: Lexicon | None = None
    wants_echo: bool = False
    echo: Echo | None = None

    def __str__(self) -> str:
        parts = (f"{b.encoder.name} [{' '.join(b.layers)}] -> {b.projector.title}" for b in self.branches)
        return " + ".join(parts)

    @property
    def encoder(self) -> Any:
        """The first branch's encoder: the one that says what the side's items are."""
        return self.branches[0].encoder

    @property
    def sparse(self) -> bool:
        """Its vectors are weights of terms."""
        return self.branches[0].projector.sparse

    @property
    def unit(self) -> bool:
        """Its vectors have length one, own words beside them left out."""
        return all(branch.projector.unit for branch in self.branches)

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        if self.lexicon is None:
            return self.branches[0].projector.dimension
        return len(self.lexicon) + (self.lexicon.width if self.wants_echo else 0)

    @property
    def name(self) -> str:
        """Its encoders, as a user writes them."""
        return "+".join(branch.encoder.name for branch in self.branches)

    def starting(self) -> tuple[Branch, ...]:
        """The branches that mean something before training: those of encoders that came with weights."""
        return tuple(branch for branch in self.branches if branch.origin is not None)

    def starting_or_refuse(self, side: str) -> tuple[Branch, ...]:
        """`starting`, of the side that is called so.

        Raises:
            SpaceError: there are none.
        """
        if found := self.starting():
            return found
        raise SpaceError(f"side '{side}' has no encoder that came with weights: before training there is nothing")

    @property
    def starts_equal(self) -> bool:
        """True if the features before training are the same as now: no encoder trained, none was added."""
        return all(branch.origin is branch.encoder for branch in self.branches)

    def items(self, pairs: Pairs, side: str) -> pa.ChunkedArray:
        """What the encoders want of these pairs; see `wanted_items`."""
        return wanted_items(self.encoder, pairs, side)

    def given_features(self, array: np.ndarray) -> np.ndarray:
        """Features a caller brings, each block made a unit vector.

        Raises:
            FeatureError: the wrong dimension, or a value that is not finite.
        """
        layers = [
            (b.encoder.name, layer, size) for b in self.branches for layer, size in zip(b.layers, b.blocks, strict=True)
        ]
        sizes = [size for _, _, size in layers]
        if array.ndim != 2 or array.shape[1] != sum(sizes):
            raise FeatureError(
                f"features of {self.name} have {sum(sizes)} values a row "
                f"({' + '.join(f'{layer}: {size}' for _, layer, size in layers)}), got an array of shape {array.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(array).all(1))
        if len(bad):
            raise FeatureError(f"row {bad[0]} of the features given holds a value that is not finite (NaN or infinity)")
        return np.concatenate([unit_rows(part) for part in np.split(array, np.cumsum(sizes)[:-1], axis=1)], 1)


def fingerprint(parts: Mapping[str, Side]) -> str:
    """32 hex digits over the encoders, layers, projectors and words of all sides."""
    digest = hashlib.blake2b(digest_size=16)

    def add(module: torch.nn.Module) -> None:
        for value in module.state_dict().values():
            digest.update(value.detach().cpu().numpy().tobytes())

    for side, part in parts.items():
        for branch in part.branches:
            digest.update(json.dumps([side, branch.encoder.fingerprint, branch.layers]).encode())
            digest.update(json.dumps(branch.projector.settings()).encode())
            add(branch.projector)
        if part.lexicon is not None:
            digest.update(part.lexicon.fingerprint.encode())
        if part.echo is not None:
            add(part.echo)
    return digest.hexdigest()


def project(part: Side, features: AnyFeatures | np.ndarray, device: torch.device, *, start: bool = False) -> Any:
    """Vectors of items of a side.

    Args:
        part: whose projectors to use.
        features: of all its branches, side by side in a row; with `start` of those that mean something before training.
        device: where to compute.
        start: as the projectors were before any training.

    Returns:
        Unit vectors, float32 (n, dimension); of a sparse space weights of terms, CSR (n, dimension), of length one too
        unless an encoder gave them itself, and with an echo the text's own words behind them.
    """
    branches = part.starting() if start else part.branches
    projectors = [branch.start if start else branch.projector for branch in branches]
    return _project_words(part, projectors, features, device) if part.sparse else _project(projectors, features, device)


@torch.inference_mode()
def _project(projectors: Sequence[Projector], features: AnyFeatures | np.ndarray, device: torch.device) -> np.ndarray:
    out = np.empty((len(features), projectors[0].dimension), np.float32)
    for start, rows in _chunks(features, CHUNK):
        vectors: Tensor = join_vectors(_parts(projectors, rows, device))
        out[start : start + len(rows)] = vectors.cpu().numpy()
    return out


@torch.inference_mode()
def _project_words(
    part: Side, projectors: Sequence[Projector], features: AnyFeatures | np.ndarray, device: torch.device
) -> sparse.csr_array:
    if part.lexicon is None:
        raise SpaceError("this sparse space has no terms yet: fit it on pairs, or create it with a lexicon")
    found = []
    for _, rows in _chunks(features, max(1, CELLS // len(part.lexicon))):
        one = to_csr(torch.stack(_parts(projectors, rows, device)).sum(0))
        found.append(normalise(one) if part.unit else one)
    terms = sparse.vstack(found, format="csr") if found else sparse.csr_array((0, len(part.lexicon)), dtype=np.float32)
    if part.echo is not None and isinstance(features, WithWords):
        return with_own_words(terms, part.echo.weigh(features.counts))
    return sparse.csr_array((terms.data, terms.indices, terms.indptr), (len(features), part.dimension))


def with_own_words(terms: sparse.csr_array, own: sparse.csr_array) -> sparse.csr_array:
    """Weights of terms (n, terms), and behind them those of own words (n, terms and columns of unknown words), CSR."""
    return sparse.hstack([terms, own], format="csr")


def _parts(projectors: Sequence[Projector], rows: np.ndarray, device: torch.device) -> list[Tensor]:
    sizes = [sum(projector.blocks) for projector in projectors]
    parts = torch.split(torch.from_numpy(rows).to(device), sizes, dim=1)
    return [one(part) for one, part in zip(projectors, parts, strict=True)]


def _chunks(features: AnyFeatures | np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(features), size):
        stop = min(start + size, len(features))
        rows = features[start:stop] if isinstance(features, np.ndarray) else features.rows(np.arange(start, stop))
        yield start, rows


def wanted_items(encoder: Any, pairs: Pairs, side: str) -> pa.ChunkedArray:
    """What an encoder wants of these pairs: the side's items, or the rows or ids that features are filed under.

    Raises:
        SpaceError: there are no ids, or the features in row order are of another file.
        DataError: a picture's file is missing.
    """
    modality = encoder.modality
    if modality == "image":
        return locate(pairs, [side]).items(side)
    if modality not in ("row", "id"):
        return pairs.items(side)
    if modality not in pairs.table.column_names:
        raise SpaceError(
            f"the features of side '{side}' are filed by id: read the pairs with id=\"column\" (--id column)"
        )
    filed = getattr(encoder, "rows", None)
    if modality == "row" and filed is not None and filed != pairs.total:
        raise SpaceError(
            f"{encoder.name} holds {filed:,} rows of features, but {pairs.source} has "
            f"{pairs.total:,}: features in row order belong to one file; file them by id to use others"
        )
    return pairs.table[modality]
