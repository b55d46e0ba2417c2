"""Tiny text models, built in memory and saved in a temporary folder: no hub, no network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

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
