"""Files filled from a memory: what is filled, what is left and why, and that no other byte changes."""

from __future__ import annotations

import difflib

import numpy as np
import pytest

from pairspace.bitext import TranslationMemory, pretranslate
from pairspace.data import read_units, write_tmx
from pairspace.errors import DataError, PairspaceError, StorageError

HEAD = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Language: it\\n"\n'
HEAD += '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
PLURAL = 'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] "{}"\nmsgstr[1] "{}"\n\n'
PAIRS = [
    ("Save the file", "Salva il file"),
    ("Copy to %s", "Copia"),
    ("Copy 3 files to %s", "Copia 3 file in %s"),
    ("%d files", "%d archivi"),
    ("Sense", "Senso"),
]
PO = (
    HEAD
    + """# of a translator
#: a.c:1
msgid   "Save the file"
msgstr  "Registra il file"

msgid "Save the file\\n"
msgstr ""

#, c-format
msgid "Copy 4 files to %s"
msgstr ""

msgid "Copy to %s"
msgstr ""

#, fuzzy
msgid "Save  the file"
msgstr "Boh"

msgid "nothing like it"
msgstr ""

#~ msgid "Save the file"
#~ msgstr ""
"""
)


class Senses:
    """A space in which two texts mean the same, and no others do."""

    name, query_side, fusion_weight, language = "senses", "en", None, "english"
    sides, document_side, dimension, sparse, path, fingerprint = ("en", "it"), "it", 3, False, None, "0123"

    def encode(self, items, *, side=None, cache=True, progress=None):
        return np.eye(3, dtype=np.float32)[
            [0 if t in ("Sense", "Meaning") else 1 if side == "it" else 2 for t in items]
        ]


@pytest.fixture
def memory(tmp_path):
    write_tmx(tmp_path / "memory.tmx", PAIRS, source_language="en", target_language="it")
    (tmp_path / "old.po").write_text(HEAD + PLURAL.format("%d file", "%d file (più)"))
    files = [tmp_path / "memory.tmx", tmp_path / "old.po"]
    with TranslationMemory.build(tmp_path / "tm", files, source="en", target="it") as memory:
        yield memory


@pytest.fixture
def fill(tmp_path, memory):
    """`fill("a.po", text)`: the summary and the text of the copy."""

    def fill(name, text, **how):
        (tmp_path / name).write_text(text)
        found = pretranslate(memory, tmp_path / name, tmp_path / f"out-{name}", **how)
        return found, (tmp_path / f"out-{name}").read_text()

    return fill


def changed(before, after):
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


def test_a_missing_folder_is_found_before_any_work(tmp_path, memory, monkeypatch):
    (tmp_path / "a.po").write_text(PO)
    monkeypatch.setattr(memory, "find", lambda *_, **__: pytest.fail("work was done"))
    with pytest.raises(StorageError, match="no such folder"):
        pretranslate(memory, tmp_path / "a.po", tmp_path / "none" / "b.po")


def test_only_what_is_not_translated_is_filled_and_marked(fill):
    found, text = fill("a.po", PO)
    assert changed(PO, text) == [
        "+ #, fuzzy",
        '- msgstr ""',
        '+ msgstr "Salva il file\\n"',
        "- #, c-format",
        "+ #, fuzzy, c-format",
        '- msgstr ""',
        '+ msgstr "Copia 3 file in %s"',
    ]
    assert (found.units, found.translated, found.review) == (6, 1, 1)
    assert found.filled == {"exact": 1, "fuzzy": 1, "semantic": 0}
    assert (found.below, found.lost_placeholders, found.tagged, found.plural, found.numbers) == (1, 1, 0, 0, 1)


def test_the_summary_says_what_each_unit_was_filled_from(fill):
    found, _ = fill("a.po", PO + "\n" + PLURAL.format("", ""))
    said = {key: (match.kind, match.source, match.target) for key, match in found.matches.items()}
    assert said == {
        "Save the file\n": ("exact", "Save the file", "Salva il file"),
        "Copy 4 files to %s": ("fuzzy", "Copy 3 files to %s", "Copia 3 file in %s"),
        "%d file[0]": ("exact", "%d file", "%d file"),
        "%d file[1]": ("exact", "%d files", "%d file (più)"),
    }


def test_the_minimum_decides_what_is_good_enough(fill):
    found, text = fill("a.po", PO, minimum=1.0)
    assert found.filled == {"exact": 1, "fuzzy": 0, "semantic": 0} and found.below == 2
    assert "Copia 3" not in text
    with pytest.raises(PairspaceError, match="at most 1"):
        fill("a.po", PO, minimum=85)


def test_nothing_to_fill_gives_the_same_bytes(fill):
    text = HEAD + 'msgid "Save the file"\nmsgstr "Mio"\n'
    found, copy = fill("a.po", text)
    assert copy == text and sum(found.filled.values()) == 0


def test_plural_forms_come_from_the_same_forms(fill):
    found, text = fill("a.po", HEAD + PLURAL.format("", ""))
    assert "#, fuzzy" in text and 'msgstr[0] "%d file"' in text and 'msgstr[1] "%d file (più)"' in text
    assert found.filled["exact"] == 2 and found.plural == 0


def test_an_entry_with_one_plural_form_translated_is_left(fill):
    before = HEAD + PLURAL.format("%d documento", "") + PLURAL.replace("file", "line").format("", "")
    found, text = fill("a.po", before)
    assert text == before
    assert (found.translated, found.plural, found.units) == (1, 3, 4)


def test_xliff_is_filled_and_units_with_tags_between_words_are_left(fill):
    before = """<xliff version="1.2"><file original="a" source-language="en" target-language="it" datatype="x"><body>
<trans-unit id="1"><source>Save the file</source></trans-unit>
<trans-unit id="2"><source>Save the <g id="1">file</g></source></trans-unit>
<trans-unit id="3" approved="yes"><source>Save the file</source><target>Mio</target></trans-unit>
</body></file></xliff>
"""
    found, text = fill("a.xlf", before)
    assert changed(before, text) == [
        '- <trans-unit id="1"><source>Save the file</source></trans-unit>',
        '+ <trans-unit id="1"><source>Save the file</source>'
        '<target state="needs-review-translation">Salva il file</target></trans-unit>',
    ]
    assert (found.filled["exact"], found.tagged, found.translated) == (1, 1, 1)


FIRST = '<xliff version="1.2"><file original="a" source-language="en" target-language="it" datatype="x"><body>\n{}\n'
FIRST += "</body></file></xliff>"
SECOND = '<xliff version="2.0" srcLang="en" trgLang="it"><file id="f">\n{}\n</file></xliff>'
TMX = '<tmx version="1.4"><header srclang="en"/><body><tu><tuv xml:lang="en"><seg>-</seg></tuv><tuv xml:lang="it">'
TMX += "<seg>-</seg></tuv></tu>\n{}\n</body></tmx>"
FORMS = {  # suffix, file, unit; what stands around its translation
    "1.2": (".xlf", FIRST, '<trans-unit id="{}"><source>{}</source>{}</trans-unit>', "<target>{}</target>"),
    "2.0": (".xlf", SECOND, '<unit id="{}"><segment><source>{}</source>{}</segment></unit>', "<target>{}</target>"),
    "tmx": (
        ".tmx",
        TMX,
        '<tu tuid="{}"><tuv xml:lang="en"><seg>{}</seg></tuv>{}</tu>',
        '<tuv xml:lang="it"><seg>{}</seg></tuv>',
    ),
}
ENDS = {
    "1.2": ('<target state="needs-review-translation">', "</target>"),
    "2.0": ("<target>", "</target>"),
    "tmx": ('<tuv xml:lang="it"><seg>', "</seg>"),
}
TAGGED = {  # a pair and one that stands alone, in another order in the translation
    "1.2": ("Press <g id='3'>OK</g> <x id='4'/>now", "<x id='4'/>Premi <g id='3'>OK</g>"),
    "1.2, codes": (
        "Press <bpt id='1' rid='7'>&lt;b></bpt>OK<ept id='2' rid='7'>&lt;/b></ept> <ph id='9'>[img]</ph>now",
        "<ph id='9'>[img]</ph>Premi <bpt id='1' rid='7'>&lt;b></bpt>OK<ept id='2' rid='7'>&lt;/b></ept>",
    ),
    "2.0": ("Press <pc id='a'>OK</pc> <ph id='b' dataRef='d'/>now", "<ph id='b' dataRef='d'/>Premi <pc id='a'>OK</pc>"),
    "2.0, codes": (
        "Press <sc id='a'/>OK<ec startRef='a'/> <ph id='b'/>now",
        "<ph id='b'/>Premi <sc id='a'/>OK<ec startRef='a'/>",
    ),
    "tmx": (
        "Press <bpt i='4' x='1'>{\\b </bpt>OK<ept i='4'>}</ept> <ph x='2'>\\img </ph>now",
        "<ph x='2'>\\img </ph>Premi <bpt i='4' x='1'>{\\b </bpt>OK<ept i='4'>}</ept>",
    ),
    "tmx, old": (
        "Press <hi type='b'>OK</hi> <ut>\\img </ut>now",
        "<ut>\\img </ut>Premi <hi type='b'>OK</hi>",
    ),
}


def document(form, *units):
    """A file, and what it is called: each unit a source, and a target or None."""
    suffix, whole, unit, translation = FORMS[form]
    rows = [
        unit.format(number, source, "" if target is None else translation.format(target))
        for number, (source, target) in enumerate(units)
    ]
    return f"a{suffix}", whole.format("\n".join(rows))


@pytest.fixture
def filled(tmp_path):
    """`filled(form, units of the memory, form, units)`: the summary, and targets as they stand in the file."""

    def fill(known_form, known, form, units):
        name, text = document(known_form, *known)
        memory_file, path = tmp_path / f"known-{name}", tmp_path / document(form)[0]
        memory_file.write_text(text)
        path.write_text(document(form, *((unit, None) for unit in units))[1])
        with TranslationMemory.build(tmp_path / "tm", memory_file) as memory:
            found = pretranslate(memory, path, path)
        mark, end = ENDS[form]
        return found, [row.partition(mark)[2].partition(end)[0] for row in path.read_text().split("\n")[1:-1]]

    return fill


@pytest.mark.parametrize("known", TAGGED)
@pytest.mark.parametrize("form", TAGGED)
def test_tags_of_the_same_text_are_carried_over_between_all_formats(filled, known, form):
    source, wanted = TAGGED[form]
    found, [target] = filled(known[:3], [TAGGED[known]], form[:3], [source])
    assert target == wanted
    assert (found.filled["exact"], found.tagged, found.below) == (1, 0, 0)


def test_tags_around_a_text_go_around_its_translation_and_others_are_left(filled):
    known = [
        ("Save the file", "Salva il file"),
        ("Press <x id='1'/>here", "Premi"),
        ("It <x id='1'/>is", "È <x id='1'/>"),
    ]
    units = {
        "<x id='1'/><g id='2'>\u00a0Save the file </g>": "<x id='1'/><g id='2'>\u00a0Salva il file </g>",
        "\u00a0<g id='2'>Save the files</g> <x id='1'/>": "\u00a0<g id='2'>Salva il file</g> <x id='1'/>",
        "Save the <g id='1'>file</g>": "",  # between words
        "Save<x id='1'/> the file": "",
        "Press <x id='1'/>here": "",  # lost in the translation
        "Press here": "",
        "<g id='1'>Press here</g>": "",
        "It <x id='7'/>is": "È <x id='7'/>",
        "<g id='1'>no match</g>": "",
    }
    found, targets = filled("1.2", known, "1.2", list(units))
    assert dict(zip(units, targets, strict=True)) == units
    assert (found.filled, found.tagged, found.below) == ({"exact": 1, "fuzzy": 2, "semantic": 0}, 5, 1)


def test_tags_at_the_ends_stand_in_white_space_as_they_did(filled):
    known = [("<x id='1'/> Save <g id='2'>it </g>", " <x id='1'/>Salva<g id='2'>lo</g> ")]
    found, targets = filled("1.2", known, "1.2", ["  <x id='5'/>  Save <g id='6'>it</g>", "Save <g id='6'>it </g>"])
    assert targets == ["  <x id='5'/>  Salva<g id='6'>lo</g>", ""]
    assert found.filled["exact"] == 1


def test_a_match_by_meaning_fills_where_no_other_does_if_it_is_asked_for(tmp_path):
    write_tmx(tmp_path / "memory.tmx", PAIRS, source_language="en", target_language="it")
    (tmp_path / "a.po").write_text(HEAD + 'msgid "Meaning"\nmsgstr ""\n\nmsgid "Sense"\nmsgstr ""\n')
    with TranslationMemory.build(tmp_path / "tm", tmp_path / "memory.tmx", Senses()) as memory:
        found = pretranslate(memory, tmp_path / "a.po", tmp_path / "b.po", semantic_minimum=0.9)
        none = pretranslate(memory, tmp_path / "a.po", tmp_path / "c.po")
    assert found.filled == {"exact": 1, "fuzzy": 0, "semantic": 1}
    assert [(unit.target, unit.state) for unit in read_units(tmp_path / "b.po")] == [("Senso", "review")] * 2
    assert none.filled["semantic"] == 0 and none.below == 1


def test_the_file_may_be_filled_in_place_and_a_wrong_language_is_refused(tmp_path, memory):
    path = tmp_path / "a.po"
    path.write_text(PO)
    with pytest.raises(DataError, match="no language 'de'"):
        pretranslate(memory, path, path, target="de")
    assert path.read_text() == PO
    path.write_text(PO.replace("Language: it", "Language: fr"))
    with pytest.raises(PairspaceError, match="no language 'fr'"):
        pretranslate(memory, path, path)
    path.write_text(PO)
    assert pretranslate(memory, path, path).filled["exact"] == 1
    assert pretranslate(memory, path, path).review == 3
