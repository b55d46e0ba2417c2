"""The recipe for two texts about the same thing, on a made-up folder of data and a tiny encoder."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.space import Space

RECIPE = Path(__file__).parent.parent.parent / "recipes" / "content_to_content.py"
WORDS = ["chess", "computer", "game", "cards", "friends", "music", "player", "gnome", "library", "files"]
COUNT = 40


@pytest.fixture(scope="module")
def recipe() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(RECIPE)))


def sentence(random, of: list[str]) -> str:
    return " ".join(random.choice(of, 6))


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """40 applications, the first five copies, every tenth with two Debian packages; 30 packages are no application."""
    random = np.random.default_rng(0)
    applications, packages = [], []
    for number in range(COUNT):
        words = list(random.choice(WORDS, 4, replace=False))
        own, theirs = f"{sentence(random, words)} a &amp; b", f"{sentence(random, words)} the number{number}"
        own = f"{theirs} " if number < 5 else own
        applications.append({"package": f"app{number}", "description_en": own, "name_en": "unused"})
        for part in range(2 if number % 10 == 9 else 1):
            packages.append(
                {"package": f"app{number}", "group": number // 2, "long_en": f"{theirs} {'again' * part}".strip()}
            )
    packages += [{"package": f"lib{n}", "group": 100 + n, "long_en": f"library {n} files"} for n in range(30)]
    applications.append({"package": "elsewhere", "description_en": "of no package", "name_en": "unused"})
    for folder, name, rows in (
        ("appstream", "applications.parquet", applications),
        ("debian_descriptions", "train.parquet", packages),
    ):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / folder / name)
    monkeypatch.setenv("PAIRSPACE_DATA", str(tmp_path))
    monkeypatch.setenv("PAIRSPACE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_overlap_is_the_share_of_common_words(recipe):
    assert recipe.overlap("a red fox", "A fox, red") == 1
    assert recipe.overlap("a red fox", "a red boat") == 2 / 4
    assert recipe.overlap("fox", "boat") == recipe.overlap("", "") == 0


def test_copies_are_left_out_and_the_rest_is_joined(recipe, data):
    found = recipe.read(data, most=0.9, limit=None, candidates=1000)
    assert found.copies == 5 and len(found.pairs) == 35 + 4  # four packages have two Debian descriptions
    texts = found.pairs.items("appstream").to_pylist()
    assert all(text.endswith("a & b") for text in texts)
    debian = found.pairs.items("debian").to_pylist()
    assert not set(found.others["debian"]) & set(debian) and not set(found.others["appstream"]) & set(texts)
    assert {f"library {n} files" for n in range(30)} <= set(found.others["debian"])
    # app4 is a copy, but of the group of app5, which is in a pair: neither of its texts is a candidate
    assert len(found.others["appstream"]) == 4 and len(found.others["debian"]) == 30 + 4


def test_limits(recipe, data):
    found = recipe.read(data, most=0.9, limit=10, candidates=7)
    assert len(found.pairs) == 10 and [len(texts) for texts in found.others.values()] == [7, 7]
    again = recipe.read(data, most=0.9, limit=10, candidates=7)
    assert again.others == found.others and again.pairs.table.equals(found.pairs.table)
    with pytest.raises(SystemExit, match=r"no package has two descriptions that overlap by 0\.00 or less"):
        recipe.read(data, most=0.0, limit=None, candidates=7)


def test_the_collection_asks_for_each_pairs_own_partner(recipe, data):
    found = recipe.read(data, most=0.9, limit=None, candidates=1000)
    for asked, answered in (("appstream", "debian"), ("debian", "appstream")):
        judged = recipe.collection(found.pairs, asked, answered, found.others[answered])
        queries, corpus = (
            dict(zip(judged[name].ids, judged[name].texts.to_pylist())) for name in ("queries", "corpus")
        )
        right = {(queries[q], corpus[d]) for q, documents in judged["qrels"].items() for d in documents}
        assert right == set(zip(*(found.pairs.items(side).to_pylist() for side in (asked, answered)), strict=True))
        assert len(corpus) == len(set(found.pairs.items(answered).to_pylist())) + len(found.others[answered])


def test_the_whole_recipe(recipe, data, plain_folder, tmp_path, capsys):
    recipe.main(
        ["--encoder", str(plain_folder), "--epochs", "1", "--candidates", "20", "--output", str(tmp_path / "space")]
    )
    shown = capsys.readouterr().out
    assert "39 pairs, 5 copies left out:" in shown
    there, back = shown.split("debian asks, appstream answers")
    for report in (there.split("appstream asks, debian answers")[1], back):
        assert all(system in report for system in ("bm25", "encoders before training", "c  space", "space + bm25"))
    space = Space.from_pretrained(tmp_path / "space", device="cpu", cache=False)
    np.testing.assert_array_equal(space.encode(["a game"], side="debian"), space.encode(["a game"], side="appstream"))


def test_without_a_folder_of_data_it_says_what_to_set(recipe, monkeypatch):
    monkeypatch.delenv("PAIRSPACE_DATA", raising=False)
    with pytest.raises(SystemExit, match="PAIRSPACE_DATA"):
        recipe.main([])
