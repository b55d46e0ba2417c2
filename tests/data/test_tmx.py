from __future__ import annotations

import pytest

from pairspace.data import Change, Tag, read_units, tmx_languages, update_units
from pairspace.data.translations import scan_units
from pairspace.errors import DataError

HEAD = '<?xml version="1.0"?>\n<tmx version="1.4"><header srclang="{}" o-tmf="x"/><body>\n'
FOOT = "</body></tmx>"
TWO = """<tu tuid='a&amp;1'>
  <note>a note</note><note/><prop type="x-context">menu</prop><prop type='score'>0.5</prop>
  <tuv xml:lang="EN-us"><prop type="inner">no</prop>
    <seg>Press <bpt i="1">&lt;b&gt;</bpt>OK<ept i="1"/> now &amp; <hi>then</hi></seg></tuv>
  <tuv xml:lang='it'>
    <seg><![CDATA[Premi <OK>]]> &#xE8;<!-- <seg> --></seg>
  </tuv>
</tu>
<tu><tuv xml:lang="en-US"><seg>Alone</seg></tuv></tu>
<tu><tuv lang="it"><seg/></tuv><tuv lang="en-US"><seg>Empty</seg></tuv></tu>
"""


def write(path, units=TWO, srclang="en-US", codec="utf-8"):
    path.write_bytes((HEAD.format(srclang) + units + FOOT).encode(codec))
    return path


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_units_of_a_memory(tmp_path, codec):
    first, alone, empty = read_units(write(tmp_path / "a.tmx", codec=codec))
    assert (first.key, first.id, first.line, first.context) == ("1", "a&1", 3, "menu")
    assert (first.source, first.target) == ("Press OK now & then", "Premi <OK> è")
    assert (first.source_language, first.target_language, first.state) == ("EN-us", "it", "translated")
    assert first.tags_source == (('<bpt i="1">&lt;b&gt;</bpt>', 6), ('<ept i="1"/>', 8), ("<hi>", 15), ("</hi>", 19))
    assert first.tags == {"EN-us": first.tags_source} and first.tags_target == ()
    assert (first.notes, first.properties) == (("a note", ""), {"x-context": "menu", "score": "0.5"})
    assert first.texts == {"EN-us": first.source, "it": first.target}
    assert [(u.key, u.line, u.source, u.target, u.state) for u in (alone, empty)] == [
        ("2", 11, "Alone", "", "untranslated"),
        ("3", 12, "Empty", "", "untranslated"),
    ]


def many(*codes):
    return "<tu>" + "".join(f'<tuv xml:lang="{code}"><seg>in {code}</seg></tuv>' for code in codes) + "</tu>\n"


def test_source_and_target_are_chosen_among_many_languages(tmp_path):
    path = write(tmp_path / "a.tmx", many("de", "en-GB", "it") + many("it", "de") + many("en-GB", "it"), "en-GB")
    assert tmx_languages(path) == ["de", "en-GB", "it"]
    assert [(u.key, u.source, u.target) for u in read_units(path, source="en", target="it")] == [
        ("1", "in en-GB", "in it"),
        ("3", "in en-GB", "in it"),
    ]
    assert [(u.source, u.target) for u in read_units(path, target="de")] == [
        ("in en-GB", "in de"),
        ("in it", "in de"),
        ("in en-GB", ""),
    ]
    assert next((u.source, u.target_language) for u in read_units(path)) == ("in en-GB", "")
    with pytest.raises(DataError, match=r"a\.tmx: no language 'fr'; its languages are: de, en-GB, it"):
        list(read_units(path, source="fr"))
    with pytest.raises(DataError, match=r"'de' and 'DE' are both de: name two languages"):
        list(read_units(path, source="de", target="DE"))


def test_a_language_is_looked_for_in_each_unit(tmp_path):
    """`en` reads a memory whose units have one English or another; only where both are it has to be named."""
    path = write(tmp_path / "a.tmx", many("en-US", "it") + many("it", "EN-gb") + many("it"), "en")
    for how in ({"source": "en"}, {"source": "en", "target": "it"}, {"source": "en", "target": "IT"}, {}):
        found = [(u.key, u.source, u.target, u.source_language) for u in read_units(path, **how)]
        assert found[:2] == [("1", "in en-US", "in it", "en-US"), ("2", "in EN-gb", "in it", "EN-gb")]
        assert len(found) == 2 or (not how and found[2] == ("3", "in it", "", "it"))
    found = [(u.source, u.target, u.target_language) for u in read_units(path, source="it", target="en")]
    assert found == [("in it", "in en-US", "en-US"), ("in it", "in EN-gb", "EN-gb"), ("in it", "", "")]
    assert [u.key for u in read_units(path, source="en-GB")] == ["2"]
    update_units(path, tmp_path / "b.tmx", {"2": Change("new")}, source="it", target="en")
    assert '<tuv xml:lang="EN-gb"><seg>new</seg>' in (tmp_path / "b.tmx").read_text()
    with pytest.raises(DataError, match=r"line 5: more than two languages \(en-US, it, EN-gb\): name the target"):
        update_units(path, tmp_path / "c.tmx", {"3": Change("new")}, source="it", target="en")
    update_units(path, tmp_path / "b.tmx", {"3": Change("new")}, source="it", target="en-GB")
    assert '<tuv xml:lang="EN-gb"><seg>new</seg>' in (tmp_path / "b.tmx").read_text()


def test_a_unit_of_two_languages_that_may_be_meant_needs_a_choice(tmp_path):
    path = write(tmp_path / "a.tmx", many("pt-BR", "en") + many("pt-PT", "en", "pt-BR") + many("pt-PT", "pt", "en"))
    found = list(scan_units(path, source="en", target="pt"))
    assert str(found[1]) == f"{path}, line 4: 'pt' may be any of pt-PT, pt-BR: name one"
    assert [found[n].target for n in (0, 2)] == ["in pt-BR", "in pt"]
    assert [u.target for u in read_units(path, source="en", target="pt-PT")] == ["", "in pt-PT", "in pt-PT"]


def test_a_pair_of_two_kinds_of_one_language(tmp_path):
    path = write(tmp_path / "a.tmx", many("en", "en-US") + many("en-US"), "en")
    for how in ({}, {"source": "en"}, {"source": "en", "target": "en-US"}):
        assert [(u.source, u.target) for u in read_units(path, **how)][:1] == [("in en", "in en-US")]
    assert [(u.source, u.target) for u in read_units(path, source="en-US", target="en")] == [
        ("in en-US", "in en"),
        ("in en-US", ""),
    ]


def test_blanks_are_no_translation_and_nothing_has_none(tmp_path):
    units = [("a", "b"), ("a", " &#160;\n"), ("", "b"), (" ", "b"), ("a", "")]
    rows = "".join(
        f'<tu><tuv xml:lang="en"><seg>{one}</seg></tuv><tuv xml:lang="it"><seg>{other}</seg></tuv></tu>'
        for one, other in units
    )
    states = [unit.state for unit in read_units(write(tmp_path / "a.tmx", rows, "en"))]
    assert states == ["translated", *["untranslated"] * 4]


def test_languages_are_found_across_blocks(tmp_path, monkeypatch):
    from pairspace.data import markup

    path = write(tmp_path / "a.tmx", many("de", "en-GB") + many("it", "de", "fr-CA"))
    for size in (1, 3, 50):
        monkeypatch.setattr(markup, "_BLOCK", size)
        assert tmx_languages(path) == ["de", "en-GB", "it", "fr-CA"]


HIDDEN = ["<!-- {} -->", "<![CDATA[ {} ]]>", "<?p {} ?>", "<!--> {}- ->-->", "<!-- {}" + "x" * 99 + "-->"]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1 << 18])
def test_languages_in_comments_are_none(tmp_path, monkeypatch, hidden, size):
    from pairspace.data import markup

    monkeypatch.setattr(markup, "_BLOCK", size)
    hidden = hidden.replace("{}", '<tuv xml:lang="xx"><prop type="no">')
    path = write(tmp_path / "a.tmx", hidden.join(["", many("de"), many("it").replace("in it", f"<!>{hidden}"[3:]), ""]))
    assert tmx_languages(path) == ["de", "it"]


def test_a_header_that_allows_any_source_takes_the_first(tmp_path):
    path = write(tmp_path / "a.tmx", many("de", "it") + '<tu srclang="it">' + many("de", "it")[4:], "*all*")
    assert [(u.source, u.target) for u in read_units(path)] == [("in de", "in it"), ("in it", "in de")]


def test_only_the_target_changes(tmp_path):
    path, output = write(tmp_path / "a.tmx"), tmp_path / "b.tmx"
    update_units(path, output, {"1": Change("Nuovo & <b>\nx"), "2": Change("Solo"), "3": Change("V")})
    old, new = path.read_text(), output.read_text()
    wanted = old.replace("<![CDATA[Premi <OK>]]> &#xE8;<!-- <seg> -->", "Nuovo &amp; &lt;b&gt;\nx")
    wanted = wanted.replace("Alone</seg></tuv>", 'Alone</seg></tuv><tuv xml:lang="it"><seg>Solo</seg></tuv>')
    assert new == wanted.replace("<seg/>", "<seg>V</seg>")
    assert [u.target for u in read_units(output)] == ["Nuovo & <b>\nx", "Solo", "V"]


def test_a_new_translation_takes_the_place_and_indentation_of_its_neighbour(tmp_path):
    path = write(tmp_path / "a.tmx", many("en", "it") + '<tu>\r\n   <tuv xml:lang="en">\r\n<seg>x</seg></tuv>\r\n</tu>')
    update_units(path, path, {"2": Change("y")})
    assert b'</tuv>\r\n   <tuv xml:lang="it"><seg>y</seg></tuv>\r\n</tu>' in path.read_bytes()


def test_tags_are_written_where_the_change_names_them(tmp_path):
    path = write(tmp_path / "a.tmx")
    bold, end = (tag.raw for tag in next(read_units(path)).tags_source[:2])
    tags = (Tag(bold, 6), Tag(end, 8))
    update_units(path, path, {"1": Change("Premi OK <ora>", tags=tags)})
    assert f"<seg>Premi {bold}OK{end} &lt;ora&gt;</seg>" in path.read_text()
    unit = next(read_units(path))
    assert (unit.target, unit.tags_target) == ("Premi OK <ora>", tags)


def test_a_change_that_cannot_be_made_says_why_and_writes_nothing(tmp_path):
    path, output = write(tmp_path / "a.tmx", many("de", "en", "it")), tmp_path / "b.tmx"
    for changes, message in [
        ({"9": Change("x"), "8": Change("x")}, r"a\.tmx: no unit '8' and 1 more; nothing was written"),
        ({"1": Change("x")}, r"a\.tmx, line 3: more than two languages \(de, en, it\): name the target"),
    ]:
        with pytest.raises(DataError, match=message):
            update_units(path, output, changes)
    with pytest.raises(DataError, match=r"line 3: .*U\+0008"):
        update_units(path, output, {"1": Change("a\bb")}, target="it")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tmx"]


def test_a_broken_unit_is_named_and_the_others_still_read(tmp_path):
    bad = "<tu><tuv><seg>no language</seg></tuv></tu>\n<tu><tuv xml:lang='en'><seg>&nbsp;</seg></tuv></tu>\n"
    doctype = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">'
    path = tmp_path / "a.tmx"
    path.write_text(doctype + HEAD.format("en").split("\n", 1)[1] + bad + many("en", "it") + FOOT)
    found = list(scan_units(path))
    assert [str(one).rpartition("a.tmx")[2] for one in found[:2]] == [
        ", line 2: a <tuv> without xml:lang",
        ", line 3: the entity &nbsp; is not known; write the character itself",
    ]
    assert found[2].target == "in it"
    with pytest.raises(DataError, match="without xml:lang"):
        list(read_units(path))


def test_a_character_that_the_encoding_lacks_is_written_as_a_reference(tmp_path):
    path = tmp_path / "a.tmx"
    text = '<?xml version="1.0" encoding="ISO-8859-1"?><tmx><body>' + many("en", "it") + "<!-- è --></body></tmx>"
    path.write_bytes(text.encode("latin-1"))
    update_units(path, path, {"1": Change("è €")})
    assert b"<seg>\xe8 &#8364;</seg>" in path.read_bytes()
    assert path.read_bytes().endswith(b"<!-- \xe8 --></body></tmx>")
    assert next(read_units(path)).target == "è €"
