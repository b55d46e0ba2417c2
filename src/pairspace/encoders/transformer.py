"""Text encoders that run natively: any transformers model with a pooling, all asked layers in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pairspace.encoders.batching import batches, pad
from pairspace.encoders.layout import Layout
from pairspace.encoders.module import TextModule
from pairspace.encoders.protocol import Encoded
from pairspace.progress import progress_bar

__all__ = ["TransformerEncoder"]


class TransformerEncoder:
    """minimal first version; see protocol.Encoder."""

    modality = "text"
    dtype = "float16"

    def __init__(self, name: str, folder: Path, layout: Layout, *, prompt: str, max_length: int | None, device: str):
        from transformers import AutoModel, AutoTokenizer

        self.name, self.folder, self.layout, self.prompt = name, folder, layout, prompt
        self.hf_tokenizer = AutoTokenizer.from_pretrained(layout.transformer)
        model = AutoModel.from_pretrained(layout.transformer, use_safetensors=True, attn_implementation="sdpa")
        self.max_length = max_length or layout.max_length or 512
        self.device = torch.device(device)
        self.module = TextModule(model, layout.modes, layout.build_heads()).to(self.device).eval()
        depth = int(model.config.num_hidden_layers)
        self.layers = (*map(str, range(depth + 1)), "last")
        hidden = int(model.config.hidden_size) * len(layout.modes)
        self.dimensions = dict.fromkeys(self.layers, hidden)
        self.precision = "fp32"
        self.fingerprint = "0" * 32
        self._tokenizer = self.hf_tokenizer.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def encode(self, items: Sequence[str], layers: Sequence[str], *, progress: bool | None = None) -> Encoded:
        """See protocol."""
        ids = [e.ids for e in self._tokenizer.encode_batch_fast([self.prompt + text for text in items])]
        lengths = np.array([len(i) for i in ids], np.int32)
        ids = [i if len(i) <= self.max_length else i[: self.max_length - 1] + i[-1:] for i in ids]
        cut = np.minimum(lengths, self.max_length)
        vectors = {layer: np.empty((len(items), self.dimensions[layer]), np.float32) for layer in layers}
        with torch.inference_mode(), progress_bar("encoding", len(items), unit="texts", show=progress) as bar:
            for rows in batches(cut, tokens=4096):
                tokens, mask = pad([ids[row] for row in rows], value=self.hf_tokenizer.pad_token_id or 0)
                out = self.module(tokens.to(self.device), mask.to(self.device), layers)
                for layer, pooled in zip(layers, out, strict=True):
                    vectors[layer][rows] = pooled.float().cpu().numpy()
                bar.advance(len(rows))
        return Encoded(vectors, lengths)

    def settings(self) -> dict[str, Any]:
        """See protocol."""
        return {"prompt": self.prompt, "max_length": self.max_length}

    def save(self, folder: str | Path) -> None:
        """See protocol."""
        raise NotImplementedError
