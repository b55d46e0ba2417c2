"""Many runs on the same features and the same held-out pairs: what each is worth, and which cannot be."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pairspace.data import Pairs
from pairspace.encoders.transformer import TransformerEncoder
from pairspace.errors import TrainingError
from pairspace.space import Space, sweep

FIT = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-2, "progress": False, "validation": 0.2}
NO_RATE = {"learning_rate": 1.0}  # what is tried goes before what is fixed


@pytest.fixture
def how(plain_folder):
    return {"encoder": str(plain_folder), "device": "cpu", "cache": False}


@pytest.fixture
def watched(monkeypatch):
    """The held-out pairs of every trial, and its seed."""
    seen = []
    fit = Space.fit

    def spy(self, pairs, **settings):
        seen.append((pairs, settings["validation"], settings["seed"]))
        return fit(self, pairs, **settings)

    monkeypatch.setattr(Space, "fit", spy)
    return seen


@pytest.fixture
def encoded(monkeypatch):
    """How many texts were encoded, a call each."""
    counts = []
    encode = TransformerEncoder.encode

    def spy(self, items, *arguments, **options):
        counts.append(len(items))
        return encode(self, items, *arguments, **options)

    monkeypatch.setattr(TransformerEncoder, "encode", spy)
    return counts


def test_trials_are_ranked_and_the_best_space_is_kept(shuffled, how):
    found = sweep(shuffled, {"learning_rate": [1e-5, 1e-2], "projector": ["linear"]}, space=how, **FIT | NO_RATE)
    ranks = [trial.reciprocal_rank for trial in found.trials]
    assert ranks == sorted(ranks, reverse=True) and found.best is found.trials[0]
    assert found.space.record["after"]["validation_MRR@10"] == ranks[0]
    assert found.space.record["options"]["learning_rate"] == found.best.settings["learning_rate"]


def test_all_trials_are_scored_on_the_same_pairs_whatever_their_seed(shuffled, how, watched):
    sweep(shuffled, {"seed": [0, 1]}, seed=3, space=how, **FIT)
    (rest, held, first), (rest_again, held_again, second) = watched
    assert (first, second) == (0, 1) and held is held_again and rest is rest_again
    assert len(rest) + len(held) == len(shuffled) and len(held) == 16
    assert held.table.equals(shuffled.split(test=0.2, seed=3)[1].table)


def test_without_a_cache_the_encoder_still_runs_once(shuffled, how, encoded, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = sweep(shuffled, {"learning_rate": [1e-3, 1e-2], "temperature": [0.05, 0.1]}, space=how, **FIT | NO_RATE)
    texts = {text for side in shuffled.sides for text in shuffled.items(side).to_pylist()}
    assert sum(encoded) == len(texts) and len(found.trials) == 4
    assert found.space.cache is None and list(tmp_path.iterdir()) == []
    assert found.space.encode(["play chess"]).shape == (1, 32)


def test_every_trial_has_a_start_of_its_own(shuffled, how):
    titles = shuffled.items("title").to_pylist()
    pairs = Pairs.from_columns({"title": titles, "body": [" ".join(title.split()[:2]) for title in titles]})
    found = sweep(pairs, {"layers": ["last", "0"]}, space=how, **FIT)
    starts = {trial.settings["layers"]: trial.start for trial in found.trials}
    for layers, start in starts.items():
        space = Space.create(("title", "body"), layers=layers, **how)
        rest, held = pairs.split(test=0.2, seed=0)
        assert start == space.fit(rest, **FIT | {"validation": held}).records[0]["validation_R@1"]
    assert starts["last"] != starts["0"]


def test_a_trial_that_cannot_be_fails_alone(shuffled, how):
    tries = {"layers": ["nothing", "last"], "matryoshka": [(), (64,)], "dimension": [32]}
    found = sweep(shuffled, tries, space=how, **FIT)
    assert [trial.error is None for trial in found.trials] == [True, False, False, False]
    assert found.best.settings == {"layers": "last", "matryoshka": (), "dimension": 32}
    errors = {(trial.settings["layers"], trial.settings["matryoshka"]): trial.error for trial in found.trials}
    assert "no layer 'nothing'" in errors["nothing", ()] and "exceed" in errors["last", (64,)]
    assert all(math.isnan(trial.start) and math.isnan(trial.recall) for trial in found.trials[1:])
    with pytest.raises(TrainingError, match="no trial ended well; the first says: .* no layer 'nothing'"):
        sweep(shuffled, {"layers": ["nothing"]}, space=how, **FIT)


def test_the_query_side_is_that_of_the_pairs(shuffled, how):
    titles, bodies = (shuffled.items(side).to_pylist() for side in shuffled.sides)
    negatives = [[titles[n - 1]] for n in range(len(titles))]
    pairs = Pairs.from_columns({"title": titles, "body": bodies}, negatives=negatives, query_side="body")
    assert sweep(pairs, {"seed": [0]}, space=how, **FIT).space.query_side == "body"


@pytest.mark.parametrize(
    ("tries", "settings", "message"),
    [
        ({"rate": [1]}, {}, "'rate' cannot be tried: choose among dimension, encoder"),
        ({"seed": [0]}, {"rate": 1}, "'rate' is no setting of training: choose among"),
        ({}, {}, "nothing to try"),
        ({"seed": [0]}, {"random": 0, "tries": 2}, "random must be at least 1"),
        ({"seed": [0]}, {"validation": 0}, "no pairs are held out, so trials cannot be compared: give a share"),
        ({"seed": [0]}, {"validation": 0.01}, r"cannot be compared \(no validation split: too few pairs to spare any"),
    ],
)
def test_what_ends_a_sweep_before_anything_is_loaded(shuffled, tries, settings, message):
    if settings.pop("tries", 0):
        tries = {"seed": [0, 1]}
    with pytest.raises(TrainingError, match=message):
        sweep(shuffled, tries, space={"encoder": Path("no such folder")}, **settings)
