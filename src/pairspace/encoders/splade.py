"""SPLADE: a masked language model whose guesses for every token, pooled by their maximum, are the weights of its terms.

    w_v = max_t log(1 + relu(logit_tv))

(Formal et al. 2021, SPLADE v2), over all tokens t of a text, special ones too, that are no padding.
Any model with a masked-language-modelling head serves: load_encoder("splade:folder"), trained for it or to be trained.
The head's output layer is taken off the model, so that what comes out of it are the states before that layer, and
`max_pool_head` does the rest in pieces. The vectors are sparse: CSR, one column a piece of the model's tokenizer.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from torch import Tensor, nn

from pairspace.data.files import atomic_folder
from pairspace.encoders.batching import batches, pad
from pairspace.encoders.device import pick_device
from pairspace.encoders.fingerprint import fingerprint, model_files
from pairspace.encoders.layout import Layout, read_layout
from pairspace.encoders.lexicon import Lexicon
from pairspace.encoders.max_pool_head import max_pool_head
from pairspace.encoders.parts import TRAINED, load_part, masked_model, model_length
from pairspace.encoders.protocol import SAVED, Encoded
from pairspace.encoders.quiet import quiet
from pairspace.encoders.tokens import Tokens
from pairspace.errors import EncoderError
from pairspace.progress import progress_bar

__all__ = ["SpladeEncoder", "SpladeModule"]

_CHUNK = 8192  # texts tokenised and sorted together
_TOKENS = 4096  # padded tokens a batch


class SpladeModule(nn.Module):
    """A masked language model with its output layer set apart.

    Args:
        model: of transformers, with an output layer over its vocabulary; it is changed.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        output = model.get_output_embeddings()
        self.model, self.output = model, output
        children = ((parent, *named) for parent in model.modules() for named in parent.named_children())
        self._place = next((parent, name) for parent, name, child in children if child is output)
        self._put(nn.Identity())

    def _put(self, layer: nn.Module) -> None:
        """Set the layer that stands where the output layer was."""
        parent, name = self._place
        setattr(parent, name, layer)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[str] = ("last",)
    ) -> tuple[Tensor, ...]:
        """Weights of terms, (batch, terms), once for each of `layers`."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        bias = self.output.bias if self.output.bias is not None else hidden.new_zeros(len(self.output.weight))
        weights = max_pool_head(hidden, attention_mask, self.output.weight, bias)
        return tuple(weights for _ in layers)

    def train(self, mode: bool = True) -> SpladeModule:
        """The mode of the wrapper alone: inside it stays that of evaluation, which is without dropout of any kind."""
        super().train(mode)
        self.model.eval()
        return self

    def write(self, folder: Path) -> None:
        """Save the model as transformers does, its output layer in its place."""
        self._put(self.output)
        try:
            with quiet():
                self.model.save_pretrained(folder)
        finally:
            self._put(nn.Identity())


class SpladeEncoder:
    """A SPLADE model of one folder; arguments as in `TransformerEncoder`, made by `load_encoder("splade:...")`."""

    family = "splade"
    modality = "text"
    dtype = "float16"
    precision = "fp32"
    sparse = True
    from_nothing, ready, sorts = False, True, True  # see protocol.Trainable
    learning_rate = 2e-5
    layers: tuple[str, ...] = ("last",)

    def __init__(
        self,
        name: str,
        folder: Path,
        layout: Layout,
        *,
        prompt: str | None = None,
        max_length: int | None = None,
        device: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        self.name, self.folder, self.layout = name, folder, layout
        self.prompt = layout.default_prompt if prompt is None else prompt
        self.device, self._trust = pick_device(device), trust_remote_code
        config = load_part(layout.transformer, "AutoConfig", trust_remote_code)
        tokenizer = load_part(layout.transformer, "AutoTokenizer", trust_remote_code)
        self.max_length = model_length(max_length, layout, tokenizer, config)
        self.tokens = Tokens(tokenizer, max_length=self.max_length, prompt=self.prompt, lower=layout.lower)
        self.lexicon = Lexicon.from_tokenizer(self.tokens.backend)
        if len(self.lexicon) > int(config.vocab_size):
            raise EncoderError(
                f"{folder}: the tokenizer has {len(self.lexicon):,} pieces, the model {int(config.vocab_size):,}: "
                "it is another model's"
            )
        self.dimensions = {"last": len(self.lexicon)}
        self._training: SpladeModule | None = None
        self.home: Any = None  # what keeps a temporary folder alive

    @cached_property
    def fingerprint(self) -> str:
        """See protocol.Encoder; the weights as they are on disk."""
        own = {"family": "splade", "prompt": self.prompt, "max_length": self.max_length, "lower": self.layout.lower}
        return fingerprint(model_files(self.layout.transformer), own)

    @cached_property
    def module(self) -> SpladeModule:
        """The torch module, in evaluation mode on `device`."""
        model = masked_model(self.layout.transformer, self._trust)
        return SpladeModule(model).to(self.device).eval()

    def encode_sparse(self, items: Sequence[str], *, progress: bool | None = None) -> tuple[csr_array, np.ndarray]:
        """Weights of terms.

        Args:
            items: texts, or an Arrow array of them.
            progress: see `progress_bar`.

        Returns:
            float32 CSR (n, terms), and int32 lengths (n,) in tokens before any cut.

        Raises:
            EncoderError: an item is no text.
        """
        texts = items.to_pylist() if hasattr(items, "to_pylist") else list(items)
        lengths, parts = np.empty(len(texts), np.int32), []
        module = self.module  # loaded outside of inference mode, or it could not be trained
        with torch.inference_mode(), progress_bar(f"encoding with {self.name}", len(texts), show=progress) as bar:
            for start in range(0, len(texts), _CHUNK):
                ids, lengths[start : start + _CHUNK] = self.tokens(texts[start : start + _CHUNK])
                sizes = np.fromiter(map(len, ids), np.int64, len(ids))
                found, order = [], []
                for rows in batches(sizes, tokens=_TOKENS):
                    given = (one.to(self.device) for one in self.collate([ids[row] for row in rows]))
                    weights = module(*given)[0][:, : len(self.lexicon)].cpu().numpy()
                    found.append(csr_array(weights))
                    order.append(rows)
                    bar.advance(len(rows))
                parts.append(vstack(found, format="csr")[np.argsort(np.concatenate(order))])
        if not parts:
            return csr_array((0, len(self.lexicon)), dtype=np.float32), lengths
        return vstack(parts, format="csr"), lengths

    def encode(self, items: Sequence[str], layers: Sequence[str], *, progress: bool | None = None) -> Encoded:
        """See protocol.Encoder: the same dense, for few items."""
        vectors, lengths = self.encode_sparse(items, progress=progress)
        return Encoded({layer: vectors.toarray() for layer in layers}, lengths)

    def split_passages(self, texts: Sequence[str], *, stride: int = 0) -> tuple[list[str], np.ndarray]:
        """Cut long texts into passages that fit; see `Tokens.split`."""
        return self.tokens.split(texts, stride=stride)

    def settings(self) -> dict[str, Any]:
        """Arguments with which `load_encoder` makes this encoder again."""
        own = {"prompt": self.prompt, "max_length": self.max_length, "trust_remote_code": self._trust}
        return {"name_or_path": f"splade:{self.folder.absolute()}", **own}

    def save(self, folder: str | Path) -> None:
        """Copy the model's files, with prompt and maximum length, so that `load_encoder(folder)` gives the same."""
        own = {"family": "splade", "name": self.name, "prompt": self.prompt, "max_length": self.max_length}
        with atomic_folder(folder, True, marker=SAVED) as target:
            for path in self.layout.all_files(code=self._trust):
                copy = target / path.relative_to(self.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            (target / SAVED).write_text(json.dumps({"format": 1, **own}, indent=2), "utf-8")

    def begin(self, texts: Any, *, seed: int) -> None:
        """Nothing to begin: the weights are there."""

    def collate(self, ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token ids to what the module takes: padded ids and their mask."""
        return pad(ids, value=self.tokens.pad, left=self.tokens.pad_left)

    def training_module(self, *, blocks: int | None = None, lora: int | None = None) -> SpladeModule:
        """The module itself; all of it trains, without dropout.

        Raises:
            EncoderError: less than all of it is asked for.
        """
        if blocks is not None or lora is not None:
            raise EncoderError(f"{self.name}: a SPLADE encoder trains whole; leave train_blocks and lora out")
        if self._training is None:
            self._training = self.module
        return self._training

    def after_training(self) -> SpladeEncoder:
        """A new encoder with the weights as trained, in a folder of its own that goes when the encoder does."""
        if self._training is None:
            return self
        name = self.name if self.name.endswith(TRAINED) else self.name + TRAINED
        trained = self.elsewhere(name, self._training)
        self.__dict__.pop("module", None)
        self._training = None
        return trained

    def elsewhere(self, name: str | None = None, module: SpladeModule | None = None) -> SpladeEncoder:
        """A copy in a temporary folder that goes when the copy does, with the weights of `module` if one is given."""
        home = tempfile.TemporaryDirectory(prefix="pairspace-encoder-")
        folder = Path(home.name) / "encoder"
        self.save(folder)
        if module is not None:
            target = folder / self.layout.transformer.relative_to(self.layout.root)
            for old in (*target.glob("*.safetensors"), *target.glob("*.safetensors.index.json")):
                old.unlink()
            module.write(target)
        own: dict[str, Any] = {"prompt": self.prompt, "max_length": self.max_length, "device": str(self.device)}
        copy = SpladeEncoder(name or self.name, folder, read_layout(folder), trust_remote_code=self._trust, **own)
        copy.home = home
        return copy
