"""One short name for everything that decides an encoder's vectors.

Taken over the content of the files (weights, tokenizer, configuration) and the settings, never over paths or dates: the
same model in another folder, or on another machine, has the same fingerprint and finds its features in the cache.
Hashing runs at disk speed (about 0.1 s for 90 MB), so it is never itself cached.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pairspace.errors import EncoderError

__all__ = ["fingerprint", "model_files"]

# Raised when the code changes what vectors come out of the same files, so that no old feature is taken for a new one.
_GENERATION = 1
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


def fingerprint(files: Mapping[str, Path], settings: Mapping[str, Any]) -> str:
    """Hash files and settings.

    Args:
        files: what a file is for -> the file; the key is hashed, the path is not.
        settings: plain JSON values.

    Returns:
        32 hex digits.

    Raises:
        EncoderError: a file cannot be read.
    """
    total = hashlib.sha256(json.dumps([_GENERATION, dict(settings)], sort_keys=True).encode())
    for role, path in sorted(files.items()):
        try:
            with path.open("rb") as stream:
                total.update(role.encode() + b"\0" + hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise EncoderError(f"{path}: cannot be read ({error.strerror})") from None
    return total.hexdigest()[:32]


def model_files(folder: Path) -> dict[str, Path]:
    """The files of a transformers folder that decide its vectors: configuration, weights, tokenizer."""
    found = [folder / name for name in ("config.json", *_TOKENIZER)]
    found += [*folder.glob("*.safetensors"), *folder.glob("*.model")]
    return {path.name: path for path in found if path.is_file()}
