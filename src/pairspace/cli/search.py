"""`pairspace search`: ask an index."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from pairspace.cli.common import Device, Json, print_json
from pairspace.errors import PairspaceError

__all__ = ["search"]


def search(
    index: Annotated[Path, typer.Argument(help="Folder of an index.")],
    query: Annotated[
        list[str] | None, typer.Argument(help="What to look for; several are searched at once.", show_default=False)
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="A picture to look for, alone or together with one query of words.")
    ] = None,
    weight: Annotated[float, typer.Option(help="How much the picture counts beside words, 0 to 1.")] = 0.5,
    k: Annotated[int, typer.Option("-k", help="Hits a query.")] = 10,
    mode: Annotated[
        str | None,
        typer.Option(help="dense, sparse, bm25, several as dense+bm25, or hybrid: all. (default: the space)"),
    ] = None,
    similarity: Annotated[
        str, typer.Option(help="cosine, or corrected for hubs: csls or margin (indexed with --reference).")
    ] = "cosine",
    filter: Annotated[
        list[str] | None, typer.Option(help="Keep items whose field has this value: section=games.")
    ] = None,
    space: Annotated[
        Path | None, typer.Option(help="The space, where it is no longer where the index was made.")
    ] = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Search an index."""
    from pairspace.index import Index
    from pairspace.index.asking import ask
    from pairspace.space import Space

    loaded = Space.from_pretrained(space, device=device) if space is not None else None
    with Index.open(index, loaded) as opened:
        words = list(query or [])
        asked = (
            {"query": words} if words and image is None and mode == "bm25" else ask(opened, words, image, weight=weight)
        )
        found = opened.search(**asked, k=k, mode=mode, similarity=similarity, filter=_filters(filter))
    names = words if image is None else [" + ".join([str(image), *words])]
    if as_json:
        print_json(
            [
                {"query": one, "hits": [{"id": h.id, "score": h.score, "payload": h.payload} for h in hits]}
                for one, hits in zip(names, found, strict=True)
            ]
        )
        return
    for one, hits in zip(names, found, strict=True):
        if len(names) > 1:
            print(f"\n{one}")
        for rank, hit in enumerate(hits, 1):
            text = str(hit.payload.get("text", hit.payload.get("path", ""))).replace("\n", " ")
            print(f"{rank:>3}  {hit.score:.3f}  {hit.id}  {textwrap.shorten(text, 80, placeholder=' ...')}")


def _filters(values: list[str] | None) -> dict[str, Any] | None:
    """`section=games` to `{"section": "games"}`; a value that is JSON (a number, a list, a range) is read as such."""
    if not values:
        return None
    filters: dict[str, Any] = {}
    for value in values:
        field, equals, wanted = value.partition("=")
        if not equals:
            raise PairspaceError(f"--filter {value}: write field=value")
        try:
            filters[field] = json.loads(wanted)
        except ValueError:
            filters[field] = wanted
    return filters
