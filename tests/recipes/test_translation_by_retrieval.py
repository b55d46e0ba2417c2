"""The recipe of translation by retrieval, on rows of the bundled sample: what it prints is what its files hold."""

from __future__ import annotations

import re
import runpy
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polib
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pairspace.bitext import TranslationMemory
from pairspace.data import read_units, sample_path
from pairspace.space import Space

RECIPE = Path(__file__).parent.parent.parent / "recipes" / "translation_by_retrieval.py"
ROWS, HELD = 400, 80


@pytest.fixture(scope="module")
def recipe() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(RECIPE)))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder of data with some of the sample's rows, all translated into Italian but the last."""
    folder = tmp_path_factory.mktemp("data")
    table = pq.read_table(sample_path())
    translated = table.filter(pc.is_valid(table["short_it"])).slice(0, ROWS)
    other = table.filter(pc.is_null(table["short_it"])).slice(0, 1)
    (folder / "debian_descriptions").mkdir()
    pq.write_table(pa.concat_tables([translated, other]), folder / "debian_descriptions" / "train.parquet")
    return folder


@pytest.fixture(scope="module")
def run(recipe, data, tmp_path_factory):
    """The folder that a small run has left, and what it has printed."""
    output = tmp_path_factory.mktemp("run") / "english-italian"
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said:
        patch.setenv("PAIRSPACE_DATA", str(data))
        patch.setenv("PAIRSPACE_CACHE", str(output.parent / "cache"))
        recipe.main(["--full", "--held", str(HELD), "--epochs", "4", "--output", str(output)])
    return output, said.getvalue()


def numbers(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    assert found, (pattern, text)
    return [float(group.replace(",", "")) for group in found.groups()]


def test_no_group_is_on_both_sides(recipe, data, monkeypatch):
    monkeypatch.setenv("PAIRSPACE_DATA", str(data))
    train, held = recipe.read(True, HELD, np.random.default_rng(0))
    assert len(held) == HELD and 0 < len(train) <= ROWS - HELD
    assert not {row["group"] for row in train} & {row["group"] for row in held}
    assert all(row["short_it"] and row["long_it"] for row in train + held)
    assert len(recipe.pairs_of(held, "short", "long")) == 2 * HELD


def test_segments_are_paragraphs_of_equal_number_and_names_become_placeholders(recipe):
    row = {"package": "nano", "short_en": "editor", "short_it": "un editor"}
    row |= {"long_en": "This is nano.\n\nUse nano, nano!\nlibnano", "long_it": "Questo è nano.\n\nUsa nano!\nlibnano"}
    assert list(recipe.segments(row)) == [
        ("editor", "un editor"),
        ("This is %s.", "Questo è %s."),
        ("Use nano, nano!", "Usa nano!"),
        ("libnano", "libnano"),
    ]
    assert list(recipe.segments(row | {"long_it": "una riga"})) == [("editor", "un editor")]


def test_errors_are_planted_as_said(recipe, data, monkeypatch):
    monkeypatch.setenv("PAIRSPACE_DATA", str(data))
    _, held = recipe.read(True, HELD, np.random.default_rng(0))
    right = {(row[f"{length}_en"], row[f"{length}_it"]) for row in held for length in ("short", "long")}
    others = {row[f"{length}_{code}"] for row in held for length in ("short", "long") for code in ("de", "fr")}
    found = recipe.planted(held, np.random.default_rng(0))
    assert len(found) == 2 * HELD
    for error in ("swapped", "cut off", "language"):
        assert sum(wrong == error for _, _, wrong in found) == 2 * HELD // 20
    for english, text, wrong in found:
        assert ((english, text) in right) == (wrong == "")
        assert (text in others) == (wrong == "language")
        assert wrong != "swapped" or any(text == other for _, other in right)
        assert wrong != "cut off" or any(english == one and other.startswith(text) for one, other in right)


def test_it_trains_and_measures(run):
    output, said = run
    space = Space.from_pretrained(output / "space", device="cpu", cache=False)
    assert space.sides == ("en", "it") and space.encode(["a"], side="en").shape[0] == 1
    rows = re.findall(r"(short|long) +(en -> it|it -> en) +([\d.]+) +([\d.]+) +([\d.]+)", said)
    assert len(rows) == 4
    assert all(0.5 < float(value) <= 1 for row in rows for value in row[3:])
    whole = (output / "evaluation.txt").read_text()
    assert whole.count("| b  space") == 4 and whole.count("xsim error") == 2


def test_the_mined_memory_is_as_right_as_is_said(run, recipe, data, monkeypatch):
    output, said = run
    monkeypatch.setenv("PAIRSPACE_DATA", str(data))
    _, held = recipe.read(True, HELD, np.random.default_rng(0))
    right = {(row[f"{length}_en"], row[f"{length}_it"]) for row in held for length in ("short", "long")}
    count, precision, recall = numbers(r"margin .* ([\d,]+) found: precision ([\d.]+), recall ([\d.]+)", said)
    gold = numbers(r"([\d,]+) pairs of them true", said)[0]
    mined = [(unit.source, unit.target) for unit in read_units(output / "mined.tmx")]
    hits = sum(pair in right for pair in mined)
    assert len(mined) == count and hits / count == pytest.approx(precision, abs=1e-3)
    assert hits / gold == pytest.approx(recall, abs=1e-3)
    every = numbers(r"all +([\d,]+) found: precision ([\d.]+), recall ([\d.]+)", said)
    assert every[2] > 0.7 and precision >= 0.95 > every[1] and count < every[0]  # all that were judged are found
    assert 0 < gold <= HELD  # each pile lacks a quarter


def test_the_doubts_are_as_right_as_is_said(run):
    output, said = run
    doubted, precision, recall = numbers(r"wrong; (\d+) are doubted: precision ([\d.]+), recall ([\d.]+)", said)
    head, *lines = [line.split("\t") for line in (output / "doubts.tsv").read_text().splitlines()]
    assert head == ["margin", "doubts", "planted", "en", "it"] and all(len(line) == 5 and line[1] for line in lines)
    hits = sum(line[2] != "" for line in lines)
    assert len(lines) == doubted and hits / doubted == pytest.approx(precision, abs=1e-3)
    assert hits / (3 * (2 * HELD // 20)) == pytest.approx(recall, abs=1e-3) and recall > 0.5
    assert len(list(read_units(output / "dirty.tmx"))) == 2 * HELD


def test_the_file_is_filled_as_is_said(run):
    output, said = run
    before, after = (polib.pofile(str(output / name)) for name in ("packages.po", "filled.po"))
    assert len(before) == len(after) > HELD
    for old, new in zip(before, after, strict=True):
        if old.msgstr or any(old.msgstr_plural.values()):
            assert (new.msgstr, new.msgstr_plural, new.fuzzy) == (old.msgstr, old.msgstr_plural, False)
    done = [string for old in before for string in (old.msgstr, *old.msgstr_plural.values()) if string]
    assert numbers(r"in packages.po, ([\d,]+) translated", said)[0] == len(done) > len(before) / 6
    filled = [entry for entry in after if entry.fuzzy]
    strings = sum(len(entry.msgstr_plural) or 1 for entry in filled)
    assert numbers(r"([\d,]+) were filled, (\d+) of them with placeholders", said)[0] == strings > 5
    plurals = {entry.msgid: list(entry.msgstr_plural.values()) for entry in after if entry.msgid_plural}
    assert plurals == {
        "%d package": ["%d pacchetto", "%d pacchetti"],
        "%d file copied": ["%d file copiato", ""],
        "%d library": ["", ""],
    }
    kinds = re.findall(r"(exact|fuzzy|semantic) +([\d,]+) +(\d+) % +(\d+)%", said)
    assert {kind for kind, *_ in kinds} >= {"exact", "fuzzy"} and float(kinds[0][2]) > 90 and float(kinds[1][2]) > 70
    assert sum(int(count) for _, count, *_ in kinds) == strings - 2
    short = sum(not entry.msgid_plural and len(entry.msgid) <= 100 for entry in filled)
    assert said.count("\n  filled   ") == said.count("\n  true     ") == min(10, short)
    with TranslationMemory.open(output / "memory") as memory:
        assert memory.search("%d package", source="en")[0].target == "%d pacchetto"


def test_without_a_folder_of_data_it_says_what_to_set(recipe, monkeypatch):
    monkeypatch.delenv("PAIRSPACE_DATA", raising=False)
    with pytest.raises(SystemExit, match="PAIRSPACE_DATA"):
        recipe.main(["--full"])
