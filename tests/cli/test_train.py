"""`pairspace train` with encoders that train, from nothing or joined, with every objective, and in two processes."""

from __future__ import annotations

import json
import os
import signal
import sys

import numpy as np
import pytest

from pairspace.cli import main
from pairspace.cli import train as module
from pairspace.errors import PairspaceError, SpaceError, TrainingError
from pairspace.space import Space
from pairspace.training import loop

SIDES = ("--side", "title=q", "--side", "body=d")
QUICK = ("--device", "cpu", "--epochs", "2", "--batch-size", "64", "--json")


@pytest.fixture
def train(run, files):
    """`train(*options)`: the summary, and the space that was written."""

    def train(*options, pairs="pairs.csv", output="space"):
        data = [files / pairs] if pairs else []
        summary = json.loads(run("train", *data, *SIDES, *QUICK, "-o", files / output, *options))
        return summary, Space.from_pretrained(files / output, device="cpu", cache=False)

    return train


def options_of(space):
    return space.record["options"]


def branches(space):
    return [branch for side in space.sides for branch in space.part(side).branches]


def test_a_shared_bag_from_nothing(train, run, files):
    summary, space = train("--encoder", "static", "--shared-encoder")
    title, body = branches(space)
    assert title.encoder is body.encoder and title.trains and "static" in summary["space"]
    np.testing.assert_array_equal(space.encode("a b", side="title"), space.encode("a b", side="body"))
    assert "static" in run("info", files / "space")


def test_a_transformer_beside_a_bag_from_nothing(train):
    _, space = train("--encoder", "title=transformer:32", "--encoder", "body=static:16", "--dimension", "16")
    assert [branch.encoder.family for branch in branches(space)] == ["small", "static"]
    assert space.dimension == 16


def test_joined_encoders_and_every_verb_on_them(train, run, files, plain_folder):
    summary, space = train("--encoder", f"{plain_folder}+static")
    assert [len(space.part(side).branches) for side in space.sides] == [2, 2]
    assert summary["before"]["validation_R@1"] >= 0
    report = run("evaluate", files / "space", "--pairs", files / "pairs.csv", *SIDES)
    assert "encoders before training" in report
    index = ("index", files / "space", files / "pairs.csv", "--column", "d", "--id", "key", "-o", files / "index")
    assert json.loads(run(*index, "--json"))["items"] == 256
    [found] = json.loads(run("search", files / "index", "a b", "-k", "2", "--json"))
    assert len(found["hits"]) == 2
    run("encode", files / "space", files / "texts.txt", "--side", "title", "-o", files / "v.npy")
    assert np.load(files / "v.npy").shape == (256, space.dimension)
    assert "+" in run("info", files / "space")


@pytest.mark.parametrize("how", [(), ("--train-blocks", "1"), ("--lora", "2"), ("--projector-epochs", "1")])
def test_an_encoder_that_trains(train, plain_folder, how):
    if "--lora" in how:
        pytest.importorskip("peft")
    more = ("--encoder-learning-rate", "1e-3", "--chunk-size", "16", "--validation", "0")
    summary, space = train("--encoder", plain_folder, "--train-encoder", "title", *more, *how)
    title, body = branches(space)
    assert title.trains and not body.trains and title.encoder.fingerprint != body.encoder.fingerprint
    assert title.encoder.name.endswith(" (trained)") and summary["epochs"] == (3 if "--projector-epochs" in how else 2)
    assert options_of(space)["chunk_size"] == 16 and options_of(space)["encoder_learning_rate"] == 1e-3


def test_it_goes_on_from_a_space_whose_encoder_was_trained(train, files, plain_folder):
    _, first = train("--encoder", plain_folder, "--train-encoder", "title", "--validation", "0")
    _, second = train("--from", files / "space", "--validation", "0", output="more")
    _, third = train("--from", files / "space", "--validation", "0", "--train-encoder", "body", output="other")
    prints = [[branch.encoder.fingerprint for branch in branches(one)] for one in (first, second, third)]
    assert [a == b for a, b in zip(prints[0], prints[1], strict=True)] == [False, True]
    assert [a == b for a, b in zip(prints[0], prints[2], strict=True)] == [True, False]
    np.testing.assert_array_equal(second.encode_start(["a b"]), first.encode_start(["a b"]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--objective", "sigmoid"), {"objective": "sigmoid"}),
        (("--objective", "margin", "--margin", "0"), {"objective": "margin", "margin": 0.0}),
        (("--matryoshka", "8,16"), {"matryoshka": [8, 16]}),
        (("--structure", "2", "--debias", "0"), {"structure": 2.0, "debias": 0.0}),
        (("--mix", "0.4", "--weight-decay", "0"), {"mix": 0.4, "weight_decay": 0.0}),
        (("--group-batches",), {"group_batches": True}),
    ],
)
def test_objectives_and_settings_arrive_also_where_they_are_zero(train, plain_folder, options, expected):
    summary, space = train("--encoder", plain_folder, *options)
    assert {name: options_of(space)[name] for name in expected} == expected
    assert summary["epochs"] == 2
    assert (space.bias is not None) == ("sigmoid" in options)


def test_a_teacher(train, plain_folder, untrained):
    _, space = train("--encoder", "static:16", "--objective", "distill", "--teacher", untrained)
    assert options_of(space)["objective"] == "distill"
    train("--encoder", "static:16", "--teacher", untrained, "--teacher-weight", "0.3", output="other")
    with pytest.raises(TrainingError, match="'distill' needs a teacher space"):
        train("--encoder", "static:16", "--objective", "distill", output="none")


def test_negatives_and_scores_are_columns(train, files, plain_folder):
    rows = [
        {"q": f"{a} {b}", "d": f"{b} game {a}", "no": ["play", f"{a} game"], "s": [0.9, 0.1, 0.2]}
        for a in "abcdef"
        for b in "abcdef"
    ]
    (files / "hard.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, space = train("--encoder", plain_folder, "--negatives", "no", pairs="hard.jsonl")
    assert space.trained
    mse = ("--negatives", "no", "--score", "s", "--objective", "margin-mse")
    _, space = train("--encoder", plain_folder, *mse, pairs="hard.jsonl", output="other")
    assert options_of(space)["objective"] == "margin-mse"


def test_several_data_sets(train, files, plain_folder):
    (files / "more.csv").write_text("q,d\n" + "".join(f"{n} one,{n} two\n" for n in range(30)))
    both = ("--pairs", files / "pairs.csv", "--pairs", files / "more.csv", "--mixing", "3")
    summary, space = train("--encoder", plain_folder, *both, pairs=None)
    assert summary["pairs"] == 286 and "pairs.csv" in space.record["source"] and "more.csv" in space.record["source"]
    summary, _ = train("--encoder", plain_folder, "--pairs", files / "more.csv", output="other")  # beside the first
    assert summary["pairs"] == 286


def test_what_cannot_be_is_told(train, files, plain_folder):
    for options, kind, message in (
        (("--train-encoder", "caption"), SpaceError, "no side 'caption'"),
        (("--shared-encoder", "--train-encoder", "title"), SpaceError, "for all of them or none"),
        (("--train-encoder", "title", "--train-blocks", "9"), PairspaceError, "this model has 3 blocks"),
        (("--train-encoder", "title", "--train-blocks", "1", "--lora", "2"), TrainingError, "give one of them"),
        (("--matryoshka", "8,99"), TrainingError, r"matryoshka sizes \[99\] exceed the space's 32 dimensions"),
        (("--matryoshka", "8;9"), PairspaceError, "--matryoshka 8;9: write it as 64,128,256"),
        (("--objective", "hinge"), TrainingError, "objective 'hinge' is unknown"),
        (("--patience", "0"), TrainingError, "patience must be at least 1"),
        (("--learning-rate", "0"), TrainingError, "learning_rate must be above 0"),
        (("--track", "abacus"), TrainingError, "unknown tracker 'abacus'"),
    ):
        with pytest.raises(kind, match=message):
            train("--encoder", plain_folder, *options)
        assert not (files / "space").exists()
    with pytest.raises(PairspaceError, match="name a file of pairs"):
        train("--encoder", plain_folder, pairs=None)


def test_a_batch_larger_than_the_data_is_noted(train, plain_folder):
    summary, _ = train("--encoder", plain_folder, "--batch-size", "5000", "--validation", "0")
    assert any("batch_size 5,000 is more than the 256 pairs there are" in note for note in summary["notes"])


def test_every_epoch_is_tracked_and_the_tracker_closed(train, plain_folder, monkeypatch, files):
    said = []

    class Tracker:
        def log(self, record):
            said.append(record["epoch"])

        def close(self):
            said.append("closed")

    def open_tracker(kind, folder, settings, *, resume):
        said.append((kind, folder.name, settings["epochs"], resume))
        return Tracker()

    monkeypatch.setattr("pairspace.training.trackers.open_tracker", open_tracker)
    train("--encoder", plain_folder, "--track", "wandb", "--projector-epochs", "1", "--train-encoder", "body")
    assert said == [("wandb", "space.log", 2, False), 0, 1, 2, 3, "closed"]


def test_help_is_grouped_and_names_every_option(run):
    said = " ".join(run("train", "--help").split())
    for group in (module.DATA, module.SPACE, module.ENCODERS, module.TRAINING, module.OBJECTIVE):
        assert group in said
    for option in ("--pairs", "--train-encoder", "--lora", "--chunk-size", "--objective", "--matryoshka", "--track"):
        assert option in said


def dies(conftest, arguments, cache):
    """The command, in a process that kills itself in the third epoch if it is the second one."""
    real = loop._Run._update

    def update(self, rows, rng, where):
        if os.environ["RANK"] == "1" and self.epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, rows, rng, where)

    loop._Run._update = update
    os.environ["PAIRSPACE_CACHE"] = cache
    sys.argv = ["pairspace", *arguments]
    main()


TORCHRUN = "from torch.distributed.run import main; main()"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_two_processes_one_of_which_dies_resume_to_what_one_process_makes(run, files, plain_folder, together, warm):
    train = ["train", files / "pairs.csv", *SIDES, "--encoder", plain_folder, "--train-encoder", "title"]
    train += ["--layers", "last", "--train-blocks", "2", "--encoder-learning-rate", "1e-3"]  # over token states
    train += ["--device", "cpu", "--epochs", "3", "--batch-size", "65", "--chunk-size", "16", "--json", "-o"]
    first, second = together(dies, [str(part) for part in (*train, files / "two")], str(files / "cache"))
    assert (first.code, second.code, first.out) == (2, -signal.SIGKILL, "")
    assert first.err.startswith("pairspace: another process of this run ended") and first.err.count("\n") == 1
    assert "--resume" in first.err
    assert [path.name for path in (files / "two.checkpoint").iterdir()] == ["checkpoint.safetensors"]
    assert not (files / "two").exists()
    assert list((files / "cache").rglob("tokens-1/block-*.npy"))
    warm.write_command(files)
    torchrun = ["--standalone", "--nproc-per-node", "2", "--no-python", files / "pairspace"]
    done = warm.run(TORCHRUN, *torchrun, *train, files / "two", "--resume", folder=files, OMP_NUM_THREADS="1")
    assert done.code == 0, done.err
    summary = json.loads(done.out)  # of the first process alone
    assert summary["epochs"] == 3 and not (files / "two.checkpoint").exists()
    whole = json.loads(run(*train, files / "one"))
    assert summary["after"]["loss"] == pytest.approx(whole["after"]["loss"], abs=1e-3)
    one, two = (Space.from_pretrained(files / name, device="cpu", cache=False) for name in ("one", "two"))
    for side in one.sides:
        np.testing.assert_allclose(two.encode(["a b", "c"], side=side), one.encode(["a b", "c"], side=side), atol=2e-3)
