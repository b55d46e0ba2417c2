from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairspace.data.elements import content, element_tree, escape, indentation, patched, set_attributes, tagged
from pairspace.data.units import Tag
from pairspace.errors import DataError


def text_of(raw, codes=()):
    return content(element_tree(raw.encode()), codes)


def test_text_is_what_xml_says_it_is():
    raw = "<a>x &lt;&amp;&gt;&quot;&apos; &#233;&#xE9;<!-- no & --><![CDATA[<b>&amp;\r\n]]>\r\ny\rz<?pi no?>&#13;</a>"
    assert text_of(raw) == ("x <&>\"' éé<b>&amp;\n\ny\nz\r", ())
    assert text_of(raw)[0] == "".join(ET.fromstring(raw).itertext())


def test_tags_are_kept_beside_the_text_and_codes_are_taken_whole():
    raw = "<seg>A <bpt i='1'>&lt;b&gt;<sub>deep</sub></bpt>bold<ept i='1'/> "
    raw += '<hi x="/>">and <ph/>x</hi><x:y>z</x:y></seg>'
    assert text_of(raw, ("bpt", "ept", "ph")) == (
        "A bold and xz",
        (
            ("<bpt i='1'>&lt;b&gt;<sub>deep</sub></bpt>", 2),
            ("<ept i='1'/>", 6),
            ('<hi x="/>">', 7),
            ("<ph/>", 11),
            ("</hi>", 12),
            ("<x:y>", 12),
            ("</x:y>", 13),
        ),
    )
    assert text_of("<seg><bpt><bpt>a<!-- </bpt> --></bpt>b</bpt>c</seg>", ("bpt",))[0] == "c"


def test_a_tree_knows_where_its_parts_lie():
    raw = b"<p:tu a='1&amp;2' b = \"x\n'y\"><!-- <p:seg/> --><p:seg/><seg>s</seg><p:seg c=''>t</p:seg ></p:tu>"
    tree = element_tree(raw)
    assert tree.attributes == {"a": "1&2", "b": "x 'y"}
    assert [(n.tag, raw[n.inner : n.close], raw[n.close : n.end]) for n in tree.all("seg")] == [
        (b"<p:seg/>", b"", b""),
        (b"<p:seg c=''>", b"t", b"</p:seg >"),
    ]
    assert tree.first("none") is None


def test_an_unknown_entity_is_an_error():
    with pytest.raises(DataError, match="entity &nbsp; is not known"):
        text_of("<a>x&nbsp;y</a>")


@pytest.mark.parametrize(
    ("tag", "values", "wanted"),
    [
        (b"<t>", {"state": "new"}, b'<t state="new">'),
        (b"<t />", {"state": "a\"<b'"}, b'<t state="a&quot;&lt;b\'" />'),
        (b"<t  a='1'  state='x' b='>'>", {"state": "y"}, b"<t  a='1'  state=\"y\" b='>'>"),
        (b"<t a='1' state = 'x'  b='2'/>", {"state": None}, b"<t a='1'  b='2'/>"),
        (b"<t a=' state=\"x\" '>", {"state": None}, b"<t a=' state=\"x\" '>"),
        (b"<t\n  x:state='1'\n>", {"state": "y"}, b"<t\n  x:state='1' state=\"y\"\n>"),
    ],
)
def test_attributes_are_set_and_all_else_in_the_tag_stays(tag, values, wanted):
    assert set_attributes(tag, values) == wanted


def test_patches_and_indentation():
    assert patched(b"abcdef", [(1, 2, b"BB"), (4, 4, b"-"), (5, 6, b"")]) == b"aBBcd-e"
    tree = element_tree(b"<a>\r\n\t <b/><c/>\n x <d/>\n  <e/></a>")
    assert [indentation(node) for node in tree.children] == [b"\r\n\t ", b"", b"", b"\n  "]


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_escaped_is_read_again_or_refused(text):
    try:
        raw = b'<a b="' + escape(text, attribute=True) + b'">' + escape(text) + b"</a>"
    except DataError:
        raw = None
        assert any(ord(c) < 32 or c in "\ufffe\uffff" for c in text)
    if raw is not None:
        node = element_tree(raw)
        assert content(node) == (text, ())
        assert node.attributes == {"b": text}
        assert (ET.fromstring(raw).text or "", ET.fromstring(raw).attrib["b"]) == (text, text)
    ET.fromstring(b"<a>" + escape(text, drop=True) + b"</a>")


def test_tags_are_put_into_a_text_and_must_be_closed():
    tags = (Tag("<g id='1'>", 4), Tag("</g>", 8))
    assert tagged("a < <g/>", tags) == b"a &lt; <g id='1'>&lt;g/&gt;</g>"
    assert tagged("a & b", ()) == b"a &amp; b"
    for wrong, message in [
        ((tags[0],), "not closed in order"),
        ((Tag("</g>", 0), Tag("<g>", 1)), "not closed in order"),
        (tags[::-1], r"\[8, 4\], are not in order within a text of 8"),
        ((Tag("<x/>", 9),), "not in order"),
        ((Tag("<x/>", -1),), "not in order"),
    ]:
        with pytest.raises(DataError, match=message):
            tagged("a < <g/>", wrong)
    with pytest.raises(DataError, match=r"U\+000B"):
        escape("a\x0bb")


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\ufffe\uffff")),
            st.sampled_from(["<x/>", "<g a='>'>", "</g>", "<ph>&lt;<sub>s</sub></ph>"]),
        )
    )
)
def test_what_is_put_together_is_what_was_taken_apart(pieces):
    tags, text, raw = [], "", b""
    for piece, tag in pieces:
        text += piece
        tags.append(Tag(tag, len(text)))
        raw += escape(piece) + tag.encode()
    try:
        ET.fromstring(b"<a>" + raw + b"</a>")
    except ET.ParseError:
        with pytest.raises(DataError, match="not closed"):
            tagged(text, tags)
    else:
        assert tagged(text, tags) == raw
        assert content(element_tree(b"<a>" + raw + b"</a>"), ("ph",)) == (text, tuple(tags))
