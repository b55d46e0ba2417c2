"""`pairspace join`: spaces that were trained apart, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pairspace.cli.common import Device, Json, print_json

__all__ = ["join"]


def join(
    spaces: Annotated[list[Path], typer.Argument(help="Folders of spaces with the same sides.")],
    output: Annotated[Path, typer.Option(help="Folder to write the joined space to.")],
    name: Annotated[str, typer.Option(help="What it is called in reports.")] = "space",
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Join spaces: every one keeps its own dimensions, and their similarities add up."""
    from pairspace.space import Space, join_spaces

    made = join_spaces([Space.from_pretrained(one, device=device) for one in spaces], name=name)
    made.save_pretrained(output)
    if as_json:
        print_json({"output": str(output), "dimension": made.dimension, "joined": made.record["joined"]})
    else:
        print(f"{output}: {made.dimension} dimensions, joined from {', '.join(map(str, spaces))}")
