"""What only several processes can show: SIGKILL in the middle, and two writers at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from pairspace.features import FeatureCache, compute_features

TEXTS = [f"text {i}" for i in range(240)]
LAYERS = ("0", "last")
SCRIPT = """
import importlib.util, sys, time
from pairspace.features import FeatureCache, cache
spec = importlib.util.spec_from_file_location("fakes", sys.argv[1])
fakes = importlib.util.module_from_spec(spec); spec.loader.exec_module(fakes)
cache._BLOCK = 16
encoder = fakes.Fake()
real = encoder.encode
def slow(items, layers, progress=None):
    time.sleep(float(sys.argv[3]))
    return real(items, layers)
encoder.encode = slow
FeatureCache(sys.argv[2]).features(encoder, [f"text {i}" for i in range(240)], ("0", "last"))
print(len(encoder.seen))
"""


@pytest.fixture
def start(warm, tmp_path_factory):
    """`start(cache, delay)`: a process that encodes the texts, and the file it prints to."""

    def start(cache, delay):
        path = tmp_path_factory.mktemp("said") / "out"
        with path.open("w") as out:
            return warm.start(SCRIPT, Path(__file__).with_name("conftest.py"), cache, delay, out=out), path

    return start


def test_a_killed_encode_goes_on_where_it_was(fake, start, tmp_path):
    process, _ = start(tmp_path, 0.05)
    deadline = time.time() + 60
    while len(list(tmp_path.rglob("last/block-*.npy"))) < 4 and time.time() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = 16 * len(list(tmp_path.rglob("last/block-*.npy")))
    assert 64 <= done < 240
    features = FeatureCache(tmp_path).features(fake, TEXTS, LAYERS)
    assert 240 - done - 16 <= len(fake.seen) <= 240 - done  # the block in hand may have had its first layer written
    assert not set(fake.seen) & set(TEXTS[:done])
    np.testing.assert_array_equal(features.rows(), compute_features(fake, TEXTS, LAYERS).rows())


def test_two_processes_may_write_at_once(fake, start, tmp_path):
    processes = [start(tmp_path, 0.01) for _ in range(2)]
    assert [process.wait() for process, _ in processes] == [0, 0]
    assert all(int(said.read_text()) <= 240 for _, said in processes)
    features = FeatureCache(tmp_path).features(fake, TEXTS, LAYERS)
    assert fake.seen == []
    np.testing.assert_array_equal(features.rows(), compute_features(fake, TEXTS, LAYERS).rows())
    assert not list(tmp_path.rglob("*.tmp"))
