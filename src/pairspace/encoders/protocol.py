"""What every encoder is: a name, a modality, named layers, a fingerprint, and one method that turns items into vectors.

An encoder runs once over the data; the cache keeps what it gave, keyed by the fingerprint, so the fingerprint must
change whenever the vectors could (weights, tokenizer, pooling, prompt, maximum length) and must not change when only
the folder's path does. A new family of encoders is one new file that fits this protocol and one line in `load.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from pairspace.errors import EncoderError

__all__ = ["SAVED", "WORDS", "Encoded", "Encoder", "Layered", "Trainable", "resolve_layers", "spread"]

SAVED = "pairspace_encoder.json"  # the file that `save` adds to a model folder, with the settings on this side
WORDS = "words"  # the layer of weighted token embeddings, see words.py


class Encoded(NamedTuple):
    """What one pass over some items gave.

    Attributes:
        vectors: layer name -> float32 (n, dimension of that layer), in the order of the items.
        lengths: int32 (n,), tokens of each item before any truncation (1 where the modality has no length).
    """

    vectors: dict[str, np.ndarray]
    lengths: np.ndarray


@runtime_checkable
class Encoder(Protocol):
    """item -> named vectors. See the module docstring for what the fingerprint promises."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    @property
    def modality(self) -> str:
        """What its items are: "text", "row" (numbers of rows of the pairs file) or "id"."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """All it can give, "last" included: "0" for embeddings, "1" and on for blocks, "last" for its output."""
        ...

    @property
    def dimensions(self) -> Mapping[str, int]:
        """The width of each layer."""
        ...

    @property
    def max_length(self) -> int | None:
        """Tokens kept of an item, where items have tokens."""
        ...

    @property
    def prompt(self) -> str:
        """What is put before every text."""
        ...

    @property
    def precision(self) -> str:
        """What the vectors are good for: "bf16" promises a cosine of 0.9999 to "fp32"."""
        ...

    @property
    def dtype(self) -> str:
        """What the cache keeps: "float16", or "float32" where no less is exact."""
        ...

    @property
    def fingerprint(self) -> str:
        """32 hex digits over all that decides the vectors; the precision is kept beside it, not in it."""
        ...

    def encode(self, items: Sequence[Any], layers: Sequence[str], *, progress: bool | None = None) -> Encoded:
        """The asked layers of every item, in the items' order."""
        ...

    def settings(self) -> dict[str, Any]:
        """All that `load_encoder` needs to make this encoder again, as plain JSON values."""
        ...

    def save(self, folder: str | Path) -> None:
        """Write the encoder so that `load_encoder(folder)` gives the same fingerprint and vectors."""
        ...


@runtime_checkable
class Trainable(Encoder, Protocol):
    """An encoder whose weights training can change.

    Attributes:
        from_nothing: it starts without weights and vocabulary, and has none before `begin`.
        ready: it can encode.
        sorts: texts of near length should be run together, because padding costs.
        learning_rate: what suits its weights.
        tokens: texts -> (ids of each, cut to the maximum length; int32 lengths before the cut).
    """

    from_nothing: bool
    ready: bool
    sorts: bool
    learning_rate: float
    tokens: Any

    def begin(self, texts: Any, *, seed: int) -> None:
        """Make vocabulary and weights from these texts, where there are none yet."""
        ...

    def collate(self, ids: Sequence[Any]) -> tuple[Any, ...]:
        """Token ids of some texts to the tensors that the module takes."""
        ...

    def training_module(self, *, blocks: int | None = None, lora: int | None = None) -> Any:
        """The torch module to train; called with `(*collated, layers)` it gives one (n, dim) tensor a layer."""
        ...

    def after_training(self) -> Encoder:
        """The encoder with the weights that were learnt; its fingerprint is a new one."""
        ...


@runtime_checkable
class Layered(Trainable, Protocol):
    """A trainable encoder whose last blocks can be trained over the token states of the block below them.

    Its training module then takes `states=` too, (batch, tokens, width), in place of running the blocks below.

    Attributes:
        width: of a token's state.
    """

    width: int

    def states_layer(self, blocks: int, layers: Sequence[str], texts: Sequence[str]) -> str | None:
        """The block whose token states are all that the last `blocks` blocks need to give `layers`.

        Args:
            blocks: how many train.
            layers: that are wanted.
            texts: some to try it on.

        Returns:
            The block's name among the layers; None where there is no such block, or this kind of model gives something
            else from states than from texts, which is then logged.
        """
        ...

    def token_states(self, texts: Sequence[str], layer: str) -> tuple[np.ndarray, np.ndarray]:
        """The states of every token after a block.

        Args:
            texts: n of them.
            layer: the block's name.

        Returns:
            float16 (tokens kept of all texts, width), one text after the other; int32 lengths (n,) before any cut.
        """
        ...


def spread(layers: Sequence[str]) -> tuple[str, ...]:
    """The words, the embeddings, two inner layers a third apart, and the output: of six words, 0, 2, 4 and last.

    Args:
        layers: what an encoder can give; the inner ones are the names that are numbers.
    """
    top = max((int(layer) for layer in layers if layer.isdigit()), default=0)
    inner = dict.fromkeys(round(top * third / 3) for third in range(3))
    words = (WORDS,) if WORDS in layers else ()
    return (*words, *(str(layer) for layer in inner if layer < top), "last")


def resolve_layers(encoder: Encoder, layers: str | Sequence[str] = "last") -> tuple[str, ...]:
    """The layers meant by "last", "spread" or a list of names; "last" always comes last.

    Raises:
        EncoderError: the encoder has no such layer, or none was named.
    """
    if layers == "spread":
        return spread(encoder.layers)
    names = (layers,) if isinstance(layers, str) else tuple(str(layer) for layer in layers)
    if len(names) == 1 and "," in names[0]:
        names = tuple(part.strip() for part in names[0].split(","))
    unknown = [name for name in names if name not in encoder.layers]
    if unknown or not names:
        what = f"no layer {', '.join(map(repr, unknown))}" if unknown else "no layer was named"
        raise EncoderError(f"{encoder.name}: {what}; it has {', '.join(encoder.layers)}, or use 'last' or 'spread'")
    ordered = dict.fromkeys(names)
    return (*(name for name in ordered if name != "last"), *(("last",) if "last" in ordered else ()))
