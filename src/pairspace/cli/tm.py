"""`pairspace tm`: build a translation memory, look in it, fill files from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from pairspace.cli.common import Device, Json, NoCache, SkipBad, print_json
from pairspace.errors import PairspaceError

__all__ = ["tm_app"]

tm_app = typer.Typer(
    help="Build a translation memory, look in it, and fill files from it.", rich_markup_mode=None, no_args_is_help=True
)

Source = Annotated[str | None, typer.Option(help="The language translated from, as en or en-US.")]
Target = Annotated[str | None, typer.Option(help="The language translated into.")]
MemoryFolder = Annotated[Path, typer.Argument(help="Folder of a translation memory.")]
SpaceFolder = Annotated[Path | None, typer.Option(help="The space, where it is no longer where the memory was made.")]


@tm_app.command()
def build(
    files: Annotated[list[Path], typer.Argument(help="TMX, XLIFF, PO, or pairs (TSV, CSV, JSONL, Parquet).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the memory to write.")],
    space: Annotated[
        Path | None, typer.Option(help="Folder of a space with a side a language; without it no semantic matches.")
    ] = None,
    source: Source = None,
    target: Target = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a memory at the output.")] = False,
    device: Device = None,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Build a translation memory from files."""
    from pairspace.bitext import TranslationMemory

    loaded = None
    if space is not None:
        from pairspace.space import Space

        loaded = Space.from_pretrained(space, device=device, cache=not no_cache)
    how: dict[str, Any] = {"source": source, "target": target, "overwrite": overwrite, "skip_bad": skip_bad}
    with TranslationMemory.build(output, files, loaded, **how) as memory:
        manifest = memory.manifest
        semantic = [manifest.languages[int(number)] for number in manifest.sides]
        result = {
            "units": len(memory),
            "texts": manifest.counts["texts"],
            "languages": manifest.languages,
            "semantic": semantic,
            "not_translated": memory.left,
            "skipped": memory.skipped,
            "output": str(output),
        }
    if as_json:
        print_json(result)
        return
    print(f"{result['units']:,} units in {', '.join(manifest.languages)}, in {output}")
    if memory.left:
        print(f"{memory.left:,} units left out: not translated, or to be reviewed")
    if memory.skipped:
        print(f"{memory.skipped:,} bad units left out")
    print(f"matches by meaning in: {', '.join(semantic) or 'none, as there is no space'}")


@tm_app.command()
def search(
    memory: MemoryFolder,
    text: Annotated[str, typer.Argument(help="What is to be translated.")],
    source: Source = None,
    target: Target = None,
    k: Annotated[int, typer.Option("-k", help="Matches to show.")] = 5,
    minimum: Annotated[float, typer.Option("--min", help="The least score of a fuzzy match.")] = 0.7,
    semantic_min: Annotated[float, typer.Option(help="The least score of a match by meaning; 2 for none.")] = 0.7,
    space: SpaceFolder = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Show what was translated before: the same text, similar ones, and those that mean the same."""
    how: dict[str, Any] = {"source": source, "target": target, "k": k}
    how |= {"minimum": minimum, "semantic_minimum": semantic_min}
    with _open(memory, space, device) as opened:
        found = opened.search(text, **how)
    if as_json:
        print_json({"query": text, "matches": [dataclasses.asdict(match) for match in found]})
        return
    if not found:
        print("no match")
    for match in found:
        origin = match.origin
        more = [f"{match.count} times"] if match.count > 1 else []
        more += [f"differs: {', '.join(match.differs)}"] if match.differs else []
        more += ["has inline tags"] if match.tags is None else []
        print(f"{100 * match.score:>4.0f} %  {match.kind:<8}  {' '.join(match.target.split())}")
        print(f"{'':>18}{' '.join(match.source.split())}  [{match.language}]")
        print(f"{'':>18}{'; '.join([f'{origin.file}, line {origin.line}, unit {origin.id!r}', *more])}")


@tm_app.command()
def pretranslate(
    memory: MemoryFolder,
    file: Annotated[Path, typer.Argument(help="PO, XLIFF or TMX file to fill.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The filled copy to write.")],
    minimum: Annotated[float, typer.Option("--min", help="The least score of an exact or fuzzy match.")] = 0.85,
    semantic_min: Annotated[
        float | None, typer.Option(help="The least score of a match by meaning; by default none is used.")
    ] = None,
    source: Source = None,
    target: Target = None,
    space: SpaceFolder = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Fill what is not yet translated, marked for review; nothing that is translated is changed."""
    from pairspace.bitext import pretranslate as fill
    from pairspace.data.translations import check_copy

    check_copy(file, output)
    how: dict[str, Any] = {"minimum": minimum, "source": source, "target": target}
    how |= {"semantic_minimum": semantic_min}
    with _open(memory, space, device) as opened:
        found = fill(opened, file, output, **how)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    print(f"{sum(found.filled.values()):,} of {found.units:,} units filled, in {output}")
    rows = [
        ("translated before", found.translated),
        ("to be reviewed before", found.review),
        *((f"filled, {kind}", count) for kind, count in found.filled.items()),
        ("of these with other numbers", found.numbers),
        ("no match that is good enough", found.below),
        ("left: placeholders would be lost", found.lost_placeholders),
        ("left: inline tags would be lost", found.tagged),
        ("left: plural forms", found.plural),
    ]
    for name, count in rows:
        print(f"  {name:<34}{count:>8,}")


def _open(memory: Path, space: Path | None, device: str | None) -> Any:
    from pairspace.bitext import TranslationMemory

    if space is None and device is not None:
        raise PairspaceError("--device is of the --space: name both")
    loaded = None
    if space is not None:
        from pairspace.space import Space

        loaded = Space.from_pretrained(space, device=device)
    return TranslationMemory.open(memory, loaded)
