"""`pairspace info`: what a space, an index, a tagger or the cache is, where from, how big."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pairspace.cli.cache import cache_info, print_cache
from pairspace.cli.common import Json, print_json
from pairspace.errors import PairspaceError

__all__ = ["info"]


def info(
    target: Annotated[str, typer.Argument(help="Folder of a space, an index or a tagger, or the word 'cache'.")],
    as_json: Json = False,
) -> None:
    """Say what something is, where it comes from and how big it is."""
    path = Path(target)
    if target == "cache" and not path.exists():
        result = cache_info()
        print_json(result) if as_json else print_cache(result)
        return
    if (path / "manifest.json").is_file():
        from pairspace.index import Index

        with Index.open(path) as index:
            result = {"kind": "index", **index.info()}
    elif (path / "classifier").is_dir():
        result = _tagger(path)
    elif (path / "config.json").is_file():
        result = _space(path)
    else:
        raise PairspaceError(f"{target}: neither a space, an index nor a tagger, nor the word 'cache'")
    print_json(result) if as_json else _print(result)


def _space(path: Path) -> dict[str, Any]:
    from pairspace.space import Space

    space = Space.from_pretrained(path, device="cpu")
    sides = {}
    for side in space.sides:
        part = space.part(side)
        sides[side] = {
            "role": "query" if side == space.query_side else "document",
            "encoder": part.name,
            "layers": " + ".join(" ".join(branch.layers) for branch in part.branches),
            "features": sum(sum(branch.blocks) for branch in part.branches),
            "projector": " + ".join(branch.projector.title for branch in part.branches),
            "parameters": sum(p.numel() for branch in part.branches for p in branch.projector.parameters()),
        }
    return {
        "kind": "space",
        "name": space.name,
        "fingerprint": space.fingerprint,
        "dimension": space.dimension,
        "trained": space.trained,
        "sides": sides,
        "temperature": round(space.temperature.value, 4),
        "fusion_weight": space.fusion_weight,
        "language": space.language,
        "bytes": _size(path),
        "record": space.record,
    }


def _tagger(path: Path) -> dict[str, Any]:
    from pairspace.tagging import Tagger

    tagger = Tagger.from_pretrained(path, device="cpu")
    sides = {
        kind: {"encoder": encoder.name, "layers": " ".join(tagger.layers[kind])}
        for kind, encoder in tagger.encoders.items()
    }
    return {
        "kind": "tagger",
        "classes": list(tagger.classes),
        "reads": sides,
        "classifier": tagger.classifier.settings,
        "bytes": _size(path),
    }


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _print(value: Any, indent: int = 0) -> None:
    width = max(len(str(name)) for name in value)
    for name, one in value.items():
        if isinstance(one, dict) and one:
            print(f"{'':{indent}}{name}")
            _print(one, indent + 2)
        else:
            shown = f"{one / 1e6:,.1f} MB" if name == "bytes" else f"{one:,}" if type(one) is int else one
            print(f"{'':{indent}}{name:<{width}}  {shown}")
