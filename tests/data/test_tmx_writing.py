from __future__ import annotations

import tempfile
from pathlib import Path

import lxml.etree
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.data import Unit, read_pairs, read_units, write_tmx
from pairspace.errors import DataError

any_text = st.text(st.characters(codec="utf-8"), max_size=10)


def without_unfit(text):
    return "".join(c for c in text if c >= " " or c in "\t\n\r").replace("\ufffe", "").replace("\uffff", "")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(any_text, any_text), max_size=4))
def test_what_is_written_is_read_again_here_and_by_lxml(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tmx"
        assert write_tmx(path, iter(rows), source_language="en", target_language="it-CH") == len(rows)
        wanted = [(without_unfit(left), without_unfit(right)) for left, right in rows]
        assert [(u.source, u.target) for u in read_units(path)] == wanted
        texts = [seg.text or "" for seg in lxml.etree.parse(str(path)).iter("seg")]
        assert list(zip(texts[::2], texts[1::2], strict=True)) == wanted


def test_ids_notes_and_properties_come_along(tmp_path):
    unit = Unit("", "a <b>", "c", id='x"<1>', notes=("look\n& see",), properties={"score": "0.25", "or\tigin": "mine"})
    path = tmp_path / "a.tmx.gz"
    write_tmx(path, [unit, ("no", "score")], source_language="en", target_language="it")
    found = next(read_units(path))
    assert (found.id, found.notes, found.properties) == (unit.id, unit.notes, dict(unit.properties))
    pairs = read_pairs(path, ["en", "it"], score="score", skip_bad=True)
    assert pairs.table.to_pydict() == {"en": ["a <b>"], "it": ["c"], "row": [0], "score": [0.25]}


def test_a_failed_write_leaves_nothing(tmp_path):
    def rows():
        yield "a", "b"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tmx(tmp_path / "a.tmx", rows(), source_language="en", target_language="it")
    with pytest.raises(DataError, match=r"a\.xml: a translation memory is written as \.tmx"):
        write_tmx(tmp_path / "a.xml", [], source_language="en", target_language="it")
    with pytest.raises(DataError, match="two languages are needed"):
        write_tmx(tmp_path / "a.tmx", [], source_language="en", target_language="en")
    for one, other in (("en", "EN"), ("pt-BR", "pt_br")):
        with pytest.raises(DataError, match="two languages are needed"):
            write_tmx(tmp_path / "a.tmx", [], source_language=one, target_language=other)
    with pytest.raises(DataError, match=r"'title' is not the code of one, as en or pt-BR are"):
        write_tmx(tmp_path / "a.tmx", [], source_language="en", target_language="title")
    assert list(tmp_path.iterdir()) == []
