"""Two languages of one encoder, moved onto each other: each side's mean is taken from its vectors.

    y = unit( P(x) - mean over the side's texts of P )

An encoder of many languages gives each a region of its own, and what a text shares with all of its language outweighs
what it says; items near such a mean are hubs (Suzuki et al., EMNLP 2013). The texts need no partners: some hundred of
each side will do, so this is for languages without pairs, and a start for training where there are few.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from pairspace.errors import SpaceError
from pairspace.projectors import Projector, create_projector, start_at_identity
from pairspace.projectors.linear import LinearProjector
from pairspace.space.side import Branch

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["centre_space"]

_ROWS = 8192  # features projected at once


def centre_space(space: Space, texts: Mapping[str, Any], *, progress: bool | None = None) -> None:
    """Take each side's mean from its vectors; the space is changed, and its start before training kept.

    An identity projector becomes a linear one, and one that sides shared becomes one for each.

    Args:
        space: dense, its encoders trained or of one origin.
        texts: items by side, such as the documents of an index and queries in the other language; a side that is left
            out stays as it is.
        progress: show a bar; None where a person can see it.

    Raises:
        SpaceError: a space whose vectors have no mean to take, an unknown side, or fewer than two different texts.
    """
    if space.sparse:
        raise SpaceError("centring is of dense spaces, and this one's vectors are weights of terms")
    if not space.started:
        raise SpaceError("the sides' encoders share no space yet: fit it on pairs, which centres them too")
    moved: dict[str, list[Projector]] = {}
    for side, items in texts.items():
        branches = space.part(side).branches
        if len(set(items.to_pylist() if hasattr(items, "to_pylist") else items)) < 2:
            raise SpaceError(f"side '{side}' needs two different texts or more: its mean would be the text itself")
        moved[side] = [_centred(space, branch, items, side, progress) for branch in branches]
    for side, projectors in moved.items():
        for branch, projector in zip(space.part(side).branches, projectors, strict=True):
            branch.projector = projector.to(space.device).eval()
            branch.start = _linear(branch.start).to(space.device).eval()
    space.fusion_weight = None  # it was learnt for other vectors


@torch.no_grad()
def _centred(space: Space, branch: Branch, items: Any, side: str, progress: bool | None) -> Projector:
    if not getattr(branch.encoder, "ready", True):
        raise SpaceError(f"the encoder of side '{side}' starts from nothing and is not trained: fit the space on pairs")
    projector: Any = _linear(copy.deepcopy(branch.projector)).cpu()
    if not isinstance(projector, LinearProjector):
        raise SpaceError(f"side '{side}' has a projector '{projector.kind}', whose vectors cannot be moved")
    projector.eval()
    features = branch.features(items, cache=space.cache, progress=progress)
    total = torch.zeros(projector.dimension, dtype=torch.float64)
    for start in range(0, len(items), _ROWS):
        rows = torch.arange(start, min(start + _ROWS, len(items))).numpy()
        total += projector(torch.from_numpy(features.rows(rows))).double().sum(0)  # type: ignore[union-attr]
    projector.linear.bias.sub_((total / len(items)).float())
    return projector


def _linear(projector: Projector) -> Projector:
    """The same map with a bias, where it is the identity; any other as it is."""
    if projector.kind != "identity":
        return projector
    found = create_projector("linear", blocks=projector.blocks, dimension=projector.dimension)
    start_at_identity(found)
    return found
