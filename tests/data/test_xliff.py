from __future__ import annotations

import pytest

from pairspace.data import Change, Tag, read_units, update_units
from pairspace.data.translations import scan_units
from pairspace.errors import DataError

FIRST = """<?xml version="1.0" encoding="UTF-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2" xmlns:x='urn:x'>
<file original="a.html" source-language='en-US' target-language='it'><header><note>of the file</note></header><body>
 <group translate='no'><trans-unit id='hidden'><source>no</source></trans-unit></group>
 <group>
  <trans-unit id="1" approved="yes" resname='title'>
    <source>Press <g id='1'>OK</g><x id="2"/> <bpt id='3'>&lt;b></bpt>now<ept id='3'>&lt;/b></ept></source>
    <seg-source><mrk mid='1' mtype='seg'>Press ...</mrk></seg-source>
    <target state='final' state-qualifier="exact-match" xml:lang='it'>Premi <g id='1'>OK</g></target>
    <note>first</note><alt-trans><source>Press</source><target>Premere</target></alt-trans>
    <context-group><context context-type="sourcefile">a.c</context>
      <context context-type='x-c'>menu</context></context-group>
  </trans-unit>
  <trans-unit id="2"><source>New &amp; <![CDATA[<old>]]></source></trans-unit>
  <trans-unit id="2"><source>Twice</source>\t<target/></trans-unit>
  <trans-unit id="3" translate='yes'><source>Look</source><target state="needs-adaptation">Guarda</target></trans-unit>
 </group></body></file>
<file original="b.html" source-language="en-US" target-language='it'><body><x:any/>
  <trans-unit id="1"><source>Other</source><x:target>no</x:target><target>Altro</target></trans-unit>
</body></file></xliff>
"""
SECOND = """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="it">
 <file id="f1"><skeleton/><group id='g'>
  <unit id="u1" name="greeting">
   <notes><note>be kind</note></notes><originalData><data id="d">&lt;br></data></originalData>
   <segment id='s1' state="initial" subState='x:y'><source>Hello<ph id="1" dataRef="d"/> <pc id="2">you</pc></source>
     <target>Ciao</target></segment>
   <ignorable><source> </source></ignorable>
   <segment><source>Bye</source></segment>
   <segment><source>So</source><target>Così</target></segment>
  </unit>
  <unit id='u2'><mtc:matches xmlns:mtc="urn:m"><mtc:match><source>a</source><target>b</target></mtc:match></mtc:matches>
   <segment state="translated"><source>One</source><target>Uno</target></segment></unit>
  <unit id='u3' translate="no"><segment><source>Brand</source></segment></unit>
 </group></file></xliff>
"""


def write(path, text):
    path.write_bytes(text.encode())
    return path


def test_units_of_1_2(tmp_path):
    units = list(read_units(write(tmp_path / "a.xlf", FIRST)))
    assert [(u.key, u.line, u.source, u.target, u.state) for u in units] == [
        ("a.html/1", 6, "Press OK now", "Premi OK", "translated"),
        ("a.html/2", 14, "New & <old>", "", "untranslated"),
        ("a.html/2#2", 15, "Twice", "", "untranslated"),
        ("a.html/3", 16, "Look", "Guarda", "review"),
        ("b.html/1", 19, "Other", "Altro", "translated"),
    ]
    first = units[0]
    assert first.tags_source == (
        ("<g id='1'>", 6),
        ("</g>", 8),
        ('<x id="2"/>', 8),
        ("<bpt id='3'>&lt;b></bpt>", 9),
        ("<ept id='3'>&lt;/b></ept>", 12),
    )
    assert (first.id, first.context, first.notes) == ("1", "menu", ("first",))
    assert (first.source_language, first.target_language) == ("en-US", "it")


def test_units_of_2_0(tmp_path):
    units = list(read_units(write(tmp_path / "a.xliff", SECOND), source="en-GB", target="it"))
    assert [(u.key, u.line, u.source, u.target, u.state) for u in units] == [
        ("f1/u1/s1", 5, "Hello you", "Ciao", "review"),
        ("f1/u1/#2", 8, "Bye", "", "untranslated"),
        ("f1/u1/#3", 9, "So", "Così", "translated"),
        ("f1/u2", 12, "One", "Uno", "translated"),
    ]
    assert (units[0].context, units[0].notes, units[0].id) == ("greeting", ("be kind",), "u1/s1")
    assert units[0].tags_source == (('<ph id="1" dataRef="d"/>', 5), ('<pc id="2">', 6), ("</pc>", 9))


def test_changes_in_1_2(tmp_path):
    path, output = write(tmp_path / "a.xlf", FIRST), tmp_path / "b.xlf"
    changes = {
        "a.html/1": Change("Prova  & via", tags=(Tag('<x id="2"/>', 6),)),
        "a.html/2": Change("Nuovo"),
        "a.html/2#2": Change("Due", review=False),
        "b.html/1": Change("Diverso"),
    }
    update_units(path, output, changes)
    wanted = FIRST
    for old, new in [
        ('id="1" approved="yes"', 'id="1" approved="no"'),
        (
            "<target state='final' state-qualifier=\"exact-match\" xml:lang='it'>Premi <g id='1'>OK</g></target>",
            '<target state="needs-review-translation" xml:lang=\'it\'>Prova <x id="2"/> &amp; via</target>',
        ),
        ("]]></source>", ']]></source><target state="needs-review-translation">Nuovo</target>'),
        ("<target/>", '<target state="translated">Due</target>'),
        ("<target>Altro</target>", '<target state="needs-review-translation">Diverso</target>'),
    ]:
        assert wanted.count(old) == 1
        wanted = wanted.replace(old, new)
    assert output.read_text() == wanted
    assert [(u.target, u.state) for u in read_units(output)] == [
        ("Prova  & via", "review"),
        ("Nuovo", "review"),
        ("Due", "translated"),
        ("Guarda", "review"),
        ("Diverso", "review"),
    ]


def test_changes_in_2_0(tmp_path):
    path = write(tmp_path / "a.xlf", SECOND)
    changes = {"f1/u1/s1": Change("Salve", review=False), "f1/u1/#2": Change("Addio"), "f1/u2": Change("1")}
    update_units(path, path, changes)
    wanted = SECOND
    for old, new in [
        ("<segment id='s1' state=\"initial\" subState='x:y'>", "<segment id='s1' state=\"translated\">"),
        ("<target>Ciao</target>", "<target>Salve</target>"),
        ("<segment><source>Bye</source>", '<segment state="initial"><source>Bye</source><target>Addio</target>'),
        (
            '<segment state="translated"><source>One</source><target>Uno<',
            '<segment state="initial"><source>One</source><target>1<',
        ),
    ]:
        assert wanted.count(old) == 1
        wanted = wanted.replace(old, new)
    assert path.read_text() == wanted


def test_a_new_target_stands_on_a_line_of_its_own_where_the_source_does(tmp_path):
    text = FIRST.replace('<trans-unit id="2"><source>New', '<trans-unit id="2">\r\n\t<source>New')
    path = write(tmp_path / "a.xlf", text)
    update_units(path, path, {"a.html/2": Change("x")})
    assert b'</source>\r\n\t<target state="needs-review-translation">x</target></trans-unit>' in path.read_bytes()


def test_prefixes_are_looked_through_and_kept(tmp_path):
    text = (
        '<q:xliff xmlns:q="urn:oasis:names:tc:xliff:document:1.2" version="1.2"><q:file original="o"><q:body>'
        "<q:trans-unit id='1'><q:source>a<q:ph id='1'>code</q:ph></q:source></q:trans-unit></q:body></q:file></q:xliff>"
    )
    path = write(tmp_path / "a.xlf", text)
    assert [(u.source, u.tags_source) for u in read_units(path)] == [("a", (("<q:ph id='1'>code</q:ph>", 1),))]
    update_units(path, path, {"o/1": Change("b")})
    new = '</q:source><q:target state="needs-review-translation">b</q:target>'
    assert path.read_text() == text.replace("</q:source>", new)


def test_marks_of_sentences_are_no_tags(tmp_path):
    marked = "<mrk mtype='seg' mid='0'>Guarda <mrk mtype='protected'><mrk mtype='seg'/>X</mrk></mrk>"
    path = write(tmp_path / "a.xlf", FIRST.replace('<target state="needs-adaptation">Guarda<', f"<target>{marked}<"))
    unit = list(read_units(path))[3]
    assert (unit.target, unit.tags_target) == ("Guarda X", (("<mrk mtype='protected'>", 7), ("</mrk>", 8)))


def test_empty_elements_may_be_written_with_two_tags(tmp_path):
    path = write(tmp_path / "a.xlf", FIRST.replace('<x id="2"/>', '<x id="2"></x>'))
    assert next(read_units(path)).tags_source[2] == ('<x id="2"></x>', 8)
    path = write(tmp_path / "b.xlf", SECOND.replace('<ph id="1" dataRef="d"/>', '<ph id="1"></ph>'))
    assert next(read_units(path)).tags_source[0] == ('<ph id="1"></ph>', 5)


def test_what_is_no_xliff_or_another_language_is_named(tmp_path):
    path = write(tmp_path / "a.xlf", FIRST)
    with pytest.raises(DataError, match=r"a\.xlf, line 4: no language 'de'; it is in it"):
        list(read_units(path, target="de"))
    with pytest.raises(DataError, match="XLIFF 3.0; 1.2 and 2.0 are read"):
        list(read_units(write(path, SECOND.replace('"2.0" src', '"3.0" src'))))
    with pytest.raises(DataError, match="<html> where <xliff> is needed"):
        list(read_units(write(path, "<html/>")))
    text = FIRST.replace("<source>Twice</source>", "")
    found = list(scan_units(write(path, text)))
    assert str(found[2]) == f"{path}, line 15: <trans-unit> without <source>"
    assert len(found) == 5
