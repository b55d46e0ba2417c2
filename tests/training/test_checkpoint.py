from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from pairspace.errors import StorageError, TrainingError
from pairspace.training import History
from pairspace.training.checkpoint import NAME


class Stop(Exception):
    pass


def stop_after(epoch):
    def stop(history: History) -> None:
        if history.records[-1]["epoch"] == epoch:
            raise Stop

    return stop


@pytest.mark.parametrize("kind", ["linear", "residual"])
@pytest.mark.parametrize("epoch", [1, 4, 6])
def test_resume_gives_the_same_weights_as_no_stop(planted, tmp_path, kind, epoch):
    whole, stopped, resumed = planted(kind=kind), planted(kind=kind), planted(kind=kind)
    history = whole.train()
    with pytest.raises(Stop):
        stopped.train(checkpoint=tmp_path, after_epoch=stop_after(epoch))
    torch.manual_seed(99)  # what the process did before does not matter
    again = resumed.train(checkpoint=tmp_path, resume=True)
    assert whole.has_the_weights_of(resumed)
    assert planted.without_times(again) == planted.without_times(history)
    assert again.best_epoch == history.best_epoch
    assert again.notes == history.notes


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import Problem

def kill(history):
    if history.records[-1]["epoch"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)

Problem(kind="residual").train(checkpoint=Path(sys.argv[2]), after_epoch=kill)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_run_goes_on_bit_for_bit(planted, warm, tmp_path, tmp_path_factory):
    said = tmp_path_factory.mktemp("said")
    assert warm.run(SCRIPT, Path(__file__).parent, tmp_path, folder=said).code == -signal.SIGKILL
    whole, resumed = planted(kind="residual"), planted(kind="residual")
    history, again = whole.train(), resumed.train(checkpoint=tmp_path, resume=True)
    assert whole.has_the_weights_of(resumed)
    assert planted.without_times(again) == planted.without_times(history)


def test_a_resumed_run_still_knows_how_long_nothing_got_better(planted, tmp_path, monkeypatch):
    from pairspace.training.validation import Score, Validation

    scores = iter([0.5, 0.1, 0.1, 0.1, 0.1])
    monkeypatch.setattr(Validation, "score_of", lambda self, *vectors: Score(0.0, next(scores)))
    with pytest.raises(Stop):
        planted().train(options={"patience": 3}, checkpoint=tmp_path, after_epoch=stop_after(2))
    history = planted().train(options={"patience": 3}, checkpoint=tmp_path, resume=True)
    assert [r["epoch"] for r in history.records] == [0, 1, 2, 3]
    assert history.best_epoch == 0


def test_resume_without_a_checkpoint_starts_anew_and_without_resume_it_is_overwritten(planted, tmp_path):
    whole, fresh, over = planted(), planted(), planted()
    whole.train()
    fresh.train(checkpoint=tmp_path / "new" / "folder", resume=True)
    assert whole.has_the_weights_of(fresh)
    first = (tmp_path / "new" / "folder" / NAME).read_bytes()
    over.train(options={"seed": 8}, checkpoint=tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / NAME).read_bytes() != first
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == [NAME]


def other_options(problem):
    return {"options": {"learning_rate": 0.03}}


def other_codes(problem):
    problem.examples.document[:2] = problem.examples.document[1::-1]
    return {}


def other_features(problem):
    features = problem.towers[1].branches[0].rows_of
    features.values = features.values + np.float32(0.5)
    return {}


def no_validation(problem):
    return {"validation": None}


def other_held_out(problem):
    problem.validation.codes = (problem.validation.codes[0], problem.validation.codes[1][::-1])
    return {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_options, "learning_rate 0.02 there, 0.03 here"),
        (other_codes, "the pairs"),
        (other_features, "the items"),
        (no_validation, "the validation pairs"),
        (other_held_out, "the validation pairs"),
    ],
)
def test_resume_with_anything_else_is_refused_and_changes_nothing(planted, tmp_path, change, said):
    planted().train(options={"epochs": 2}, checkpoint=tmp_path)
    problem = planted()
    start, rest = problem.weights(), change(problem)
    rest["options"] = {"epochs": 2} | rest.get("options", {})
    message = re.escape(f"made with other pairs or settings ({said}); use those again, or remove it")
    with pytest.raises(TrainingError, match=message):
        problem.train(checkpoint=tmp_path, resume=True, **rest)
    assert all(torch.equal(problem.weights()[name], value) for name, value in start.items())


def test_every_setting_that_differs_is_named(planted, tmp_path):
    planted().train(options={"epochs": 2}, checkpoint=tmp_path)
    changed = {"epochs": 3, "batch_size": 60, "margin": 0.5, "learning_rate": 1e-5}
    message = (
        r"\(epochs 2 there, 3 here, batch_size 50 there, 60 here, learning_rate 0.02 there, 1e-05 here, "
        r"margin 0.3 there, 0.5 here\)"
    )
    problem = planted()
    with pytest.raises(TrainingError, match=message):
        problem.train(options=changed, checkpoint=tmp_path, resume=True)


def test_resume_with_another_projector_is_refused(planted, tmp_path):
    planted(kind="linear").train(options={"epochs": 2}, checkpoint=tmp_path)
    message = r"other pairs or settings \(the shapes of what trains, the weights at the start\)"
    with pytest.raises(TrainingError, match=message):
        planted(kind="residual").train(options={"epochs": 2}, checkpoint=tmp_path, resume=True)


def cut(blob):
    return blob[: len(blob) // 2]


def scrambled(blob):
    return bytes(reversed(blob))


def pickled(blob):
    return b"\x80\x04K\x01."


def without_state(blob):
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + size])
    header["__metadata__"]["state"] = "{}"
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + blob[8 + size :]


@pytest.mark.parametrize("garble", [cut, scrambled, pickled, without_state, lambda blob: b""])
def test_a_garbled_checkpoint_is_named_with_what_to_do(planted, tmp_path, garble):
    planted().train(options={"epochs": 1}, checkpoint=tmp_path)
    path = tmp_path / NAME
    path.write_bytes(garble(path.read_bytes()))
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors: not a readable checkpoint.*remove it"):
        planted().train(options={"epochs": 1}, checkpoint=tmp_path, resume=True)


def test_a_checkpoint_folder_that_cannot_be_made_is_named(planted, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        planted().train(checkpoint=tmp_path / "file")


def test_a_full_disk_leaves_the_last_checkpoint(planted, tmp_path, monkeypatch):
    planted().train(options={"epochs": 2}, checkpoint=tmp_path)
    good = (tmp_path / NAME).read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left on device"):
        planted().train(options={"epochs": 2, "seed": 9}, checkpoint=tmp_path)
    assert (tmp_path / NAME).read_bytes() == good
    assert [p.name for p in tmp_path.iterdir()] == [NAME]
