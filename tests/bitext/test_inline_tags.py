"""Inline tags remembered and put into a translation: the same tag again, wherever it stands, whatever its name is."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairspace.bitext.inline_tags import carried_tags, kept_tags, same_tags, wrapped_tags
from pairspace.data.elements import content, element_tree, tagged

CODES = ("bpt", "ept", "ph", "it", "x", "bx", "ex")


def read(raw):
    return content(element_tree(f"<a>{raw}</a>".encode()), CODES)


def filled(source, target, unit):
    """The translation of `unit`, from a memory of `source` and `target`; None where the tags differ."""
    (text, tags), (translation, target_tags), (other, own) = map(read, (source, target, unit))
    kept = kept_tags({"en": tags, "it": target_tags})
    if not same_tags(other, own, text, kept["en"]):
        return None
    carried = carried_tags(own, kept["en"], kept["it"])
    return None if carried is None else tagged(translation, carried).decode()


@pytest.mark.parametrize(
    ("source", "target", "unit", "wanted"),
    [
        ("a <g id='1'>b</g>", "<g id='1'>B</g> A", "a <g id='9'>b</g>", "<g id='9'>B</g> A"),
        (
            "<x id='1'/>a <x id='2'/>b",
            "<x id='2'/>B <x id='1'/>A",
            "<x id='5'/>a <ph id='4'/>b",
            "<ph id='4'/>B <x id='5'/>A",
        ),
        # TMX: by x, else by content; `i` only says which belong together
        (
            "<ph x='1'>m</ph>a<ph x='2'>n</ph>",
            "<ph x='2'>q</ph>A<ph x='1'>r</ph>",
            "<x id='7'/>a<x id='8'/>",
            "<x id='8'/>A<x id='7'/>",
        ),
        (
            "<bpt i='1'>B</bpt>a<ept i='1'>/</ept> <bpt i='2'>I</bpt>b<ept i='2'>/</ept>",
            "<bpt i='1'>I</bpt>B<ept i='1'>/</ept> <bpt i='2'>B</bpt>A<ept i='2'>/</ept>",
            "<g id='1'>a</g> <g id='2'>b</g>",
            "<g id='2'>B</g> <g id='1'>A</g>",
        ),
        # names that do not fit: by order
        ("<x id='1'/>a<x id='2'/>", "<x id='8'/>A<x id='9'/>", "<x id='3'/>a<x id='4'/>", "<x id='3'/>A<x id='4'/>"),
        # white space does not count, but on which side of it a tag stands does
        ("a  <x id='1'/>b ", "A <x id='1'/>B", " a\n<x id='1'/>b", "A <x id='1'/>B"),
        ("a<x id='1'/> b", "A<x id='1'/> B", "a <x id='1'/>b", None),
        # others
        ("<g id='1'>a</g> b", "<g id='1'>A</g> B", "a <g id='1'>b</g>", None),
        ("a<x id='1'/> b", "A B", "a<x id='1'/> b", None),
        ("a b", "A<x id='1'/> B", "a b", None),
        ("a b", "A B", "a b", "A B"),
        ("<x id='1'/>a", "<x id='1'/>A", "<g id='1'>a</g>", None),
        ("<x id='1'/>a", "<x id='1'/>A<x id='1'/>", "<x id='1'/>a", None),
        (
            "<bx id='1'/><bx id='2'/>a<ex id='1'/><ex id='2'/>",
            "A",
            "<bx id='1'/><bx id='2'/>a<ex id='2'/><ex id='1'/>",
            None,
        ),
        # overlapping pairs, which elements cannot be
        (
            "<bx id='1'/>a<bx id='2'/>b<ex id='2'/><ex id='1'/>",
            "<bx id='1'/>A<bx id='2'/>B<ex id='1'/>C<ex id='2'/>",
            "<g id='1'>a<g id='2'>b</g></g>",
            None,
        ),
        # in similar texts, only around them
        ("<g id='1'>a b</g>", "<g id='1'>A B</g>!", "<g id='4'>a bcd</g>", "<g id='4'>A B</g>!"),
        ("<g id='1'>a</g> b", "<g id='1'>A</g> B", "<g id='4'>a</g> bcd", None),
    ],
)
def test_tags_are_carried_over(source, target, unit, wanted):
    assert filled(source, target, unit) == wanted


def test_numbers_are_the_same_in_all_languages():
    variants = {
        "en": read("<x id='1'/>a<g id='2'>b</g>")[1],
        "it": read("<g id='2'>B</g>A<x id='1'/>")[1],
        "de": read("<x id='3'/><x id='1'/>")[1],
        "fr": read("<ph id='4'/><ph id='5'/>")[1],
        "ja": (),
    }
    assert kept_tags(variants) == {"en": "0.0 1+1 2-1", "it": "0+1 1-1 2.0", "de": "0.6 0.0", "fr": "0.0 0.9", "ja": ""}


def test_tags_around_a_text_go_around_its_translation():
    def wrapped(unit, target):
        tags = wrapped_tags(*read(unit), target)
        return None if tags is None else tagged(target, tags).decode()

    assert wrapped("<x id='1'/><g id='2'> a b</g>\n<x id='3'/>", "ABC D") == "<x id='1'/><g id='2'>ABC D</g><x id='3'/>"
    assert wrapped("a b", "AB") == "AB"
    assert wrapped("<g id='2'>a</g> b", "AB") is None


@st.composite
def trees(draw, depth=0):
    """A text of words and tags, each tag of its own id."""
    pieces = []
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["word", "x", "g"] if depth < 2 else ["word", "x"]))
        pieces.append(
            ("word", draw(st.sampled_from(["a", "b c", " "])))
            if kind == "word"
            else (kind, None if kind == "x" else draw(trees(depth + 1)))
        )
    return pieces


def written(tree, ids):
    parts = []
    for kind, inner in tree:
        if kind == "word":
            parts.append(inner)
        else:
            number = next(ids)
            parts.append(f"<x id='{number}'/>" if kind == "x" else f"<g id='{number}'>{written(inner, ids)}</g>")
    return "".join(parts)


@given(trees(), st.randoms(use_true_random=False))
def test_any_order_of_tags_in_a_translation_comes_back_with_the_names_of_the_unit(tree, random):
    """The slow, plain version: rename the ids in the translation as those of the source were."""
    source = written(tree, iter(range(100)))
    count = source.count("id=")
    renamed = {number: 1000 + random.randrange(10**6) * 100 + number for number in range(count)}
    unit, target = (ET.fromstring(f"<a>{source}</a>") for _ in range(2))
    for node in unit.iter():
        if "id" in node.attrib:
            node.attrib["id"] = str(renamed[int(node.attrib["id"])])
    for node in target.iter():
        children = list(node)
        random.shuffle(children)
        node[:] = children
    wanted = ET.fromstring(ET.tostring(target))
    for node in wanted.iter():
        if "id" in node.attrib:
            node.attrib["id"] = str(renamed[int(node.attrib["id"])])
    whole = [ET.tostring(node, encoding="unicode", short_empty_elements=False) for node in (target, unit, wanted)]
    found = filled(source, *(text.removeprefix("<a>").removesuffix("</a>") for text in whole[:2]))
    assert found is not None
    assert ET.canonicalize(f"<a>{found}</a>") == ET.canonicalize(whole[2])
