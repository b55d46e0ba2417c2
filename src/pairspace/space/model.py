"""The space: what users create, fit, save, load and encode with.

It holds no algorithm of its own. Encoders and cache give features, projectors turn them into unit vectors, `fitting`
trains them, `saving` keeps them. The words are sentence-transformers' where they mean the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.data import Pairs
from pairspace.encoders import Encoder
from pairspace.encoders.device import pick_device
from pairspace.encoders.lexicon import Lexicon
from pairspace.errors import SpaceError
from pairspace.features import FeatureCache, JoinedFeatures
from pairspace.neighbours import similarity_matrix
from pairspace.objectives import Temperature
from pairspace.space.building import Plan, build_sides, start_where_related
from pairspace.space.encoding import encode_items, ready_part
from pairspace.space.side import AnyFeatures, Side, WithWords, fingerprint, project
from pairspace.space.worded import Worded
from pairspace.space.words import give_terms, known_terms, own_counts, read_lexicon
from pairspace.training import History, TrainingOptions

__all__ = ["Space"]


class Space(Worded):
    """Sides that share one space; made by `create` or `from_pretrained`.

    Attributes:
        sides: names, in order.
        query_side, document_side: which one is searched with, and which one is searched.
        sparse: its vectors are weights of terms (SciPy CSR, compared by dot product), not unit vectors.
        dimension: of the vectors.
        fusion_weight: weight of the space in its z-score fusion with BM25, learnt on validation; None if it was not.
        language: of the texts, for BM25 ("english", "de", ...; None for no stemming and no stopwords).
        started: False while two encoders of different origin were not yet brought together on pairs.
        trained: False while the projectors are at their start.
        record: how it was trained: pairs, options, scores.
        bias: of the sigmoid loss, where the space was trained with it.
        shared_encoder: the sides' encoders are the same objects, also where they train.
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
        shared_encoder: bool = False,
        device: str | None = None,
    ) -> None:
        self._parts = dict(parts)
        self.shared_encoder = shared_encoder
        self.query_side = query_side or self.sides[0]
        if self.query_side not in self._parts:
            raise SpaceError(f"query_side '{self.query_side}' is not one of the sides {', '.join(self.sides)}")
        self.name, self.language, self.cache = name, language, cache
        self.sparse = any(part.sparse for part in self._parts.values())
        self.temperature = Temperature()
        self.fusion_weight: float | None = None
        self.bias: float | None = None
        self.started, self.trained = False, False
        self.record: dict[str, Any] = {}
        self.path: Path | None = None
        branches = [branch for part in self._parts.values() for branch in part.branches]
        used = next((str(b.encoder.device) for b in branches if hasattr(b.encoder, "device")), None)
        self.device = pick_device(device or used)
        for module in (*(b.projector for b in branches), *(part.echo for part in self._parts.values() if part.echo)):
            module.to(self.device).eval()

    @classmethod
    def create(
        cls,
        sides: Sequence[str] | Mapping[str, str] = ("query", "document"),
        *,
        encoder: str | Encoder | Mapping[str, str | Encoder] = "minilm",
        projector: str | Mapping[str, str] | None = None,
        layers: str | Sequence[str] | Mapping[str, Any] | None = None,
        dimension: int | None = None,
        shared_encoder: bool = False,
        shared_projector: bool = False,
        lexicon: Lexicon | str | Path | None = None,
        head: str | None = None,
        echo: bool | None = None,
        prompt: str | Mapping[str, str] | None = None,
        max_length: int | Mapping[str, int] | None = None,
        precision: str | None = None,
        query_side: str | None = None,
        name: str = "space",
        language: str | None = "english",
        device: str | None = None,
        cache: FeatureCache | bool = True,
        trust_remote_code: bool = False,
        views: int | None = None,
        frame: str | None = None,
    ) -> Space:
        """A new, untrained space.

        Args:
            sides: two or more names; or each with what it holds, {"photo": "image", "caption": "text"}, which decides
                between the two towers of a model such as CLIP. Sides called image, picture or photo hold pictures.
            encoder: a name, folder, hub name, file of features, or encoder; one for all sides or one a side. "static"
                and "transformer" start from nothing ("transformer:384" with its width); "minilm+static" joins two.
            projector: "linear", "residual", "identity" or "lexical" (to words); one for all sides or one a side. By
                default linear, and the identity over encoders that start from nothing.
            layers: "last", "spread" (words, embeddings, two inner layers, last) or names; by default "spread", and
                "last" for an identity projector.
            dimension: of the space; by default the smallest last layer.
            shared_encoder: one encoder for all sides, also where it trains; else each side trains its own.
            shared_projector: one projector for all sides.
            lexicon: the terms of lexical projectors: a file (one a line), "pieces" of the tokenizer, or a `Lexicon`; by
                default the words of the training texts.
            head: of lexical projectors what they begin with: "anchored" (the terms' own vectors), "fixed" (these, which
                stay), "mlm" (that of the encoder's masked language model) or "free" (nothing); by default "anchored".
            echo: beside what lexical projectors find, the texts' own words count; by default they do.
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
            views: augmented views of each picture, of which training draws one a step.
            frame: how a picture becomes square: "own" (as its encoder was trained: mostly a crop), "stretch" or "pad".

        Raises:
            EncoderError: an encoder is unknown or unsafe to load.
            SpaceError: a setting does not fit the sides.
        """
        names = tuple(sides)
        if len(names) < 2 or len(set(names)) != len(names):
            raise SpaceError(f"a space needs two or more sides of different names, got {', '.join(names) or 'none'}")
        how: dict[str, Any] = {"projector": projector, "layers": layers, "prompt": prompt, "max_length": max_length}
        how |= {"precision": precision, "dimension": dimension, "shared_projector": shared_projector}
        how |= {"head": head, "echo": echo, "device": device, "trust_remote_code": trust_remote_code}
        how |= {"modality": sides if isinstance(sides, Mapping) else None, "views": views, "frame": frame}
        parts = build_sides(names, Plan(encoder, shared_encoder=shared_encoder, **how))
        own: dict[str, Any] = {"query_side": query_side, "name": name, "language": language, "device": device}
        kept = FeatureCache() if cache is True else cache or None
        space = cls(parts, cache=kept, shared_encoder=shared_encoder, **own)
        if start_where_related(parts):
            space.keep_start()
        terms = known_terms(space) if lexicon is None else read_lexicon(space, lexicon)
        if terms is not None and space.sparse:
            give_terms(space, terms)
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
        return self._parts[self.sides[0]].dimension

    @property
    def fingerprint(self) -> str:
        """32 hex digits over encoders, layers and projectors: equal fingerprints give equal vectors."""
        return fingerprint(self._parts)

    def part(self, side: str | None = None) -> Side:
        """Encoders and projectors of a side; the query side if none is named.

        Raises:
            SpaceError: there is no such side.
        """
        side = side or self.query_side
        if side not in self._parts:
            raise SpaceError(f"no side '{side}' in this space: it has {', '.join(self.sides)}")
        return self._parts[side]

    def features(
        self, items: Any, side: str, *, start: bool = False, cache: bool = True, progress: bool | None = None
    ) -> AnyFeatures:
        """The features of items, from the cache where they are there; with an echo, their own words beside them.

        Args:
            items: what the side's encoders take.
            side: whose encoders to use.
            start: of the encoders as they were before any training.
            cache: keep and reuse them on disk; encoders that are quicker than the disk are not cached.
            progress: show a bar; None where a person can see it.
        """
        part = self.part(side)
        kept = self.cache if cache else None
        branches = part.starting_or_refuse(side) if start else part.branches
        found = [branch.features(items, cache=kept, start=start, progress=progress) for branch in branches]
        features = found[0] if len(found) == 1 else JoinedFeatures(found)
        counts = None if part.echo is None else own_counts(part, items)
        return features if counts is None else WithWords(features, counts)

    @property
    def has_start(self) -> bool:
        """True if the encoders as they were before any training are at hand, so that a report can show them."""
        return self.started and all(part.starting() for part in self._parts.values())

    def fit(
        self,
        pairs: Pairs | Sequence[Pairs],
        *,
        train_encoders: Sequence[str] | None = None,
        validation: float | Pairs | Sequence[Pairs] | None = 0.05,
        teacher: Space | str | None = None,
        options: TrainingOptions | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        progress: bool | None = None,
        after_epoch: Callable[[History], None] | None = None,
        **settings: Any,
    ) -> History:
        """Train on pairs: the projectors, and the encoders where asked; a space trained before goes on from there.

        Args:
            pairs: with this space's sides; several data sets share the batches, see `TrainingOptions.mixing`. A space
                of more than two sides takes data sets of any two of them (`read_pairings`), or of more.
            train_encoders: sides whose pretrained encoders train too. Those that start from nothing always do; None
                goes on with those that trained before.
            validation: share of the pairs (whole groups) to hold out, pairs of your own, or None. It stops training
                early, chooses the weights kept, and says how much own words and BM25 count.
            teacher: a space whose similarities are learnt from, alone (objective="distill", the default of sparse
                spaces) or beside another objective (`teacher_weight`); "dense": linear projectors over the same
                encoders, trained on the same pairs first. A sparse space starts from such maps too.
            options: the training settings; or name single ones: `fit(pairs, epochs=10, batch_size=1024)`.
            checkpoint: folder for a checkpoint an epoch.
            resume: go on from the checkpoint there, bit for bit.
            progress: show bars; None where a person can see them.
            after_epoch: called with the history so far.
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
            train_encoders=train_encoders,
            validation=validation,
            teacher=teacher,
            options=options,
            settings=settings,
            checkpoint=Path(checkpoint) if checkpoint else None,
            resume=resume,
            progress=progress,
            after_epoch=after_epoch,
        )

    def project(self, features: AnyFeatures | np.ndarray, side: str, *, start: bool = False) -> Any:
        """Vectors of features made by `features`, as `encode` gives them.

        Args:
            features: of this side's encoders and layers.
            side: whose projectors to use.
            start: as they were before any training, with features of that time.

        Raises:
            SpaceError: two encoders of different origin that were not yet fit on pairs.
        """
        return project(ready_part(self, side, start=start), features, self.device, start=start)

    def encode(self, items: Any, *, side: str | None = None, cache: bool = True, progress: bool | None = None) -> Any:
        """Vectors of items: unit vectors, or in a sparse space weights of terms.

        Args:
            items: one item, a sequence or Arrow array of them, or a float array (n, features) of features
                made elsewhere.
            side: whose encoder and projector to use; the query side by default.
            cache: keep and reuse the features on disk.
            progress: show a bar; None where a person can see it.

        Returns:
            float32 (n, dimension), (dimension,) for a single item; in a sparse space CSR (n, dimension), also of one.
        """
        return encode_items(self, items, side or self.query_side, cache=cache, progress=progress)

    def encode_start(
        self, items: Any, *, side: str | None = None, cache: bool = True, progress: bool | None = None
    ) -> Any:
        """Vectors as they were before any training; see `encode`."""
        return encode_items(self, items, side or self.query_side, cache=cache, progress=progress, start=True)

    def encode_query(self, items: Any, **options: Any) -> Any:
        """`encode` on the query side."""
        return self.encode(items, side=self.query_side, **options)

    def encode_document(self, items: Any, **options: Any) -> Any:
        """`encode` on the document side."""
        return self.encode(items, side=self.document_side, **options)

    def similarity(self, a: Any, b: Any) -> np.ndarray:
        """Cosine, or in a sparse space dot product, of every row of `a` with every row of `b`: float32 (n, m)."""
        if self.sparse:
            return np.asarray(similarity_matrix(a, b, "dot"))
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

    def push_to_hub(
        self, repo_id: str, *, private: bool = False, token: str | None = None, commit_message: str | None = None
    ) -> str:
        """Write the space, as `save_pretrained` does, to a repository on a model hub, made if needed; its address.

        Raises:
            SpaceError: the hub refused it, or cannot be reached.
        """
        from pairspace.space.hub import push_to_hub

        return push_to_hub(self, repo_id, private=private, token=token, commit_message=commit_message)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        device: str | None = None,
        cache: FeatureCache | bool = True,
        trust_remote_code: bool = False,
        revision: str | None = None,
        token: str | None = None,
    ) -> Space:
        """Load a space from a folder, or from a model hub by name, with a revision and a token where needed.

        Raises:
            SpaceError: a file is missing or was altered, or the folder is no space.
        """
        from pairspace.space.hub import local_folder
        from pairspace.space.saving import load_space

        kept = FeatureCache() if cache is True else cache or None
        folder = local_folder(path, revision=revision, token=token)
        space = load_space(cls, folder, device=device, cache=kept, trust_remote_code=trust_remote_code)
        space.path = Path(path).absolute() if Path(path).exists() else None
        return space

    def keep_start(self) -> None:
        """Remember the projectors as they are now as the state before training."""
        kept: dict[int, Any] = {}
        for part in self._parts.values():
            for branch in part.branches:
                branch.start = kept.setdefault(id(branch.projector), copy.deepcopy(branch.projector).eval())
        self.started = True

    def __repr__(self) -> str:
        sides = ", ".join(f"{side}: {part}" for side, part in self._parts.items())
        known = self.part().lexicon
        size = f"{'no' if known is None else len(known)} terms" if self.sparse else f"{self.dimension} dimensions"
        return f"Space({sides}; {size}, {'trained' if self.trained else 'not trained'})"
