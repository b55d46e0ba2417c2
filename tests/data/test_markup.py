from __future__ import annotations

import pytest

from pairspace.data import markup
from pairspace.data.markup import Element, Markup
from pairspace.errors import DataError

NASTY = """<?xml version='1.0' encoding="{}"?>\r
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<!-- <tu>not one</tu> -->
<tmx\tversion = '1.4' a=">"><?pi <tu> ?><body >
 <tu a='>' b="/>"><![CDATA[</tu>]]><tu>within</tu></tu ><tu/>
<tu x="y" /> é€ <tu
>ü</tu></body></tmx>
<!-- end -->"""


def raw_of(piece):
    return piece.raw if isinstance(piece, Element) else piece


@pytest.mark.parametrize("size", [1, 7, 1 << 18])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "iso-8859-15", "cp1252"])
def test_pieces_are_the_file_and_elements_are_whole(tmp_path, monkeypatch, codec, size):
    monkeypatch.setattr(markup, "_BLOCK", size)
    path = tmp_path / "a.tmx"
    path.write_bytes(NASTY.format(codec.replace("-sig", "")).encode(codec))
    file = Markup(path, "tmx", ("tu",))
    pieces = list(file.pieces())
    assert b"".join(file.encode(raw_of(piece)) for piece in pieces) == path.read_bytes()
    found = [piece for piece in pieces if isinstance(piece, Element)]
    assert [(element.raw.decode(), element.line, element.column) for element in found] == [
        ("<tu a='>' b=\"/>\"><![CDATA[</tu>]]><tu>within</tu></tu >", 5, 2),
        ("<tu/>", 5, 57),
        ('<tu x="y" />', 6, 1),
        ("<tu\n>ü</tu>", 6, 17),
    ]
    assert [[parent.name for parent in element.parents] for element in found] == [["tmx", "body"]] * 4
    assert found[0].parents[0].attributes == {"version": "1.4", "a": ">"}


def test_only_one_element_is_held_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(markup, "_BLOCK", 100)
    path = tmp_path / "a.tmx"
    path.write_bytes(b"<tmx><body>" + b"<tu>some text here</tu>\n" * 500 + b"</body></tmx>")
    cutter = markup._Cutter(path, "tmx", ("tu",))
    held = 0
    for block in Markup(path, "tmx", ("tu",)).blocks():
        cutter.feed(block)
        held = max(held, len(cutter._buffer))
    assert held < 200


def test_positions_survive_a_count_of_32_bits(tmp_path):
    cutter = markup._Cutter(tmp_path / "a.tmx", "tmx", ("tu",))

    class Parser:
        CurrentByteIndex = -(1 << 31) + 5  # what 2 GiB + 5 looks like there

    cutter._parser, cutter._at = Parser(), (1 << 31) - 7
    cutter._move()
    assert cutter._at == (1 << 31) + 5


LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE tmx [
 <!ENTITY lol "lol">
 <!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
]>
<tmx><tu>&lol2;</tu></tmx>"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<tmx>\n <tu></tv></tmx>", r"a\.tmx, line 2, column 8: invalid XML \(mismatched tag\)"),
        ("<tmx>\n<tu>", r"line 2, column 5: invalid XML \(no element found\)"),
        ("<tmx>\n<tu>a & b</tu></tmx>", r"line 2, column 8: invalid XML \(not well-formed"),
        ("<tmx>\n<tu>a\x0bb</tu></tmx>", r"line 2, column 6: invalid XML \(not well-formed"),
        ("<html></html>", r"line 1, column 1: <html> where <tmx> is needed"),
        (LAUGHS, r"line 3, column \d+: declares the entity 'lol'"),
        ('<!DOCTYPE tmx [<!ENTITY e SYSTEM "file:///etc/passwd">]><tmx>&e;</tmx>', "declares the entity 'e'"),
        ('<!DOCTYPE tmx [<!ENTITY % e SYSTEM "http://x/y.dtd"> %e;]><tmx/>', "declares the entity 'e'"),
        ("<tmx>" + "<a>" * 2000, "nested deeper than 1,000"),
        ("<tmx><tu>" + "<a>" * 2000, "nested deeper than 1,000"),
        ("", "empty"),
        (b"<tmx>\n<tu>caf\xe9</tu></tmx>", "line 2: not UTF-8"),
        (b'<?xml version="1.0" encoding="shift_jis"?><tmx/>', "line 1: says that its encoding is shift_jis, .*iconv"),
        (b'<?xml version="1.0" encoding="utf-16"?><tmx/>', "line 1: says that its encoding is utf-16"),
        (b'<?xml version="1.0" encoding="rot13"?><tmx/>', "says that its encoding is rot13"),
        ("<tmx/>".encode("utf-32"), "UTF-32 is not read"),
        ("<tmx>\n\n\ud800</tmx>".encode("utf-16", "surrogatepass"), "line 3: not UTF-16"),
        (b'<?xml version="1.0" encoding="cp1252"?><tmx>\n\x81</tmx>', "line 2: not CP1252"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, content, message):
    path = tmp_path / "a.tmx"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        list(Markup(path, "tmx", ("tu",)).pieces())


def test_a_document_type_is_allowed_and_never_fetched(tmp_path):
    path = tmp_path / "a.tmx"
    path.write_text('<!DOCTYPE tmx PUBLIC "-//LISA//DTD" "http://127.0.0.1:1/tmx14.dtd"><tmx><tu>a</tu></tmx>')
    assert [p.raw for p in Markup(path, "tmx", ("tu",)).pieces() if isinstance(p, Element)] == [b"<tu>a</tu>"]


def test_a_truncated_compressed_file_is_named(tmp_path):
    import gzip

    path = tmp_path / "a.tmx.gz"
    path.write_bytes(gzip.compress(b"<tmx>" + bytes(range(48, 58)) * 9000 + b"</tmx>")[:-30])
    with pytest.raises(DataError, match=r"a\.tmx\.gz"):
        list(Markup(path, "tmx", ("tu",)).pieces())
