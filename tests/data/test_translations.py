from __future__ import annotations

import gzip
import shutil
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pairspace.data import Change, markup, read_units, update_units
from pairspace.errors import DataError

texts = st.text(st.characters(codec="utf-8", exclude_characters="\ufffe\uffff", min_codepoint=32), max_size=12)
blanks = st.sampled_from(["", " ", "\n", "\r\n\t", "<!-- <seg>x</seg> -->", "<?p <target> ?>"])
codes = st.sampled_from(["", "<ph/>", "<ph x='&gt;'>c</ph>", "<![CDATA[<b>]]>", "&#x41;", "<!-- <seg> -->"])


def xml(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


@st.composite
def tmx(draw):
    def unit(number):
        left, right = xml(draw(texts)) + draw(codes), draw(codes) + xml(draw(texts))
        gap, quote = draw(blanks), draw(st.sampled_from("'\""))
        tuv = f"<tuv  xml:lang={quote}it{quote} ><seg>{right}</seg ></tuv>{draw(blanks)}"
        tuv = tuv if number == 0 or draw(st.booleans()) else ""  # a language is in a memory if it is in a unit
        return f"<tu>{gap}<tuv xml:lang='en'>{gap}<seg>{left}</seg></tuv>{gap}{tuv}</tu>"

    head = f"{draw(blanks).lstrip()}<tmx version='1.4'><header srclang='en'/><body><!--<tuv xml:lang='de'>-->"
    units = [unit(number) for number in range(draw(st.integers(1, 4)))]
    return ".tmx", [head, *(draw(blanks) + unit for unit in units), draw(blanks) + "</body></tmx>\n"]


@st.composite
def xliff(draw):
    def unit(number):
        target = draw(st.sampled_from(["", "<target/>", "<target state='final'>{}</target>"]))
        gap, left = draw(blanks), xml(draw(texts)) + draw(codes)
        target = target.replace("{}", draw(codes) + xml(draw(texts)))
        return f"<trans-unit id='{number}'>{gap}<source>{left}</source>{gap}{target}{gap}</trans-unit>"

    units = [unit(number) for number in range(draw(st.integers(1, 4)))]
    head = f"<xliff version=\"1.2\">{draw(blanks)}<file original='x'><body>"
    return ".xlf", [head, *(draw(blanks) + unit for unit in units), "</body></file></xliff>"]


@st.composite
def po(draw):
    end = draw(st.sampled_from(["\n", "\r\n"]))

    def string(text):
        for old, new in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
            text = text.replace(old, new)
        return f'""{end}"{text}"' if draw(st.booleans()) else f'"{text}"'

    def unit(number):
        lines = draw(
            st.lists(st.sampled_from(["# t", "#. d", "#, c-format", "#, fuzzy", '#| msgid "o"', '#~ msgid "a"', ""]))
        )
        lines += ["", f"msgid {string(f'{number}: ' + draw(texts))}", f"msgstr {string(draw(texts))}"]
        return end.join(lines) + end

    units = [unit(number) for number in range(draw(st.integers(1, 4)))]
    return ".po", [
        f'msgid ""{end}msgstr "Content-Type: text/plain; charset=UTF-8\\n"{end}',
        *units,
        draw(blanks.filter(str.isspace) | st.just("")) + "#~ msgid 'x'",
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tmx() | xliff() | po(), st.data(), st.sampled_from([1, 5, 64, 1 << 18]))
def test_a_change_of_one_unit_leaves_every_other_byte(tmp_path, made, data, block):
    suffix, pieces = made
    path, output = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    raw = [piece.encode() for piece in pieces]
    path.write_bytes(b"".join(raw))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "_BLOCK", block)
        units = list(read_units(path))
        assert len(units) == len(pieces) - 2
        update_units(path, output, {})
        assert output.read_bytes() == path.read_bytes()
        place = data.draw(st.integers(0, len(units) - 1))
        new = data.draw(texts)
        update_units(path, output, {units[place].key: Change(new)})
        changed = list(read_units(output))
    before, after = b"".join(raw[: place + 1]), b"".join(raw[place + 2 :])
    assert output.read_bytes().startswith(before)
    assert output.read_bytes().endswith(after)
    assert changed[place].target == new
    assert [(u.key, u.source) for u in changed] == [(u.key, u.source) for u in units]
    others = [[replace(unit, line=0) for unit in some[:place] + some[place + 1 :]] for some in (units, changed)]
    assert others[0] == others[1]


SMALL = """<tmx version="1.4"><header srclang="en"/><body>
<tu><tuv xml:lang="en"><seg>a</seg></tuv><tuv xml:lang="it"><seg>b</seg></tuv></tu></body></tmx>"""


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files_are_read_and_written(tmp_path, suffix):
    pack = gzip.compress if suffix == ".gz" else (lambda raw: pa.Codec("zstd").compress(raw, asbytes=True))
    path, output = tmp_path / f"a.TMX{suffix}", tmp_path / f"b.tmx{suffix}"
    path.write_bytes(pack(SMALL.encode()))
    assert [u.target for u in read_units(path)] == ["b"]
    update_units(path, output, {"1": Change("c")})
    assert [u.target for u in read_units(output)] == ["c"]
    update_units(path, tmp_path / "plain.tmx", {})
    assert (tmp_path / "plain.tmx").read_text() == SMALL
    if suffix == ".gz":
        assert gzip.decompress(output.read_bytes()).decode() == SMALL.replace(">b<", ">c<")


def test_a_file_may_be_changed_in_its_own_place_and_stays_when_that_fails(tmp_path):
    path = tmp_path / "a.tmx"
    path.write_text(SMALL)
    update_units(path, path, {"1": Change("c")})
    assert path.read_text() == SMALL.replace(">b<", ">c<")
    shutil.copy(path, tmp_path / "old.tmx")
    with pytest.raises(DataError, match="no unit '2'; nothing was written"):
        update_units(path, path, {"1": Change("d"), "2": Change("x")})
    assert path.read_bytes() == (tmp_path / "old.tmx").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tmx", "old.tmx"]


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.tmx").write_text(SMALL)
    with pytest.raises(DataError, match=r"a\.txt: units are read from \.tmx, \.xlf, \.xliff, \.po"):
        list(read_units(tmp_path / "a.txt"))
    with pytest.raises(DataError, match=r"none\.po: no such file"):
        list(read_units(tmp_path / "none.po"))
    with pytest.raises(DataError, match=r"b\.po: a copy of a\.tmx has the same format"):
        update_units(tmp_path / "a.tmx", tmp_path / "b.po", {})
