"""`pairspace mine`: translations out of two piles of sentences."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.common import Device, Json, Languages, NoCache, SkipBad, print_json, two_languages
from pairspace.cli.items import stoppable
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    from pairspace.bitext import MinedPairs

__all__ = ["mine"]


class Score(StrEnum):
    """What pairs are ordered by."""

    margin = "margin"
    distance = "distance"
    csls = "csls"
    cosine = "cosine"


class Retrieval(StrEnum):
    """Which candidates become pairs."""

    max = "max"
    fwd = "fwd"
    bwd = "bwd"
    intersect = "intersect"


def mine(
    space: Annotated[Path, typer.Argument(help="Folder of a space with a side a language.")],
    left: Annotated[Path, typer.Argument(help="Sentences of one language, one a line.")],
    right: Annotated[Path, typer.Argument(help="Sentences of the other.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File of pairs to write: .tsv or .tmx.")],
    left_side: Annotated[str | None, typer.Option(help="Side of the left file; by default the query side.")] = None,
    right_side: Annotated[str | None, typer.Option(help="Side of the right file.")] = None,
    threshold: Annotated[float | None, typer.Option(help="The least score.")] = None,
    judged: Annotated[
        Path | None, typer.Option(help="Judged pairs, for probabilities: TSV of left, right, and 1 or 0.")
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="Choose the threshold so that this share of the judged pairs is right.")
    ] = None,
    score: Annotated[Score, typer.Option(help="What pairs are ordered by.")] = Score.margin,
    retrieval: Annotated[Retrieval, typer.Option(help="Which candidates become pairs.")] = Retrieval.max,
    every: Annotated[
        bool, typer.Option("--every", help="With fwd or bwd: all candidates, not the best alone.")
    ] = False,
    k: Annotated[int, typer.Option("-k", help="Neighbours of a sentence.")] = 4,
    filters: Annotated[
        str, typer.Option(help="What removes pairs: length,numbers,placeholders,identical,script; or none.")
    ] = "length,numbers,placeholders,identical,script",
    languages: Languages = None,
    device: Device = None,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Find the translations among two piles of sentences. A run that was stopped goes on when it is started again."""
    from pairspace.bitext import language_sides
    from pairspace.bitext import mine as find
    from pairspace.data.files import check_place, plain_suffix
    from pairspace.data.tmx_writing import check_tmx_languages
    from pairspace.space import Space

    if plain_suffix(output) not in (".tsv", ".tmx"):
        raise PairspaceError(f"{output}: pairs are written as .tsv or .tmx")
    check_place(output)
    codes = None if languages is None else two_languages(languages, "--languages")
    piles = [_sentences(path, skip_bad) for path in (left, right)]
    sample = None if judged is None else _judged(judged)
    loaded = Space.from_pretrained(space, device=device, cache=not no_cache)
    named = codes or language_sides(loaded, left_side, right_side)
    if plain_suffix(output) == ".tmx":
        check_tmx_languages(*named)
    how: dict[str, Any] = {"k": k, "score": score.value, "retrieval": retrieval.value, "every": every}
    how |= {"threshold": threshold, "judged": sample, "precision": precision}
    how["filters"] = [] if filters == "none" else [name.strip() for name in filters.split(",")]
    how["state"] = output.with_name(f".{output.name}.state")
    with stoppable():
        found = find(loaded, *(texts for texts, _ in piles), left_side=left_side, right_side=right_side, **how)
        _write(found, output, [lines for _, lines in piles], named)
        how["state"].unlink(missing_ok=True)
    summary = {
        "left": len(piles[0][0]),
        "right": len(piles[1][0]),
        "pairs": len(found),
        "threshold": found.threshold,
        "removed": found.removed,
        "output": str(output),
    }
    if as_json:
        print_json(summary)
        return
    print(f"{len(found):,} pairs out of {summary['left']:,} and {summary['right']:,} sentences, in {output}")
    if found.threshold is not None:
        print(f"scores of {found.threshold:.4f} and more")
    for name, count in found.removed.items():
        if count:
            print(f"the filter {name!r} removed {count:,} pairs")


def _sentences(path: Path, skip_bad: bool) -> tuple[list[str], list[int]]:
    """The lines of a file that hold something, and their numbers from 1."""
    from pairspace.data.lines import read_lines

    found = read_lines(path, ["text"], skip_bad=skip_bad)
    texts = found.table["text"].to_pylist()
    rows = range(len(texts)) if found.rows is None else found.rows.tolist()
    kept = [(text.strip(), row + 1) for row, text in zip(rows, texts, strict=True) if text.strip()]
    if not kept:
        raise PairspaceError(f"{path} holds no sentence")
    return [text for text, _ in kept], [number for _, number in kept]


def _judged(path: Path) -> tuple[list[str], list[str], list[bool]]:
    """Three columns: two texts, and 1 or 0.

    Raises:
        PairspaceError: another line; names it.
    """
    left, right, right_ones = [], [], []
    for line, number in zip(*_sentences(path, False), strict=True):
        parts = line.split("\t")
        if len(parts) != 3 or parts[2] not in ("0", "1"):
            raise PairspaceError(f"{path}, line {number}: two texts and then 1 or 0 are needed, with tabs between")
        left.append(parts[0])
        right.append(parts[1])
        right_ones.append(parts[2] == "1")
    return left, right, right_ones


def _write(
    found: MinedPairs,
    output: Path,
    numbers: list[list[int]],
    languages: tuple[str, str],
) -> None:
    """Score, texts, and line numbers (and the probability) as TSV, in LASER's order; or a translation memory."""
    from pairspace.data import Unit, write_tmx
    from pairspace.data.files import atomic_file, create_binary, plain_suffix

    lines = [(numbers[0][i], numbers[1][j]) for i, j in found.lines.tolist()]
    chances = [None] * len(found) if found.probability is None else found.probability.tolist()
    rows = zip(found.score.tolist(), found.left, found.right, lines, chances, strict=True)
    if plain_suffix(output) == ".tmx":
        units = (
            Unit("", one, other, id=f"{i}-{j}", properties={"score": f"{score:.4f}"} | _chance(chance))
            for score, one, other, (i, j), chance in rows
        )
        write_tmx(output, units, source_language=languages[0], target_language=languages[1])
        return
    with atomic_file(output) as temporary, create_binary(temporary, output) as file:
        for score, one, other, (i, j), chance in rows:
            texts = (" ".join(text.split("\t")) for text in (one, other))
            more = [] if chance is None else [f"{chance:.4f}"]
            file.write(("\t".join([f"{score:.4f}", *texts, str(i), str(j), *more]) + "\n").encode())


def _chance(chance: float | None) -> dict[str, str]:
    return {} if chance is None else {"probability": f"{chance:.4f}"}
