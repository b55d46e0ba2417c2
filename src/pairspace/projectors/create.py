"""The list of projectors, by name. A new one is one new file and one line here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pairspace.errors import PairspaceError
from pairspace.projectors.identity import IdentityProjector
from pairspace.projectors.lexical import LexicalProjector
from pairspace.projectors.linear import LinearProjector
from pairspace.projectors.placed import PlacedProjector
from pairspace.projectors.projector import Projector
from pairspace.projectors.residual import ResidualProjector
from pairspace.projectors.terms import TermsProjector

__all__ = ["create_projector", "projector_kinds"]

_KINDS: dict[str, type[Projector]] = {
    "identity": IdentityProjector,
    "linear": LinearProjector,
    "residual": ResidualProjector,
    "lexical": LexicalProjector,
    "terms": TermsProjector,
}


def projector_kinds() -> tuple[str, ...]:
    """The names that a user may choose from."""
    return tuple(kind for kind in _KINDS if kind != TermsProjector.kind)


def create_projector(kind: str, *, blocks: Sequence[int], dimension: int, **options: Any) -> Projector:
    """Build a projector.

    Args:
        kind: one of `projector_kinds()`, or "placed" with the settings of an `inner` one and an `offset`.
        blocks: dimension of each layer's block in the features; the last layer stands at the end.
        dimension: of the space.
        **options: what that kind takes besides.

    Raises:
        PairspaceError: the kind is unknown.
    """
    if kind == PlacedProjector.kind and "inner" in options:
        return PlacedProjector(blocks, dimension, inner=create_projector(**options["inner"]), offset=options["offset"])
    if kind not in _KINDS:
        raise PairspaceError(f"unknown projector '{kind}': choose one of {', '.join(_KINDS)}")
    return _KINDS[kind](blocks, dimension, **options)
