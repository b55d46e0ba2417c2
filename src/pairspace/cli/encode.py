"""`pairspace encode`: items in, an array of their vectors out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pairspace.cli.common import Device, Json, NoCache, SkipBad, print_json
from pairspace.errors import PairspaceError

__all__ = ["encode"]


def encode(
    space: Annotated[str, typer.Argument(help="Folder of a space.")],
    items: Annotated[Path, typer.Argument(help="File of items; a text file holds one a line.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .npy, a row an item.")],
    side: Annotated[str | None, typer.Option(help="The side the items belong to; by default the query side.")] = None,
    column: Annotated[str | None, typer.Option(help="The items' column; by default the side's name or 'text'.")] = None,
    device: Device = None,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Write the vectors of items as float32, unit length."""
    import numpy as np

    from pairspace.data import read_table
    from pairspace.data.files import atomic_file
    from pairspace.space import Space

    loaded = Space.from_pretrained(space, device=device, cache=not no_cache)
    side = side or loaded.query_side
    table = read_table(items, skip_bad=skip_bad)
    column = column or next((name for name in (side, "text") if name in table.column_names), table.column_names[0])
    if column not in table.column_names:
        raise PairspaceError(f"{items}: no column '{column}'; there are {', '.join(table.column_names)}")
    vectors = loaded.encode(table[column], side=side)
    with atomic_file(output) as temporary, temporary.open("wb") as file:
        np.save(file, vectors)
    result = {"rows": vectors.shape[0], "dimension": vectors.shape[1], "output": str(output)}
    if as_json:
        print_json(result)
    else:
        print(f"{result['rows']:,} vectors of {result['dimension']} dimensions written to {output}")
