"""`pairspace join`: spaces that were trained apart, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pairspace.cli.common import Device, Json, TrustCode, print_json
from pairspace.errors import PairspaceError

__all__ = ["join"]


def join(
    spaces: Annotated[list[Path], typer.Argument(help="Folders of spaces with the same sides.")],
    output: Annotated[Path, typer.Option(help="Folder to write the joined space to.")],
    name: Annotated[str, typer.Option(help="What it is called in reports.")] = "space",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a space at the output.")] = False,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Join spaces: every one keeps its own dimensions, and their similarities add up."""
    from pairspace.space import Space, join_spaces

    if output.resolve() in [one.resolve() for one in spaces]:
        raise PairspaceError(f"{output} is one of the spaces to be joined: give the joined one a folder of its own")
    if output.exists() and not overwrite:
        raise PairspaceError(f"{output} exists: choose another --output, or --overwrite it")
    loaded = [Space.from_pretrained(one, device=device, trust_remote_code=trust_remote_code) for one in spaces]
    made = join_spaces(loaded, name=name)
    made.save_pretrained(output)
    if as_json:
        print_json({"output": str(output), "dimension": made.dimension, "joined": made.record["joined"]})
    else:
        print(f"{output}: {made.dimension} dimensions, joined from {', '.join(map(str, spaces))}")
