"""The recipe that sorts applications by icon and text: colours only icons show, topics only texts name."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.tagging import TagClassifier

RECIPE = Path(__file__).parent.parent.parent / "recipes" / "classify_apps.py"
TOPICS = {"Game": "play chess against the computer", "Music": "music player for gnome", "Rare": "library files"}
COUNT, SHOWN = 120, 12


@pytest.fixture(scope="module")
def recipe() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(RECIPE)))


@pytest.fixture(scope="module")
def data(write_drawings, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_drawings(folder, COUNT)
    draw, rows = np.random.default_rng(0), []
    for n in range(COUNT):
        topic = "Rare" if n % 40 == 0 else ("Game", "Music")[int(draw.integers(2))]
        colour = ("Red", "Green", "Blue", "Black")[n % 4]
        rows.append(
            {
                **{"id": f"{n}.desktop", "package": f"package{n // 2}", "categories": [topic, colour]},
                **{"icon": (folder / "drawings" / f"{n}.png").read_bytes(), "name_en": f"A <{n}> &amp; B"},
                **{"summary_en": TOPICS[topic], "description_en": None if n % 3 else f"{TOPICS[topic]} with friends"},
            }
        )
    (folder / "appstream").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "appstream" / "applications.parquet")
    return folder


@pytest.fixture(scope="module")
def done(recipe, data, network, plain_folder, tmp_path_factory):
    output, printed = tmp_path_factory.mktemp("out"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAIRSPACE_CACHE", str(output / "cache"))
        patch.setitem(recipe.main.__globals__, "print", lambda *some, **_: printed.append(" ".join(map(str, some))))
        how = ["--least", "10", "--epochs", "60", "--image-weight", "1", "--resamples", "20"]
        how += ["--image-encoder", str(network), "--text-encoder", str(plain_folder), "--show", str(SHOWN)]
        recipe.main([str(data), *how, "--output", str(output / "made")])
    return output / "made", "\n".join(printed)


def value(said: str, system: str) -> float:
    return float(re.search(rf"^{re.escape(system)} +([\d.]+)", said, re.M)[1])


def test_both_know_more_than_either(done):
    _, said = done
    assert "84 applications to learn from, 36 to measure on, 6 categories" in said  # Rare is too rare
    both, icon, text = (value(said, name) for name in ("icon and text", "icon", "text"))
    assert both > max(icon, text) + 0.05 and both > 0.7
    assert value(said, "... where the text is missing") < both > value(said, "... where the icon is missing")


def test_the_page_shows_what_was_found_and_what_was_not(done):
    output, _ = done
    html = (output / "categories.html").read_text()
    articles = re.findall(r"<article>.*?</article>", html, re.S)
    model = TagClassifier.from_pretrained(output / "classifier")
    limits = dict(zip(model.classes, model.thresholds.tolist()))
    assert len(articles) == SHOWN and set(limits) == {"Game", "Music", "Red", "Green", "Blue", "Black"}
    for article in articles:
        assert re.search(r"<h2>A &lt;\d+&gt; &amp; B</h2>", article)
        number = int(re.search(r"&lt;(\d+)&gt;", article)[1])
        marks = re.findall(r'<span class="(\w+)" title="\w+">(\w+) ([\d.]+)</span>', article)
        colour = ("Red", "Green", "Blue", "Black")[number % 4]
        assert {name: kind for kind, name, _ in marks}[colour] in ("right", "missed")
        assert {kind for kind, name, _ in marks if name in limits and name != colour and name[0] in "RB"} <= {"wrong"}
        for kind, name, score in marks:
            assert (float(score) >= limits[name] - 0.005) if kind != "missed" else (float(score) < limits[name] + 0.005)


def test_packages_stay_on_one_side(recipe):
    rows = [{"package": f"p{n // 3}"} for n in range(30)]
    train, test = recipe.split(rows, 0.3)
    assert len(train) == 21 and not {row["package"] for row in train} & {row["package"] for row in test}


def test_it_says_what_is_missing(recipe, data, tmp_path):
    with pytest.raises(SystemExit, match=r"applications\.parquet: no such file; give the folder"):
        recipe.main([str(tmp_path)])
    with pytest.raises(SystemExit, match="0 categories stand at 999 applications or more; lower --least"):
        recipe.main([str(data), "--least", "999"])
