"""Encoders of different origin brought together on the training pairs: the state of a space before training.

One side sets the axes; each other one is turned onto a side that already stands on them, by the pairs of the two.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pairspace.projectors import Projector, set_axes, turn
from pairspace.space.reading import PairData
from pairspace.space.side import Branch

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["align_sides"]

_log = logging.getLogger(__name__)
ALIGN_ON = 20_000  # pairs


def align_sides(space: Space, data: PairData, features_of: Callable[[Branch, Any], Any], seed: int) -> None:
    """Let the projectors over encoders that came with weights begin close to each other.

    Args:
        space: untrained.
        data: the pairs.
        features_of: gives a branch's features of a side's items.
        seed: which pairs are taken.
    """
    waiting = [(side, branch) for side in data.sides for branch in space.part(side).starting()]
    if not waiting:
        return
    waiting.sort(key=lambda one: one[1].projector.kind != "identity")  # it sets the axes wherever it stands
    order = np.random.default_rng(seed).permutation(len(data.query))

    def last(branch: Branch, side: str, end: int, numbers: np.ndarray) -> Tensor:
        found = features_of(branch, data.items[end][side])
        return torch.from_numpy(found.rows(numbers)[:, -branch.blocks[-1] :])

    side, branch = waiting.pop(0)
    partner = next((other for other, _ in waiting if data.partners(side, other, order, 1)), side)
    mine, _ = data.partners(side, partner, order, ALIGN_ON)
    set_axes(branch.projector.cpu(), last(branch, side, *mine))
    aligned = [(side, branch)]
    while waiting:
        found = next(
            (
                (known, other, both)
                for other in waiting
                for known in aligned
                if (both := data.partners(known[0], other[0], order, ALIGN_ON))
            ),
            None,
        )
        if found is None:
            _log.warning("side '%s' has no pairs with the others: it begins where it is", waiting[0][0])
            break
        known, other, (left, right) = found
        turn(
            other[1].projector.cpu(),
            _alone(known[1].projector, last(known[1], known[0], *left)),
            last(other[1], other[0], *right),
        )
        waiting.remove(other)
        aligned.append(other)
    for _, branch in aligned:
        branch.projector.to(space.device)


@torch.no_grad()
def _alone(projector: Projector, x: Tensor) -> Tensor:
    """Where a projector takes last-layer features, the other layers being nothing."""
    others = torch.zeros(len(x), sum(projector.blocks[:-1]))
    out: Tensor = projector(torch.cat([others, x], 1))
    return out
