"""TREC's own files: documents between `<DOC>` and `</DOC>`, topics between `<top>` and `</top>`.

They are SGML that no XML parser takes: tags are left open, entities undefined. So a document is read by its tags alone.
Of a document, `<DOCNO>` is the id, `<TITLE>`, `<HEADLINE>` or `<HL>` the title, and `<TEXT>` the text; without a
`<TEXT>`, everything else. Of a topic, `<num>`, `<title>`, `<desc>` and `<narr>` run until the next of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairspace.data.files import open_binary
from pairspace.data.lines import blocks_of_lines
from pairspace.data.source import Source
from pairspace.errors import DataError

__all__ = ["looks_like_trec", "read_trec"]

_TITLE = re.compile(r"<(TITLE|HEADLINE|HL)>(.*?)</\1>", re.S | re.I)
_TEXT = re.compile(r"<TEXT>(.*?)</TEXT>", re.S | re.I)
_DOCNO = re.compile(r"<DOCNO>(.*?)</DOCNO>", re.S | re.I)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_TOPIC = re.compile(r"<(num|title|desc|narr)>\s*(?:Number:|Topic:|Description:|Narrative:)?(.*?)(?=<|\Z)", re.S | re.I)
_OPEN = re.compile(rb"\s*<(DOC|top)>", re.I)
_CLOSE = re.compile(rb"</(DOC|top)>", re.I)


def looks_like_trec(path: Path) -> bool:
    """Whether the file begins with `<DOC>` or `<top>`."""
    try:
        with open_binary(path) as file:
            return _OPEN.match(file.read(4096).removeprefix(b"\xef\xbb\xbf")) is not None
    except OSError:
        return False


def read_trec(path: Path, *, skip_bad: bool) -> Source:
    """Documents (`id`, `title`, `text`) or topics (`id`, `title`, `desc`, `narr`).

    Raises:
        DataError: a document without number, not closed, or not UTF-8 (with its line).
    """
    records: list[dict[str, str]] = []
    bad: list[int] = []
    lines: list[int] = []
    for line, raw in _records(path):
        found = _record(raw)
        if isinstance(found, dict):
            records.append(found)
        elif skip_bad:
            bad.append(len(lines))
        else:
            raise DataError(f"{path}, line {line}: {found}; skip_bad=True (--skip-bad) leaves such ones out")
        lines.append(line)
    names = list(records[0]) if records else ["id", "title", "text"]
    columns = {name: pa.array([record.get(name, "") for record in records], pa.large_string()) for name in names}
    rows = np.delete(np.arange(len(lines)), bad) if bad else None
    return Source(path, pa.table(columns), len(lines), rows, lambda row: lines[row])


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each `<DOC>...</DOC>` or `<top>...</top>` with the line on which it begins."""
    held: list[bytes] = []
    number = begin = 0
    for block in blocks_of_lines(path):
        for line in block.removesuffix(b"\n").split(b"\n"):
            number += 1
            if _OPEN.match(line):
                if held:
                    break_at = f"line {begin}: opened here and not closed before line {number}"
                    raise DataError(f"{path}, {break_at}")
                begin = number
            if begin:
                held.append(line)
            if begin and _CLOSE.search(line):
                yield begin, b"\n".join(held)
                held, begin = [], 0
    if held:
        raise DataError(f"{path}, line {begin}: opened here and not closed before the file ends")


def _record(raw: bytes) -> dict[str, str] | str:
    """The fields of a record, or what is wrong with it."""
    try:
        content = raw.decode()
    except UnicodeDecodeError:
        return "not UTF-8; convert the file (iconv -t UTF-8)"
    if content.lstrip()[:4].lower() == "<top":
        fields = {name.lower(): _plain(value) for name, value in _TOPIC.findall(content)}
        if not fields.get("num"):
            return "a topic without <num>"
        return {"id": fields["num"], **{name: fields.get(name, "") for name in ("title", "desc", "narr")}}
    number = _DOCNO.search(content)
    if number is None:
        return "a document without <DOCNO>"
    title = _TITLE.search(content)
    text = _TEXT.findall(content)
    if not text:
        rest = _DOCNO.sub(" ", content)
        text = [_TITLE.sub(" ", rest, count=1)]
    return {
        "id": _plain(number[1]),
        "title": _plain(title[2]) if title else "",
        "text": _plain(" ".join(text)),
    }


def _plain(text: str) -> str:
    return " ".join(_TAG.sub(" ", text).split())
