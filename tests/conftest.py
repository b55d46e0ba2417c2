"""Tiny text models, built in memory and saved in a temporary folder, and spaces of them: no hub, no network.

And processes of their own at the cost of a fork each (see warm.py), also several that work together, as torchrun starts
them. What takes long to import is imported where it is used: pytest-xdist's first process reads this file too, and the
others start after that.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

sys.modules.setdefault("openvino_telemetry", None)  # it would report to others that OpenVINO was imported

SENTENCE = "play chess against the computer a game of cards with friends music player for gnome library files"
WORDS = SENTENCE.split()


def make_transformer(folder: Path, *, seed: int = 0, layers: int = 3, masked: bool = False) -> Path:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerFast

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
    (BertForMaskedLM(config) if masked else BertModel(config, add_pooling_layer=False)).save_pretrained(folder)
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
        import torch
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
    return make_transformer(tmp_path_factory.mktemp("masked") / "model", masked=True)


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
    from pairspace.data import Pairs

    random = np.random.default_rng(0)
    titles = list(dict.fromkeys(" ".join(random.choice(PLAYED, 4)) for _ in range(80)))
    return Pairs.from_columns({"title": titles, "body": [" ".join(random.permutation(t.split())) for t in titles]})


@pytest.fixture(scope="session")
def new_space(plain_folder, masked_folder, tmp_path_factory):
    """`new_space(kind)`: a new space, and how it is fit; more arguments go to `Space.create`."""
    from pairspace.features import FeatureCache
    from pairspace.space import Space

    def make(kind, **more):
        options, how = KINDS[kind]
        text = (
            json.dumps({"encoder": "MODEL"} | options)
            .replace("MODEL", str(plain_folder))
            .replace("MASKED", str(masked_folder))
        )
        own = json.loads(text)
        cache = FeatureCache(tmp_path_factory.mktemp("cache")) if own.pop("cache", False) else False
        space = Space.create(("title", "body"), device="cpu", cache=cache, name=kind, **(own | more))
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


def _beside(name: str) -> Any:
    """A module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(Path(name).name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOCKET = pytest.StashKey[Path]()


def pytest_configure(config):
    """The first process starts the one that forks; those of pytest-xdist are told where it listens."""
    if hasattr(config, "workerinput"):
        config.stash[SOCKET] = Path(config.workerinput["socket"])
        return
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    config.stash[SOCKET] = Path(folder.name) / "socket"
    process = _beside("warm").begin(config.stash[SOCKET])
    for end in (folder.cleanup, process.wait, process.stdout.close, process.stdin.close):
        config.add_cleanup(end)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["socket"] = str(node.config.stash[SOCKET])


@pytest.fixture(scope="session")
def warm(pytestconfig):
    """Runs Python in processes that have imported everything already: see warm.py."""
    return _beside("warm").Warm(pytestconfig.stash[SOCKET])


CALL = """
import importlib.util, json, sys, torch
from pathlib import Path
from pairspace.errors import PairspaceError

def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

path, name, file, arguments = sys.argv[1:]
conftest = load(Path(path).with_name("conftest.py"))
try:
    torch.save(getattr(load(path), name)(conftest, *json.loads(arguments)), file)
except PairspaceError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


class Ended(NamedTuple):
    """How one of several processes ended: exit code, what it printed, and what its function returned."""

    code: int
    out: str
    err: str
    result: Any


@pytest.fixture
def together(warm, tmp_path):
    """`together(function, *arguments)`: `function(conftest, *arguments)` in several processes at once.

    The function is one of the test's own file, and `conftest` the file beside that.
    """
    import torch

    def run(function: Callable, *arguments: Any, count: int = 2) -> list[Ended]:
        folder = tmp_path / f"together-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        given = sys.modules[function.__module__].__file__, function.__name__
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        children = []
        for rank in range(count):
            env = {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            with (folder / f"{rank}.out").open("w") as out, (folder / f"{rank}.err").open("w") as err:
                result = folder / f"{rank}.pt"
                children.append(warm.start(CALL, *given, result, json.dumps(arguments), out=out, err=err, **env))
        ended = []
        for rank, code in enumerate([child.wait() for child in children]):
            out, err, result = (folder / f"{rank}.{name}" for name in ("out", "err", "pt"))
            value = torch.load(result, weights_only=False) if result.exists() else None
            ended.append(Ended(code, out.read_text(), err.read_text(), value))
        return ended

    return run


@pytest.fixture(scope="session")
def largest():
    """largest(call): elements of the largest tensor that the call makes, forward and backward."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for one in out if isinstance(out, tuple | list) else (out,):
                if isinstance(one, torch.Tensor):
                    self.elements = max(self.elements, one.numel())
            return out

    def measure(call):
        with Largest() as seen:
            call()
        return seen.elements

    return measure


@pytest.fixture(scope="session")
def write_drawings():
    """write_drawings(folder) makes `drawings/` and `pictures.csv` there; see tests/drawings.py."""
    return _beside("drawings").write_drawings


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """The folder of a small image encoder of random weights."""
    return _beside("drawings").make_network(tmp_path_factory.mktemp("network") / "net")


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """The folder of a tiny CLIP of random weights; see tests/encoders/towers.py."""
    return _beside("encoders/towers").make_clip(tmp_path_factory.mktemp("clip") / "model")
