from __future__ import annotations

import pytest

from pairspace.data import column_names, read_pairs, read_table
from pairspace.data.tables import open_source
from pairspace.errors import DataError


def tu(attributes="", **texts):
    variants = "".join(
        f'<tuv xml:lang="{code.replace("_", "-")}"><seg>{text}</seg></tuv>' for code, text in texts.items()
    )
    return f"<tu{attributes}>{variants}</tu>\n"


def memory(path, *units):
    path.write_text('<tmx version="1.4"><header srclang="en-US"/><body>\n' + "".join(units) + "</body></tmx>")
    return path


def test_a_memory_is_a_column_a_language(tmp_path):
    scored = tu(" tuid='x'", en_US="dog", it="cane").replace("<tuv", '<prop type="score">0.5</prop><tuv', 1)
    path = memory(tmp_path / "a.tmx", scored, tu(en_US="cat", it="gatto", pt_BR="g", pt_PT="g"))
    assert column_names(path) == ["id", "en", "it", "pt-BR", "pt-PT", "score"]
    assert read_table(path).to_pylist() == [
        {"id": "x", "en": "dog", "it": "cane", "pt-BR": None, "pt-PT": None, "score": 0.5},
        {"id": "2", "en": "cat", "it": "gatto", "pt-BR": "g", "pt-PT": "g", "score": None},
    ]
    pairs = read_pairs(path, sides={"en": "en-US", "it": "it"}, id="id")
    assert pairs.table.to_pydict() == {"en": ["dog", "cat"], "it": ["cane", "gatto"], "row": [0, 1], "id": ["x", "2"]}
    assert read_pairs(path, ["en", "it"], score="score", skip_bad=True).table["score"].to_pylist() == [0.5]
    with pytest.raises(DataError, match="no column 'fr'; its columns are: id, en, it, pt-BR, pt-PT, score"):
        read_pairs(path, ["en", "fr"])
    with pytest.raises(DataError, match="'pt' may be any of pt-BR, pt-PT"):
        read_pairs(path, ["en", "pt"])


def test_units_without_both_languages_are_no_pairs_and_empty_ones_are_bad(tmp_path):
    path = memory(
        tmp_path / "a.tmx",
        tu(en="a", it="b"),
        tu(en="only"),
        tu(it="c", de="d"),
        tu(en="x", it=" "),
        tu(en="e", it="f"),
    )
    with pytest.raises(DataError, match=r"a\.tmx, line 5: side 'it' \(column 'it'\) is empty"):
        read_pairs(path, ["en", "it"])
    pairs = read_pairs(path, ["en", "it"], skip_bad=True)
    assert (pairs.table["it"].to_pylist(), pairs.table["row"].to_pylist(), pairs.skipped) == (["b", "f"], [0, 2], 1)


def test_a_unit_that_cannot_be_read_is_left_out_and_counted(tmp_path):
    broken = "<tu><tuv><seg>no language</seg></tuv></tu>\n"
    path = memory(tmp_path / "a.tmx", tu(en="a", it="b"), broken, tu(en="c", it="d"), tu(en="", it="x"))
    with pytest.raises(DataError, match=r"a\.tmx, line 3: a <tuv> without xml:lang; skip_bad=True"):
        read_pairs(path, ["en", "it"])
    source = open_source(path, ["en", "it"], skip_bad=True)
    assert (source.table["en"].to_pylist(), source.skipped, source.row_numbers.tolist()) == (
        ["a", "c", ""],
        1,
        [0, 2, 3],
    )
    assert source.place(3) == f"{path}, line 5"
    assert read_pairs(path, ["en", "it"], skip_bad=True).skipped == 2
    path.write_text(path.read_text().replace("</body>", ""))
    with pytest.raises(DataError, match=r"a\.tmx, line 6, column \d+: invalid XML"):
        read_pairs(path, ["en", "it"], skip_bad=True)


def test_batches_are_put_together(tmp_path, monkeypatch):
    from pairspace.data import unit_tables

    monkeypatch.setattr(unit_tables, "_BATCH", 2)
    path = memory(tmp_path / "a.tmx", *(tu(en=f"e{n}", it=f"i{n}") for n in range(5)))
    assert read_table(path, ["it", "en"]).to_pydict() == {
        "it": [f"i{n}" for n in range(5)],
        "en": [f"e{n}" for n in range(5)],
    }


PO = r"""msgid ""
msgstr "Language: it\nContent-Type: text/plain; charset=UTF-8\n"
msgctxt "menu"
msgid "open"
msgstr "apri"
#, fuzzy
msgid "look"
msgstr "guarda"
msgid "new"
msgstr ""
msgid "day"
msgid_plural "days"
msgstr[0] "giorno"
msgstr[1] "giorni"
"""


def test_only_what_is_translated_in_a_catalogue_is_a_pair(tmp_path):
    path = tmp_path / "a.po"
    path.write_text(PO)
    assert column_names(path) == ["id", "source", "target", "state", "context", "it"]
    table = read_table(path)
    assert table["source"].to_pylist() == ["open", "day", "days"]
    assert table["it"].to_pylist() == table["target"].to_pylist() == ["apri", "giorno", "giorni"]
    assert (set(table["state"].to_pylist()), table["context"][0].as_py()) == ({"translated"}, "menu")
    pairs = read_pairs(path, sides={"en": "source", "it": "it"}, id="id")
    assert pairs.table["id"].to_pylist() == ["menu\x04open", "day[0]", "day[1]"]
    assert open_source(path, ["it"]).place(1) == f"{path}, line 11"
    with pytest.raises(DataError, match="no column 'de'; its columns are: id, source, target, state, context, it"):
        read_pairs(path, sides={"en": "source", "de": "de"})


def test_xliff_is_called_by_its_languages_too(tmp_path):
    path = tmp_path / "a.xlf"
    units = "".join(
        f"<unit id='{n}'><segment><source>s{n}</source><target>t{n}</target></segment></unit>" for n in range(2)
    )
    path.write_text(f'<xliff version="2.0" srcLang="en-US" trgLang="it"><file id="f">{units}</file></xliff>')
    assert column_names(path) == ["id", "source", "target", "state", "context", "en", "it"]
    assert read_pairs(path, ["en", "it"]).table.to_pydict() == {"en": ["s0", "s1"], "it": ["t0", "t1"], "row": [0, 1]}
    empty = tmp_path / "b.xlf"
    empty.write_text('<xliff version="2.0" srcLang="en" trgLang="it"><file id="f"/></xliff>')
    with pytest.raises(DataError, match="no usable pairs"):
        read_pairs(empty, ["source", "target"])
