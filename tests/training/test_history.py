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


def drawn(history):
    """What each panel shows: its title, and of every curve the x and y values."""
    shown = {}
    for axis in history.figure().axes:
        curves = [line for line in axis.lines if line.get_marker() == "."]
        if curves:
            shown[axis.get_title() or axis.get_ylabel()] = [(list(c.get_xdata()), list(c.get_ydata())) for c in curves]
    return shown


def test_panels_show_what_the_records_tell(history):
    assert drawn(history) == {
        "training loss (nats)": [([1, 2], [2.5, 1.5])],
        "validation R@1": [([0, 1, 2], [0.1, 0.3, 0.2])],
    }
    for epoch, record in enumerate(history.records):
        record |= {
            "temperature": 0.5 - epoch / 8,
            "bias": -10.0,
            "alignment": 1.0 - epoch,
            "uniformity": -2.0 - epoch,
        }
    shown = drawn(history)
    assert len(shown) == 6
    assert shown["temperature"] == [([0, 1, 2], [0.5, 0.375, 0.25])]
    assert shown["bias"] == [([0, 1, 2], [-10.0] * 3)]
    assert shown["alignment and uniformity"] == [([0, 1, 2], [1.0, 0.0, -1.0])]
    assert shown["uniformity"] == [([0, 1, 2], [-2.0, -3.0, -4.0])]


def test_the_epoch_whose_weights_were_kept_is_marked(history):
    for axis in history.figure().axes:
        assert list(axis.lines[0].get_xdata()) == [1, 1]


def test_all_panels_make_a_picture(history, tmp_path):
    history.records[1] |= {"temperature": 0.05, "bias": -9.0, "alignment": 0.4, "uniformity": -3.0}
    history.plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_epochs_draws_too(tmp_path):
    History([{"epoch": 0}]).plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").exists()
