"""Tiny text models, built in memory and saved in a temporary folder, and spaces of them: no hub, no network.

And several processes that work together, as torchrun starts them, at the cost of a fork each.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerFast

from pairspace.data import Pairs
from pairspace.features import FeatureCache
from pairspace.space import Space

SENTENCE = "play chess against the computer a game of cards with friends music player for gnome library files"
WORDS = SENTENCE.split()


def make_transformer(folder: Path, *, seed: int = 0, layers: int = 3, kind: type = BertModel) -> Path:
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
    (BertModel(config, add_pooling_layer=False) if kind is BertModel else kind(config)).save_pretrained(folder)
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
def masked_folder(tmp_path_factory):
    """A masked language model."""
    return make_transformer(tmp_path_factory.mktemp("masked") / "model", kind=BertForMaskedLM)


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
    "token states": ({"layers": "last", "cache": True}, {"train_encoders": ["title", "body"], "train_blocks": 1}),
    "adapters": ({"shared_encoder": True}, {"train_encoders": ["title", "body"], "lora": 2}),
    "warm-up": ({"projector": "residual"}, {"train_encoders": ["title"], "projector_epochs": 2}),
    "bag": ({"encoder": "static:16", "shared_encoder": True}, {}),
    "transformer": ({"encoder": {"title": "transformer:32", "body": "static:16"}}, {"chunk_size": 4}),
    "half from nothing": ({"encoder": {"title": "MODEL", "body": "static:16"}}, {}),
    "joined": ({"encoder": "MODEL+static"}, {}),
    "words": ({"projector": "lexical", "head": "fixed"}, {"expansion": "words"}),
    "splade": ({"encoder": "splade:MASKED", "echo": False}, {"train_encoders": ["title"], "chunk_size": 4}),
    "words from nothing": ({"encoder": "static:16", "projector": "lexical", "echo": False}, {"terms": [5, 5]}),
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
def new_space(plain_folder, masked_folder, tmp_path_factory):
    """`new_space(kind)`: a new space, and how it is fit."""

    def make(kind):
        options, how = KINDS[kind]
        text = (
            json.dumps({"encoder": "MODEL"} | options)
            .replace("MODEL", str(plain_folder))
            .replace("MASKED", str(masked_folder))
        )
        own = json.loads(text)
        cache = FeatureCache(tmp_path_factory.mktemp("cache")) if own.pop("cache", False) else False
        space = Space.create(("title", "body"), device="cpu", cache=cache, name=kind, **own)
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


SERVER = """
import importlib.util, json, os, signal, socket, sys
from pathlib import Path
import transformers.models.bert.modeling_bert, torch, pairspace.space
from pairspace.errors import PairspaceError
from pairspace.training import Processes

def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def child(rank, path, function, folder, arguments):
    signal.alarm(120)
    torch.set_num_threads(1)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{rank}.{name}", os.O_CREAT | os.O_WRONLY), number)
    conftest = load(Path(path).with_name("conftest.py"))
    code = 0
    try:
        result = getattr(load(path), function)(conftest, *arguments)
        torch.save(result, f"{folder}/{rank}.pt")
    except PairspaceError as error:
        print(error, file=sys.stderr)
        code = 2
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

for line in sys.stdin:
    path, function, count, folder, arguments = json.loads(line)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    children = []
    for rank in range(count):
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count)}
        children.append(os.fork())
        if children[-1] == 0:
            child(rank, path, function, folder, arguments)
    codes = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in children]
    print(json.dumps(codes), flush=True)
"""


class Ended(NamedTuple):
    """How one of several processes ended: exit code, what it printed, and what its function returned."""

    code: int
    out: str
    err: str
    result: Any


@pytest.fixture(scope="session")
def server():
    """A process that has imported everything once, and forks as many as are to work together."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", SERVER], **pipes) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def together(server, tmp_path):
    """`together(function, *arguments)`: `function(conftest, *arguments)` in several processes at once.

    The function is one of the test's own file, and `conftest` the file beside that.
    """

    def run(function: Callable, *arguments: Any, count: int = 2) -> list[Ended]:
        folder = tmp_path / f"together-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        path = sys.modules[function.__module__].__file__
        given = [path, function.__name__, count, str(folder), arguments]
        print(json.dumps(given, default=str), file=server.stdin, flush=True)
        codes = json.loads(server.stdout.readline())
        return [_ended(folder, rank, code) for rank, code in enumerate(codes)]

    return run


def _ended(folder: Path, rank: int, code: int) -> Ended:
    result = folder / f"{rank}.pt"
    out, err = ((folder / f"{rank}.{name}").read_text() for name in ("out", "err"))
    return Ended(code, out, err, torch.load(result, weights_only=False) if result.exists() else None)


class _Largest(TorchDispatchMode):
    """Notes the most elements a tensor has had."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return out


@pytest.fixture(scope="session")
def largest():
    """largest(call): elements of the largest tensor that the call makes, forward and backward."""

    def measure(call):
        with _Largest() as seen:
            call()
        return seen.elements

    return measure


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def write_drawings():
    """write_drawings(folder) makes `drawings/` and `pictures.csv` there; see tests/drawings.py."""
    return _beside("drawings").write_drawings


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """The folder of a small image encoder of random weights."""
    return _beside("drawings").make_network(tmp_path_factory.mktemp("network") / "net")
