"""Any other layout of sentence-transformers (static embeddings, routers, new modules), run by its own class.

Slower than the native way and with one layer, "last", but whatever the SentenceTransformer class can load works.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.data.files import atomic_folder
from pairspace.encoders.device import pick_device
from pairspace.encoders.fingerprint import fingerprint
from pairspace.encoders.layout import Layout
from pairspace.encoders.protocol import SAVED, Encoded
from pairspace.encoders.quiet import quiet
from pairspace.errors import EncoderError
from pairspace.progress import progress_bar

__all__ = ["SentenceEncoder"]

_CHUNK = 2048
_NEEDED = {".json", ".txt", ".model", ".safetensors"}
_ASIDE = {"onnx", "openvino"}  # other forms of the same weights


class SentenceEncoder:
    """A text encoder run by SentenceTransformer; arguments as in `TransformerEncoder`."""

    modality = "text"
    dtype = "float16"
    layers: tuple[str, ...] = ("last",)
    precision = "fp32"

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
        from sentence_transformers import SentenceTransformer

        self.name, self.folder, self._trust = name, folder, trust_remote_code
        self.prompt = layout.default_prompt if prompt is None else prompt
        with quiet():
            try:
                self.module = SentenceTransformer(
                    str(folder),
                    device=str(pick_device(device)),
                    trust_remote_code=trust_remote_code,
                    local_files_only=True,
                    model_kwargs={"use_safetensors": True},
                ).eval()
            except Exception as error:
                reason = " ".join(str(error).split())[:300]
                raise EncoderError(f"{folder}: sentence-transformers cannot load it ({reason})") from error
        if max_length is not None:
            self.module.max_seq_length = max_length
        found = self.module.max_seq_length
        self.max_length: int | None = int(found) if found and found < 10**9 else None
        self.dimensions = {"last": int(self.module.encode(["a"], prompt=self.prompt, show_progress_bar=False).shape[1])}

    @cached_property
    def fingerprint(self) -> str:
        """See protocol.Encoder."""
        files = {path.relative_to(self.folder).as_posix(): path for path in self._files()}
        return fingerprint(files, {"prompt": self.prompt, "max_length": self.max_length})

    def _files(self) -> list[Path]:
        found = (path for path in self.folder.rglob("*") if path.is_file() and path.name != SAVED)
        kinds = _NEEDED | ({".py"} if self._trust else set())
        return sorted(p for p in found if p.suffix in kinds and not _ASIDE & set(p.relative_to(self.folder).parts))

    def encode(self, items: Sequence[str], layers: Sequence[str], *, progress: bool | None = None) -> Encoded:
        """See protocol.Encoder; the lengths are 0 where the model's tokenizer does not say."""
        texts = items.to_pylist() if hasattr(items, "to_pylist") else list(items)
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise EncoderError(
                    f"item {row} is {type(text).__name__}, not a text: a text encoder takes strings only"
                )
        if unknown := [layer for layer in layers if layer != "last"]:
            raise EncoderError(f"{self.name} has no layer {unknown[0]!r}; it has only 'last'")
        vectors = np.empty((len(texts), self.dimensions["last"]), np.float32)
        lengths = np.zeros(len(texts), np.int32)
        with progress_bar(f"encoding with {self.name}", len(texts), unit="texts", show=progress) as bar:
            for start in range(0, len(texts), _CHUNK):
                block = texts[start : start + _CHUNK]
                found = self.module.encode(block, prompt=self.prompt, show_progress_bar=False, convert_to_numpy=True)
                vectors[start : start + len(block)] = found
                lengths[start : start + len(block)] = self._lengths(block)
                bar.advance(len(block))
        return Encoded(dict.fromkeys(layers, vectors), lengths)

    def _lengths(self, texts: list[str]) -> list[int]:
        tokenizer = getattr(self.module, "tokenizer", None)
        fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if not hasattr(fast, "encode_batch"):
            return [0] * len(texts)
        copy = type(fast).from_str(fast.to_str())  # type: ignore[union-attr]
        copy.no_truncation()
        copy.no_padding()
        return [len(one.ids) for one in copy.encode_batch([self.prompt + text for text in texts])]

    def settings(self) -> dict[str, Any]:
        """See protocol.Encoder."""
        own = {"prompt": self.prompt, "max_length": self.max_length, "trust_remote_code": self._trust}
        return {"name_or_path": str(self.folder), **own}

    def save(self, folder: str | Path) -> None:
        """See protocol.Encoder."""
        own = {"family": "text", "name": self.name, "prompt": self.prompt, "max_length": self.max_length}
        with atomic_folder(folder, True, marker=SAVED) as target:
            for path in self._files():
                copy = target / path.relative_to(self.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            (target / SAVED).write_text(json.dumps({"format": 1, **own}, indent=2), "utf-8")
