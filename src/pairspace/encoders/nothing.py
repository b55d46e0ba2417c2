"""What the encoders that start from nothing have in common: a vocabulary and weights that are theirs alone.

Such an encoder is made without either; `begin(texts, seed=)` trains the vocabulary on a side's texts and draws the
weights. From then on it is an encoder like any other, only that its weights may change: the fingerprint is taken from
them as they are at that moment, never kept.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from pairspace.data.files import atomic_folder
from pairspace.encoders.batching import batches
from pairspace.encoders.device import pick_device
from pairspace.encoders.protocol import SAVED, Encoded
from pairspace.encoders.vocabulary import Vocabulary
from pairspace.errors import EncoderError
from pairspace.progress import progress_bar

__all__ = ["FromNothing"]

_GENERATION = 1  # raised when the code changes what vectors come out of the same weights
_TOKENIZER, _WEIGHTS = "tokenizer.json", "model.safetensors"
_CHUNK = 8192  # texts tokenised together
_ROWS, _TOKENS = 1024, 16384  # most texts and padded tokens in a batch


class FromNothing(ABC):
    """An encoder with a vocabulary and weights of its own; the families differ in their module.

    Args:
        name: what the user calls it.
        max_length: tokens kept of a text; None keeps all, where the family can.
        prompt: put before every text.
        device: see `device.py`.

    Attributes:
        ready: whether it has a vocabulary and weights.
        sorts: whether texts of near length should be run together.
        module: `module(*collate(ids), layers=...)` gives a tensor (n, dim) for each layer, with gradients.
    """

    modality = "text"
    dtype = "float16"
    precision = "fp32"
    from_nothing = True
    learning_rate = 1e-3  # that suits its weights
    family: str
    sorts: bool
    layers: tuple[str, ...]
    dimensions: dict[str, int]

    def __init__(self, name: str, *, max_length: int | None, prompt: str, device: str | None) -> None:
        self.name, self.max_length, self.prompt = name, max_length, prompt
        self.device = pick_device(device)
        self._source = name  # what `load_encoder` is given to make it again
        self._tokens: Vocabulary | None = None
        self._module: nn.Module | None = None

    @abstractmethod
    def begin(self, texts: Sequence[str], *, seed: int) -> None:
        """Train the vocabulary on these texts and draw the weights; the same texts and seed give the same encoder.

        Raises:
            EncoderError: an item is no text, or all are empty.
        """

    @abstractmethod
    def collate(self, ids: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
        """Token ids of some texts as the tensors that the module takes, on the CPU."""

    @abstractmethod
    def _own(self) -> dict[str, Any]:
        """What decides the vectors beside vocabulary and weights, as plain JSON values: arguments of the class."""

    @abstractmethod
    def _build(self) -> nn.Module:
        """The module for this vocabulary, its weights yet to be set."""

    @abstractmethod
    def _read(self, tokenizer: Tokenizer) -> Vocabulary:
        """The vocabulary with this encoder's prompt and maximum length."""

    @property
    def ready(self) -> bool:
        """Whether there is a vocabulary, so that texts can be encoded."""
        return self._tokens is not None and self._module is not None

    @property
    def tokens(self) -> Vocabulary:
        """Texts to token ids and lengths.

        Raises:
            EncoderError: before `begin`.
        """
        if self._tokens is None:
            raise self._not_ready()
        return self._tokens

    @property
    def module(self) -> nn.Module:
        """The torch module.

        Raises:
            EncoderError: before `begin`.
        """
        if self._module is None:
            raise self._not_ready()
        return self._module

    def _not_ready(self) -> EncoderError:
        return EncoderError(f"{self.name} has no vocabulary yet: fit the space on pairs first")

    def training_module(self, *, blocks: int | None = None, lora: int | None = None) -> nn.Module:
        """The module itself, all of which trains: there is nothing pretrained to spare."""
        return self.module

    def after_training(self) -> FromNothing:
        """This encoder: its weights are where they were trained."""
        self.module.eval()
        return self

    @property
    def fingerprint(self) -> str:
        """Over vocabulary, settings and the weights as they are now; before `begin`, over the settings alone."""
        total = hashlib.sha256(json.dumps([_GENERATION, self.family, self._own()], sort_keys=True).encode())
        if self.ready:
            total.update(self.tokens.tokenizer.to_str().encode())
            for name, value in sorted(self.module.state_dict().items()):
                total.update(name.encode() + b"\0" + value.detach().cpu().contiguous().numpy().tobytes())
        return total.hexdigest()[:32]

    def encode(self, items: Sequence[str], layers: Sequence[str], *, progress: bool | None = None) -> Encoded:
        """The asked layers of every text.

        Args:
            items: texts, or an Arrow array of them.
            layers: names from `layers`.
            progress: see `progress_bar`.

        Raises:
            EncoderError: before `begin`, an item is no text, or there is no such layer.
        """
        if unknown := [layer for layer in layers if layer not in self.layers]:
            raise EncoderError(f"{self.name} has no layer {unknown[0]!r}; it has {', '.join(self.layers)}")
        module, asked = self.module, tuple(layers)
        vectors = {layer: np.empty((len(items), self.dimensions[layer]), np.float32) for layer in asked}
        lengths = np.empty(len(items), np.int32)
        device, training = next(module.parameters()).device, module.training
        module.eval()
        try:
            with (
                torch.inference_mode(),
                progress_bar(f"encoding with {self.name}", len(items), unit="texts", show=progress) as bar,
            ):
                for start in range(0, len(items), _CHUNK):
                    ids, lengths[start : start + _CHUNK] = self.tokens(items[start : start + _CHUNK])
                    for rows in self._batches(ids):
                        tensors = (part.to(device) for part in self.collate([ids[row] for row in rows]))
                        for layer, result in zip(asked, module(*tensors, layers=asked), strict=True):
                            vectors[layer][start + rows] = result.float().cpu().numpy()
                        bar.advance(len(rows))
        finally:
            module.train(training)
        return Encoded(vectors, lengths)

    def _batches(self, ids: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        if not self.sorts:
            return (np.arange(start, min(start + _ROWS, len(ids))) for start in range(0, len(ids), _ROWS))
        return batches(np.fromiter(map(len, ids), np.int64, len(ids)), tokens=_TOKENS, rows=_ROWS)

    def settings(self) -> dict[str, Any]:
        """Arguments with which `load_encoder` makes this encoder again; what was learnt since is in `save` only."""
        return {"name_or_path": self._source, "prompt": self.prompt, "max_length": self.max_length}

    def save(self, folder: str | Path) -> None:
        """Write vocabulary, weights and settings, so that `load_encoder(folder)` gives the same.

        Raises:
            EncoderError: before `begin`.
            StorageError: the folder cannot be written, or holds something else.
        """
        own = {"format": 1, "family": self.family, "name": self.name, **self._own()}
        weights = {name: value.detach().cpu().contiguous() for name, value in self.module.state_dict().items()}
        with atomic_folder(folder, True, marker=SAVED) as target:
            self.tokens.tokenizer.save(str(target / _TOKENIZER))
            save_file(weights, target / _WEIGHTS)
            (target / SAVED).write_text(json.dumps(own, indent=2), "utf-8")

    def restore(self, folder: Path) -> None:
        """Take vocabulary and weights from a folder that `save` wrote.

        Raises:
            EncoderError: a file is missing or damaged, or they do not fit each other.
        """
        try:
            self._tokens = self._read(Tokenizer.from_file(str(folder / _TOKENIZER)))
        except Exception as error:  # tokenizers raises plain Exception
            raise EncoderError(f"{folder / _TOKENIZER}: no readable vocabulary ({error})") from None
        try:
            weights = load_file(folder / _WEIGHTS)
            module = self._build()
            module.load_state_dict(weights)
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(f"{folder / _WEIGHTS}: not the weights of this encoder ({reason})") from None
        self._module = module.to(self.device).eval()
        self._source = str(folder)
