"""`pairspace cache`: look at the feature cache, empty it, bound it."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from pairspace.cli.common import Json, parse_size, print_json
from pairspace.errors import PairspaceError

__all__ = ["cache_app", "cache_info", "print_cache"]

cache_app = typer.Typer(help="Look at the feature cache, empty it or bound it.", rich_markup_mode=None)


@cache_app.callback(invoke_without_command=True)
def cache(context: typer.Context, as_json: Json = False) -> None:
    """Look at the feature cache, empty it or bound it."""
    if context.invoked_subcommand is None:
        result = cache_info()
        print_json(result) if as_json else print_cache(result)


@cache_app.command()
def clear(
    fingerprint: Annotated[str | None, typer.Argument(help="Only features of this encoder.")] = None,
    as_json: Json = False,
) -> None:
    """Remove cached features."""
    from pairspace.features import FeatureCache

    store = FeatureCache()
    if fingerprint and not any(entry.fingerprint.startswith(fingerprint) for entry in store.info()):
        raise PairspaceError(f"no features of an encoder {fingerprint} in {store.path}; 'pairspace cache' lists them")
    freed = store.clear(fingerprint)
    print_json({"freed": freed}) if as_json else print(f"{freed / 1e6:,.1f} MB freed")


@cache_app.command()
def limit(
    size: Annotated[str, typer.Argument(help="As 500MB or 20GB; the least recently used features go first.")],
    as_json: Json = False,
) -> None:
    """Bound the size of the cache."""
    from pairspace.features import FeatureCache

    wanted = parse_size(size)
    FeatureCache().set_limit(wanted)
    print_json({"limit": wanted}) if as_json else print(f"the cache is kept below {wanted / 1e9:,.2f} GB")


def cache_info() -> dict[str, Any]:
    """Where the cache lies, its limit and its entries."""
    from pairspace.features import FeatureCache

    store = FeatureCache()
    entries = [dataclasses.asdict(entry) for entry in store.info()]
    total = sum(entry["bytes"] for entry in entries)
    return {"kind": "cache", "path": str(store.path), "limit": store.limit, "bytes": total, "entries": entries}


def print_cache(result: dict[str, Any]) -> None:
    """The cache as a table."""
    limit = f"{result['limit'] / 1e9:,.2f} GB" if result["limit"] else "none"
    print(f"{result['path']}  {result['bytes'] / 1e6:,.1f} MB, limit {limit}")
    for entry in result["entries"]:
        print(
            f"  {entry['fingerprint'][:8]}  {entry['name']:<24} layer {entry['layer']:<5} "
            f"{entry['dimension']:>5} values  "
            f"{entry['rows']:>10,} items  {entry['bytes'] / 1e6:>10,.1f} MB"
        )
