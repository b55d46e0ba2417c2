"""The recipe that builds the bundled sample, on the sample itself: whole groups, the same file from the same input."""

from __future__ import annotations

import io
import runpy
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from pairspace.data import sample_path

RECIPE = Path(__file__).parent.parent.parent / "recipes" / "build_sample.py"


def test_whole_groups_are_taken_and_equal_input_gives_an_equal_file(tmp_path, monkeypatch):
    (tmp_path / "debian_descriptions").mkdir()
    pq.write_table(pq.read_table(sample_path()).slice(0, 900), tmp_path / "debian_descriptions" / "train.parquet")
    monkeypatch.setenv("PAIRSPACE_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["build_sample.py"])
    module = runpy.run_path(str(RECIPE))
    made = []
    for name in ("first", "second"):
        module["main"].__globals__.update(
            TARGET=tmp_path / name / "packages.parquet", ROWS={"de": 40, "fr": 40, "en": 40}
        )
        module["main"]()
        made.append((tmp_path / name / "packages.parquet").read_bytes())
    assert made[0] == made[1]
    taken = pq.read_table(tmp_path / "first" / "packages.parquet")
    whole = pq.read_table(tmp_path / "debian_descriptions" / "train.parquet")["group"].to_numpy()
    assert 0 < len(taken) <= 120
    for group, count in zip(*np.unique(taken["group"].to_numpy(), return_counts=True), strict=True):
        assert count == (whole == group).sum()


def test_emoji_are_chosen_shrunk_and_equal_input_gives_an_equal_file(tmp_path):
    module = runpy.run_path(str(RECIPE))
    module["build_emoji"].__globals__["EMOJI"] = 20
    made = []
    for name in ("first", "second"):
        assert module["build_emoji"](sample_path("emoji"), tmp_path / f"{name}.parquet") == 20
        made.append((tmp_path / f"{name}.parquet").read_bytes())
    assert made[0] == made[1]
    rows = pq.read_table(tmp_path / "first.parquet").to_pylist()
    known = {row["id"]: row for row in pq.read_table(sample_path("emoji")).to_pylist()}
    for row in rows:
        whole = known[row["id"]]
        assert row["group"] in module["GROUPS"] and row | {"image": b""} == whole | {"image": b""}
        assert row["image"][:4] == b"RIFF" and row["image"][8:12] == b"WEBP"


def test_the_bundled_emoji_are_whole():
    table = pq.read_table(sample_path("emoji"))
    assert len(table) == 150 == len(set(table["id"].to_pylist())) and not any(column.null_count for column in table)
    for row in table.to_pylist():
        with Image.open(io.BytesIO(row["image"])) as picture:
            assert picture.size == (64, 64)
        assert dict(row["labels"])["en"] == row["label_en"] and len(row["labels"]) == 8
