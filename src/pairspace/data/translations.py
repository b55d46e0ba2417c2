"""Translators' files through one door: TMX, XLIFF and PO read as units, changed in place, or read as a table.

`update_units` writes a copy in which only the targets that were named are others; every other byte is what it was. As a
table, TMX has a column for each language; XLIFF and PO have `source` and `target`, each of which may also be called by
its language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pairspace.data.files import atomic_file, check_place, create_binary, plain_suffix
from pairspace.data.po import rewrite_po, scan_po
from pairspace.data.tmx import rewrite_tmx, scan_tmx
from pairspace.data.units import Change, Unit
from pairspace.data.xliff import rewrite_xliff, scan_xliff
from pairspace.errors import DataError

__all__ = ["TRANSLATION_SUFFIXES", "check_copy", "read_units", "scan_units", "update_units"]


class _Format(NamedTuple):
    scan: Callable[[Path, str | None, str | None], Iterator[Unit | DataError]]
    rewrite: Callable[[Path, Mapping[str, Change], str | None, str | None, set[str]], Iterable[bytes]]


_TMX, _XLIFF, _PO = _Format(scan_tmx, rewrite_tmx), _Format(scan_xliff, rewrite_xliff), _Format(scan_po, rewrite_po)
_FORMATS = {".tmx": _TMX, ".xlf": _XLIFF, ".xliff": _XLIFF, ".po": _PO}
TRANSLATION_SUFFIXES = tuple(_FORMATS)


def read_units(path: Path | str, *, source: str | None = None, target: str | None = None) -> Iterator[Unit]:
    """The units of a TMX, XLIFF or PO file, one at a time, as it is read.

    Args:
        path: the file, possibly compressed; its suffix says the format.
        source: the language to translate from. TMX: any of its languages; None for the one that its header names. XLIFF
            and PO: must be what the file says it is in, if it says so.
        target: the language to translate to. TMX: None for the other one if there are two; with more, `texts` has all
            of them and `target` is empty. XLIFF and PO: as `source`.

    Raises:
        DataError: no such file, another format, a broken unit or invalid XML (with its line), a language that is not
            there (lists those that are).
    """
    for unit in scan_units(path, source=source, target=target):
        if isinstance(unit, DataError):
            raise unit
        yield unit


def scan_units(path: Path | str, *, source: str | None = None, target: str | None = None) -> Iterator[Unit | DataError]:
    """As `read_units`, but a broken unit comes as the error that says so, and the others still follow."""
    yield from _format(path).scan(Path(path), source, target)


def update_units(
    path: Path | str,
    output: Path | str,
    changes: Mapping[str, Change],
    *,
    source: str | None = None,
    target: str | None = None,
) -> None:
    """Write a copy of a file in which the targets of some units are others; all else stays byte for byte as it was.

    Args:
        path: the file.
        output: the copy; may be the same file. Compressed if it ends in `.gz` or `.zst`.
        changes: key of the unit -> its new target.
        source: as for `read_units`.
        target: as for `read_units`; a TMX of more than two languages needs it. A unit of TMX or XLIFF that has no
            target gets one.

    Raises:
        DataError: a key that is not in the file, a character that the format or its encoding cannot hold, or as in
            `read_units`. Nothing is written then.
        StorageError: the copy could not be written.
    """
    check_copy(path, output)
    path, output = Path(path), Path(output)
    form, left = _format(path), set(changes)
    with atomic_file(output) as temporary:
        with create_binary(temporary, output) as file:
            for piece in form.rewrite(path, changes, source, target, left):
                file.write(piece)
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise DataError(f"{path}: no unit {min(left)!r}{more}; nothing was written")


def check_copy(path: Path | str, output: Path | str) -> None:
    """See that a changed copy of a file can be written there, before the work that makes the changes.

    Raises:
        DataError: no such file, or the output has the suffix of another format.
        StorageError: the output's folder is missing, or a folder stands in its place.
    """
    if _FORMATS.get(plain_suffix(output)) is not _format(path):
        raise DataError(f"{output}: a copy of {Path(path).name} has the same format, and its suffix must say so")
    check_place(output)


def _format(path: Path | str) -> _Format:
    if not Path(path).exists():
        raise DataError(f"{path}: no such file")
    suffix = plain_suffix(path)
    if suffix not in _FORMATS:
        raise DataError(f"{path}: units are read from {', '.join(_FORMATS)}, and the suffix is {suffix or 'missing'!r}")
    return _FORMATS[suffix]
