"""An alignment written: TSV for programs, HTML for eyes, TMX for translators' tools; the suffix says which.

A TSV has a head line, then one bead a line: left indices, right indices (from 0, separated by spaces), score, left and
right text. Tabs and line ends within a text become spaces. A TMX leaves deletions out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pairspace.bitext.alignment import Bead
from pairspace.bitext.documents import joiner_of
from pairspace.bitext.side_by_side import side_by_side
from pairspace.data.files import atomic_file, check_place
from pairspace.errors import DataError, ShapeError

__all__ = ["check_alignment_path", "write_alignment"]

_SUFFIXES = (".tsv", ".html", ".tmx")


def check_alignment_path(path: Path | str) -> Path:
    """See that an alignment can be written there, before the work that makes it.

    Raises:
        DataError: another suffix.
        StorageError: the folder is missing, or a folder stands in the place of the file.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise DataError(
            f"{path}: an alignment is written as {', '.join(_SUFFIXES)}, not {path.suffix or 'without suffix'}"
        )
    check_place(path)
    return path


def write_alignment(
    path: Path | str,
    beads: Sequence[Bead],
    left: Sequence[str],
    right: Sequence[str],
    *,
    languages: tuple[str, str] = ("left", "right"),
    titles: tuple[str, str] | None = None,
    joiners: tuple[str | None, str | None] = (None, None),
) -> int:
    """Write beads with their texts; an existing file is replaced at once or not at all.

    Args:
        path: ends in `.tsv`, `.html` or `.tmx`.
        beads: as `align_documents` gives them.
        left: all sentences of the left document.
        right: all of the right one.
        languages: codes of the two languages, for TMX and HTML.
        titles: heads of the two columns of HTML; by default the languages.
        joiners: what stands between sentences; None as in `align_documents`.

    Returns:
        How many beads were written.

    Raises:
        DataError: another suffix, or for TMX a language that is no code of one, or the same twice.
        ShapeError: a bead names a sentence that is not there.
        StorageError: the file could not be written.
    """
    path = check_alignment_path(path)
    between = [joiner_of(t) if j is None else j for t, j in zip((left, right), joiners, strict=True)]
    rows = [
        (bead, _text(left, bead.left, between[0], "left"), _text(right, bead.right, between[1], "right"))
        for bead in beads
    ]
    suffix = path.suffix.lower()
    if suffix == ".tmx":
        from pairspace.data.tmx_writing import write_tmx
        from pairspace.data.units import Unit

        units = (
            Unit("", one, other, properties={"score": f"{bead.score:.4f}"})
            for bead, one, other in rows
            if one and other
        )
        return write_tmx(path, units, source_language=languages[0], target_language=languages[1])
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(_tsv(rows) if suffix == ".tsv" else side_by_side(rows, languages, titles or languages))
    return len(rows)


def _text(sentences: Sequence[str], indices: tuple[int, ...], joiner: str, name: str) -> str:
    if indices and not 0 <= min(indices) <= max(indices) < len(sentences):
        raise ShapeError(f"{name}: a bead of the sentences {indices} of a document of {len(sentences)}")
    return joiner.join(sentences[index].strip() for index in indices)


def _tsv(rows: list[tuple[Bead, str, str]]) -> Iterator[str]:
    yield "left\tright\tscore\tleft_text\tright_text\n"
    for bead, *texts in rows:
        fields = [" ".join(map(str, bead.left)), " ".join(map(str, bead.right)), f"{bead.score:.4f}"]
        yield "\t".join([*fields, *(" ".join(text.split()) for text in texts)]) + "\n"
