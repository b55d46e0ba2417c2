"""XML files cut into elements, as a stream, with nothing lost between them: what is not changed is written as it was.

Expat, from the standard library, reads along and says at which byte an element begins; no other parser in Python does,
which is why neither lxml nor ElementTree stands here: both would write the file anew. The bytes of one element are held
at a time, so a file of many gigabytes needs the memory of its largest element.

Inside, all is UTF-8. A file in UTF-16 or in a single-byte encoding is converted on the way in and back on the way out,
which loses nothing, because each of these maps bytes to characters one to one. Declarations of entities are refused, as
is anything external; `<!DOCTYPE tmx SYSTEM "tmx14.dtd">` is allowed and the DTD never looked at.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from pairspace.data.files import open_binary
from pairspace.errors import DataError

__all__ = ["TAG", "Element", "Markup", "Parent", "known_codec", "local_name"]

_BLOCK = 1 << 18
_DEEPEST = 1000
_DECLARED = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]+)")
_SINGLE_BYTE = re.compile(r"iso8859-\d+|cp125\d|koi8-[rut]")
TAG = re.compile(rb"<(?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>")
"""A start tag, in well-formed XML."""


class Parent(NamedTuple):
    """An element that is open around another."""

    name: str
    attributes: Mapping[str, str]


class Element(NamedTuple):
    """One of the elements asked for.

    Attributes:
        name: its name, without a prefix.
        raw: its bytes, in UTF-8, from `<` to `>`.
        line, column: where it begins, from 1.
        parents: the elements around it, the root first.
    """

    name: str
    raw: bytes
    line: int
    column: int
    parents: tuple[Parent, ...]


class Markup:
    """An XML file to go through once.

    Args:
        path: the file, possibly compressed.
        root: the name that its root element must have.
        wanted: names of the elements to cut out; those within one of them stay within it.

    Raises:
        DataError: the file cannot be opened, or is in an encoding that is not read.
    """

    def __init__(self, path: Path, root: str, wanted: Collection[str]) -> None:
        self.path, self._root, self._wanted = path, root, wanted
        self.codec = _codec(path)

    def encode(self, raw: bytes) -> bytes:
        """UTF-8 back in the encoding of the file; characters it lacks become references such as `&#8364;`."""
        return raw if self.codec == "utf-8" else raw.decode().encode(self.codec, "xmlcharrefreplace")

    def pieces(self) -> Iterator[bytes | Element]:
        """The file in order: elements that were asked for, and the bytes (UTF-8) before, between and after them.

        Raises:
            DataError: invalid XML (with line and column), an entity declaration, another root, bytes that are not of
                the encoding, or compression that is cut short.
        """
        cutter = _Cutter(self.path, self._root, self._wanted)
        for block in self.blocks():
            yield from cutter.feed(block)
        yield from cutter.feed(b"", last=True)

    def blocks(self) -> Iterator[bytes]:
        """The file in blocks of UTF-8, checked but not parsed."""
        decoder = codecs.getincrementaldecoder(self.codec)()
        line = 1
        try:
            with open_binary(self.path) as file:
                while block := file.read(_BLOCK):
                    text = decoder.decode(block)
                    line += text.count("\n")
                    yield block if self.codec == "utf-8" else text.encode()
                decoder.decode(b"", True)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].decode(self.codec, "ignore").count("\n")
            what = self.codec.upper().removesuffix("-LE").removesuffix("-BE")
            raise DataError(
                f"{self.path}, line {line}: not {what}, which the file is by its first line; convert it (iconv)"
            ) from error
        except OSError as error:
            raise DataError(f"{self.path}: {error}") from error


class _Cutter:
    """What expat calls. Offsets count the bytes of the file in UTF-8; `_buffer` begins at `_base`."""

    def __init__(self, path: Path, root: str, wanted: Collection[str]) -> None:
        self.path, self.root, self.wanted = path, root, wanted
        self._buffer = bytearray()
        self._base = self._at = self._begin = 0
        self._depth = 0  # of elements within the one being cut out, itself included
        self._name, self._place = "", (0, 0)
        self._parents: tuple[Parent, ...] = ()
        self._found: list[bytes | Element] = []
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._refuse

    def feed(self, block: bytes, *, last: bool = False) -> list[bytes | Element]:
        """What is complete once these bytes are read too."""
        self._buffer += block
        try:
            self._parser.Parse(block, last)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise DataError(
                f"{self.path}, line {error.lineno}, column {error.offset + 1}: invalid XML ({reason})"
            ) from error
        self._cut(self._begin if self._depth else self._at)
        if last:
            self._cut(self._base + len(self._buffer))
        found, self._found = self._found, []
        return found

    def _cut(self, until: int) -> None:
        if until > self._base:
            self._found.append(self._take(until))

    def _take(self, until: int) -> bytes:
        size = until - self._base
        raw = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._base = until
        return raw

    def _move(self) -> None:
        """Go to where expat stands. Its count has 32 bits on some systems, so only its distance from here is taken."""
        self._at += (self._parser.CurrentByteIndex - self._at) % (1 << 32)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth:
            self._depth += 1
            if self._depth > _DEEPEST:
                raise self._error(f"elements nested deeper than {_DEEPEST:,}")
            return
        self._move()
        local = local_name(name)
        if not self._parents and local != self.root:
            raise self._error(f"<{name}> where <{self.root}> is needed")
        if local in self.wanted:
            self._depth, self._begin, self._name = 1, self._at, local
            self._place = (self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1)
        elif len(self._parents) >= _DEEPEST:
            raise self._error(f"elements nested deeper than {_DEEPEST:,}")
        else:
            self._parents = (*self._parents, Parent(local, attributes))

    def _end(self, name: str) -> None:
        if self._depth > 1:
            self._depth -= 1
            return
        self._move()
        if self._depth == 0:
            self._parents = self._parents[:-1]
            return
        self._depth = 0
        self._cut(self._begin)
        end = self._at - self._base  # expat stands before `</tu>`, but behind `<tu/>`
        tag = TAG.match(self._buffer)
        if tag is None or not tag[0].endswith(b"/>"):
            end = self._buffer.index(b">", end) + 1
        self._found.append(Element(self._name, self._take(self._base + end), *self._place, self._parents))

    def _refuse(self, name: str, *_: object) -> None:
        raise self._error(f"declares the entity {name!r}; declarations of entities are refused, as they can be harmful")

    def _error(self, reason: str) -> DataError:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        return DataError(f"{self.path}, line {line}, column {column}: {reason}")


def local_name(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2]


def _codec(path: Path) -> str:
    """Python's name of the encoding of an XML file: by its first bytes, else by its declaration."""
    try:
        with open_binary(path) as file:
            start = file.read(1024)
    except OSError as error:
        raise DataError(f"{path}: {error}") from error
    if not start.strip():
        raise DataError(f"{path}: empty; an XML file was expected")
    if start.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff", b"<\x00\x00\x00", b"\x00\x00\x00<")):
        raise DataError(f"{path}, line 1: UTF-32 is not read; convert the file (iconv -f UTF-32 -t UTF-8)")
    if start.startswith((b"\xff\xfe", b"<\x00")):
        return "utf-16-le"
    if start.startswith((b"\xfe\xff", b"\x00<")):
        return "utf-16-be"
    declared = _DECLARED.match(start.removeprefix(codecs.BOM_UTF8).lstrip())
    if declared is None or start.startswith(codecs.BOM_UTF8):
        return "utf-8"
    return known_codec(declared[1].decode(), f"{path}, line 1")


def known_codec(name: str, place: str) -> str:
    """Python's name for an encoding in which ASCII stays what it is and every byte is one character, or UTF-8.

    Raises:
        DataError: another encoding, or none.
    """
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        codec = ""
    if codec in ("utf-8", "ascii"):
        return "utf-8"
    if not _SINGLE_BYTE.fullmatch(codec):
        raise DataError(f"{place}: says that its encoding is {name}, which is not read; convert it to UTF-8 (iconv)")
    return codec
