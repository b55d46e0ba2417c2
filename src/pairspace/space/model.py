"""The space: what users create, fit, save, load and encode with.

It holds no algorithm of its own. Encoders and cache give features, projectors turn them into unit vectors, `fitting`
trains them, `saving` keeps them. The words are sentence-transformers' where they mean the same.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pairspace.data import Pairs
from pairspace.encoders import Encoder
from pairspace.errors import SpaceError
from pairspace.features import FeatureCache, Features, compute_features
from pairspace.neighbours import similarity_matrix
from pairspace.objectives import Temperature
from pairspace.projectors import Projector
from pairspace.space.side import Side, build_sides, project, start_where_related
from pairspace.training import History, TrainingOptions

__all__ = ["Space"]


class Space:
    """Sides that share one space; made by `create` or `from_pretrained`.

    Attributes:
        sides: names, in order.
        query_side, document_side: which one is searched with, and which one is searched.
        dimension: of the vectors.
        fusion_weight: weight of the space in its z-score fusion with BM25, learnt on validation; None if it was not.
        language: of the texts, for BM25 ("english", "de", ...; None for no stemming and no stopwords).
        started: False while two encoders of different origin were not yet brought together on pairs.
        trained: False while the projectors are at their start.
        record: how it was trained: pairs, options, scores.
        path: the folder it was last saved to or loaded from.
    """

    def __init__(
        self,
        parts: Mapping[str, Side],
        *,
        query_side: str | None = None,
        name: str = "space",
        language: str | None = "english",
        cache: FeatureCache | None = None,
    ) -> None:
        self._parts = dict(parts)
        self.query_side = query_side or self.sides[0]
        if self.query_side not in self._parts:
            raise SpaceError(f"query_side '{self.query_side}' is not one of the sides {', '.join(self.sides)}")
        self.name, self.language, self.cache = name, language, cache
        self.temperature = Temperature()
        self.fusion_weight: float | None = None
        self.started, self.trained = False, False
        self.record: dict[str, Any] = {}
        self.path: Path | None = None
        self.device = torch.device(getattr(self._parts[self.sides[0]].encoder, "device", None) or "cpu")
        for part in self._parts.values():
            part.projector.to(self.device).eval()

    @classmethod
    def create(
        cls,
        sides: Sequence[str] = ("query", "document"),
        *,
        encoder: str | Encoder | Mapping[str, str | Encoder] = "minilm",
        projector: str | Mapping[str, str] = "linear",
        layers: str | Sequence[str] | Mapping[str, Any] | None = None,
        dimension: int | None = None,
        shared_projector: bool = False,
        prompt: str | Mapping[str, str] | None = None,
        max_length: int | Mapping[str, int] | None = None,
        precision: str | None = None,
        query_side: str | None = None,
        name: str = "space",
        language: str | None = "english",
        device: str | None = None,
        cache: FeatureCache | bool = True,
        trust_remote_code: bool = False,
    ) -> Space:
        """A new, untrained space.

        Args:
            sides: two or more names.
            encoder: a name, folder, hub name, file of features, or encoder; one for all sides or one a side.
            projector: "linear", "residual" or "identity"; one for all sides or one a side.
            layers: "last", "spread" (words, embeddings, two inner layers, last) or names; by default "spread", and
                "last" for an identity projector.
            dimension: of the space; by default the smallest last layer.
            shared_projector: one projector for all sides.
            prompt: text put before every item of a side, such as "query: ".
            max_length: tokens an item is cut at; by default the encoder's own.
            precision: "auto" (bf16 where the device has it and the vectors agree), "fp32" or "bf16"; by default "auto",
                and "fp32" where all projectors are the identity, so that the yardstick equals other tools' figures.
            query_side: the side that is searched with; by default the first.
            name: what it is called in reports and in an index.
            language: of the texts, for BM25.
            device: "cuda", "mps" or "cpu"; by default the best there is.
            cache: True for the default feature cache, False for none, or one of your own.
            trust_remote_code: run a model's own Python code; only for models you trust.

        Raises:
            EncoderError: an encoder is unknown or unsafe to load.
            SpaceError: a setting does not fit the sides.
        """
        names = tuple(sides)
        if len(names) < 2 or len(set(names)) != len(names):
            raise SpaceError(f"a space needs two or more sides of different names, got {', '.join(names) or 'none'}")
        parts = build_sides(
            names,
            encoder=encoder,
            projector=projector,
            layers=layers,
            prompt=prompt,
            max_length=max_length,
            precision=precision,
            dimension=dimension,
            shared_projector=shared_projector,
            device=device,
            trust_remote_code=trust_remote_code,
        )
        kept = FeatureCache() if cache is True else cache or None
        space = cls(parts, query_side=query_side, name=name, language=language, cache=kept)
        if start_where_related(parts):
            space.keep_start()
        return space

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides' names, in order."""
        return tuple(self._parts)

    @property
    def document_side(self) -> str:
        """The first side that is not the query side."""
        return next(side for side in self.sides if side != self.query_side)

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return self._parts[self.sides[0]].projector.dimension

    @property
    def trainable(self) -> bool:
        """False for a space of identity projectors only."""
        return any(list(part.projector.parameters()) for part in self._parts.values())

    @property
    def fingerprint(self) -> str:
        """32 hex digits over encoders, layers and projectors: equal fingerprints give equal vectors."""
        digest = hashlib.blake2b(digest_size=16)
        for side, part in self._parts.items():
            digest.update(json.dumps([side, part.encoder.fingerprint, part.layers]).encode())
            digest.update(json.dumps(part.projector.settings()).encode())
            for value in part.projector.state_dict().values():
                digest.update(value.detach().cpu().numpy().tobytes())
        return digest.hexdigest()

    def part(self, side: str | None = None) -> Side:
        """Encoder and projector of a side; the query side if none is named.

        Raises:
            SpaceError: there is no such side.
        """
        side = side or self.query_side
        if side not in self._parts:
            raise SpaceError(f"no side '{side}' in this space: it has {', '.join(self.sides)}")
        return self._parts[side]

    def items(self, pairs: Pairs, side: str) -> pa.ChunkedArray:
        """What a side's encoder wants of these pairs: its items, or the rows or ids that features are filed under."""
        modality = self.part(side).encoder.modality
        if modality in ("row", "id"):
            if modality not in pairs.table.column_names:
                raise SpaceError(
                    f"the features of side '{side}' are filed by id: read the pairs with id=\"column\" (--id column)"
                )
            filed = getattr(self.part(side).encoder, "rows", None)
            if modality == "row" and filed is not None and filed != pairs.total:
                raise SpaceError(
                    f"{self.part(side).encoder.name} holds {filed:,} rows of features, but {pairs.source} has "
                    f"{pairs.total:,}: features in row order belong to one file; file them by id to use others"
                )
            return pairs.table[modality]
        return pairs.items(side)

    def features(self, items: Any, side: str, *, cache: bool = True, progress: bool | None = None) -> Features:
        """The features of items, from the cache where they are there."""
        part = self.part(side)
        if cache and self.cache is not None:
            return self.cache.features(part.encoder, items, part.layers, progress=progress)
        return compute_features(part.encoder, items, part.layers, progress=progress)

    def fit(
        self,
        pairs: Pairs,
        *,
        validation: float | Pairs | None = 0.05,
        options: TrainingOptions | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        progress: bool | None = None,
        **settings: Any,
    ) -> History:
        """Train the projectors on pairs; a space that was trained before goes on from where it is.

        Args:
            pairs: with this space's sides.
            validation: share of the pairs (whole groups) to hold out, pairs of your own, or None. It stops training
                early, chooses the weights kept, and teaches the fusion with BM25.
            options: the training settings; or name single ones: `fit(pairs, epochs=10, batch_size=1024)`.
            checkpoint: folder for a checkpoint an epoch.
            resume: go on from the checkpoint there, bit for bit.
            progress: show bars; None where a person can see them.
            **settings: fields of `TrainingOptions`.

        Returns:
            The history: loss and validation scores an epoch, the state before training as epoch 0.

        Raises:
            TrainingError: nothing to learn from, or training diverged.
            FeatureError: an encoder gave values that are not finite.
        """
        from pairspace.space.fitting import fit

        if options is not None and settings:
            raise SpaceError(f"give either options or single settings, not both: {', '.join(settings)}")
        return fit(
            self,
            pairs,
            validation=validation,
            options=options or TrainingOptions(**settings),
            checkpoint=Path(checkpoint) if checkpoint else None,
            resume=resume,
            progress=progress,
        )

    def project(self, features: Features, side: str, *, start: bool = False) -> np.ndarray:
        """Unit vectors, float32 (n, dimension), of features made by `features`.

        Args:
            features: of this side's encoder and layers.
            side: whose projector to use.
            start: the projector as it was before any training.

        Raises:
            SpaceError: two encoders of different origin that were not yet fit on pairs.
        """
        return project(self._projector(side, start), features, self.device)

    def encode(
        self, items: Any, *, side: str | None = None, cache: bool = True, progress: bool | None = None
    ) -> np.ndarray:
        """Unit vectors of items.

        Args:
            items: one item, a sequence or Arrow array of them, or a float array (n, features) of features
                made elsewhere.
            side: whose encoder and projector to use; the query side by default.
            cache: keep and reuse the features on disk.
            progress: show a bar; None where a person can see it.

        Returns:
            float32 (n, dimension); (dimension,) for a single item.
        """
        return self._encode(items, side or self.query_side, cache=cache, progress=progress, start=False)

    def encode_start(
        self, items: Any, *, side: str | None = None, cache: bool = True, progress: bool | None = None
    ) -> np.ndarray:
        """Unit vectors as they were before any training; see `encode`."""
        return self._encode(items, side or self.query_side, cache=cache, progress=progress, start=True)

    def encode_query(self, items: Any, **options: Any) -> np.ndarray:
        """`encode` on the query side."""
        return self.encode(items, side=self.query_side, **options)

    def encode_document(self, items: Any, **options: Any) -> np.ndarray:
        """`encode` on the document side."""
        return self.encode(items, side=self.document_side, **options)

    def similarity(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Cosine of every row of `a` (n, dimension) with every row of `b` (m, dimension): float32 (n, m)."""
        return np.asarray(similarity_matrix(np.atleast_2d(a), np.atleast_2d(b), "cosine"))

    def split_passages(self, texts: Sequence[str], side: str | None = None) -> tuple[list[str], np.ndarray]:
        """Texts longer than the encoder reads, cut into passages, and which text each passage is of."""
        split = getattr(self.part(side).encoder, "split_passages", None)
        if split is None:
            raise SpaceError(f"the encoder of side '{side or self.query_side}' cannot split texts into passages")
        passages, owners = split(texts)
        return list(passages), np.asarray(owners, np.int64)

    def save_pretrained(self, path: str | Path) -> None:
        """Write the space, encoders included, to a folder that `from_pretrained` and sentence-transformers load."""
        from pairspace.space.saving import save_space

        save_space(self, Path(path))
        self.path = Path(path).absolute()

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        device: str | None = None,
        cache: FeatureCache | bool = True,
        trust_remote_code: bool = False,
    ) -> Space:
        """Load a space from a folder, or from a model hub by name.

        Raises:
            SpaceError: a file is missing or was altered, or the folder is no space.
        """
        from pairspace.space.saving import load_space

        kept = FeatureCache() if cache is True else cache or None
        space = load_space(cls, path, device=device, cache=kept, trust_remote_code=trust_remote_code)
        space.path = Path(path).absolute() if Path(path).exists() else None
        return space

    def keep_start(self) -> None:
        """Remember the projectors as they are now as the state before training."""
        kept: dict[int, Any] = {}
        for part in self._parts.values():
            part.start = kept.setdefault(id(part.projector), copy.deepcopy(part.projector).eval())
        self.started = True

    def _encode(self, items: Any, side: str, *, cache: bool, progress: bool | None, start: bool) -> np.ndarray:
        if isinstance(items, str | bytes):
            return self._encode([items], side, cache=False, progress=progress, start=start).reshape(-1)
        projector = self._projector(side, start)
        if isinstance(items, np.ndarray) and items.dtype.kind == "f":
            return project(projector, self.part(side).given_features(items), self.device)
        return project(projector, self.features(items, side, cache=cache, progress=progress), self.device)

    def _projector(self, side: str, start: bool) -> Projector:
        part = self.part(side)
        if not self.started:
            raise SpaceError(
                "the sides' encoders are of different origin and share no space yet: fit it on pairs, or give "
                "projector='identity' if they do"
            )
        return part.start if start else part.projector

    def __repr__(self) -> str:
        sides = ", ".join(
            f"{side}: {p.encoder.name} [{' '.join(p.layers)}] -> {p.projector.kind}" for side, p in self._parts.items()
        )
        return f"Space({sides}; {self.dimension} dimensions, {'trained' if self.trained else 'not trained'})"
