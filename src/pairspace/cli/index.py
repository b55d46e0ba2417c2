"""`pairspace index`: a column of a file in, a searchable index out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pairspace.cli.common import Device, Json, NoCache, SkipBad, print_json
from pairspace.errors import PairspaceError

__all__ = ["index"]


def index(
    space: Annotated[str, typer.Argument(help="Folder of a space.")],
    items: Annotated[Path, typer.Argument(help="File of items: CSV, TSV, JSONL, Parquet, text, or a datasets folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the index; one that exists is added to.")],
    side: Annotated[
        str | None, typer.Option(help="The side the items belong to; by default the document side.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="The items' column; by default the side's name or 'text'.")] = None,
    id: Annotated[str | None, typer.Option(help="The ids' column; by default the row's number.")] = None,
    payload: Annotated[list[str] | None, typer.Option(help="A column to keep with each item. Repeatable.")] = None,
    text: Annotated[bool, typer.Option(help="Also index the words, for BM25 and hybrid search.")] = True,
    passages: Annotated[bool, typer.Option("--passages", help="Cut long documents; the best passage counts.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an index at the output.")] = False,
    device: Device = None,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Index a column of a file, to be searched."""
    from pairspace.data import read_table
    from pairspace.index import Index
    from pairspace.space import Space

    loaded = Space.from_pretrained(space, device=device, cache=not no_cache)
    side = side or loaded.document_side
    table = read_table(items, skip_bad=skip_bad)
    column = column or next((name for name in (side, "text") if name in table.column_names), None)
    for name in (column, id, *(payload or ())):
        if name is not None and name not in table.column_names:
            raise PairspaceError(f"{items}: no column '{name}'; there are {', '.join(table.column_names)}")
    if column is None:
        raise PairspaceError(f"{items}: name the items' --column; there are {', '.join(table.column_names)}")
    ids = table[id].to_pylist() if id else [str(row) for row in range(len(table))]
    began = time.perf_counter()
    if (output / "manifest.json").exists() and not overwrite:
        opened = Index.open(output, loaded)
    else:
        opened = Index.create(output, loaded, side=side, text=text, passages=passages, overwrite=overwrite)
    with opened:
        added = opened.add(ids, table[column], payload=table.select(payload) if payload else None)
        opened.optimise()
        result: dict[str, Any] = {"added": added, "items": len(opened), "output": str(output)}
    result["seconds"] = round(time.perf_counter() - began, 1)
    if as_json:
        print_json(result)
    else:
        print(f"{added:,} items added in {result['seconds']} s; {output} now holds {result['items']:,}")
