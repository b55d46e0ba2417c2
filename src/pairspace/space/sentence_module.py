"""The modules a space needs that sentence-transformers does not have.

    Transformer or WordTransformer -> Pooling (-> Dense ...) -> JoinLayers -> Dense or Projection -> Normalize
    SpaceSide                                                                                      -> Normalize

The first row is a side with one pretrained text encoder; what is not named in this file is a stock module. The layer
"words" is made where the embedding table and the tokenizer are, in the transformer's module, so that no folder holds a
second copy of the table. The second row is any other side: encoders that started from nothing, several that are joined,
or models that only sentence-transformers itself runs; there one module does all that the space does. `sentence` writes
the files these are loaded from, by their dotted path. The file stands alone because it imports sentence-transformers,
which nothing else here needs. From version 6 on that library imports a class that is not its own only with
`trust_remote_code=True`, for a local folder too.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import InputModule, Module, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor, nn
from torch.nn.functional import normalize

from pairspace.encoders import load_encoder
from pairspace.encoders.protocol import WORDS, Trainable
from pairspace.encoders.transformer import TransformerEncoder
from pairspace.encoders.words import word_weights, words_of_padded
from pairspace.errors import SpaceError
from pairspace.projectors import Projector, create_projector, join_vectors

__all__ = ["JoinLayers", "Projection", "SpaceSide", "WordTransformer"]

_WEIGHTS = "model.safetensors"


class WordTransformer(Transformer):  # type: ignore[misc]
    """The stock Transformer, with its files and options, that also gives a text as its words.

    Writes `words`, (batch, width of the embedding table), beside what the stock one writes: weight * embedding, summed
    over the distinct tokens of a text without padding and prompt, as `encoders.words` defines it.
    """

    @cached_property
    def _weights(self) -> Tensor:
        return torch.from_numpy(word_weights(self.tokenizer))

    def _should_flatten_inputs(self, *_: Any, **__: Any) -> bool:
        """Keep one text a row, which `_words` reads, with flash attention too."""
        return False

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Run the model, and add the words."""
        features = super().forward(features, **options)
        features[WORDS] = self._words(**features)
        return features

    def _words(self, input_ids: Tensor, attention_mask: Tensor, prompt_length: int | Tensor = 0, **_: Any) -> Tensor:
        """(batch, tokens) of ids and mask, padded on either side, to (batch, dim)."""
        table = self.auto_model.get_input_embeddings().weight
        return words_of_padded(input_ids, attention_mask, table, self._weights, skip=prompt_length)


class JoinLayers(Module):  # type: ignore[misc]
    """Pools inner layers as the model pools its last, makes each a unit vector and joins them.

    Reads `all_layer_embeddings` (hidden states of the Transformer, `output_hidden_states` set), `words` (of a
    `WordTransformer`) and `sentence_embedding` (the model's own output, layer "last"), each only where a layer asks for
    it; writes the joined vector to `sentence_embedding`.

    Args:
        layers: names as an encoder gives them: "words", "0" for the embeddings, "1" and on, "last".
        pooling: the Pooling module of the model.
    """

    config_keys = ["layers"]  # noqa: RUF012

    def __init__(self, layers: list[str], pooling: Any) -> None:
        super().__init__()
        self.layers, self.pooling = list(layers), pooling

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Put the joined layers, (batch, sum of their dimensions), in the place of the last one."""
        states, words = features.pop("all_layer_embeddings", ()), features.pop(WORDS, None)
        rest = {key: value for key, value in features.items() if key != "cls_token_embeddings"}
        blocks: list[Tensor] = []
        for layer in self.layers:
            if layer == "last":
                block = features["sentence_embedding"]
            elif layer == WORDS:
                block = words
            else:
                block = self.pooling(rest | {"token_embeddings": states[int(layer)]})["sentence_embedding"]
            blocks.append(normalize(block, dim=-1))
        features["sentence_embedding"] = torch.cat(blocks, dim=-1)
        return features

    def save(self, output_path: str, *_: Any, **options: Any) -> None:
        """Write the names of the layers, and the pooling in a folder below."""
        self.save_config(output_path)
        below = Path(output_path, "pooling")
        below.mkdir(exist_ok=True)
        self.pooling.save(str(below), **options)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **options: Any) -> JoinLayers:
        """Read what `save` wrote, from a folder or a hub."""
        where = _where(options)
        config = cls.load_config(model_name_or_path, subfolder=subfolder, **where)
        pooling = Pooling.load(model_name_or_path, subfolder=Path(subfolder, "pooling").as_posix(), **where)
        return cls(config["layers"], pooling)


class Projection(Module):  # type: ignore[misc]
    """A projector that is no stock Dense.

    Args:
        **settings: of the projector, as its `settings()` gives them.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = settings
        self.projector = create_projector(**settings)

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace the features of each item by its vector, (batch, dimension), not normalised."""
        features["sentence_embedding"] = self.projector(features["sentence_embedding"])
        return features

    def get_config_dict(self) -> dict[str, Any]:
        """The projector's settings."""
        return dict(self.settings)

    def get_embedding_dimension(self) -> int:
        """Of the space."""
        return int(self.settings["dimension"])

    get_sentence_embedding_dimension = get_embedding_dimension  # its name before 5.4

    def save(self, output_path: str, *_: Any, safe_serialization: bool = True, **__: Any) -> None:
        """Write settings and weights."""
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **options: Any) -> Projection:
        """Read what `save` wrote, from a folder or a hub."""
        where = _where(options)
        module = cls(**cls.load_config(model_name_or_path, subfolder=subfolder, **where))
        cls.load_torch_weights(model_name_or_path, subfolder=subfolder, model=module, **where)
        return module


class SpaceSide(InputModule):  # type: ignore[misc]
    """One side of a space, whole: its encoders, their layers joined, its projectors, the sum of their vectors.

    The encoders put their own prompts before the texts and cut them at their own lengths, as in the space.

    Args:
        encoders: one a branch, in the order of the space.
        projectors: as many; their vectors are joined by `join_vectors`.
    """

    save_in_root = False

    def __init__(self, encoders: Sequence[_Encoder], projectors: Sequence[Projector]) -> None:
        super().__init__()
        self.encoders, self.projectors = nn.ModuleList(encoders), nn.ModuleList(projectors)

    def preprocess(self, inputs: Sequence[str], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        """What each encoder makes of the texts before it computes, under names that begin with its number.

        Args:
            inputs: texts.
            prompt: one more text put before every one of them.

        Raises:
            EncoderError: an item is no text.
        """
        texts = self._prepend_prompt(list(inputs), prompt) if prompt else list(inputs)
        prepared = [encoder.prepare(texts) for encoder, _ in self._branches()]
        return {f"{number}.{name}": value for number, own in enumerate(prepared) for name, value in own.items()}

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add the vectors of the texts, (batch, dimension), of unit length."""
        vectors = []
        for number, (encoder, projector) in enumerate(self._branches()):
            start = f"{number}."
            own = {name.removeprefix(start): value for name, value in features.items() if name.startswith(start)}
            vectors.append(projector(torch.cat([normalize(block, dim=-1) for block in encoder(own)], -1)))
        features["sentence_embedding"] = join_vectors(vectors)
        return features

    def _branches(self) -> list[tuple[_Encoder, Projector]]:
        return list(zip(self.encoders, self.projectors, strict=True))  # type: ignore[arg-type]

    def get_embedding_dimension(self) -> int:
        """Of the space."""
        return self._branches()[0][1].dimension

    get_sentence_embedding_dimension = get_embedding_dimension  # its name before 5.4

    @property
    def max_seq_length(self) -> int | None:
        """Tokens that every encoder of the side reads; None where none has a limit."""
        lengths = [encoder.encoder.max_length for encoder, _ in self._branches()]
        return min((length for length in lengths if length is not None), default=None)

    def on_model_ready(self, model: Any) -> None:
        """Hold the weights of an encoder once, where several sides were loaded from the same folder of it."""
        first: dict[str, _Encoder] = {}
        for side in model.modules():
            for encoder, _ in side._branches() if isinstance(side, SpaceSide) else ():
                encoder.take(first.setdefault(encoder.source, encoder))

    def get_config_dict(self) -> dict[str, Any]:
        """Of each branch the folder of its encoder, seen from this module's own, the layers and the projector."""
        return {
            "branches": [
                {"encoder": f"encoder_{number}", "layers": list(encoder.layers), "projector": projector.settings()}
                for number, (encoder, projector) in enumerate(self._branches())
            ]
        }

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Write the encoders and projectors as they are now; an encoder that is not native, as it was loaded."""
        self.save_config(output_path)
        for number, branch in enumerate(self._branches()):
            branch[0].save(Path(output_path, f"encoder_{number}"))
        weights = {name: value.detach().cpu().contiguous() for name, value in self.projectors.state_dict().items()}
        save_file(weights, Path(output_path, _WEIGHTS))

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **options: Any) -> SpaceSide:
        """Read what `save`, or a space, wrote, from a folder or a hub.

        Raises:
            SpaceError: an encoder or the projectors' weights are missing.
        """
        where, trust = _where(options), bool(options.get("trust_remote_code"))
        encoders, projectors = [], []
        for branch in cls.load_config(model_name_or_path, subfolder=subfolder, **where)["branches"]:
            path = posixpath.normpath(posixpath.join(subfolder, branch["encoder"]))
            here = Path(model_name_or_path, path)
            local = Path(model_name_or_path).is_dir()
            folder = here if local else cls.load_dir_path(model_name_or_path, subfolder=path, **where)
            if path.startswith("..") or folder is None or not Path(folder).is_dir():
                raise SpaceError(
                    f"{model_name_or_path}: no folder {path} in it, where an encoder of this side should be"
                )
            encoder = load_encoder(Path(folder), device="cpu", precision="fp32", trust_remote_code=trust)
            encoders.append(_Encoder(encoder, branch["layers"], source=str(folder)))
            projectors.append(create_projector(**branch["projector"]))
        weights = cls.load_file_path(model_name_or_path, filename=_WEIGHTS, subfolder=subfolder, **where)
        if weights is None:
            raise SpaceError(f"{model_name_or_path}: no {_WEIGHTS} in {subfolder}, so this side has no projectors")
        side = cls(encoders, projectors)
        side.projectors.load_state_dict(load_file(weights))
        return side


class _Encoder(nn.Module):
    """A saved encoder as a module: texts prepared, then its layers computed.

    Args:
        encoder: one that has a torch module.
        layers: which of its layers.
        source: the folder it was loaded from.
    """

    def __init__(self, encoder: Any, layers: Sequence[str], *, source: str) -> None:
        super().__init__()
        self.encoder, self.layers, self.source = encoder, tuple(layers), source
        self.native = isinstance(encoder, Trainable)  # else a SentenceTransformer
        self.module: nn.Module = encoder.training_module() if self.native else encoder.module

    def prepare(self, texts: list[str]) -> dict[str, Any]:
        """The tensors that the module takes, by name."""
        if not self.native:
            prepared: dict[str, Any] = self.encoder.module.preprocess(texts, prompt=self.encoder.prompt or None)
            return prepared
        ids, _ = self.encoder.tokens(texts)
        return {str(number): tensor for number, tensor in enumerate(self.encoder.collate(ids))}

    def forward(self, own: dict[str, Any]) -> tuple[Tensor, ...]:
        """One tensor (batch, width of the layer) for each layer."""
        if not self.native:
            return (self.module(own)["sentence_embedding"],)
        found: tuple[Tensor, ...] = self.module(*(own[name] for name in sorted(own)), layers=self.layers)
        return found

    def take(self, other: _Encoder) -> None:
        """Use another's weights, which are the same."""
        self.encoder, self.module = other.encoder, other.module

    def save(self, folder: Path) -> None:
        """Write the encoder, and where it is native the weights that the module has now."""
        self.encoder.save(folder)
        if isinstance(self.encoder, TransformerEncoder):
            trained: Any = self.module
            self.encoder.layout.write_weights(trained.module, folder)


def _where(options: dict[str, Any]) -> dict[str, Any]:
    """Of all that a model hands to `load`, what says where its files are."""
    names = ("token", "cache_folder", "revision", "local_files_only")
    return {name: options[name] for name in names if name in options}
