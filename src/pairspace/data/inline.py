"""What the inline tags of TMX and XLIFF are: whether each opens, closes or stands alone, and which belong together.

    opens          <g>, <pc>, <mrk>, <hi>; <bpt>, <bx/>, <sc/>, <sm/>
    closes         </g>, </pc>, </mrk>, </hi>; <ept>, <ex/>, <ec/>, <em/>
    stands alone   <x/>, <ph>, <it>, <ut>, <cp/>

An element closes what was opened last; the others name their partner (`rid` or `id`, in 2.0 `startRef`, in TMX `i`).
In a translation a tag is the one of the same `id` in XLIFF and of the same `x` in TMX; without these, that of the same
content. So tags of one format can be told to be those of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pairspace.data.elements import element_tree
from pairspace.data.markup import local_name
from pairspace.data.units import Tag

__all__ = ["Code", "read_codes"]

_OPENING = ("bpt", "bx", "sc", "sm")
_CLOSING = ("ept", "ex", "ec", "em")
_LINKS = ("startRef", "rid", "id", "i")
_NAMES = ("x", "id", "mid")


class Code(NamedTuple):
    """What a tag does.

    Attributes:
        sign: "+" opens, "-" closes, "." stands alone.
        partner: which code, by its number, this one closes; None if it closes none of this text.
        name: what tells it from others, in the text and in its translation.
    """

    sign: str
    partner: int | None
    name: str


def read_codes(tags: Sequence[Tag]) -> list[Code]:
    """What each of the inline tags of a text does."""
    codes: list[Code] = []
    elements: list[int] = []
    links: dict[str, int] = {}
    for number, tag in enumerate(tags):
        if tag.raw.startswith("</"):
            partner = elements.pop() if elements else None
            codes.append(Code("-", partner, "" if partner is None else codes[partner].name))
            continue
        node = element_tree(tag.raw.encode())
        kind, attributes = local_name(node.name), node.attributes
        link = next((attributes[key] for key in _LINKS if key in attributes), "")
        name = next((attributes[key] for key in _NAMES if key in attributes), "")
        name = name or f"{attributes.get('type', '')}{node.raw[node.inner : node.close].decode()}"
        if kind in _CLOSING:
            partner = links.pop(link, None)
            codes.append(Code("-", partner, name if partner is None else codes[partner].name))
            continue
        if kind in _OPENING:
            links[link] = number
        elif node.inner == len(node.raw) and not tag.raw.endswith("/>"):
            elements.append(number)
        else:
            codes.append(Code(".", None, name))
            continue
        codes.append(Code("+", None, name))
    return codes
