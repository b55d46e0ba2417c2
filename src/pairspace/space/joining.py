"""Spaces that were trained apart, put together: each keeps dimensions of its own, and their similarities add up.

    y = unit( [ sum_e unit(P_e(x)) over the encoders e of space 1, the same of space 2, ... ] ),    unit(v) = v / |v|

Models that learnt apart make other mistakes, so together they make fewer; trained together, the one that learns
quicker leaves the others little to learn from. Every encoder counts once: of spaces with one encoder each the joined
similarity is the mean of theirs, and a space with two encoders weighs more than one with a single one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pairspace.errors import SpaceError
from pairspace.projectors import PlacedProjector, Projector
from pairspace.space.building import from_nothing
from pairspace.space.side import Branch, Side

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["join_spaces"]


def join_spaces(spaces: Sequence[Space], *, name: str = "space") -> Space:
    """One space of several; they stay as they are.

    Args:
        spaces: two or more with the same sides, each trained or of encoders that need no training.
        name: what the new one is called.

    Returns:
        A space with as many dimensions as all have together. It can be saved, searched and trained further like any
        other; its fusion with BM25 is not learnt yet.

    Raises:
        SpaceError: fewer than two spaces, other sides, or one whose sides share no space yet.
    """
    from pairspace.space.model import Space

    if len(spaces) < 2:
        raise SpaceError(f"joining takes two or more spaces, got {len(spaces)}")
    first = spaces[0]
    for other in spaces:
        if other.sides != first.sides or other.query_side != first.query_side:
            raise SpaceError(
                f"spaces to be joined have the same sides, but '{first.name}' has {', '.join(first.sides)} (searched "
                f"with {first.query_side}) and '{other.name}' {', '.join(other.sides)} (with {other.query_side})"
            )
        branches = [branch for side in other.sides for branch in other.part(side).branches]
        if not other.started or not all(getattr(branch.encoder, "ready", True) for branch in branches):
            raise SpaceError(f"'{other.name}' is not trained, and its sides share no space before: fit it on pairs")
    made = _Joining(sum(space.dimension for space in spaces))
    offset = 0
    found: dict[str, list[Branch]] = {side: [] for side in first.sides}
    for space in spaces:
        for side in first.sides:
            found[side] += [made.branch(branch, offset) for branch in space.part(side).branches]
        offset += space.dimension
    joined = Space(
        {side: Side(tuple(branches)) for side, branches in found.items()},
        query_side=first.query_side,
        name=name,
        language=first.language,
        cache=first.cache,
        shared_encoder=all(space.shared_encoder for space in spaces),
        device=str(first.device),
    )
    for side in first.sides:
        if len({branch.encoder.modality for branch in joined.part(side).branches}) > 1:
            raise SpaceError(f"side '{side}' reads different kinds of items in the spaces to be joined")
        for branch in joined.part(side).branches:
            branch.start.to(joined.device).eval()
    joined.temperature = copy.deepcopy(first.temperature)
    joined.started, joined.trained = True, any(space.trained for space in spaces)
    joined.record = {"joined": [space.name for space in spaces]}
    return joined


class _Joining:
    """Branches with their projectors placed; what was shared stays shared, and equal encoders become one."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.encoders: dict[Any, Any] = {}
        self.projectors: dict[tuple[int, int], Projector] = {}

    def branch(self, branch: Branch, offset: int) -> Branch:
        origin: Any = branch.origin
        return Branch(
            self._encoder(branch.encoder, branch.trains),
            branch.layers,
            self._placed(branch.projector, offset),
            self._placed(branch.start, offset),
            trains=branch.trains,
            origin=None if origin is None else self._encoder(origin, branch.trains and origin is branch.encoder),
        )

    def _encoder(self, encoder: Any, trains: bool) -> Any:
        key = id(encoder) if trains else (encoder.fingerprint, encoder.precision)
        if key not in self.encoders:  # what began from nothing is trained in its place, so the new space has its own
            own = trains and from_nothing(encoder)
            self.encoders[key] = copy.deepcopy(encoder) if own else encoder
        return self.encoders[key]

    def _placed(self, projector: Projector, offset: int) -> Projector:
        key = id(projector), offset
        if key not in self.projectors:
            inner = copy.deepcopy(projector)
            placed = PlacedProjector(inner.blocks, self.dimension, inner=inner, offset=offset)
            self.projectors[key] = placed.eval()
        return self.projectors[key]
