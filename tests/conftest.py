"""Tiny text models, built in memory and saved in a temporary folder, and spaces of them: no hub, no network."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from pairspace.data import Pairs
from pairspace.space import Space

SENTENCE = "play chess against the computer a game of cards with friends music player for gnome library files"
WORDS = SENTENCE.split()


def make_transformer(folder: Path, *, seed: int = 0, layers: int = 3) -> Path:
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *WORDS,
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
    ]
    fast = Tokenizer(models.WordPiece({w: i for i, w in enumerate(dict.fromkeys(vocabulary))}, unk_token="[UNK]"))
    fast.normalizer = normalizers.BertNormalizer(lowercase=False)
    fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=24,
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=fast.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_sentence_model(
    folder: Path, *, pooling: dict | None = None, dense: bool = False, prompts: dict | None = None, default=None
):
    make_transformer(folder)
    kinds = [
        ("", "base.modules.transformer.Transformer"),
        ("1_Pooling", "sentence_transformer.modules.pooling.Pooling"),
    ]
    if dense:
        from sentence_transformers.sentence_transformer.modules import Dense

        torch.manual_seed(1)
        (folder / "2_Dense").mkdir()
        Dense(32, 8).save(str(folder / "2_Dense"))
        kinds.append(("2_Dense", "base.modules.dense.Dense"))
    kinds.append((f"{len(kinds)}_Normalize", "base.modules.normalize.Normalize"))
    modules = [
        {"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.{k}"} for i, (p, k) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True} | (pooling or {})
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": False}))
    extra = {"prompts": prompts or {}, "default_prompt_name": default}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(extra))
    return folder


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory):
    return make_transformer(tmp_path_factory.mktemp("plain") / "model")


@pytest.fixture(scope="session")
def sentence_folder(tmp_path_factory):
    return make_sentence_model(tmp_path_factory.mktemp("sentence") / "model")


@pytest.fixture
def sentence_model(tmp_path):
    """Makes further folders: sentence_model("name", pooling=..., dense=...)."""
    return lambda name="made", **options: make_sentence_model(tmp_path / name, **options)


@pytest.fixture
def transformer(tmp_path):
    return lambda name="plain", **options: make_transformer(tmp_path / name, **options)


TEXTS = [
    "play chess against the computer",
    "music",
    "",
    "a game of cards with friends and the computer and the player for gnome",
    "files  files\nlibrary",
]


@pytest.fixture
def texts():
    return list(TEXTS)


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
    """A test that asks for `space_kind` runs on every kind of space."""
    if "space_kind" in metafunc.fixturenames:
        peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")
        every = [pytest.param(kind, marks=[peft] if kind == "adapters" else []) for kind in KINDS]
        metafunc.parametrize("space_kind", every)


@pytest.fixture(scope="session")
def shuffled():
    """80 pairs, each the same words in another order."""
    random = np.random.default_rng(0)
    titles = list(dict.fromkeys(" ".join(random.choice(PLAYED, 4)) for _ in range(80)))
    return Pairs.from_columns({"title": titles, "body": [" ".join(random.permutation(t.split())) for t in titles]})


@pytest.fixture(scope="session")
def new_space(plain_folder):
    """`new_space(kind)`: a new space, and how it is fit."""

    def make(kind):
        options, how = KINDS[kind]
        text = json.dumps({"encoder": "MODEL"} | options).replace("MODEL", str(plain_folder))
        space = Space.create(("title", "body"), device="cpu", cache=False, name=kind, **json.loads(text))
        return space, FIT | how

    return make


@pytest.fixture(scope="session")
def fitted_space(new_space, shuffled):
    """`fitted_space(kind)`: a trained space, made once; not to be changed."""

    @cache
    def fitted(kind):
        space, how = new_space(kind)
        space.fit(shuffled, **how)
        return space

    return fitted
