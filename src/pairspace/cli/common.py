"""What several verbs share: options given once or once a side, and output for people or machines."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    from pairspace.data import Pairs

__all__ = [
    "Device",
    "Json",
    "Languages",
    "NoCache",
    "Root",
    "Sides",
    "SkipBad",
    "TrustCode",
    "numbers",
    "one_or_per_side",
    "parse_size",
    "print_json",
    "read_sets",
    "read_sides",
    "sizes",
    "two_languages",
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Do not keep or reuse features on disk.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out rows that cannot be used, and count them.")]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu; by default the best there is.")]
TrustCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run a model's own Python code.")]
Root = Annotated[Path | None, typer.Option(help="Folder that paths of pictures start from; by default where you are.")]
Languages = Annotated[
    str | None, typer.Option(help="Codes of the left and the right language for the output, as en,de.")
]
Sides = Annotated[
    list[str] | None,
    typer.Option(
        "--side",
        help="A side and its column: title=short_en (or just a column's name). Give it once a side. @lang=text: a side "
        "for each value of the column lang.",
    ),
]


def parse_sides(values: Sequence[str] | None) -> dict[str, str] | None:
    """`["title=short_en", "body"]` to `{"title": "short_en", "body": "body"}`."""
    if not values:
        return None
    pairs = [value.partition("=") for value in values]
    return {name: column or name for name, _, column in pairs}


def read_sides(
    paths: Sequence[Path],
    sides: Sequence[str] | None,
    *,
    group: str | None = None,
    id: str | None = None,
    skip_bad: bool = False,
    **columns: Any,
) -> Pairs:
    """Read pairs as the options say."""
    from pairspace.data import read_pairs

    return read_pairs(list(paths), sides=parse_sides(sides), group=group, id=id, skip_bad=skip_bad, **columns)


def read_sets(
    paths: Sequence[Path],
    sides: Sequence[str] | None,
    *,
    pivot: str | None = None,
    query_side: str | None = None,
    **columns: Any,
) -> list[Pairs]:
    """Read pairs as the options say: one data set of two sides, or of more sides one of every two that are paired.

    Raises:
        DataError: the files do not fit.
        PairspaceError: options that are of two sides only.
    """
    from pairspace.data import read_pairings

    named = parse_sides(sides) or {}
    if len(named) < 3 and not any(side.startswith("@") for side in named):
        if pivot is not None:
            raise PairspaceError("--pivot is of more than two sides, and there are no more")
        return [read_sides(paths, sides, query_side=query_side, **columns)]
    if idle := [name for name in ("negatives", "score") if columns.pop(name, None)]:
        raise PairspaceError(f"--{idle[0]} is of pairs of two sides, and there are more")
    return read_pairings(list(paths), named, pivot=pivot or query_side, **columns)


def one_or_per_side(values: Sequence[str] | None, sides: Sequence[str], option: str) -> Any:
    """`["minilm"]` to `"minilm"`, `["title=minilm", "body=folder"]` to a mapping; a path may hold a "=" of its own."""
    if not values:
        return None
    named = [value.partition("=") for value in values if value.partition("=")[0] in sides and "=" in value]
    if len(named) == len(values):
        missing = [side for side in sides if side not in {name for name, _, _ in named}]
        if missing:
            raise PairspaceError(f"{option} is given a side at a time, but not for {', '.join(missing)}")
        return {name: value for name, _, value in named}
    if len(values) > 1:
        raise PairspaceError(
            f"give {option} once, or once a side as {sides[0]}=VALUE; the sides are {', '.join(sides)}"
        )
    return values[0]


def parse_size(text: str) -> int:
    """`20GB` to bytes; KB, MB, GB and TB are powers of 1,000.

    Raises:
        PairspaceError: not a size.
    """
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    number = text.strip().upper().rstrip("BKMGT")
    unit = text.strip().upper()[len(number) :]
    try:
        size = int(float(number) * units[unit])
        if size < 0:
            raise ValueError
        return size
    except (KeyError, ValueError, OverflowError):
        raise PairspaceError(f"'{text}' is not a size: write it as 500MB or 20GB") from None


def sizes(text: str, option: str) -> tuple[int, ...]:
    """`64,128,256` to numbers.

    Raises:
        PairspaceError: no list of whole numbers.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise PairspaceError(f"{option} {text}: write it as 64,128,256") from None


def numbers(text: str, option: str) -> tuple[float, ...]:
    """`20,100` to a number of the query side and one of the document side; one number is for both.

    Raises:
        PairspaceError: not one or two numbers.
    """
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in (1, 2):
        raise PairspaceError(f"{option} {text}: write one number, or two for query and document, as 20,100")
    return found * 2 if len(found) == 1 else found


def two_languages(text: str, option: str) -> tuple[str, str]:
    """`en,de` to two codes.

    Raises:
        PairspaceError: not two.
    """
    codes = [code.strip() for code in text.split(",")]
    if len(codes) != 2 or not all(codes):
        raise PairspaceError(f"{option} {text}: write the two languages, left and right, as en,de")
    return codes[0], codes[1]


def print_json(value: Any) -> None:
    """One JSON object on standard output; what is no finite number is null, as JSON has no word for it."""
    print(json.dumps(_finite(value), ensure_ascii=False, indent=2, default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
