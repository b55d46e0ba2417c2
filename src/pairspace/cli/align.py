"""`pairspace align`: which sentences of two documents are translations of each other."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.common import Device, Json, Languages, NoCache, print_json, two_languages
from pairspace.cli.items import stoppable
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    from pairspace.bitext import Bead

__all__ = ["align"]


def align(
    space: Annotated[Path, typer.Argument(help="Folder of a space with a side a language.")],
    left: Annotated[Path, typer.Argument(help="A document, one sentence a line.")],
    right: Annotated[Path, typer.Argument(help="Its translation, one sentence a line.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .tsv, .html (side by side) or .tmx.")],
    left_side: Annotated[str | None, typer.Option(help="Side of the left file; by default the query side.")] = None,
    right_side: Annotated[str | None, typer.Option(help="Side of the right file.")] = None,
    split: Annotated[
        str | None,
        typer.Option(help="The files have a paragraph a line: split them by the rules of these languages: en,de."),
    ] = None,
    join: Annotated[
        str | None, typer.Option(help="What stands between sentences; by default a space, or nothing in Chinese, ...")
    ] = None,
    languages: Languages = None,
    most: Annotated[int, typer.Option(help="Sentences of each side that may be put together.")] = 4,
    deletion: Annotated[
        float, typer.Option(help="How much a sentence without counterpart costs, 0 to 1; more keeps more.")
    ] = 0.02,
    no_lengths: Annotated[
        bool, typer.Option("--no-lengths", help="Do not look at lengths, only at meaning, as vecalign does.")
    ] = False,
    device: Device = None,
    no_cache: NoCache = False,
    as_json: Json = False,
) -> None:
    """Align the sentences of a document with those of its translation."""
    from pairspace.bitext import AlignmentOptions, align_documents, language_sides, trusted_score, write_alignment
    from pairspace.bitext.aligned_files import check_alignment_path
    from pairspace.data.tmx_writing import check_tmx_languages
    from pairspace.space import Space

    check_alignment_path(output)
    options = AlignmentOptions(most_left=most, most_right=most, most=2 * most, deletion=deletion)
    codes, split_by = (
        None if given is None else two_languages(given, option)
        for given, option in ((languages, "--languages"), (split, "--split"))
    )
    documents = _documents((left, right), split_by)
    loaded = Space.from_pretrained(space, device=device, cache=not no_cache)
    sides = language_sides(loaded, left_side, right_side)
    named = codes or (split_by if split_by is not None and split_by[0] != split_by[1] else sides)
    if output.suffix.lower() == ".tmx":
        check_tmx_languages(*named)
    how: dict[str, Any] = {"left_side": sides[0], "right_side": sides[1], "joiners": (join, join), "options": options}
    how |= {"lengths": not no_lengths, "cache": not no_cache}
    with stoppable(), warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always", UserWarning)
        beads = align_documents(loaded, *documents, **how)
        written = write_alignment(
            output,
            beads,
            *documents,
            languages=named,
            titles=(left.name, right.name),
            joiners=(join, join),
        )
    said = [str(one.message) for one in doubts if "translations of each other" in str(one.message)]
    summary = _summary(beads, documents) | {
        "score": trusted_score(beads),
        "written": written,
        "warnings": said,
        "output": str(output),
    }
    if as_json:
        print_json(summary)
        return
    print(f"{summary['beads']:,} beads of {len(documents[0]):,} and {len(documents[1]):,} sentences, in {output}")
    print(f"without counterpart: {summary['left_deleted']:,} left, {summary['right_deleted']:,} right")
    for warning in said:
        typer.echo(f"warning: {warning}", err=True)


def _documents(paths: tuple[Path, Path], split_by: tuple[str, str] | None) -> list[list[str]]:
    """The sentences of both files; lines that hold nothing stay, so that indices are those of lines."""
    from pairspace.bitext import split_sentences
    from pairspace.data.lines import read_lines

    documents = [read_lines(path, ["text"], skip_bad=False).table["text"].to_pylist() for path in paths]
    for path, lines in zip(paths, documents, strict=True):
        if not any(line.strip() for line in lines):
            raise PairspaceError(f"{path} holds no sentence")
    if split_by is None:
        return documents
    return [split_sentences(lines, code) for lines, code in zip(documents, split_by, strict=True)]


def _summary(beads: list[Bead], documents: list[list[str]]) -> dict[str, Any]:
    return {
        "left": len(documents[0]),
        "right": len(documents[1]),
        "beads": sum(bool(bead.left and bead.right) for bead in beads),
        "left_deleted": sum(not bead.right for bead in beads),
        "right_deleted": sum(not bead.left for bead in beads),
    }
