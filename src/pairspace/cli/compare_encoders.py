"""`pairspace compare-encoders`: which encoders and layers go together, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pairspace.cli.common import Device, Json, NoCache, Root, Sides, SkipBad, TrustCode, read_sides
from pairspace.errors import PairspaceError

__all__ = ["compare_encoders"]


def compare_encoders(
    pairs: Annotated[list[Path], typer.Argument(help="Files of pairs.")],
    encoder: Annotated[
        list[str], typer.Option(help="side=NAME, for each side one at least; several are compared.")
    ] = ...,  # type: ignore[assignment]
    side: Sides = None,
    id: Annotated[str | None, typer.Option(help="Column of ids, for features filed by id.")] = None,
    sample: Annotated[int, typer.Option(help="Pairs to look at.")] = 500,
    neighbours: Annotated[int, typer.Option("--neighbours", "-k", help="Of mutual kNN.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="PNG file for a heat map of all layers.")] = None,
    measure: Annotated[str, typer.Option(help="Of the heat map: mutual_knn, cka, unbiased_cka.")] = "mutual_knn",
    root: Root = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Compare every layer of encoders of one side with every layer of the other's, on a few hundred pairs."""
    from pairspace.diagnosis import compare_encoders as compare
    from pairspace.diagnosis.encoder_pairs import MEASURES

    if measure not in MEASURES:
        raise PairspaceError(f"--measure {measure}: choose one of {', '.join(MEASURES)}")
    read = read_sides(pairs, side, id=id, skip_bad=skip_bad, root=root)
    chosen: dict[str, list[str]] = {}
    for value in encoder:
        name, _, what = value.partition("=")
        if name not in read.sides or not what:
            raise PairspaceError(
                f"--encoder {value}: write it as {read.sides[0]}=NAME; the sides are {', '.join(read.sides)}"
            )
        chosen.setdefault(name, []).append(what)
    ordered = {name: chosen[name] for name in read.sides if name in chosen}
    found = compare(
        read,
        ordered,
        sample=sample,
        k=neighbours,
        seed=seed,
        device=device,
        cache=not no_cache,
        trust_remote_code=trust_remote_code,
    )
    if plot is not None:
        found.plot(plot, measure=measure)
    print(found.to_json() if as_json else found)
    if plot is not None and not as_json:
        print(f"heat map written to {plot}")
