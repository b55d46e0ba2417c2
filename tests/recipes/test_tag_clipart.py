"""The recipe that tags clip art without labels, on small drawings with a colour and a shape as keywords."""

from __future__ import annotations

import csv
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from pairspace.tagging import Tagger

RECIPE = Path(__file__).parent.parent.parent / "recipes" / "tag_clipart.py"
COUNT, SHOWN = 72, 5


@pytest.fixture(scope="module")
def recipe() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(RECIPE)))


@pytest.fixture(scope="module")
def rows(write_drawings, tmp_path_factory) -> list[dict]:
    """Drawings, each in a group of its own; the author's name is among the keywords of all."""
    folder = tmp_path_factory.mktemp("made")
    with write_drawings(folder, COUNT).open(newline="") as file:
        drawn = list(csv.DictReader(file))
    return [
        {
            "id": f"folder{n}/one",
            "image": (folder / "drawings" / row["path"]).read_bytes(),
            "title": row["text"] if n % 6 else None,
            "tags": [*row["text"].split()[1:], "the author", f"rare{n}"],
            "author": "The Author",
        }
        for n, row in enumerate(drawn)
    ]


def written(folder: Path, rows: list[dict]) -> Path:
    (folder / "openclipart").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "openclipart" / "clipart.parquet")
    return folder


def run(recipe, data: Path, output: Path, network: Path, words: Path, monkeypatch) -> None:
    monkeypatch.setenv("PAIRSPACE_CACHE", str(output / "cache"))
    how = ["--least", "5", "--epochs", "2", "--resamples", "20", "--image-encoder", str(network)]
    how += ["--text-encoder", str(words)]
    recipe.main([str(data), *how, "--show", str(SHOWN), "--output", str(output)])


def test_near_duplicates_stay_on_one_side(recipe):
    rows = [{"id": f"a/{n}", "title": f"Man {n % 4}"} for n in range(8)] + [
        {"id": f"b/{n}", "title": None} for n in "xy"
    ]
    rows += [{"id": f"c/{n}", "title": f"thing {chr(97 + n)}"} for n in range(6)]
    train, test = recipe.split(rows, 0.5)
    assert len(train) + len(test) == len(rows) and train and test
    groups = [{(row["id"][0], re.sub(r"\d", "", row["title"] or "")) for row in part} for part in (train, test)]
    assert not groups[0] & groups[1] and len(groups[0] | groups[1]) == 8


def test_the_whole_recipe(recipe, rows, network, plain_folder, tmp_path, monkeypatch, capsys):
    run(recipe, written(tmp_path / "data", rows), tmp_path / "out", network, plain_folder, monkeypatch)
    said = capsys.readouterr().out
    assert "50 pictures to learn from, 22 to measure on, 7 tags" in said  # neither rare keywords nor the author
    chance = float(re.search(r"by chance ([\d.]+)", said)[1])
    found = {name: float(re.search(rf"{name} +([\d.]+)", said)[1]) for name in ("whole picture", "with labels")}
    assert found["with labels"] > chance + 0.15
    model = Tagger.from_pretrained(tmp_path / "out" / "tagger")
    assert set(model.classes) == {"red", "green", "blue", "black", "circle", "square", "cross"}
    html = (tmp_path / "out" / "tags.html").read_text()
    assert html.count("<article>") == SHOWN and SHOWN <= html.count('class="heat') <= 3 * SHOWN
    assert html.count("(right: ") == SHOWN and "rare" not in re.sub('base64,[^"]+', "", html)
    assert "mAP" in (tmp_path / "out" / "evaluation.txt").read_text()


def test_no_picture_s_keywords_are_learnt_from(recipe, rows, network, plain_folder, tmp_path, monkeypatch, capsys):
    train, test = recipe.split(rows, 0.3)
    order = np.random.default_rng(0).permutation(len(train))
    other = test + [row | {"tags": train[n]["tags"]} for row, n in zip(train, order)]
    other.sort(key=lambda row: int(re.sub(r"\D", "", row["id"])))
    for name, some in (("one", rows), ("other", other)):
        run(recipe, written(tmp_path / name, some), tmp_path / f"{name}-out", network, plain_folder, monkeypatch)
    said = capsys.readouterr().out
    for system in ("zero-shot, whole picture", "zero-shot, with places", "label-free"):
        first, second = re.findall(rf"{system} +([\d.]+)", said)
        assert first == second
    weights = [
        load_file(tmp_path / f"{name}-out/tagger/classifier/classifier.safetensors") for name in ("one", "other")
    ]
    assert all(np.array_equal(value, weights[1][name]) for name, value in weights[0].items())
    first, second = re.findall(r"with labels +([\d.]+)", said)
    assert first != second


def test_it_says_what_is_missing(recipe, rows, tmp_path):
    with pytest.raises(SystemExit, match=r"clipart\.parquet: no such file; give the folder"):
        recipe.main([str(tmp_path)])
    with pytest.raises(SystemExit, match="0 keywords stand at 99 pictures or more; lower --least"):
        recipe.main([str(written(tmp_path / "data", rows)), "--least", "99"])
