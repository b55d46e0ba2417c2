"""Tiny BERTs as sentence-transformers and as plain transformers folders, and spaces of every kind of encoder."""

from __future__ import annotations

import importlib.util
import json
import socket
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pairspace.data import Pairs
from pairspace.space import Space

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


PLAYED = ["play", "chess", "against", "the", "computer", "game", "cards", "friends", "music", "gnome", "files"]
KINDS = {  # how a space is made, and how it is fit
    "frozen": ({}, {}),
    "whole": ({}, {"train_encoders": ["title"], "chunk_size": 4}),
    "last block": ({}, {"train_encoders": ["title", "body"], "train_blocks": 1}),
    "adapters": ({"shared_encoder": True}, {"train_encoders": ["title", "body"], "lora": 2}),
    "warm-up": ({"projector": "residual"}, {"train_encoders": ["title"], "projector_epochs": 2}),
    "bag": ({"encoder": "static:16", "shared_encoder": True}, {}),
    "transformer": ({"encoder": {"title": "transformer:32", "body": "static:16"}}, {"chunk_size": 4}),
    "half from nothing": ({"encoder": {"title": "MODEL", "body": "static:16"}}, {}),
    "joined": ({"encoder": "MODEL+static"}, {}),
    "joined and tuned": ({"encoder": "MODEL+static:8"}, {"projector_epochs": 1, "train_encoders": ["body"]}),
}
FIT = {"batch_size": 16, "epochs": 3, "validation": 0.2, "progress": False}


def pytest_generate_tests(metafunc):
    """A test that asks for `kind` runs on every kind of space."""
    if "kind" in metafunc.fixturenames:
        peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")
        every = [pytest.param(kind, marks=[peft] if kind == "adapters" else []) for kind in KINDS]
        metafunc.parametrize("kind", every)


@pytest.fixture(scope="session")
def shuffled():
    """80 pairs, each the same words in another order."""
    random = np.random.default_rng(0)
    titles = list(dict.fromkeys(" ".join(random.choice(PLAYED, 4)) for _ in range(80)))
    return Pairs.from_columns({"title": titles, "body": [" ".join(random.permutation(t.split())) for t in titles]})


@pytest.fixture(scope="session")
def make(plain_folder):
    """`make(kind)`: a new space, and how it is fit."""

    def make(kind):
        options, how = KINDS[kind]
        text = json.dumps({"encoder": "MODEL"} | options).replace("MODEL", str(plain_folder))
        space = Space.create(("title", "body"), device="cpu", cache=False, name=kind, **json.loads(text))
        return space, FIT | how

    return make


@pytest.fixture(scope="session")
def fitted(make, shuffled):
    """`fitted(kind)`: a trained space, made once; not to be changed."""

    @cache
    def fitted(kind):
        space, how = make(kind)
        space.fit(shuffled, **how)
        return space

    return fitted
