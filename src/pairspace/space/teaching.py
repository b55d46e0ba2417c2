"""A dense space as the teacher of a sparse one: trained on the same features first, and what it hands on.

    features --W, trained in seconds--> dense vectors --their similarities--> what the sparse vectors learn to repeat
                  |
                  +-- the start: h = W x, and the terms are encoded through W too

A sparse vector that repeats a dense one has less to find out than one that learns from pairs alone, and learns less by
heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.projectors import LinearProjector
from pairspace.space.building import Plan, build_sides, start_where_related
from pairspace.space.side import Branch, is_sparse

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["DENSE", "dense_teacher", "map_of"]

DENSE = "dense"  # the teacher that is trained on the spot


def dense_teacher(
    space: Space,
    pairs: Sequence[Pairs],
    held_out: Pairs | None,
    *,
    seed: int,
    checkpoint: Path | None,
    resume: bool,
    progress: bool | None,
) -> Space:
    """Linear projectors over a space's encoders, trained on the pairs.

    Args:
        space: the student.
        pairs: to train on.
        held_out: pairs that choose the weights.
        seed: as the student's.
        checkpoint: the student's folder for checkpoints; the teacher's lies within.
        resume: go on from there.
        progress: show bars.

    Raises:
        SpaceError: an encoder is no frozen one that gives dense features.
    """
    for side in space.sides:
        for branch in space.part(side).branches:
            if branch.trains or branch.origin is None or is_sparse(branch.encoder):
                raise SpaceError(
                    f"teacher='{DENSE}' trains on frozen features, and the encoder of side '{side}' trains or gives "
                    "weights of terms: train a dense space of your own, and give that"
                )
    parts = {side: space.part(side).branches for side in space.sides}
    if any(len(branches) > 1 for branches in parts.values()):
        raise SpaceError(f"teacher='{DENSE}' takes one encoder a side: train a dense space of your own, and give that")
    plan = Plan(
        {side: branches[0].encoder for side, branches in parts.items()},
        projector="linear",
        layers={side: branches[0].layers for side, branches in parts.items()},
    )
    sides = build_sides(space.sides, plan)
    how: dict[str, Any] = {"language": space.language, "cache": space.cache, "device": str(space.device)}
    teacher = type(space)(sides, query_side=space.query_side, name=f"{space.name}'s teacher", **how)
    if start_where_related(sides):
        teacher.keep_start()
    folder = None if checkpoint is None else checkpoint / "teacher"
    given: dict[str, Any] = {"checkpoint": folder, "resume": resume, "progress": progress, "seed": seed}
    teacher.fit(pairs, validation=held_out, **given)
    return teacher


def map_of(teacher: Space | None, side: str, branch: Branch) -> LinearProjector | None:
    """The teacher's map of the very features that a branch has; None where it has no such map."""
    if teacher is None or teacher.sparse or side not in teacher.sides:
        return None
    for one in teacher.part(side).branches:
        if (one.encoder.fingerprint, one.layers) == (branch.encoder.fingerprint, branch.layers):
            return one.projector if isinstance(one.projector, LinearProjector) else None
    return None
