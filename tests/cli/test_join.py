"""`pairspace join`: two folders in, one space out."""

from __future__ import annotations

import json

import numpy as np

from pairspace.space import Space


def test_joins_spaces(run, files, untrained):
    said = run("join", untrained, untrained, "--output", files / "both", "--name", "twice")
    assert said == f"{files / 'both'}: 64 dimensions, joined from {untrained}, {untrained}\n"
    joined, one = Space.from_pretrained(files / "both"), Space.from_pretrained(untrained)
    assert joined.name == "twice"
    texts = ["play chess", "music"]
    vectors = joined.encode(texts)
    np.testing.assert_allclose(vectors @ vectors.T, one.encode(texts) @ one.encode(texts).T, atol=1e-5)
    result = json.loads(run("join", untrained, untrained, "--output", files / "both", "--overwrite", "--json"))
    assert result == {"output": str(files / "both"), "dimension": 64, "joined": ["plain", "plain"]}


def test_refuses_one_space(refused, files, untrained):
    assert "joining takes two or more spaces, got 1" in refused("join", untrained, "--output", files / "both")
    assert not (files / "both").exists()


def test_replaces_nothing_unasked_and_never_what_it_joins(run, refused, files, untrained):
    run("join", untrained, untrained, "--output", files / "both")
    assert "exists: choose another --output, or --overwrite it" in refused(
        "join", untrained, untrained, "--output", files / "both"
    )
    assert "is one of the spaces to be joined" in refused(
        "join", files / "both", untrained, "--output", files / "both", "--overwrite"
    )
