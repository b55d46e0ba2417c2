"""TMX 1.4 written, one unit at a time: what was mined, scored or aligned, for any translator's tool to open.

Characters that XML cannot hold (control characters, halves of surrogate pairs) are left out of the texts: a memory of a
million sentences should not fail at one of them. Line ends and all else come back as they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pairspace.data.elements import escape
from pairspace.data.files import atomic_file, create_binary, plain_suffix
from pairspace.data.units import Unit, is_language_code, same_language
from pairspace.errors import DataError

__all__ = ["check_tmx_languages", "write_tmx"]

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<tmx version="1.4">
  <header creationtool="pairspace" creationtoolversion="0.1" segtype="sentence" o-tmf="pairspace" adminlang="en" \
srclang="{}" datatype="plaintext"/>
  <body>
"""
_FOOT = b"  </body>\n</tmx>\n"


def write_tmx(
    path: Path | str, units: Iterable[Unit | tuple[str, str]], *, source_language: str, target_language: str
) -> int:
    """Write a memory of two languages.

    Args:
        path: ends in `.tmx`, or in `.tmx.gz` or `.tmx.zst` to be compressed. Replaced at once or not at all.
        units: texts and their translations; a `Unit` also gives `id` (as `tuid`), `properties` (as `<prop>`, a score
            for instance) and `notes`. Inline tags are not written.
        source_language: a code such as `en` or `pt-BR`.
        target_language: another.

    Returns:
        How many units were written.

    Raises:
        DataError: another suffix, or as in `check_tmx_languages`.
        StorageError: the file could not be written.
    """
    if plain_suffix(path) != ".tmx":
        raise DataError(f"{path}: a translation memory is written as .tmx")
    check_tmx_languages(source_language, target_language)
    count = 0
    languages = [_code(source_language), _code(target_language)]
    with atomic_file(path) as temporary, create_binary(temporary, path) as file:
        file.write(_HEAD.replace("{}", languages[0]).encode())
        for unit in units:
            file.write(_tu(unit if isinstance(unit, Unit) else Unit("", *unit), languages))
            count += 1
        file.write(_FOOT)
    return count


def check_tmx_languages(source: str, target: str) -> None:
    """See that a memory can be of these languages, before the work that fills it.

    Raises:
        DataError: one of them is no code of a language, or both are the same, however it is written (`en`, `EN`).
    """
    for code in (source, target):
        if not is_language_code(code):
            raise DataError(
                f"a translation memory is of two languages, and {code!r} is not the code of one, as en or pt-BR are "
                "(--languages en,de names them)"
            )
    if same_language(source, target):
        raise DataError(f"two languages are needed, and they are {source!r} and {target!r}")


def _tu(unit: Unit, languages: list[str]) -> bytes:
    tuid = f' tuid="{_code(unit.id)}"' if unit.id else ""
    rows = [f"    <tu{tuid}>"]
    rows += [f"      <note>{_text(note)}</note>" for note in unit.notes]
    rows += [f'      <prop type="{_code(name)}">{_text(value)}</prop>' for name, value in unit.properties.items()]
    for code, text in zip(languages, (unit.source, unit.target), strict=True):
        rows.append(f'      <tuv xml:lang="{code}"><seg>{_text(text)}</seg></tuv>')
    return ("\n".join([*rows, "    </tu>"]) + "\n").encode()


def _text(text: str) -> str:
    return escape(text, drop=True).decode()


def _code(text: str) -> str:
    return escape(text, attribute=True, drop=True).decode()
