"""Units into tables and back, whatever the size of a batch."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pairspace.bitext import memory_tables, remembered
from pairspace.bitext.matching import key_of
from pairspace.bitext.memory_tables import MemoryTables
from pairspace.bitext.remembered import Remembered
from pairspace.data import Tag, Unit

words = st.sampled_from(["a", "b", " a", "a  b", "a b", "è", "\U0001f600"])
CODES = ("en", "it", "de")


@st.composite
def units(draw):
    number = draw(st.integers(0, 9))
    texts = {code: draw(words) for code in draw(st.permutations(CODES))[: draw(st.integers(2, 3))]}
    first, second = list(texts)[:2]
    tag = (Tag("<x/>", draw(st.integers(0, 1))),) if draw(st.booleans()) else ()
    return Unit(
        str(number),
        texts[first],
        texts[second],
        number,
        first,
        second,
        "translated",
        context=draw(words),
        tags_target=tag,
        plural=draw(st.none() | st.integers(0, 1)),
        texts=texts,
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(units(), min_size=1, max_size=12), st.sampled_from([1, 2, 5, 1 << 16]))
def test_every_unit_comes_back(tmp_path, made, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_tables, "_BATCH", size)
        with Remembered(tmp_path) as held:
            held.files.append("file")
            for unit in made:
                held.add(unit, 0)
            counts = held.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.arrow" for name in sorted(counts)]
    tables = MemoryTables(tmp_path, counts)
    distinct = list(dict.fromkeys((code, text) for unit in made for code, text in unit.texts.items()))
    number = {code: held.languages.index(code) for code, _ in distinct}
    assert [(tables.language(n), tables.text(n)) for n in range(counts["texts"])] == [
        (number[code], text) for code, text in distinct
    ]
    assert len(tables) == len(made)
    seen = {}
    for place, unit in enumerate(made):
        row = [tables.value(place, name) for name in ("file", "id", "line", "context", "plural")]
        assert row == [0, unit.key, unit.line, unit.context, unit.plural]
        for code, text in unit.texts.items():
            variant = tables.variant_in(place, [99, number[code]])
            assert (tables.unit_of(variant), distinct[tables.text_of(variant)]) == (place, (code, text))
            assert tables.tags_of(variant) == (
                f"{unit.tags_target[0].place}.0" if code == unit.target_language and unit.tags_target else ""
            )
            seen.setdefault((code, text), []).append(variant)
        assert tables.variant_in(place, [number[c] for c in number if c not in unit.texts]) is None
    assert [sorted(tables.variants_of(n)) for n in range(len(distinct))] == [seen[one] for one in distinct]
    for code, language in number.items():
        own = [n for n, (other, _) in enumerate(distinct) if other == code]
        batches = [(n, key) for rows, keys in tables.keys(language) for n, key in zip(rows.tolist(), keys, strict=True)]
        assert batches == [(n, key_of(distinct[n][1])) for n in own]
        assert tables.count(language) == len(own)
        for key in {key_of(text) for _, text in distinct}:
            assert tables.texts_with(key, [language]) == [n for n in own if key_of(distinct[n][1]) == key]
    assert tables.texts_with("none", list(number.values())) == []


def test_equal_hashes_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(remembered, "key_hash", lambda key: 7)
    monkeypatch.setattr(memory_tables, "key_hash", lambda key: 7)
    with Remembered(tmp_path) as held:
        held.files.append("file")
        for text in ("a", "b", "c"):
            held.add(Unit("1", text, text.upper(), 1, "en", "it", "translated"), 0)
        tables = MemoryTables(tmp_path, held.finish())
    assert [tables.text(one) for one in tables.texts_with("b", [0, 1])] == ["b"]
