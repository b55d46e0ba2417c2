"""A tiny encoder in memory that counts what it was asked for."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pairspace.encoders import Encoded


class Fake:
    """Vectors made from a hash of the text: any process gives the same."""

    name, modality, layers, prompt = "fake", "text", ("0", "last"), ""
    max_length: int | None = 3
    precision, dtype = "fp32", "float16"

    def __init__(self, fingerprint: str = "f" * 32) -> None:
        self.fingerprint = fingerprint
        self.dimensions = {"0": 4, "last": 6}
        self.seen: list[str] = []
        self.calls: list[tuple[str, ...]] = []

    def encode(self, items, layers, *, progress=None):
        self.seen += items
        self.calls.append(tuple(layers))
        seeds = [int.from_bytes(hashlib.blake2b(item.encode(), digest_size=8).digest(), "little") for item in items]
        vectors = {}
        for layer in layers:
            dimension = self.dimensions[layer]
            rows = [np.random.default_rng(seed + len(layer)).standard_normal(dimension) for seed in seeds]
            vectors[layer] = np.array(rows, np.float32).reshape(len(items), dimension)
        return Encoded(vectors, np.array([len(item.split()) for item in items], np.int32))


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def make_fake():
    return Fake
