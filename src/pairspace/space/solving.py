"""A space of linear projectors in closed form: seconds, no seed, and more from few pairs than gradients get.

    y = A (x - mean),    A of canonical correlation, see `pairspace.projectors.canonical`

For some hundred or thousand pairs over frozen encoders of different origin, such as pictures and captions. Further data
sets of other origin may help: each is centred by itself, since a set's mean says where it is from and not what it
shows, and counts as much as its weight says; the space stands at the mean of the first one. `join_spaces` makes one of
several that were solved with other encoders or other weights, and `fit` goes on from a solved space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.projectors.canonical import canonical_maps
from pairspace.projectors.linear import LinearProjector
from pairspace.space.pictures import located

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["solve_space"]


def solve_space(
    space: Space,
    pairs: Pairs | Sequence[Pairs],
    *,
    weights: Sequence[float] | None = None,
    ridge: float = 1.0,
    power: float = 0.5,
    components: int = 300,
    progress: bool | None = None,
) -> None:
    """Set the linear projectors of a space of two sides; what they were before is lost.

    Args:
        space: dense, with one frozen encoder and a linear projector of its own on either side.
        pairs: one data set or several; where several, the first is what the space is for.
        weights: how much a pair of each data set counts; None for all alike.
        ridge: shrinks directions of little variance; more for fewer pairs.
        power: how much less the less certain directions count.
        components: principal axes of either side's features that are looked at.
        progress: show bars; None where a person can see them.

    Raises:
        SpaceError: a space of another form, or weights that do not fit.
        TrainingError: features without variation.
    """
    sets = [located(space, one) for one in ([pairs] if isinstance(pairs, Pairs) else pairs)]
    counts = [1.0] * len(sets) if weights is None else [float(one) for one in weights]
    if not sets:
        raise SpaceError("a space is solved on pairs: give a data set at least")
    if len(counts) != len(sets) or not all(0 <= one < float("inf") for one in counts) or not counts[0] > 0:
        raise SpaceError(
            f"give one weight for each of {len(sets)} data sets, finite, none below 0 and the first above, got {counts}"
        )
    projectors = _projectors(space)
    rows: dict[str, list[Tensor]] = {side: [] for side in space.sides}
    means: dict[str, Tensor] = {}
    for one in sets:
        if set(one.sides) != set(space.sides) or len(one) < 2:
            raise SpaceError(
                f"{one.source}: two pairs or more of the sides {', '.join(space.sides)} are needed, got {len(one)} of "
                f"{', '.join(one.sides)}"
            )
        for side in space.sides:
            items, codes = one.unique(side)
            found = torch.from_numpy(space.features(items, side, progress=progress).rows())[torch.from_numpy(codes)]
            means.setdefault(side, found.mean(0))
            rows[side].append(found - found.mean(0))
    share = torch.cat([torch.full((len(one),), weight) for one, weight in zip(sets, counts, strict=True)])
    first, second = (torch.cat(rows[side]) for side in space.sides)
    how = {"ridge": ridge, "power": power, "components": components}
    maps = canonical_maps(first, second, weights=share, dimension=space.dimension, **how)  # type: ignore[arg-type]
    for side, projector, found in zip(space.sides, projectors, maps, strict=True):
        projector.set_whole_map(found, -found @ means[side])
    space.keep_start()
    space.trained, space.fusion_weight = True, None
    space.record = {"pairs": [len(one) for one in sets], "solved": how | {"weights": counts}}


def _projectors(space: Space) -> list[LinearProjector]:
    """The two projectors.

    Raises:
        SpaceError: there are others.
    """
    parts = [space.part(side) for side in space.sides]
    found = [branch.projector for part in parts for branch in part.branches]
    if len(parts) != 2 or len(found) != 2 or len({id(one) for one in found}) != 2:
        raise SpaceError(
            "solving is of two sides with one encoder and one projector each; solve a space for each encoder and join "
            "them (join_spaces)"
        )
    if any(branch.trains for part in parts for branch in part.branches):
        raise SpaceError("solving is of frozen encoders, and one of this space's trains: use fit")
    linear = [one for one in found if type(one) is LinearProjector]
    if len(linear) != 2:
        raise SpaceError(f"solving sets linear projectors, and this space has {' and '.join(p.kind for p in found)}")
    return linear
