"""`pairspace index`: a column of a file in, a searchable index out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pairspace.cli.common import Device, Json, NoCache, Root, SkipBad, TrustCode, print_json
from pairspace.cli.items import picture_payload, read_items, stoppable
from pairspace.errors import PairspaceError

__all__ = ["index"]


def index(
    space: Annotated[str, typer.Argument(help="Folder of a space.")],
    items: Annotated[
        Path,
        typer.Argument(
            help="File of items: CSV, TSV, JSONL, Parquet, text, or a datasets folder; a folder of pictures."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the index; one that exists is added to.")],
    side: Annotated[
        str | None, typer.Option(help="The side the items belong to; by default the document side.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="The items' column; by default the side's name or 'text'.")] = None,
    id: Annotated[str | None, typer.Option(help="The ids' column; by default the row's number.")] = None,
    payload: Annotated[list[str] | None, typer.Option(help="A column to keep with each item. Repeatable.")] = None,
    text: Annotated[
        bool | None, typer.Option(help="Also index the words, for BM25 and hybrid search. (yes, where there are any)")
    ] = None,
    thumbnails: Annotated[
        int | None, typer.Option(help="Keep small copies of pictures, at most so many pixels a side, such as 96.")
    ] = None,
    passages: Annotated[bool, typer.Option("--passages", help="Cut long documents; the best passage counts.")] = False,
    mass: Annotated[float, typer.Option(help="Of sparse vectors, keep this share of the weight.")] = 1.0,
    terms: Annotated[int | None, typer.Option(help="Of sparse vectors, keep at most so many terms.")] = None,
    engine: Annotated[str, typer.Option(help="edge, or seismic for large sparse collections written once.")] = "edge",
    reference: Annotated[
        Path | None, typer.Option(help="File of queries such as will be asked, for searches corrected for hubs.")
    ] = None,
    reference_column: Annotated[
        str | None, typer.Option(help="The queries' column; by default the asking side's name or 'text'.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an index at the output.")] = False,
    root: Root = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Index a column of a file, to be searched."""
    from pairspace.index import Index
    from pairspace.index.vectors import asking_side
    from pairspace.space import Space

    loaded = Space.from_pretrained(space, device=device, cache=not no_cache, trust_remote_code=trust_remote_code)
    side = side or loaded.document_side
    pictures = loaded.part(side).encoder.modality == "image"
    if thumbnails is not None and not pictures:
        raise PairspaceError(f"--thumbnails are of pictures, and side '{side}' holds none")
    kept: dict[str, Any] = {"column": column, "id": id, "payload": payload, "skip_bad": skip_bad}
    read = read_items(items, side, **kept, pictures=pictures, root=root)
    queries = None
    if reference is not None:
        asking = asking_side(loaded, side)
        shown = loaded.part(asking).encoder.modality == "image"
        own: dict[str, Any] = {"skip_bad": skip_bad, "pictures": shown, "root": root}
        queries = read_items(reference, asking, column=reference_column, **own).items
    began = time.perf_counter()
    if (output / "manifest.json").exists() and not overwrite:
        opened = Index.open(output, loaded)
        there = next(iter(opened.manifest.spaces.values())).side
        if there != side or (passages and not opened.manifest.passages):
            opened.close()
            raise PairspaceError(
                f"{output} holds {'passages' if opened.manifest.passages else 'whole items'} of side '{there}': "
                "what an index holds is fixed when it is made; choose another --output, or --overwrite it"
            )
        if queries is not None and not opened.manifest.reference:
            opened.close()
            raise PairspaceError(
                f"{output} was made without reference queries, and none can join later; choose another --output, or "
                "--overwrite it"
            )
    else:
        how: dict[str, Any] = {
            "passages": passages,
            "mass": mass,
            "terms": terms,
            "engine": engine,
            "reference": queries,
            "overwrite": overwrite,
        }
        opened = Index.create(output, loaded, side=side, text=not pictures if text is None else text, **how)
    with opened, stoppable():
        stored = picture_payload(read, thumbnails) if pictures else read.payload
        added = opened.add(read.ids, read.items, payload=stored)
        opened.optimise()
        result: dict[str, Any] = {"added": added, "skipped": read.skipped, "items": len(opened), "output": str(output)}
    result["seconds"] = round(time.perf_counter() - began, 1)
    if as_json:
        print_json(result)
    else:
        left_out = f", {read.skipped:,} bad rows left out" if read.skipped else ""
        print(f"{added:,} items added in {result['seconds']} s{left_out}; {output} now holds {result['items']:,}")
