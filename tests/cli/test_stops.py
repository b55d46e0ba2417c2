"""`index` and `encode` stopped in the middle, by Ctrl-C and by kill -9: the same command again completes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from pairspace.features import FeatureCache, cache
from pairspace.index import EdgeEngine, Index

CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("stops", sys.argv[1])
stops = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stops)
stops.arm(sys.argv[3], stops.signal.SIGKILL, setattr)
sys.argv = sys.argv[2:]
from pairspace.cli import main
main()
"""


def arm(verb, number, put):
    """Let this process send itself a signal after the second of four batches is on the disk."""
    if verb == "index":
        put(Index.add, "__kwdefaults__", Index.add.__kwdefaults__ | {"batch_size": 64})
        owner, name = EdgeEngine, "upsert"
    else:
        put(cache, "_BLOCK", 64)
        owner, name = cache, "_guarded"
    real, seen = getattr(owner, name), []

    def stopping(*arguments):
        real(*arguments)
        seen.append(1)
        if len(seen) == 2:
            os.kill(os.getpid(), number)

    put(owner, name, stopping)


def command(verb, files, space):
    if verb == "index":
        return [verb, space, files / "pairs.csv", "--column", "d", "--id", "key", "-o", files / "index", "--json"]
    return [verb, space, files / "texts.txt", "--json", "-o", files / "v.npy"]


def stop_by_ctrl_c(verb, arguments, run, monkeypatch):
    with monkeypatch.context() as patch:
        arm(verb, signal.SIGINT, patch.setattr)
        run(*arguments, code=130)


def stop_by_kill(verb, arguments, run, monkeypatch):
    child = [sys.executable, "-c", CHILD, __file__, "pairspace", *map(str, arguments)]
    assert subprocess.run(child, check=False, timeout=120).returncode == -signal.SIGKILL


STOPS = pytest.mark.parametrize(
    "stop",
    [
        pytest.param(stop_by_ctrl_c, id="ctrl-c"),
        pytest.param(
            stop_by_kill,
            id="kill",
            marks=pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL"),
        ),
    ],
)


@STOPS
def test_a_stopped_index_completes_when_asked_again(files, untrained, run, monkeypatch, stop):
    arguments = command("index", files, untrained)
    stop("index", arguments, run, monkeypatch)
    with Index.open(files / "index") as index:
        assert len(index) == 128  # what was acknowledged, no more and no less
    result = json.loads(run(*arguments))
    assert (result["added"], result["items"]) == (256, 256)
    [found] = json.loads(run("search", files / "index", "a game c play", "-k", "2", "--json"))
    assert found["hits"][0]["id"] == "id-ca"
    assert found["hits"][0]["score"] == pytest.approx(1, abs=1e-3)


@STOPS
def test_a_stopped_encode_completes_when_asked_again(files, untrained, run, monkeypatch, stop):
    arguments = command("encode", files, untrained)
    stop("encode", arguments, run, monkeypatch)
    assert not (files / "v.npy").exists()
    assert [entry.rows for entry in FeatureCache().info()] == [128]
    before = {p: p.stat().st_mtime_ns for p in (files / "cache").rglob("block-*.npy")}
    assert json.loads(run(*arguments))["rows"] == 256
    assert [entry.rows for entry in FeatureCache().info()] == [256]  # the rest was encoded, nothing twice
    assert {p: p.stat().st_mtime_ns for p in before} == before
    run(*arguments[:-1], files / "direct.npy", "--no-cache")
    np.testing.assert_allclose(np.load(files / "v.npy"), np.load(files / "direct.npy"), atol=2e-3)
