from __future__ import annotations

import json

import pytest

from pairspace.training import History


@pytest.fixture
def history():
    records = [
        {"epoch": 0, "validation_R@1": 0.1},
        {"epoch": 1, "loss": 2.5, "validation_R@1": 0.3},
        {"epoch": 2, "loss": 1.5, "validation_R@1": 0.2},
    ]
    return History(records, best_epoch=1)


def test_saves_a_line_an_epoch(history, tmp_path):
    history.save(tmp_path / "history.jsonl")
    lines = (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == history.records


def test_a_column_skips_records_that_lack_it(history):
    assert history.column("loss") == [2.5, 1.5]
    assert history.column("temperature") == []


@pytest.mark.parametrize("scored", [True, False])
def test_draws_a_picture(history, tmp_path, scored):
    if not scored:
        for record in history.records:
            del record["validation_R@1"]
    history.plot(tmp_path / "history.png")
    blob = (tmp_path / "history.png").read_bytes()
    assert blob.startswith(b"\x89PNG\r\n\x1a\n") and len(blob) > 5000
    width, height = (int.from_bytes(blob[i : i + 4], "big") for i in (16, 20))
    assert width > height > 200


def test_a_run_without_epochs_draws_too(tmp_path):
    History([{"epoch": 0}]).plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").exists()
