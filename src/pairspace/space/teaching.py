"""A space as the teacher of a sparse one, and what it hands on.

    features --W, trained in seconds--> dense vectors --their similarities--> what the sparse vectors learn to repeat
                  |
                  +-- the start: h = W x, and the terms are encoded through W too

A sparse vector that repeats a dense one has less to find out than one that learns from pairs alone, and learns less by
heart.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.projectors import LexicalProjector, LinearProjector
from pairspace.space.building import Plan, build_sides, start_where_related
from pairspace.space.reading import PairData
from pairspace.space.side import Branch, is_sparse

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["DENSE", "dense_teacher", "map_of", "side_of_teacher", "taught_vectors"]

_log = logging.getLogger(__name__)
DENSE = "dense"  # the teacher that is trained on the spot


def dense_teacher(
    space: Space,
    pairs: Sequence[Pairs],
    held_out: Sequence[Pairs] | None,
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


def taught_vectors(teacher: Space, data: PairData, *, progress: bool | None) -> tuple[Any, Any]:
    """What a teacher says of the items on both ends: unit vectors, or weights of terms (CSR, own words left out).

    An item of a side that it does not know is what its first partner of a side that it knows is: a German sentence
    means what its translation means.

    Args:
        teacher: a space with one side at least of every data set.
        data: the pairs.
        progress: show a bar.

    Raises:
        SpaceError: it knows neither side of a data set.
    """
    for _, *sides in data.parts:
        if not set(sides) & set(teacher.sides):
            raise SpaceError(f"the teacher space has no side {', '.join(sides)}; it has {', '.join(teacher.sides)}")
    ends, codes = data.items_for(teacher), (data.query, data.document)
    known: list[dict[str, Any]] = [{}, {}]
    for end, items in enumerate(ends):
        for side in items.keys() & set(teacher.sides):
            vectors = teacher.encode(items[side], side=side, progress=progress)
            known[end][side] = vectors[:, : len(teacher.lexicon)] if teacher.sparse else vectors
    found = []
    for end, items in enumerate(ends):
        whole = []
        for side, own in items.items():
            if side in known[end]:
                whole.append(known[end][side])
                continue
            start = data.start(end, side)
            rows = np.flatnonzero((codes[end] >= start) & (codes[end] < start + len(own)))
            first = rows[np.unique(codes[end][rows], return_index=True)[1]]
            whole.append(_of_partners(known[1 - end], data, 1 - end, codes[1 - end][first]))
        found.append(_stacked(whole))
    return found[0], found[1]


def _of_partners(known: dict[str, Any], data: PairData, end: int, numbers: np.ndarray) -> Any:
    """The vectors of items by their numbers on an end, (n, dimension)."""
    sides = [side for side in data.items[end] if side in known]
    starts = {side: data.start(end, side) for side in sides}
    masks = {side: (numbers >= starts[side]) & (numbers < starts[side] + known[side].shape[0]) for side in sides}
    back = np.argsort(np.concatenate([np.flatnonzero(masks[side]) for side in sides]))
    return _stacked([known[side][numbers[masks[side]] - starts[side]] for side in sides])[back]


def _stacked(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else sparse.vstack(parts, format="csr")


@contextmanager
def side_of_teacher(space: Space, teacher: Space | None) -> Iterator[None]:
    """Meanwhile let the one side that a teacher of the same terms knows be the teacher's own, which does not train.

    So the other side, of another language or a picture, learns the teacher's very words. A teacher that knows both
    sides only says how near they are, and both train.
    """
    held: list[torch.nn.Parameter] = []
    for ours, theirs in _same_words(space, teacher):
        ours.load_state_dict(theirs.state_dict())
        ours.keep = theirs.keep
        held += [parameter for parameter in ours.parameters() if parameter.requires_grad]
    if held and not space.trained:
        space.keep_start()
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


def _same_words(space: Space, teacher: Space | None) -> list[tuple[LexicalProjector, LexicalProjector]]:
    """The lexical projectors of the side that a teacher knows, with its own for them; none where they do not match."""
    if teacher is None or not teacher.sparse or teacher.lexicon.fingerprint != space.lexicon.fingerprint:
        return []
    known = [side for side in space.sides if side in teacher.sides]
    if len(known) == len(space.sides):
        return []
    elsewhere = {id(b.projector) for side in space.sides if side not in known for b in space.part(side).branches}
    found: list[tuple[LexicalProjector, LexicalProjector]] = []
    for side in known:
        ours, theirs = space.part(side).branches, teacher.part(side).branches
        found += [
            (mine.projector, its.projector)
            for mine, its in zip(ours, theirs, strict=False)
            if isinstance(mine.projector, LexicalProjector)
            and isinstance(its.projector, LexicalProjector)
            and (mine.encoder.fingerprint, mine.layers) == (its.encoder.fingerprint, its.layers)
            and mine.projector.head.shape == its.projector.head.shape
            and id(mine.projector) not in elsewhere
        ]
        if len(found) < len(ours) or len(found) < len(theirs):
            _log.warning("side '%s' learns beside its teacher: its encoder or projector is another", side)
            return []
    return found


def map_of(teacher: Space | None, side: str, branch: Branch) -> LinearProjector | None:
    """The teacher's map of the very features that a branch has; None where it has no such map."""
    if teacher is None or teacher.sparse or side not in teacher.sides:
        return None
    for one in teacher.part(side).branches:
        if (one.encoder.fingerprint, one.layers) == (branch.encoder.fingerprint, branch.layers):
            return one.projector if isinstance(one.projector, LinearProjector) else None
    return None
