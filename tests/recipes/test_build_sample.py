"""The recipe that builds the bundled sample, on the sample itself: whole groups, the same file from the same input."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

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
