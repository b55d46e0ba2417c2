"""A space made of nothing but hashes, and the engines that the contract tests run on."""

from __future__ import annotations

import importlib.util
import re
import zlib

import numpy as np
import pytest

from pairspace.index import EdgeEngine, Index, SeismicEngine

ENGINES = {"edge": EdgeEngine}  # a further engine joins here
if importlib.util.find_spec("seismic"):
    ENGINES["seismic"] = SeismicEngine


class FakeSpace:
    """Texts to unit vectors: each word has a fixed random direction, a text is the sum of its words."""

    def __init__(self, name="fake", seed=0, dimension=16, sides=("title", "body"), path=None, fusion_weight=None):
        self.name, self.seed, self.dimension, self.sides, self.path = name, seed, dimension, sides, path
        self.query_side, self.document_side = sides[0], sides[-1]
        self.fingerprint = f"{zlib.crc32(f'{name} {seed}'.encode()):08x}" * 4
        self.fusion_weight, self.language = fusion_weight, "english"
        self.asked = []

    def word(self, word):
        return np.random.default_rng([self.seed, zlib.crc32(word.encode())]).normal(size=self.dimension)

    def encode(self, items, *, side=None, cache=True, progress=None):
        assert side in self.sides
        self.asked.append((side, len(items), cache))
        rows = [
            np.sum([self.word(w) for w in re.findall(r"\w+", str(item))] or [np.zeros(self.dimension)], 0)
            for item in items
        ]
        rows = np.array(rows, np.float32).reshape(len(items), self.dimension)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    def split_passages(self, texts, side=None):
        """Passages of four words."""
        passages, owners = [], []
        for owner, text in enumerate(texts):
            words = text.split() or [""]
            for start in range(0, len(words), 4):
                passages.append(" ".join(words[start : start + 4]))
                owners.append(owner)
        return passages, np.array(owners)


TEXTS = [
    "play chess against the computer",
    "edit text files with many windows",
    "a chess engine that plays well",
    "compile programs written in C",
    "a library of functions for numbers",
    "play music files in many formats",
]


@pytest.fixture
def make_space():
    return FakeSpace


@pytest.fixture
def space():
    return FakeSpace()


@pytest.fixture
def texts():
    return list(TEXTS)


@pytest.fixture(params=ENGINES)
def engine_class(request):
    return ENGINES[request.param]


@pytest.fixture
def index(tmp_path, space):
    with Index.create(tmp_path / "index", space, text=True) as index:
        yield index
