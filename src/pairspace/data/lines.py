"""Plain text: one item a line, column `text`.

Blank lines are kept as empty items, so that what is made of the file (vectors, say) has a row for each line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairspace.data.files import open_binary
from pairspace.data.source import Source, missing_column
from pairspace.errors import DataError

__all__ = ["blocks_of_lines", "read_lines"]

_BLOCK = 1 << 24


def blocks_of_lines(path: Path) -> Iterator[bytes]:
    """The decompressed file in blocks of about 16 MiB, each ending where a line ends; without byte order mark.

    Raises:
        DataError: the file cannot be read, is cut short within its compression, or is UTF-16.
    """
    try:
        with open_binary(path) as file:
            rest, first = b"", True
            while block := file.read(_BLOCK):
                if first and block.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise DataError(f"{path}, line 1: UTF-16, and UTF-8 is needed (iconv -f UTF-16 -t UTF-8)")
                block = rest + (block.removeprefix(b"\xef\xbb\xbf") if first else block)
                first = False
                end = block.rfind(b"\n") + 1
                rest = block[end:]
                if end:
                    yield block[:end]
            if rest:
                yield rest
    except OSError as error:
        raise DataError(f"{path}: {error}") from error


def read_lines(path: Path, columns: Sequence[str] | None, *, skip_bad: bool) -> Source:
    """A text file as a table with the one column `text`.

    Raises:
        DataError: another column was asked for, or a line is not UTF-8 (with its number).
    """
    for name in columns or ():
        if name != "text":
            raise missing_column(path, name, ["text"], "A plain text file has one item a line.")
    arrays, bad, total = [], [], 0
    for block in blocks_of_lines(path):
        lines = block.removesuffix(b"\n").split(b"\n")
        try:
            texts = [line.removesuffix("\r") for line in block.decode().removesuffix("\n").split("\n")]
        except UnicodeDecodeError:
            texts = []
            for number, line in enumerate(lines, start=total):
                try:
                    texts.append(line.decode().removesuffix("\r"))
                except UnicodeDecodeError as error:
                    if not skip_bad:
                        raise DataError(
                            f"{path}, line {number + 1}: not UTF-8; convert the file (iconv -t UTF-8), or leave such "
                            "lines out with skip_bad=True (--skip-bad)"
                        ) from error
                    bad.append(number)
        arrays.append(pa.array(texts, pa.large_string()))
        total += len(lines)
    table = pa.table({"text": pa.chunked_array(arrays, pa.large_string())})
    rows = np.delete(np.arange(total), bad) if bad else None
    return Source(path, table, total, rows, lambda row: row + 1)
