"""Trackers against stand-ins for the two packages, and against TensorBoard itself where it is installed."""

from __future__ import annotations

import sys
import types

import pytest

from pairspace.errors import TrainingError
from pairspace.training.trackers import open_tracker

RECORDS = [
    {"epoch": 0, "temperature": 0.05, "validation_R@1": 0.25},
    {"epoch": 1, "loss": 2.5, "seconds": float("nan"), "note": "text", "ok": True, "validation_R@1": 0.5},
]
SETTINGS = {"epochs": 2, "folder": object()}


class Writer:
    """Keeps what it is told."""

    def __init__(self, folder):
        self.folder, self.told, self.closed = folder, [], False
        Writer.last = self

    def add_text(self, name, text, step):
        self.text = (name, text, step)

    def add_scalar(self, name, value, step):
        self.told.append((name, value, step))

    def flush(self):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def without(monkeypatch):
    """Makes imports of these modules fail, as where their package is missing."""
    return lambda *names: [monkeypatch.setitem(sys.modules, name, None) for name in names]


@pytest.mark.parametrize("module", ["torch.utils.tensorboard", "tensorboardX"])
def test_tensorboard_gets_the_numbers_of_each_record(monkeypatch, without, tmp_path, module):
    without("torch.utils.tensorboard", "tensorboardX")
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(SummaryWriter=Writer))
    tracker = open_tracker("tensorboard", tmp_path / "run", SETTINGS)
    for record in RECORDS:
        tracker.log(record)
    tracker.close()
    writer = Writer.last
    assert writer.folder == str(tmp_path / "run") and writer.closed
    assert writer.text[0] == "settings" and '"epochs": 2' in writer.text[1]
    assert writer.told == [
        ("temperature", 0.05, 0),
        ("validation/R@1", 0.25, 0),
        ("loss", 2.5, 1),
        ("validation/R@1", 0.5, 1),
    ]


class Wandb(types.ModuleType):
    """A stand-in for the package and for a run of it."""

    def __init__(self, error=None):
        super().__init__("wandb")
        self.error, self.started, self.told, self.finished, self.id = error, [], [], 0, "abc123"

    def init(self, **options):
        if self.error:
            raise self.error
        self.started.append(options)
        return self

    def log(self, values, step):
        self.told.append((values, step))

    def finish(self):
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch):
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", Wandb())
    return sys.modules["wandb"]


def test_wandb_gets_the_numbers_of_each_record(wandb, tmp_path):
    tracker = open_tracker("wandb", tmp_path / "run", {"epochs": 2})
    for record in RECORDS:
        tracker.log(record)
    tracker.close()
    assert wandb.started == [
        {"dir": str(tmp_path / "run"), "config": {"epochs": 2}, "project": "pairspace", "name": "run"}
    ]
    assert wandb.told == [({"temperature": 0.05, "validation/R@1": 0.25}, 0), ({"loss": 2.5, "validation/R@1": 0.5}, 1)]
    assert wandb.finished == 1


def test_wandb_goes_on_with_its_run_only_when_told(wandb, tmp_path):
    for resume in (True, True, False):
        open_tracker("wandb", tmp_path, resume=resume).close()
    first, second, third = wandb.started
    assert "id" not in first and "id" not in third
    assert (second["id"], second["resume"]) == ("abc123", "allow")


def test_wandb_uses_the_project_of_the_environment(wandb, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    open_tracker("wandb", tmp_path).close()
    assert wandb.started[0]["project"] == "mine"


def test_wandb_that_does_not_start_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", Wandb(RuntimeError("no API key")))
    with pytest.raises(TrainingError, match=r"did not start \(no API key\).*wandb login.*WANDB_MODE=offline"):
        open_tracker("wandb", tmp_path)


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_a_missing_package_is_named(without, tmp_path, kind):
    without("torch.utils.tensorboard", "tensorboardX", "wandb")
    with pytest.raises(TrainingError, match=f"tracking with {kind} needs its package: pip install {kind}"):
        open_tracker(kind, tmp_path)


def test_an_unknown_tracker_is_named(tmp_path):
    with pytest.raises(TrainingError, match="unknown tracker 'mlflow': there are tensorboard and wandb"):
        open_tracker("mlflow", tmp_path)


def test_tensorboard_itself_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = open_tracker("tensorboard", tmp_path, SETTINGS)
    for record in RECORDS:
        tracker.log(record)
    tracker.close()
    read = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in read.Scalars("loss")] == [(1, 2.5)]
    (score,) = [tag for tag in read.Tags()["scalars"] if tag.startswith("validation/")]
    assert [(event.step, event.value) for event in read.Scalars(score)] == [(0, 0.25), (1, 0.5)]
