"""A memory of a few units: what is found, in which order, and what is said of it."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from pairspace.bitext import Question, TranslationMemory
from pairspace.data import Tag, write_tmx
from pairspace.errors import DataError, IndexingError, PairspaceError, StorageError

PAIRS = [
    ("Save the file", "Salva il file"),
    ("Save the files", "Salva i file"),
    ("Keep this document", "Conserva questo documento"),
    ("Copy 3 files to %s", "Copia 3 file in %s"),
    ("Close", "Chiudi"),
    ("Close", "Vicino"),
    ("Close", "Chiudi"),
]
ANGLES = {"Save": 0.0, "Salva": 0.1, "Keep": 0.3, "Conserva": 0.4, "Sichern": 0.29, "Copy": 1.5, "Copia": 1.6}


class Known:
    """A space in which the first word of a text is an angle."""

    name, query_side, fusion_weight, language = "known", "en", None, "english"
    sides, document_side, dimension, sparse, path = ("en", "it", "de"), "it", 2, False, None
    fingerprint = "0123"

    def encode(self, items, *, side=None, cache=True, progress=None):
        angles = [ANGLES.get(text.split()[0], 3.0) for text in items]
        return np.array([[np.cos(a), np.sin(a)] for a in angles], np.float32)


@pytest.fixture
def tmx(tmp_path):
    write_tmx(tmp_path / "memory.tmx", PAIRS, source_language="en-US", target_language="it")
    return tmp_path / "memory.tmx"


@pytest.fixture
def memory(tmp_path, tmx):
    with TranslationMemory.build(tmp_path / "tm", tmx, Known()) as memory:
        yield memory


def kinds(matches):
    return [match.kind for match in matches]


def test_exact_comes_before_fuzzy_and_fuzzy_before_semantic(memory):
    found = memory.search("Save  the\nfile", k=3)
    assert kinds(found) == ["exact", "fuzzy", "semantic"]
    assert [match.target for match in found] == ["Salva il file", "Salva i file", "Conserva questo documento"]
    assert found[0].score == 1 and found[1].score == pytest.approx(26 / 27)  # 2 * 13 / (13 + 14)
    assert found[2].score == pytest.approx(np.cos(0.3), abs=1e-3)
    assert found[0].origin.file.endswith("memory.tmx") and (found[0].origin.id, found[0].origin.line) == ("1", 5)


def test_case_counts_and_what_is_not_equal_never_shows_as_whole(memory):
    assert kinds(memory.search("save the file", semantic_minimum=2)) == ["fuzzy", "fuzzy"]


def test_one_letter_of_a_long_text_is_not_100_per_cent(tmp_path):
    text = "many words " * 100
    write_tmx(tmp_path / "a.tmx", [(text, "lungo")], source_language="en", target_language="it")
    with TranslationMemory.build(tmp_path / "tm", tmp_path / "a.tmx") as memory:
        [match] = memory.search(text + "x")
    assert (match.kind, match.score) == ("fuzzy", 0.99)


def test_of_several_translations_the_most_frequent_comes_first(memory):
    found = memory.search("Close", semantic_minimum=2)
    assert [(match.target, match.count, match.kind) for match in found] == [
        ("Chiudi", 2, "exact"),
        ("Vicino", 1, "exact"),
    ]


def test_the_same_context_comes_first(tmp_path):
    (tmp_path / "it.po").write_text(
        'msgid ""\nmsgstr "Language: it\\n"\n\nmsgid "Close"\nmsgstr "Chiudi"\n\n'
        'msgctxt "distance"\nmsgid "Close"\nmsgstr "Vicino"\n\nmsgctxt "menu"\nmsgid "Close"\nmsgstr "Chiudi"\n'
    )
    with TranslationMemory.build(tmp_path / "tm", tmp_path / "it.po", source="en") as memory:
        assert [match.target for match in memory.search("Close")] == ["Chiudi", "Vicino"]
        found = memory.search("Close", context="distance")
    assert [(match.target, match.in_context) for match in found] == [("Vicino", True), ("Chiudi", False)]


def test_numbers_and_placeholders_that_differ_are_named(memory):
    [match] = memory.search("Copy 4 files to %s", k=1)
    assert (match.kind, match.differs) == ("fuzzy", ("numbers",))
    [match] = memory.search("Copy 3 files to %d", k=1)
    assert (match.kind, match.differs) == ("fuzzy", ("placeholders",))


def test_a_text_of_either_language_finds_the_other(memory):
    [match] = memory.search("Salva il file", source="it", k=1)
    assert (match.kind, match.target, match.target_language) == ("exact", "Save the file", "en-US")


def test_a_language_of_the_space_alone_finds_by_meaning(memory):
    found = memory.search("Sichern", source="de", target="it", k=1)
    assert [(match.kind, match.source, match.target) for match in found] == [
        ("semantic", "Keep this document", "Conserva questo documento")
    ]
    with pytest.raises(PairspaceError, match="no language 'de'.*en-US, it"):
        memory.search("Save", target="de")
    with pytest.raises(PairspaceError, match="both 'en'"):
        memory.search("Save", source="en", target="en-US")


def test_nothing_like_it_gives_no_match(memory):
    assert memory.search("zzz", semantic_minimum=2) == memory.search(" ") == []


def test_without_a_space_there_are_no_semantic_matches(tmp_path, tmx):
    with TranslationMemory.build(tmp_path / "tm", tmx) as memory:
        assert kinds(memory.search("Save the file")) == ["exact", "fuzzy"]
        with pytest.raises(PairspaceError, match="no language 'de'"):
            memory.search("Sichern", source="de", target="it")
    with pytest.raises(IndexingError, match="without a space"):
        TranslationMemory.open(tmp_path / "tm", Known())


def test_a_large_memory_takes_its_candidates_from_the_words(tmp_path, tmx, monkeypatch):
    monkeypatch.setattr("pairspace.bitext.memory_folder.WHOLE", 2)
    with TranslationMemory.build(tmp_path / "tm", tmx) as memory:
        assert (tmp_path / "tm" / "words" / "0").is_dir()
        found = memory.search("Save the file now")
        assert found[0].target == "Salva il file" and found[0].kind == "fuzzy"
        assert memory.search("zzz") == []


def test_inline_tags_must_agree_for_an_exact_match(tmp_path):
    (tmp_path / "a.tmx").write_text(
        '<tmx version="1.4"><header srclang="en"/><body><tu><tuv xml:lang="en"><seg>Press <ph>K</ph>here</seg></tuv>'
        '<tuv xml:lang="it"><seg>Premi <ph>K</ph>qui</seg></tuv><tuv xml:lang="de"><seg>Hier</seg></tuv></tu>'
        "</body></tmx>"
    )
    with TranslationMemory.build(tmp_path / "tm", tmp_path / "a.tmx") as memory:
        [match] = memory.search("Press here", source="en", target="it")
        assert (match.kind, match.score, match.differs, match.tags) == ("fuzzy", 0.99, ("tags",), None)
        key = (Tag("<x id='3'/>", 6),)
        [[match]] = memory.find([Question("Press here", tags=key)], source="en", target="it")
        assert (match.kind, match.score, match.tags) == ("exact", 1.0, key)
        [[match]] = memory.find([Question("Press here", tags=(Tag("<x/>", 5),))], source="en", target="it")
        assert (match.kind, match.differs, match.tags) == ("fuzzy", ("tags",), None)
        [match] = memory.search("Hier", source="de", target="it")
        assert (match.kind, match.tags) == ("exact", None)


def test_of_equal_translations_the_one_with_the_tags_of_the_text_comes_first(tmp_path):
    units = [("Press <ph>K</ph>here", "Premi qui"), ("Press <ph>K</ph>here", "Premi qui <ph>K</ph>")]
    rows = "".join(
        f'<tu><tuv xml:lang="en"><seg>{one}</seg></tuv><tuv xml:lang="it"><seg>{other}</seg></tuv></tu>'
        for one, other in [units[0], *units]
    )
    (tmp_path / "a.tmx").write_text(f'<tmx version="1.4"><header srclang="en"/><body>{rows}</body></tmx>')
    with TranslationMemory.build(tmp_path / "tm", tmp_path / "a.tmx") as memory:
        [[first, second]] = memory.find([Question("Press here", tags=(Tag("<x/>", 6),))])
    assert (first.target, first.tags, first.count) == ("Premi qui ", (Tag("<x/>", 10),), 1)
    assert (second.target, second.tags, second.count) == ("Premi qui", None, 2)


def test_tags_of_every_language_of_a_memory_are_kept(tmp_path):
    texts = {"en": "a<x i='1'/>b<x i='2'/>", "it": "<x i='2'/>B<x i='1'/>", "de": "A<x i='2'/><x i='1'/>"}
    texts = {code: text.replace("<x i=", "<ph x=") for code, text in texts.items()}
    rows = "".join(f'<tuv xml:lang="{code}"><seg>{text}</seg></tuv>' for code, text in texts.items())
    (tmp_path / "a.tmx").write_text(f'<tmx version="1.4"><header srclang="en"/><body><tu>{rows}</tu></body></tmx>')
    with TranslationMemory.build(tmp_path / "tm", tmp_path / "a.tmx") as memory:
        asked = Question("A", tags=(Tag("<y/>", 1), Tag("<z/>", 1)))
        [[match]] = memory.find([asked], source="de", target="it")
    assert (match.kind, match.target, match.tags) == ("exact", "B", (Tag("<y/>", 0), Tag("<z/>", 1)))


def test_files_of_all_kinds_go_into_one_memory(tmp_path, tmx):
    (tmp_path / "p.tsv").write_text("en\tit\nOpen\tApri\n")
    (tmp_path / "it.po").write_text(
        'msgid "Print"\nmsgstr "Stampa"\n\n#, fuzzy\nmsgid "Quit"\nmsgstr "Boh"\n\nmsgid "New"\nmsgstr ""\n\n'
        '#~ msgid "Old"\n#~ msgstr "Vecchio"\n'
    )
    files = [tmx, tmp_path / "p.tsv", tmp_path / "it.po"]
    with TranslationMemory.build(tmp_path / "tm", files, source="en", target="it") as memory:
        assert (len(memory), memory.left) == (9, 2)
        for text, target in (("Open", "Apri"), ("Print", "Stampa")):
            assert memory.search(text, k=1)[0].target == target
        assert memory.search("Quit") == memory.search("Old") == []
    with pytest.raises(DataError, match=r"line 1: the file does not name its source language.*--source"):
        TranslationMemory.build(tmp_path / "tm2", tmp_path / "it.po")
    with pytest.raises(DataError, match="p.tsv: name the columns"):
        TranslationMemory.build(tmp_path / "tm2", tmp_path / "p.tsv")


def test_reading_is_told_line_by_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pairspace.bitext.remembered._SHOWN", 1)
    write_tmx(tmp_path / "a.tmx", PAIRS, source_language="en", target_language="it")
    TranslationMemory.build(tmp_path / "tm", tmp_path / "a.tmx", progress=True).close()
    assert "reading a.tmx" in (told := capsys.readouterr().err) and "lines/s" in told and "/34" in told


def test_what_cannot_be_a_memory_is_refused(tmp_path, tmx, memory):
    with pytest.raises(StorageError, match="exists already"):
        TranslationMemory.build(tmp_path / "tm", tmx)
    write_tmx(tmp_path / "none.tmx", [], source_language="en", target_language="it")
    with pytest.raises(DataError, match="no unit that is translated"):
        TranslationMemory.build(tmp_path / "other", tmp_path / "none.tmx")
    other = Known()
    other.sides = ("title", "body")
    with pytest.raises(PairspaceError, match="a side must be called as its language"):
        TranslationMemory.build(tmp_path / "other", tmx, other)
    with pytest.raises(DataError, match="gone.tmx: no such file"):
        TranslationMemory.build(tmp_path / "other", tmp_path / "gone.tmx")
    (tmp_path / "cut.tmx.gz").write_bytes(gzip.compress(tmx.read_bytes())[:-9])
    with pytest.raises(DataError, match="cut.tmx.gz"):
        TranslationMemory.build(tmp_path / "other", tmp_path / "cut.tmx.gz")
    assert not (tmp_path / "other").exists()


def test_a_damaged_or_missing_folder_says_so(tmp_path, memory):
    memory.close()
    with pytest.raises(IndexingError, match="no such folder"):
        TranslationMemory.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(IndexingError, match="not a translation memory"):
        TranslationMemory.open(tmp_path / "empty")
    with pytest.raises(IndexingError, match="was never saved"):
        TranslationMemory.open(tmp_path / "tm").search("Save")
    other = Known()
    other.fingerprint = "4567"
    with pytest.raises(IndexingError, match="0123.*4567"):
        TranslationMemory.open(tmp_path / "tm", other)
    texts = tmp_path / "tm" / "texts.arrow"
    texts.write_bytes(texts.read_bytes()[:100])
    with pytest.raises(IndexingError, match=r"texts.arrow is missing or damaged"):
        TranslationMemory.open(tmp_path / "tm")
    (tmp_path / "tm" / "units.arrow").replace(texts)
    with pytest.raises(IndexingError, match=r"texts.arrow is not the table that the manifest names"):
        TranslationMemory.open(tmp_path / "tm")
    manifest = tmp_path / "tm" / "memory.json"
    for version in (1, 9):
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": version}))
        with pytest.raises(
            IndexingError, match=f"version {version}; this pairspace reads version 2: build the memory again"
        ):
            TranslationMemory.open(tmp_path / "tm")
