"""Tiny BERTs as sentence-transformers and as plain transformers folders."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

WORDS = ["a", "the", "fox", "boat", "boats", "red", "small", "sea", "on", "of", "and", "is", "bread", "query"]
WORDS += ["passage", ":", ","]


def make_bert(
    folder: Path, *, seed: int = 0, hidden: int = 32, modes=None, dense: int | None = None, max_length: int = 24
) -> Path:
    """A tiny BERT of four layers with random weights, as a sentence-transformers folder; plain without `modes`."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(seed)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizerFast(vocab={word: n for n, word in enumerate(vocabulary)}, model_max_length=64)
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    BertModel(config).eval().save_pretrained(folder)
    if modes is None:
        return folder
    put(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    flags = {f"pooling_mode_{mode}": True for mode in modes}
    put(
        folder / "1_Pooling/config.json",
        {"word_embedding_dimension": hidden, "pooling_mode_mean_tokens": False} | flags,
    )
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    if dense:
        inputs = hidden * len(modes)
        activation = "torch.nn.modules.activation.Tanh"
        settings = {"in_features": inputs, "out_features": dense, "bias": True, "activation_function": activation}
        put(folder / "2_Dense/config.json", settings)
        weights = {"linear.weight": torch.randn(dense, inputs), "linear.bias": torch.randn(dense)}
        save_file(weights, folder / "2_Dense/model.safetensors")
        modules.append(("2_Dense", "Dense"))
    entries = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(modules)
    ]
    put(folder / "modules.json", entries)
    return folder


def put(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def bert():
    """`make_bert`, for tests that want a model of their own."""
    return make_bert


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, str]:
    """Encoders of different origin for three languages."""
    where = tmp_path_factory.mktemp("berts")
    named = enumerate(("en", "it", "de"))
    return {name: str(make_bert(where / name, seed=seed, modes=["mean_tokens"])) for seed, name in named}


@pytest.fixture(scope="session")
def mean(tmp_path_factory) -> str:
    return str(make_bert(tmp_path_factory.mktemp("mean") / "bert", modes=["mean_tokens"]))


@pytest.fixture(scope="session")
def other(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("other") / "bert"
    return str(make_bert(folder, seed=1, hidden=24, modes=["cls_token", "mean_tokens"], dense=20, max_length=16))


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> str:
    return str(make_bert(tmp_path_factory.mktemp("plain") / "bert", seed=2))


@pytest.fixture
def no_network(monkeypatch):
    """Nothing may be asked of a hub, even where it would fail quietly."""

    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
