"""PO, gettext's catalogues of messages: read, and changed in place, as a stream of entries.

A plural form is a unit of its own; its source is `msgid` for the first of several forms and `msgid_plural` for all
others. The key is `msgid`, with `msgctxt` and the character U+0004 before it where there is one (as in compiled
catalogues), and `[n]` behind it for plural form n. The header and obsolete entries (`#~`) are in the file but no units.

Only the lines of a changed `msgstr` and the flag `fuzzy` are written anew, which no library does: polib wraps and
orders the whole file in its own way. `fuzzy` belongs to the entry, hence to all plural forms at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pairspace.data.markup import known_codec
from pairspace.data.po_entries import BOM, Entry, Field, cut_entries
from pairspace.data.units import Change, Unit, check_language, unique_key
from pairspace.errors import DataError

__all__ = ["rewrite_po", "scan_po"]

_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)", re.S)
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_PLAIN |= {character: character for character in (b"\\", b'"', b"'", b"?")}
_ESCAPED = {ord(character.decode()): f"\\{name.decode()}" for name, character in _PLAIN.items() if name not in b"'?"}
_ESCAPED |= {code: f"\\{code:03o}" for code in range(32) if code not in _ESCAPED}


@dataclass
class _Header:
    codec: str = "utf-8"
    source: str = ""
    target: str = ""
    plurals: int | None = None


def scan_po(path: Path, source: str | None, target: str | None) -> Iterator[Unit | DataError]:
    """The units of a catalogue; a broken entry comes as the error that says so.

    Args:
        path: the file.
        source: the language that it must be from, where its header says so; where not, it is taken to be right.
        target: the language that it must be into, likewise.

    Raises:
        DataError: another language, or an encoding that is not read.
    """
    header, seen = _Header(source=source or "", target=target or ""), set[str]()
    for entry in cut_entries(path):
        if _is_header(entry):
            header = _read_header(entry, path, source, target)
            continue
        try:
            yield from (_unit(entry, name, key, header) for name, key in _keys(entry, seen, header))
        except _At as error:
            yield DataError(f"{path}, line {error.line}: {error}")


def rewrite_po(
    path: Path, changes: Mapping[str, Change], source: str | None, target: str | None, left: set[str]
) -> Iterator[bytes]:
    """The file with other targets in the units named; keys that were found are taken out of `left`."""
    header, seen = _Header(), set[str]()
    for entry in cut_entries(path):
        if _is_header(entry):
            header = _read_header(entry, path, source, target)
        else:
            try:
                found = {key: name for name, key in _keys(entry, seen, header) if key in changes}
            except _At:
                found = {}
            if found:
                left.difference_update(found)
                wanted = {name: changes[key] for key, name in found.items()}
                yield _changed(entry, wanted, header, path)
                continue
        yield b"".join(entry.lines)


class _At(Exception):
    """What is wrong, and in which line of the file."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _is_header(entry: Entry) -> bool:
    return entry.value("msgid") == b"" and entry.value("msgctxt") is None and entry.wrong is None


def _read_header(entry: Entry, path: Path, source: str | None, target: str | None) -> _Header:
    place = f"{path}, line {entry.begin}"
    text = (entry.value("msgstr") or b"").replace(b"\\n", b"\n").decode("latin-1")
    said = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in text.split("\n"))}
    charset = re.search(r"charset=([^\s;]+)", said.get("content-type", ""))
    plurals = re.match(r"nplurals\s*=\s*(\d+)", said.get("plural-forms", ""))
    languages = said.get("x-source-language", ""), said.get("language", "")
    check_language(source, languages[0], place)
    check_language(target, languages[1], place)
    return _Header(
        "utf-8" if charset is None or charset[1] == "CHARSET" else known_codec(charset[1], place),
        languages[0] or source or "",
        languages[1] or target or "",
        int(plurals[1]) if plurals else None,
    )


def _keys(entry: Entry, seen: set[str], header: _Header) -> list[tuple[str, str]]:
    """The fields of the entry that are targets, and the keys of their units."""
    if entry.wrong is not None:
        raise _At(*entry.wrong)
    if not entry.fields:
        return []
    if "msgid" not in entry.fields:
        raise _At(entry.begin, f"{next(iter(entry.fields))} without msgid")
    if not entry.forms:
        raise _At(entry.begin, "msgid without msgstr")
    key = _text(entry, "msgid", header)
    if "msgctxt" in entry.fields:
        key = f"{_text(entry, 'msgctxt', header)}\x04{key}"
    return [(name, unique_key(key + name.removeprefix("msgstr"), seen)) for name in entry.forms]


def _unit(entry: Entry, name: str, key: str, header: _Header) -> Unit:
    plural = int(name[7:-1]) if "[" in name else None
    several = (header.plurals or len(entry.forms)) > 1
    first = plural is None or (plural == 0 and several) or "msgid_plural" not in entry.fields
    target = _text(entry, name, header)
    remarks = [line for line in entry.comments if re.match(rb"#(\.|\s|$)", line)]
    return Unit(
        key=key,
        source=_text(entry, "msgid" if first else "msgid_plural", header),
        target=target,
        line=entry.begin,
        source_language=header.source,
        target_language=header.target,
        state="untranslated" if not target else "review" if b"fuzzy" in entry.flags else "translated",
        id=key,
        context=_text(entry, "msgctxt", header) if "msgctxt" in entry.fields else "",
        notes=tuple(line.lstrip(b"#.").strip().decode(header.codec, "replace") for line in remarks),
        plural=plural,
    )


def _text(entry: Entry, name: str, header: _Header) -> str:
    found = entry.fields[name]
    line = entry.line + found.begin
    try:
        return _ESCAPE.sub(_character, found.value).decode(header.codec)
    except UnicodeDecodeError as error:
        at = found.begin
        while at < found.end - 1 and _decodes(entry.lines[at], header.codec):
            at += 1
        raise _At(entry.line + at, f"not {header.codec.upper()}, which the header says it is") from error
    except ValueError as error:
        raise _At(line, str(error)) from error


def _decodes(line: bytes, codec: str) -> bool:
    try:
        line.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _character(match: re.Match[bytes]) -> bytes:
    name = match[1]
    if name in _PLAIN:
        return _PLAIN[name]
    if name[:1] == b"x" and len(name) > 1:
        return bytes([int(name[1:], 16)])
    if name[:1].isdigit() and name[:1] < b"8":
        return bytes([int(name, 8) & 255])
    raise ValueError(f"the escape \\{name.decode('latin-1')} means nothing in PO")


def _changed(entry: Entry, changes: Mapping[str, Change], header: _Header, path: Path) -> bytes:
    """The entry with other lines for some of its strings, and `fuzzy` set where any of the changes wants it."""
    lines: list[bytes] = list(entry.lines)
    for name, change in changes.items():
        if change.tags:
            raise DataError(f"{path}, line {entry.begin}: PO has no inline tags; write them into the text")
        place = entry.fields[name]
        try:
            new = _string(entry, place, change.text, header)
        except UnicodeEncodeError as error:
            reason = f"{error.object[error.start]!r} cannot be written in {header.codec.upper()}"
            raise DataError(f"{path}, line {entry.begin}: {reason}, the encoding of the file") from error
        lines[place.begin] = new
        lines[place.begin + 1 : place.end] = [b""] * (place.end - place.begin - 1)
    was_fuzzy = b"fuzzy" in entry.flags
    fuzzy = any(change.review for change in changes.values()) or (was_fuzzy and len(changes) < len(entry.forms))
    if fuzzy != was_fuzzy:
        _set_fuzzy(lines, fuzzy)
    return b"".join(lines)


def _string(entry: Entry, place: Field, text: str, header: _Header) -> bytes:
    """The lines of a string: one, or one for each line of the text; keyword and line ends as they were."""
    first, last = entry.lines[place.begin], entry.lines[place.end - 1]
    rows = [row.translate(_ESCAPED).encode(header.codec) for row in re.findall(r"[^\n]*\n|[^\n]+", text)]
    rows = [b'"' + row + b'"' for row in (rows if len(rows) == 1 else [b"", *rows])]
    end = b"\r\n" if entry.lines[0].endswith(b"\r\n") else b"\n"
    return first[: first.index(b'"')] + end.join(rows) + last[len(last.rstrip(b"\r\n")) :]


def _set_fuzzy(lines: list[bytes], fuzzy: bool) -> None:
    """Set the flag or take it away, in its own line or among other flags."""
    for place, line in enumerate(list(lines)):
        mark = line.find(b"#")
        head, rest = line[: mark + 2], line[mark + 2 :]
        if mark < 0 or line[:mark].removeprefix(BOM).strip() or head[-1:] not in (b",", b"="):
            continue
        if fuzzy and head.endswith(b","):
            lines[place] = head + b" fuzzy," + rest
            return
        if fuzzy:
            continue
        body = rest.rstrip(b"\r\n")
        flags = [flag for flag in body.split(b",") if flag.strip() != b"fuzzy"]
        lines[place] = head + b",".join(flags) + rest[len(body) :] if flags else line[: line.index(b"#")]
    if fuzzy:
        place = next(i for i, line in enumerate(lines) if re.match(rb"(?:\xef\xbb\xbf)?\s*(?:#\||msg)", line))
        line = lines[place]
        bom = BOM if line.startswith(BOM) else b""
        end = b"\r\n" if line.endswith(b"\r\n") else b"\n"
        lines[place] = bom + b"#, fuzzy" + end + line.removeprefix(bom)
