r"""One element of an XML file: where its parts lie in the bytes, the texts in it, and how to change them.

The bytes come from a file that a parser has found well-formed (`markup.py`), so plain patterns are enough here. Texts
come back with references resolved, CDATA opened, comments left out and line ends as `\n`, as XML asks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from xml.parsers import expat

from pairspace.data.markup import local_name
from pairspace.data.units import Tag
from pairspace.errors import DataError

__all__ = [
    "Node",
    "Patch",
    "content",
    "element_tree",
    "escape",
    "indentation",
    "patched",
    "set_attributes",
    "tagged",
]

_TAG = rb"<(/?)([^\s/>]+)(?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>"
_TOKEN = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|" + _TAG, re.S)
_ATTRIBUTE = re.compile(rb"\s([^\s=/<>\"']+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_BLANK = re.compile(r"\r\n|[\t\r\n]")
_SLASH = ord("/")
_REFERENCE = re.compile(r"&([^;&\s]*);")
_INDENTATION = re.compile(rb"(?:\r\n|\r|\n)[ \t]*\Z")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(slots=True)
class Node:
    """An element and where it lies in `raw`: `<start> ... <inner> content <close> ... <end>`."""

    raw: bytes
    name: str
    start: int
    inner: int
    close: int = 0
    end: int = 0
    children: list[Node] = field(default_factory=list)

    @property
    def tag(self) -> bytes:
        """The start tag."""
        return self.raw[self.start : self.inner]

    @property
    def attributes(self) -> Mapping[str, str]:
        """Its attributes by their full names."""
        return _attributes(self.tag)

    def all(self, *names: str) -> list[Node]:
        """Its children of these names, in order; names with another prefix than its own are others."""
        if not self.children:
            return []
        if prefix := self.name[: self.name.rfind(":") + 1]:
            names = tuple(prefix + name for name in names)
        return [child for child in self.children if child.name in names]

    def first(self, name: str) -> Node | None:
        """Its first child of this name."""
        return next(iter(self.all(name)), None)


Patch = tuple[int, int, bytes]
"""From, until, and the bytes to stand there instead."""


def element_tree(raw: bytes) -> Node:
    """The element that `raw` is, with all within it."""
    top = Node(raw, "", 0, 0)
    open_nodes = [top]
    for match in _TOKEN.finditer(raw):
        closing, name = match.groups()
        if closing:
            node = open_nodes.pop()
            node.close, node.end = match.span()
        elif name is not None:
            start, end = match.span()
            node = Node(raw, name.decode(), start, end, end, end)
            open_nodes[-1].children.append(node)
            if raw[end - 2] != _SLASH:
                open_nodes.append(node)
    return top.children[0]


def content(node: Node, codes: Collection[str] = ()) -> tuple[str, tuple[Tag, ...]]:
    """The text within an element, and the tags that were taken out of it.

    Args:
        node: the element.
        codes: names of elements whose content is not text but code of the document's own format: they are taken out
            whole. Of others only the tags are.

    Raises:
        DataError: a reference to an entity that XML does not know, without the place.
    """
    if node.raw.find(b"<", node.inner, node.close) < 0:
        return _text(node.raw[node.inner : node.close]), ()
    text = ""
    tags: list[Tag] = []
    at, code_start, depth = node.inner, 0, 0
    for match in _TOKEN.finditer(node.raw, node.inner, node.close):
        token = match[0]
        if not depth:
            text += _text(node.raw[at : match.start()])
        at = match.end()
        if token.startswith((b"<!", b"<?")):
            if token.startswith(b"<![") and not depth:
                text += _lines(token[9:-3].decode())
            continue
        closing, alone = token.startswith(b"</"), token.endswith(b"/>")
        if depth:
            depth += 0 if alone else -1 if closing else 1
            if not depth:
                tags.append(Tag(node.raw[code_start:at].decode(), len(text)))
        elif not closing and not alone and local_name(match[2].decode()) in codes:
            code_start, depth = match.start(), 1
        else:
            tags.append(Tag(token.decode(), len(text)))
    return text + _text(node.raw[at : node.close]), tuple(tags)


def escape(text: str, *, attribute: bool = False, drop: bool = False) -> bytes:
    """Text as it stands in XML.

    Args:
        text: what a reader is to see.
        attribute: for the inside of double quotes.
        drop: leave out characters that XML cannot hold instead of refusing them.

    Raises:
        DataError: a control character, half a surrogate pair, U+FFFE or U+FFFF.
    """
    if unfit := _UNFIT.search(text):
        if not drop:
            raise DataError(f"{text[:40]!r}... holds the character U+{ord(unfit[0]):04X}, which XML cannot hold")
        text = _UNFIT.sub("", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    if attribute:
        text = text.replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    return text.encode()


def tagged(text: str, tags: Sequence[Tag]) -> bytes:
    """Text as it stands in XML, with inline tags in it: what `content` takes apart.

    Raises:
        DataError: as `escape`; tags that are not in order, lie outside of the text, or are not closed in order.
    """
    places = [0, *(tag.place for tag in tags), len(text)]
    if places != sorted(places):
        raise DataError(f"the places of tags, {places[1:-1]}, are not in order within a text of {len(text)} characters")
    pieces = [escape(text[start:end]) for start, end in pairwise(places)]
    raw = b"".join(piece + tag.raw.encode() for piece, tag in zip(pieces, tags, strict=False)) + pieces[-1]
    if tags and not _is_whole(raw):
        raise DataError(f"the tags of {text!r} are not closed in order: {' '.join(tag.raw for tag in tags)}")
    return raw


def set_attributes(tag: bytes, values: dict[str, str | None]) -> bytes:
    """A start tag with attributes changed, added, or (None) taken away; all else in it stays as it was."""
    for name, value in values.items():
        key = name.encode()
        place = next((match for match in _ATTRIBUTE.finditer(tag) if match[1] == key), None)
        if value is None:
            tag = tag if place is None else tag[: place.start()].rstrip() + tag[place.end() :]
        elif place is None:
            end = len(tag.removesuffix(b">").removesuffix(b"/").rstrip())
            tag = tag[:end] + b" " + key + b'="' + escape(value, attribute=True) + b'"' + tag[end:]
        else:
            tag = tag[: place.start(2)] + b'"' + escape(value, attribute=True) + b'"' + tag[place.end(2) :]
    return tag


def patched(raw: bytes, patches: list[Patch]) -> bytes:
    """The bytes with some stretches of them replaced; none may overlap another."""
    for start, end, new in sorted(patches, reverse=True):
        raw = raw[:start] + new + raw[end:]
    return raw


def indentation(node: Node) -> bytes:
    """The line break and blanks before an element, for a new one beside it; nothing if it has no line of its own."""
    found = _INDENTATION.search(node.raw[: node.start])
    return b"" if found is None else found[0]


@lru_cache(1024)  # most tags of a file are alike
def _attributes(tag: bytes) -> Mapping[str, str]:
    """The attributes of a start tag; in their values white space is blanks, references are resolved."""
    found = _ATTRIBUTE.findall(tag)
    return MappingProxyType({name.decode(): _resolved(_BLANK.sub(" ", value[1:-1].decode())) for name, value in found})


def _text(raw: bytes) -> str:
    return _resolved(_lines(raw.decode())) if raw else ""


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _resolved(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name.startswith("#"):
        return chr(int(name[2:], 16) if name[1] == "x" else int(name[1:]))
    if name not in _ENTITIES:
        raise DataError(f"the entity &{name}; is not known; write the character itself")
    return _ENTITIES[name]


def _is_whole(markup: bytes) -> bool:
    """Whether all that is opened is closed, in order."""
    try:
        expat.ParserCreate("utf-8").Parse(b"<x>" + markup + b"</x>", True)
    except expat.ExpatError:
        return False
    return True
