"""Text encoders that run natively: a transformers model with its pooling, every asked layer in one pass.

Nothing heavy happens before the first text: name, layers, dimensions and fingerprint come from the files, so a run
whose features are all cached never loads the model. Small jobs (a query) run in torch at once; from `_WORTH` tokens
on a quicker engine is made, checked against torch fp32 on some of the very texts at hand, and used only if it agrees.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from pairspace.data.files import atomic_folder
from pairspace.encoders.batching import batches, pad
from pairspace.encoders.device import has_openvino, pick_device, pick_precision
from pairspace.encoders.engines import Batch, Engine, OpenVinoEngine, TorchEngine, agrees_or_warns
from pairspace.encoders.fingerprint import fingerprint, model_files
from pairspace.encoders.layout import Layout, read_layout
from pairspace.encoders.module import TextModule, TokenModule, block_stack
from pairspace.encoders.parts import TRAINED, load_part, model_length
from pairspace.encoders.protocol import SAVED, WORDS, Encoded
from pairspace.encoders.tokens import Tokens
from pairspace.encoders.tuning import TrainableText
from pairspace.encoders.words import WordBag, word_weights
from pairspace.errors import EncoderError
from pairspace.progress import progress_bar

__all__ = ["TransformerEncoder"]

_log = logging.getLogger(__name__)
_WORTH = 20_000  # tokens: about what torch encodes in the time that conversion takes (4 s for MiniLM on 2 cores)
_CHUNK = 8192  # texts tokenised and sorted together
_ALIKE = 0.999  # cosine of vectors from float16 token states to those of the whole model below which they are not used
_LEAST = 0.9999  # cosine to torch fp32 below which an engine is not used


class TransformerEncoder:
    """A text encoder of one model folder; made by `load_encoder`.

    Args:
        name: what the user calls it.
        folder: the model folder; `layout` is what was read there.
        prompt: put before every text; None for the model's own default.
        max_length: tokens kept of a text; None for the model's own.
        device, precision: see `device.py`.
        trust_remote_code: run Python code that comes with the model.

    Attributes:
        layers: "words" (see `words.py`), "0" (embeddings), "1" and on (blocks), "last" (the model's output with heads).
        module: the torch module (loaded at first use), for training and export.
        engine: which engine ran last, in words.
    """

    modality = "text"
    family = "text"
    dtype = "float16"
    from_nothing, ready, sorts = False, True, True  # see protocol.Trainable
    learning_rate = 5e-5

    def __init__(
        self,
        name: str,
        folder: Path,
        layout: Layout,
        *,
        prompt: str | None = None,
        max_length: int | None = None,
        device: str | None = None,
        precision: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        self.name, self.folder, self.layout = name, folder, layout
        self.prompt = layout.default_prompt if prompt is None else prompt
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        self._asked, self._trust = precision, trust_remote_code
        config = load_part(layout.transformer, "AutoConfig", trust_remote_code)
        config = getattr(config, "text_config", None) or config  # of a model with two towers
        self._hf_tokenizer = load_part(layout.transformer, "AutoTokenizer", trust_remote_code)
        self.max_length = model_length(max_length, layout, self._hf_tokenizer, config)
        self.tokens = Tokens(self._hf_tokenizer, max_length=self.max_length, prompt=self.prompt, lower=layout.lower)
        self.width = int(config.hidden_size)
        pooled = self.width * len(layout.modes)
        self.layers: tuple[str, ...] = (WORDS, *map(str, range(int(config.num_hidden_layers) + 1)), "last")
        self.dimensions = dict.fromkeys(self.layers, pooled) | {"last": layout.output_dimension(pooled)}
        self.dimensions[WORDS] = int(getattr(config, "embedding_size", config.hidden_size))
        self.engine = "none yet"
        self._seen = 0
        self._engines: dict[tuple[bool, tuple[str, ...]], Engine] = {}
        self._states_layers: dict[tuple[int, tuple[str, ...]], str | None] = {}
        self._training: TrainableText | None = None
        self.home: Any = None  # what keeps a temporary folder alive

    @cached_property
    def fingerprint(self) -> str:
        """See protocol.Encoder; the weights as they are on disk."""
        return fingerprint(self.layout.files() | model_files(self.layout.transformer), self._identity())

    def _identity(self) -> dict[str, Any]:
        layout = self.layout
        return {
            "prompt": self.prompt,
            "max_length": self.max_length,
            "modes": layout.modes,
            "include_prompt": layout.include_prompt,
            "lower": layout.lower,
        }

    @cached_property
    def module(self) -> TextModule:
        """The torch module, in evaluation mode on `device`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # what the files lack (an unused pooler) is drawn, and must be the same in every run
            model = load_part(self.layout.transformer, "AutoModel", self._trust, weights=True)
        skip = 0 if self.layout.include_prompt else self.tokens.prompt_length
        return TextModule(model, self.layout.modes, self.layout.build_heads(), skip).to(self.device).eval()

    @cached_property
    def words(self) -> WordBag:
        """What gives the layer "words"."""
        transformer: Any = self.module.transformer
        table = transformer.get_input_embeddings().weight
        return WordBag(table, word_weights(self._hf_tokenizer), skip=self.tokens.prompt_length)

    def encode(self, items: Sequence[str], layers: Sequence[str], *, progress: bool | None = None) -> Encoded:
        """The asked layers of every text.

        Args:
            items: texts, or an Arrow array of them.
            layers: names from `layers`; see `resolve_layers`.
            progress: see `progress_bar`.

        Raises:
            EncoderError: an item is no text, or there is no such layer.
        """
        texts = items.to_pylist() if hasattr(items, "to_pylist") else items
        if unknown := [layer for layer in layers if layer not in self.layers]:
            raise EncoderError(f"{self.name} has no layer {unknown[0]!r}; it has {', '.join(self.layers)}")
        vectors = {layer: np.empty((len(texts), self.dimensions[layer]), np.float32) for layer in layers}
        lengths = np.empty(len(texts), np.int32)
        deep = tuple(layer for layer in layers if layer != WORDS)
        with progress_bar(f"encoding with {self.name}", len(texts), unit="texts", show=progress) as bar:
            for start in range(0, len(texts), _CHUNK):
                ids, lengths[start : start + _CHUNK] = self.tokens(texts[start : start + _CHUNK])

                def put(rows: np.ndarray, results: Sequence[np.ndarray], start: int = start) -> None:
                    for layer, result in zip(deep, results, strict=True):
                        vectors[layer][start + rows] = result
                    bar.advance(len(rows))

                if WORDS in layers:
                    vectors[WORDS][start : start + _CHUNK] = self.words(ids)
                if deep:
                    engine = self._pick(ids, deep, total=len(texts))
                    engine.run(self._batches(ids, engine.tokens), deep, put)
                    self.engine = engine.title
        return Encoded(vectors, lengths)

    def states_layer(self, blocks: int, layers: Sequence[str], texts: Sequence[str]) -> str | None:
        """See protocol.Layered."""
        key = blocks, tuple(layers)
        if key not in self._states_layers:
            self._states_layers[key] = self._try_states(*key, texts)
        return self._states_layers[key]

    def _try_states(self, blocks: int, layers: tuple[str, ...], texts: Sequence[str]) -> str | None:
        lower = len(block_stack(self.module.transformer)) - blocks
        if lower < 1 or not {"last", WORDS}.issuperset(layers):
            return None
        inputs, mask = (one.to(self.device) for one in self.collate(self.tokens(texts)[0]))
        states = torch.zeros(*mask.shape, self.width, device=self.device)
        try:
            flat, _ = self.token_states(texts, str(lower))
            states[mask.bool()] = torch.from_numpy(flat).to(self.device).float()
            cosine = self.training_module(blocks=blocks).try_states(inputs, mask, states, layers)
            why = "" if cosine > _ALIKE else f"least cosine to the whole model {cosine:.4f}"
        except (TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
            why = str(error).strip().split("\n")[0]
        if why:
            _log.warning(
                "%s: its lower blocks are run in every step, as token states do not serve (%s)", self.name, why
            )
        return None if why else str(lower)

    def token_states(self, texts: Sequence[str], layer: str) -> tuple[np.ndarray, np.ndarray]:
        """See protocol.Layered."""
        ids, lengths = self.tokens(texts)
        ends = np.cumsum([0, *map(len, ids)])
        states = np.empty((ends[-1], self.width), self.dtype)

        def put(rows: np.ndarray, results: Sequence[np.ndarray]) -> None:
            for row, own in zip(rows, results[0], strict=True):
                count = len(ids[row])
                states[ends[row] : ends[row + 1]] = own[len(own) - count :] if self.tokens.pad_left else own[:count]

        engine = self._pick(ids, (layer,), total=len(ids), tokens=True)
        with np.errstate(over="ignore"):  # an infinite state is found where it is stored
            engine.run(self._batches(ids, engine.tokens), (layer,), put)
        self.engine = engine.title
        return states, lengths

    def split_passages(self, texts: Sequence[str], *, stride: int = 0) -> tuple[list[str], np.ndarray]:
        """Cut long texts into passages that fit; see `Tokens.split`."""
        return self.tokens.split(texts, stride=stride)

    def settings(self) -> dict[str, Any]:
        """Arguments with which `load_encoder` makes this encoder again."""
        name = self.name if self.name == "minilm" else str(self.folder.absolute())
        own = {"prompt": self.prompt, "max_length": self.max_length, "precision": self._asked}
        return {"name_or_path": name, **own, "trust_remote_code": self._trust}

    def save(self, folder: str | Path) -> None:
        """Copy the model's files, with prompt and maximum length, so that `load_encoder(folder)` gives the same.

        Raises:
            StorageError: the folder cannot be written, or holds something else.
        """
        own = {"family": self.family, "name": self.name, "prompt": self.prompt, "max_length": self.max_length}
        own["precision"] = self._asked
        with atomic_folder(folder, True, marker=SAVED) as target:
            for path in self.layout.all_files(code=self._trust):
                copy = target / path.relative_to(self.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            (target / SAVED).write_text(json.dumps({"format": 1, **own}, indent=2), "utf-8")

    def begin(self, texts: Any, *, seed: int) -> None:
        """Nothing to begin: the weights are there."""

    def collate(self, ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids to what the module takes: padded ids and their mask."""
        return pad(ids, value=self.tokens.pad, left=self.tokens.pad_left)

    def training_module(self, *, blocks: int | None = None, lora: int | None = None) -> TrainableText:
        """The module made ready to train; see `TrainableText`."""
        if self._training is None:
            weights = torch.from_numpy(word_weights(self._hf_tokenizer))
            skip = self.tokens.prompt_length
            self._training = TrainableText(self.module, weights, skip=skip, blocks=blocks, lora=lora).to(self.device)
        return self._training

    def after_training(self) -> Self:
        """A new encoder with the weights as trained, in a folder of its own that goes when the encoder does.

        This one forgets them: it is again what its files say. Where nothing was made ready to train, it is this one.
        """
        if self._training is None:
            return self
        module = self._training.finish()
        trained = self.elsewhere(self.name if self.name.endswith(TRAINED) else self.name + TRAINED, module)
        self.__dict__.pop("module", None)
        self.__dict__.pop("words", None)
        self._training, self._engines = None, {}
        return trained

    @staticmethod
    def read_layout(folder: Path) -> Layout:
        """What a copy of the folder says of itself."""
        return read_layout(folder)

    def elsewhere(self, name: str | None = None, module: TextModule | None = None) -> Self:
        """A copy in a temporary folder that goes when the copy does, with the weights of `module` if one is given."""
        home = tempfile.TemporaryDirectory(prefix="pairspace-encoder-")
        folder = Path(home.name) / "encoder"
        self.save(folder)
        if module is not None:
            self.layout.write_weights(module, folder)
        own: dict[str, Any] = {"prompt": self.prompt, "max_length": self.max_length, "device": str(self.device)}
        own |= {"precision": self._asked, "trust_remote_code": self._trust}
        copy = type(self)(name or self.name, folder, self.read_layout(folder), **own)
        copy.home = home
        return copy

    def _batches(self, ids: Sequence[Sequence[int]], tokens: int) -> Iterator[Batch]:
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        for rows in batches(lengths, tokens=tokens):
            yield rows, *self.collate([ids[row] for row in rows])

    def _pick(
        self, ids: Sequence[Sequence[int]], layers: tuple[str, ...], total: int, *, tokens: bool = False
    ) -> Engine:
        """The engine for these layers: torch for little work, else the quickest that agrees with it.

        Args:
            ids: of some of the texts.
            layers: to be had in one pass; of token states one alone.
            total: how many texts there are.
            tokens: the states of single tokens are wanted.
        """
        for (kind, covered), engine in self._engines.items():
            if kind == tokens and set(layers) <= set(covered):
                return engine
        module = TokenModule(self.module.transformer).eval() if tokens else self.module
        plain, least = TorchEngine(module, self.device), _ALIKE if tokens else _LEAST
        count = sum(map(len, ids))
        self._seen += count
        if self._seen - count + count * total / max(1, len(ids)) < _WORTH:
            return plain
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        some = [ids[row] for row in order[:: max(1, len(order) // 12)]]
        sample = list(self._batches(some, tokens=max(256, sum(map(len, some)) // 3)))
        candidates = map(self._try, self._candidates(module, layers))
        good = (one for one in candidates if one and agrees_or_warns(one, plain, sample, layers, least))
        self._engines[tokens, layers] = next(good, plain)
        return self._engines[tokens, layers]

    def _candidates(self, module: TextModule | TokenModule, layers: tuple[str, ...]) -> list[Callable[[], Engine]]:
        bf16 = self.precision == "bf16"
        if self._asked == "fp32":
            return []
        if self.device.type == "cuda":
            return [lambda: TorchEngine(module, self.device, bf16=True)] if bf16 else []
        if self.device.type != "cpu" or not has_openvino():
            return []
        kinds = (True, False) if bf16 else (False,)
        return [lambda kind=kind: OpenVinoEngine(module, layers, bf16=kind) for kind in kinds]  # type: ignore[misc]

    def _try(self, make: Callable[[], Engine]) -> Engine | None:
        try:
            return make()
        except Exception as error:
            _log.warning("%s: no faster engine (%s); torch is used", self.name, str(error).strip().splitlines()[:1])
            return None
