"""The recipe of icon search, on small drawings with captions in two languages."""

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

from pairspace.space import Space

RECIPE = Path(__file__).parent.parent.parent / "recipes" / "icon_search.py"
COUNT, SHOWN = 36, 3
GERMAN = {"red": "rot", "green": "grün", "blue": "blau", "black": "schwarz"}


@pytest.fixture(scope="module")
def recipe() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(RECIPE)))


@pytest.fixture(scope="module")
def data(write_drawings, tmp_path_factory) -> Path:
    """A folder with the layout of emoji; captions are numbered in threes, so that groups have several pictures."""
    folder = tmp_path_factory.mktemp("made")
    with write_drawings(folder, COUNT).open(newline="") as file:
        drawn = list(csv.DictReader(file))
    rows = []
    for n, row in enumerate(drawn):
        label, colour = f"{row['text']} {n // 3}", row["text"].split()[1]
        labels = [("en", label), ("de", f"{GERMAN[colour]} {n}"), ("ru", f"русский {n}")]
        picture = (folder / "drawings" / row["path"]).read_bytes()
        rows.append({"image": picture, "label_en": label, "tags_en": [colour], "labels": labels})
    texts, by_language = pa.list_(pa.string()), pa.map_(pa.string(), pa.string())
    columns = {"image": pa.binary(), "label_en": pa.string(), "tags_en": texts, "labels": by_language}
    schema = pa.schema(list(columns.items()))
    (folder / "emoji").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "emoji" / "emoji.parquet")
    return folder


def test_no_english_caption_is_on_both_sides(recipe):
    icons = [recipe.Icon(b"", f"caption {n // 3}", "", {}) for n in range(30)]
    held = recipe.split(icons, 0.4)
    captions = [{icon.english for icon, out in zip(icons, held, strict=True) if out == side} for side in (True, False)]
    assert len(captions[0]) == 4 and len(captions[1]) == 6 and not captions[0] & captions[1]
    np.testing.assert_array_equal(held, recipe.split(icons, 0.4))


def test_captions_by_language_are_read_and_regions_dropped(recipe):
    row = {"icon": b"x", "summary_en": "Edit text", "name_en": "Ed", "summaries": [("zh_CN", "编辑"), ("de", "Texte")]}
    icon = recipe._icon(row, "icon", "summary_en", "name_en", "summaries")
    assert icon == (b"x", "Edit text", "Edit text, Ed", {"zh": "编辑", "de": "Texte", "en": "Edit text"})


def test_the_whole_recipe(recipe, data, network, plain_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PAIRSPACE_CACHE", str(tmp_path / "cache"))
    how = ["--image-encoder", str(network), "--text-encoder", str(plain_folder), "-k", str(SHOWN)]
    recipe.main([str(data), *how, "--output", str(tmp_path / "out")])
    said = capsys.readouterr().out
    learnt, held = (int(number) for number in re.search(r"(\d+) icons to learn from, (\d+) held out", said).groups())
    assert learnt + held == COUNT and held > 0
    rows = re.findall(r"^(en|de|ru) +(\d+) +([\d.]+) +([\d.]+)(  \(not learnt in\))?$", said, re.MULTILINE)
    assert [row[0] for row in rows] == ["en", "de", "ru"] and [bool(row[4]) for row in rows] == [False, False, True]
    assert all(0 <= float(row[2]) <= float(row[3]) <= 1 and 0 < int(row[1]) <= held for row in rows)
    space = Space.from_pretrained(tmp_path / "out" / "space", cache=False)
    assert space.query_side == "caption" and space.encode("ein Hund").shape == (2 * 16,)  # two spaces joined
    html = (tmp_path / "out" / "icons.html").read_text("utf-8")
    asked = len(recipe.QUERIES) * len(recipe.ASKED)
    assert html.count("<tr>") == asked and html.count("<figure") == asked * SHOWN
    assert {"犬", "Hund", "собака"} <= set(re.findall(r"<th>(.*?)</th>", html))
    assert html.count('class="new"') and html.count('class="known"')


def test_the_page_marks_what_was_never_learnt_from_and_escapes_names(recipe):
    icons = [recipe.Icon(b"\x89PNG1", "<one>", "<one> & more", {}), recipe.Icon(b"RIFF2", "two", "two", {})]
    hits = [SimpleNamespace(id="1", score=0.5), SimpleNamespace(id="0", score=0.25)]
    html = recipe.page(icons, np.array([True, False]), [("en", "a <b>", hits)])
    first, second = re.findall("<figure.*?</figure>", html)
    assert 'class="known"' in first and "image/webp" in first and "0.50" in first
    assert 'class="new"' in second and "image/png" in second and "&lt;one&gt; &amp; more" in second
    assert "a &lt;b&gt;" in html and "<one>" not in html


def test_it_says_what_is_missing(recipe, tmp_path):
    with pytest.raises(SystemExit, match=r"none of emoji/emoji\.parquet"):
        recipe.main([str(tmp_path)])


def test_queries_are_in_all_languages_asked(recipe):
    assert all(set(query) == set(recipe.ASKED) for query in recipe.QUERIES)
