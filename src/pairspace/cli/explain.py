"""`pairspace explain`: which words carry a match, as a small bar chart."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from pairspace.cli.common import Device, Json, TrustCode, print_json

if TYPE_CHECKING:
    from pairspace.space import Explanation

__all__ = ["explain"]

_BAR = "█"


def explain(
    space: Annotated[str, typer.Argument(help="Folder of a sparse space.")],
    query: Annotated[str, typer.Argument(help="What is searched with.")],
    document: Annotated[str, typer.Argument(help="What is found.")],
    top: Annotated[int, typer.Option("--top", help="Terms shown of either, and shared ones.")] = 15,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Say in words why a document fits a query."""
    from pairspace.space import Space

    loaded = Space.from_pretrained(space, device=device, trust_remote_code=trust_remote_code)
    found = loaded.explain(query, document, top_k=top)
    if as_json:
        shared = [m._asdict() | {"score": m.score} for m in found.matches]
        words = {side: [{"term": term, "weight": weight} for term, weight in getattr(found, side)] for side in _SIDES}
        print_json({"score": found.score, "matches": shared} | words)
        return
    _print(found, top)


_SIDES = ("query", "document")


def _print(found: Explanation, top: int) -> None:
    matches = found.matches[:top]
    print(f"{found.score:.2f} from {len(found.matches)} shared terms (query weight x document weight)\n")
    name = max((len(match.term) for match in matches), default=0)
    room = max(10, shutil.get_terminal_size().columns - name - 28)
    largest = max((match.score for match in matches), default=1.0)
    for match in matches:
        bar = _BAR * max(1, round(room * match.score / largest))
        print(f"{match.term:<{name}} {match.score:>6.2f} = {match.query:>5.2f} x {match.document:>5.2f} {bar}")
    if len(found.matches) > top:
        rest = sum(match.score for match in found.matches[top:])
        print(f"{'...':<{name}} {rest:>6.2f}")
    for side in _SIDES:
        print(f"\n{side}: " + ", ".join(f"{term} {weight:.2f}" for term, weight in getattr(found, side)))
