"""`pairspace score`: which pairs of a translation memory are doubtful."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pairspace.cli.common import Device, Json, NoCache, Sides, SkipBad, print_json, read_sides
from pairspace.cli.items import stoppable
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    from pairspace.bitext import Scored
    from pairspace.data import Pairs

__all__ = ["score"]


def score(
    space: Annotated[Path, typer.Argument(help="Folder of a space with a side a language.")],
    pairs: Annotated[Path, typer.Argument(help="The pairs: TMX, PO, XLIFF, TSV, CSV, JSONL or Parquet.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="TSV to write: a line a pair, the most doubtful first.")
    ],
    side: Sides = None,
    threshold: Annotated[float, typer.Option(help="The least margin of a pair without a doubt.")] = 0.9,
    device: Device = None,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Score the pairs of a memory among each other, and say which are doubtful, and why."""
    from pairspace.bitext import language_sides, score_pairs
    from pairspace.data.files import check_place, plain_suffix
    from pairspace.space import Space

    if plain_suffix(output) != ".tsv":
        raise PairspaceError(f"{output}: scores are written as .tsv")
    if side is not None and len(side) != 2:
        raise PairspaceError(f"pairs have two sides, and {', '.join(side)} are {len(side)}: give --side twice")
    check_place(output)
    loaded = Space.from_pretrained(space, device=device, cache=not no_cache)
    read = read_sides([pairs], side or language_sides(loaded, None, None), skip_bad=skip_bad)
    left, right = read.sides
    texts = [read.items(one).to_pylist() for one in (left, right)]
    with stoppable():
        found = score_pairs(loaded, *texts, left_side=left, right_side=right, threshold=threshold)
        _write(found, read, texts, output)
    counts = Counter(doubt for one in found.doubts for doubt in one)
    doubtful = int(found.doubtful.sum())
    if as_json:
        print_json({"pairs": len(read), "doubtful": doubtful, "doubts": dict(counts), "output": str(output)})
        return
    print(f"{doubtful:,} of {len(read):,} pairs are doubtful, in {output}")
    for name, count in counts.most_common():
        print(f"{name:10}{count:>8,}")


def _write(found: Scored, pairs: Pairs, texts: list[list[str]], output: Path) -> None:
    from pairspace.data.files import atomic_file, create_binary

    rows = pairs.table["row"].to_pylist()
    order = sorted(range(len(rows)), key=lambda place: (-len(found.doubts[place]), float(found.score[place])))
    with atomic_file(output) as temporary, create_binary(temporary, output) as file:
        file.write(("row\tmargin\tcosine\tdoubts\t" + "\t".join(pairs.sides) + "\n").encode())
        for place in order:
            said = [" ".join(side[place].split()) for side in texts]
            numbers = [str(rows[place] + 1), f"{found.score[place]:.4f}", f"{found.cosine[place]:.4f}"]
            file.write(("\t".join([*numbers, ",".join(found.doubts[place]), *said]) + "\n").encode())
