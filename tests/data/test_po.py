from __future__ import annotations

import polib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.data import Change, read_units, update_units
from pairspace.data.translations import scan_units
from pairspace.errors import DataError

HEADER = """# A title
#, fuzzy
msgid ""
msgstr ""
"Project-Id-Version: x\\n"
"Language: it\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""
NASTY = (
    HEADER
    + r"""# translator
#. developer
#: a.c:1 b.c:2
#, c-format
#| msgid "old \"name\""
msgctxt "menu"
msgid "a \"name\"\tand\\n"
msgstr "un \"nome\"\te\\n"

#, fuzzy, python-format
#| msgid ""
#| "older"
msgid ""
"First line\n"
"second é"
msgstr ""
"Prima riga\n"
"seconda "   "è"
msgid "no blank line before"
msgstr ""
#, c-format, fuzzy
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d file"
msgstr[1] ""
"%d "
"file"
	msgid  "indented"
	msgstr  "rientrato"

# of an obsolete one
#, fuzzy
#~ msgid "gone"
#~ msgstr "andato"
#~ msgid "gone too"
#~ msgstr ""
#: c.c
msgid "last"
msgstr "ultimo\x21\041"
"""
)


def write(path, text, end="\n", codec="utf-8"):
    path.write_bytes(text.replace("\n", end).encode(codec))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_units_of_a_catalogue(tmp_path, end):
    units = list(read_units(write(tmp_path / "a.po", NASTY, end)))
    assert [(u.key, u.line, u.source, u.target, u.state, u.plural) for u in units] == [
        ('menu\x04a "name"\tand\\n', 15, 'a "name"\tand\\n', 'un "nome"\te\\n', "translated", None),
        ("First line\nsecond é", 22, "First line\nsecond é", "Prima riga\nseconda è", "review", None),
        ("no blank line before", 28, "no blank line before", "", "untranslated", None),
        ("%d file[0]", 31, "%d file", "%d file", "review", 0),
        ("%d file[1]", 31, "%d files", "%d file", "review", 1),
        ("indented", 37, "indented", "rientrato", "translated", None),
        ("last", 47, "last", "ultimo!!", "translated", None),
    ]
    assert (units[0].context, units[0].notes) == ("menu", ("translator", "developer"))
    assert {(u.source_language, u.target_language) for u in units} == {("", "it")}
    assert next(read_units(tmp_path / "a.po", source="en")).source_language == "en"


def test_polib_reads_the_same(tmp_path):
    path = write(tmp_path / "a.po", NASTY.replace("\tmsg", "msg").replace('"   "', "").replace(r"\x21\041", ""))
    entries = [e for e in polib.pofile(str(path)) if not e.obsolete]
    texts = [t for e in entries for t in ([*e.msgstr_plural.values()] if e.msgid_plural else [e.msgstr])]
    assert [u.target for u in read_units(path)] == texts


def test_one_plural_form_for_all_numbers_translates_the_plural(tmp_path):
    text = HEADER.replace("nplurals=2; plural=(n != 1)", "nplurals=1; plural=0")
    path = write(tmp_path / "a.po", text + 'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] "x"\n')
    assert [(u.key, u.source) for u in read_units(path)] == [("%d file[0]", "%d files")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_lines_of_the_string_and_the_flag_change(tmp_path, end):
    path, output = write(tmp_path / "a.po", "\ufeff" + NASTY, end), tmp_path / "b.po"
    changes = {
        'menu\x04a "name"\tand\\n': Change('nuovo "x"\\\t\r\n\nfine\n'),
        "First line\nsecond é": Change("Riga", review=False),
        "%d file[1]": Change("nuovi", review=False),
        "last": Change(""),
    }
    update_units(path, output, changes)
    wanted = "\ufeff" + NASTY
    for old, new in [
        ("#, c-format\n#| ", "#, fuzzy, c-format\n#| "),
        ('msgstr "un \\"nome\\"\\te\\\\n"', 'msgstr ""\n"nuovo \\"x\\"\\\\\\t\\r\\n"\n"\\n"\n"fine\\n"'),
        ("#, fuzzy, python-format", "#, python-format"),
        ('msgstr ""\n"Prima riga\\n"\n"seconda "   "è"', 'msgstr "Riga"'),
        ('msgstr[1] ""\n"%d "\n"file"', 'msgstr[1] "nuovi"'),
        ('#: c.c\nmsgid "last"\nmsgstr "ultimo\\x21\\041"', '#: c.c\n#, fuzzy\nmsgid "last"\nmsgstr ""'),
    ]:
        assert wanted.count(old) == 1, old
        wanted = wanted.replace(old, new)
    assert output.read_bytes() == wanted.replace("\n", end).encode()
    found = {u.key: u for u in read_units(output)}
    assert found["%d file[0]"].state == "review"  # the other form is yet to be looked at
    assert [found[key].target for key in changes] == [change.text for change in changes.values()]


def test_the_flag_goes_once_all_forms_are_done(tmp_path):
    path = write(tmp_path / "a.po", HEADER + '#, fuzzy\nmsgid "a"\nmsgid_plural "b"\nmsgstr[0] "1"\nmsgstr[1] "2"')
    update_units(path, path, {"a[0]": Change("x", review=False), "a[1]": Change("y", review=False)})
    assert path.read_text() == HEADER + 'msgid "a"\nmsgid_plural "b"\nmsgstr[0] "x"\nmsgstr[1] "y"'


def test_other_encodings_are_read_and_kept(tmp_path):
    text = HEADER.replace("UTF-8", "ISO-8859-1") + 'msgid "coffee"\nmsgstr "caffè"\n'
    path = write(tmp_path / "a.po", text, codec="latin-1")
    assert next(read_units(path)).target == "caffè"
    update_units(path, path, {"coffee": Change("più", review=False)})
    assert path.read_bytes() == text.replace("caffè", "più").encode("latin-1")
    with pytest.raises(DataError, match=r"line 10: '€' cannot be written in ISO8859-1"):
        update_units(path, path, {"coffee": Change("€")})
    with pytest.raises(DataError, match=r"line 3: says that its encoding is EUC-JP, which is not read.*iconv"):
        list(read_units(write(path, HEADER.replace("UTF-8", "EUC-JP"))))
    with pytest.raises(DataError, match=r"line 1: UTF-16"):
        list(read_units(write(path, HEADER, codec="utf-16")))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('msgid "a"\nmsgstr "b\n', 'line 11: no keyword and string in double quotes, such as msgid "text"'),
        ('msgid "a"\nmsgstr "b" x\n', "line 11: no keyword and string"),
        ("hello\n", "line 10: no keyword and string"),
        ('"hello"\n', "line 10: a string without a keyword before it"),
        ('msgid "a"\n', "line 10: msgid without msgstr"),
        ('msgstr "a"\n', "line 10: msgstr without msgid"),
        ('msgid "a"\nmsgid_plural "b"\nmsgid_plural "b"\nmsgstr "c"\n', "line 12: a second msgid_plural in one entry"),
        ('msgid "a"\nmsgstr "\\q"\n', r"line 11: the escape \q means nothing in PO"),
        (b'msgid "a"\nmsgstr ""\n"ok"\n"caf\xe9"\n', "line 13: not UTF-8, which the header says it is"),
    ],
)
def test_a_broken_entry_is_named_kept_and_the_others_still_read(tmp_path, entry, message):
    path = tmp_path / "a.po"
    entry = entry if isinstance(entry, bytes) else entry.encode()
    path.write_bytes(HEADER.encode() + entry + b'\nmsgid "good"\nmsgstr "buono"\n')
    found = list(scan_units(path))
    assert str(found[0]).startswith(f"{path}, {message}")
    assert [u.key for u in found[1:]] == ["good"]
    with pytest.raises(DataError):
        list(read_units(path))
    update_units(path, path, {"good": Change("bene", review=False)})
    assert path.read_bytes() == HEADER.encode() + entry + b'\nmsgid "good"\nmsgstr "bene"\n'


def test_another_language_is_named(tmp_path):
    path = write(tmp_path / "a.po", NASTY)
    with pytest.raises(DataError, match=r"a\.po, line 3: no language 'de'; it is in it"):
        list(read_units(path, target="de"))


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_written_and_read_again_by_polib_too(tmp_path_factory, text):
    path = write(tmp_path_factory.mktemp("po") / "a.po", HEADER + 'msgid "x"\nmsgstr "y"\n')
    update_units(path, path, {"x": Change(text, review=False)})
    assert next(read_units(path)).target == text
    if text.isprintable():
        assert polib.pofile(str(path))[0].msgstr == text
