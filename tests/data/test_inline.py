from __future__ import annotations

import pytest

from pairspace.data import Tag
from pairspace.data.inline import Code, read_codes


def codes(*raw):
    return read_codes([Tag(one, 0) for one in raw])


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (
            ("<g id='7'>", "<pc id='8'>", "</pc>", "</g>"),
            [("+", None, "7"), ("+", None, "8"), ("-", 1, "8"), ("-", 0, "7")],
        ),
        (("<bpt id='1' rid='9'>a</bpt>", "<ept id='2' rid='9'>b</ept>"), [("+", None, "1"), ("-", 0, "1")]),
        (("<bx id='1'/>", "<bx id='2'/>", "<ex id='1'/>"), [("+", None, "1"), ("+", None, "2"), ("-", 0, "1")]),
        (
            ("<sc id='s'/>", "<sm id='m'/>", "<em startRef='m'/>", "<ec startRef='s'/>"),
            [("+", None, "s"), ("+", None, "m"), ("-", 1, "m"), ("-", 0, "s")],
        ),
        (("<ec id='e' isolated='yes'/>", "</hi>"), [("-", None, "e"), ("-", None, "")]),
        (
            ("<x id='1'/>", "<ph id='2'>c</ph>", "<ph id='3'/>", "<q:ph id='4'></q:ph>", "<g id='5'/>"),
            [(".", None, name) for name in "12345"],
        ),
        (("<bpt i='1' x='5'>a</bpt>", "<ept i='1'>b</ept>"), [("+", None, "5"), ("-", 0, "5")]),
        (("<ph type='br'>\\n</ph>", "<ph>K</ph>", "<ut/>"), [(".", None, "br\\n"), (".", None, "K"), (".", None, "")]),
        (
            ("<bpt i='1'><ph>no</ph></bpt>", "<hi type='b'>", "<ept i='1'/>", "</hi>"),
            [("+", None, "<ph>no</ph>"), ("+", None, "b"), ("-", 0, "<ph>no</ph>"), ("-", 1, "b")],
        ),
    ],
)
def test_what_tags_do(raw, wanted):
    assert codes(*raw) == [Code(*one) for one in wanted]
