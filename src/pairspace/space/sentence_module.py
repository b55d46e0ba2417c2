"""The modules a space needs that sentence-transformers does not have.

    Transformer or WordTransformer -> Pooling (-> Dense ...) -> JoinLayers -> Dense or Projection -> Normalize

Everything else of a saved space is its stock modules; `sentence` writes the files these are loaded from, by their
dotted path. The layer "words" is made where the embedding table and the tokenizer are, in the transformer's module, so
that no folder holds a second copy of the table. The file stands alone because it imports sentence-transformers, which
nothing else here needs. From version 6 on that library imports a class that is not its own only with
`trust_remote_code=True`, for a local folder too.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.modules import Module, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor

from pairspace.encoders.protocol import WORDS
from pairspace.encoders.words import word_weights, words_of_padded
from pairspace.projectors import create_projector

__all__ = ["JoinLayers", "Projection", "WordTransformer"]


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
            blocks.append(torch.nn.functional.normalize(block, dim=-1))
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


def _where(options: dict[str, Any]) -> dict[str, Any]:
    """Of all that a model hands to `load`, what says where its files are."""
    names = ("token", "cache_folder", "revision", "local_files_only")
    return {name: options[name] for name in names if name in options}
