"""PO cut into entries: the lines of a file that belong together, and the strings in them.

Put together again, the lines of all entries are the file. Nothing is decoded here, because only the header entry says
which encoding the file is in; quotes, backslashes and line feeds are the same in all that are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pairspace.data.files import open_binary
from pairspace.errors import DataError

__all__ = ["BOM", "Entry", "Field", "cut_entries"]

BOM = b"\xef\xbb\xbf"
_KEYWORD = re.compile(rb"[ \t]*(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)[ \t]*(?=\")")
_STRINGS = re.compile(rb"[ \t]*(?:\"(?:[^\"\\]|\\.)*+\"[ \t]*)+")
_STRING = re.compile(rb"\"((?:[^\"\\]|\\.)*+)\"")


@dataclass
class Field:
    """A string of an entry: its lines are those from `begin` until `end`."""

    begin: int
    end: int
    value: bytes


@dataclass
class Entry:
    """Some lines of a file that belong together."""

    line: int  # of its first line in the file, from 1
    lines: list[bytes] = field(default_factory=list)
    fields: dict[str, Field] = field(default_factory=dict)
    obsolete: bool = False
    wrong: tuple[int, str] | None = None

    def value(self, name: str) -> bytes | None:
        """A string as it stands between its quotes; None if there is none."""
        return self.fields[name].value if name in self.fields else None

    @property
    def forms(self) -> list[str]:
        """The names of its targets: `msgstr`, or `msgstr[0]` and so on."""
        return [name for name in self.fields if name.startswith("msgstr")]

    @property
    def begin(self) -> int:
        """The line in the file where its first keyword stands."""
        return self.line + min((found.begin for found in self.fields.values()), default=0)

    @property
    def comments(self) -> list[bytes]:
        """Its lines that begin with `#`, without what is around them."""
        lines = [line.removeprefix(BOM).strip() for line in self.lines]
        return [line for line in lines if line.startswith(b"#")]

    @property
    def flags(self) -> list[bytes]:
        """What its lines `#, fuzzy, c-format` say."""
        lines = [line for line in self.comments if line.startswith((b"#,", b"#="))]
        return [flag.strip() for line in lines for flag in line[2:].split(b",")]


def cut_entries(path: Path) -> Iterator[Entry]:
    """The file cut where an entry begins; put together again they are the file."""
    entry, last = Entry(1), ""
    number = 0
    try:
        with open_binary(path) as file:
            for raw in file:
                number += 1
                if number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise DataError(f"{path}, line 1: UTF-16, and UTF-8 is needed (iconv -f UTF-16 -t UTF-8)")
                line = (raw.removeprefix(BOM) if number == 1 else raw).rstrip(b"\r\n")
                kind = _kind(line)
                if entry.lines and _begins(entry, kind):
                    yield entry
                    entry = Entry(number)
                entry.lines.append(raw)
                last = _add(entry, line, kind, last)
    except OSError as error:
        raise DataError(f"{path}: {error}") from error
    if entry.lines:
        yield entry


def _kind(line: bytes) -> str:
    stripped = line.lstrip()
    if not stripped:
        return "blank"
    if stripped.startswith(b"#"):
        return "obsolete" if stripped.startswith(b"#~") else "comment"
    keyword = _KEYWORD.match(line)
    return "strings" if keyword is None else keyword[1].decode()


def _begins(entry: Entry, kind: str) -> bool:
    """Whether a line of this kind is the first of another entry."""
    if entry.obsolete and not entry.fields:
        return kind != "obsolete"
    if kind in ("msgid", "msgctxt"):
        return kind in entry.fields or bool(entry.forms)
    return kind in ("blank", "comment", "obsolete") and (bool(entry.forms) or entry.wrong is not None)


def _add(entry: Entry, line: bytes, kind: str, last: str) -> str:
    """Take the last line of the entry in; returns the keyword that strings on the next line belong to."""
    place = len(entry.lines) - 1
    if kind in ("blank", "comment", "obsolete"):
        entry.obsolete |= kind == "obsolete"
        return last
    keyword = _KEYWORD.match(line)
    start = 0 if keyword is None else keyword.end()
    if _STRINGS.fullmatch(line, start) is None:
        entry.wrong = entry.wrong or (
            entry.line + place,
            'no keyword and string in double quotes, such as msgid "text"',
        )
    elif keyword is not None and kind in entry.fields:
        entry.wrong = entry.wrong or (entry.line + place, f"a second {kind} in one entry")
    elif keyword is None and last not in entry.fields:
        entry.wrong = entry.wrong or (entry.line + place, "a string without a keyword before it")
    else:
        value = b"".join(_STRING.findall(line, start))
        known = entry.fields.setdefault(kind if keyword else last, Field(place, place, b""))
        known.value, known.end = known.value + value, place + 1
    return kind if keyword else last
