"""`pairspace encode`: items in, an array of their vectors out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pairspace.cli.common import Device, Json, NoCache, Root, SkipBad, TrustCode, print_json
from pairspace.cli.items import read_items, stoppable

__all__ = ["encode"]


def encode(
    space: Annotated[str, typer.Argument(help="Folder of a space.")],
    items: Annotated[
        Path, typer.Argument(help="File of items; a text file holds one a line; a folder or tar archive of pictures.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .npy, a row an item.")],
    side: Annotated[str | None, typer.Option(help="The side the items belong to; by default the query side.")] = None,
    column: Annotated[str | None, typer.Option(help="The items' column; by default the side's name or 'text'.")] = None,
    root: Root = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Write the vectors of items as float32, unit length."""
    import numpy as np

    from pairspace.data.files import atomic_file
    from pairspace.space import Space

    loaded = Space.from_pretrained(space, device=device, cache=not no_cache, trust_remote_code=trust_remote_code)
    side = side or loaded.query_side
    pictures = loaded.part(side).encoder.modality == "image"
    read = read_items(items, side, column=column, skip_bad=skip_bad, pictures=pictures, root=root)
    with stoppable():
        vectors = loaded.encode(read.items, side=side)
        with atomic_file(output) as temporary, temporary.open("wb") as file:
            np.save(file, vectors)
    rows, dimension = vectors.shape
    result = {"rows": rows, "dimension": dimension, "skipped": read.skipped, "output": str(output)}
    if as_json:
        print_json(result)
    else:
        left_out = f"; {read.skipped:,} bad rows left out" if read.skipped else ""
        print(f"{rows:,} vectors of {dimension} dimensions written to {output}{left_out}")
