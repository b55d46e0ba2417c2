"""`train`, `index` and `encode` stopped in the middle, by Ctrl-C and by kill -9: the same command again completes."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

from pairspace.features import FeatureCache, cache
from pairspace.index import EdgeEngine, Index
from pairspace.training import loop

KILL = """
import importlib.util, signal, sys
from pairspace.cli import main
path = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location("stops", path)
stops = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stops)
stops.arm(sys.argv[1], signal.SIGKILL, setattr)
main()
"""


def arm(verb, number, put):
    """Let this process send itself a signal after the second epoch or batch (of six or four) is on the disk."""
    if verb == "train":
        owner, name = loop, "save_checkpoint"
    elif verb == "index":
        put(Index.add, "__kwdefaults__", Index.add.__kwdefaults__ | {"batch_size": 64})
        owner, name = EdgeEngine, "upsert"
    else:
        put(cache, "_BLOCK", 64)
        owner, name = cache, "_guarded"
    real, seen = getattr(owner, name), []

    def stopping(*arguments, **options):
        real(*arguments, **options)
        seen.append(1)
        if len(seen) == 2:
            os.kill(os.getpid(), number)

    put(owner, name, stopping)


def command(verb, files, space):
    if verb == "train":
        sides = ["--side", "title=q", "--side", "body=d", "--encoder", space / "encoders" / "0", "--device", "cpu"]
        options = ["--epochs", "6", "--patience", "6", "--batch-size", "32", "--json"]
        return [verb, files / "pairs.csv", *sides, *options, "-o", files / "space"]
    if verb == "index":
        return [verb, space, files / "pairs.csv", "--column", "d", "--id", "key", "-o", files / "index", "--json"]
    return [verb, space, files / "texts.txt", "--json", "-o", files / "v.npy"]


def stop_by_ctrl_c(arguments, run, request):
    with request.getfixturevalue("monkeypatch").context() as patch:
        arm(arguments[0], signal.SIGINT, patch.setattr)
        run(*arguments, code=130)


def stop_by_kill(arguments, run, request):
    warm, folder = request.getfixturevalue("warm"), request.getfixturevalue("tmp_path")
    assert warm.run(KILL, __file__, *arguments, folder=folder).code == -signal.SIGKILL


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
def test_a_stopped_training_resumes_to_the_same_space(files, untrained, run, request, stop):
    arguments = command("train", files, untrained)
    whole = json.loads(run(*arguments[:-1], files / "whole"))
    stop(arguments, run, request)
    assert not (files / "space").exists() and (files / "space.checkpoint").exists()
    resumed = json.loads(run(*arguments, "--resume"))
    assert (resumed["fingerprint"], resumed["epochs"]) == (whole["fingerprint"], 6)
    assert not (files / "space.checkpoint").exists()


@STOPS
def test_a_stopped_index_completes_when_asked_again(files, untrained, run, request, stop):
    arguments = command("index", files, untrained)
    stop(arguments, run, request)
    with Index.open(files / "index") as index:
        assert len(index) == 128  # what was acknowledged, no more and no less
    result = json.loads(run(*arguments))
    assert (result["added"], result["items"]) == (256, 256)
    [found] = json.loads(run("search", files / "index", "a game c play", "-k", "2", "--json"))
    assert found["hits"][0]["id"] == "id-ca"
    assert found["hits"][0]["score"] == pytest.approx(1, abs=1e-3)


@STOPS
def test_a_stopped_encode_completes_when_asked_again(files, untrained, run, request, stop):
    arguments = command("encode", files, untrained)
    stop(arguments, run, request)
    assert not (files / "v.npy").exists()
    assert [entry.rows for entry in FeatureCache().info()] == [128]
    before = {p: p.stat().st_mtime_ns for p in (files / "cache").rglob("block-*.npy")}
    assert json.loads(run(*arguments))["rows"] == 256
    assert [entry.rows for entry in FeatureCache().info()] == [256]  # the rest was encoded, nothing twice
    assert {p: p.stat().st_mtime_ns for p in before} == before
    run(*arguments[:-1], files / "direct.npy", "--no-cache")
    np.testing.assert_allclose(np.load(files / "v.npy"), np.load(files / "direct.npy"), atol=2e-3)
