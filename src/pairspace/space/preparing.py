"""What is settled before training: which pairs watch it, which encoders train, and what they begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pairspace.data import Pairs
from pairspace.errors import DataError, SpaceError, TrainingError
from pairspace.space.building import from_nothing, own_encoder

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["begin_encoders", "choose_trained", "hold_out", "keep_trained"]

HOLD_OUT = 10_000  # pairs that a share holds out at most: validation ranks them against each other every epoch


def hold_out(
    parts: Sequence[Pairs], validation: float | Pairs | None, seed: int
) -> tuple[list[Pairs], Pairs | None, list[str]]:
    """What is left to train on, the pairs held out, and notes; of several data sets each gives its share."""
    if validation is None or validation == 0:
        return list(parts), None, []
    if isinstance(validation, Pairs):
        return list(parts), validation, []
    if not 0 < validation < 1:
        raise TrainingError(f"validation is a share between 0 and 1, got {validation}")
    share = min(validation, HOLD_OUT / sum(map(len, parts)))
    rests, held, notes = [], [], []
    for pairs in parts:
        try:
            rest, some = pairs.split(test=share if share < validation else validation, seed=seed)
        except DataError as error:
            rest, some = pairs, None
            notes.append(f"no validation split: {error}")
        if some is not None and len(rest) < 2:
            rest, some = pairs, None
            notes.append("no validation split: too few pairs to spare any")
        rests.append(rest)
        held += [] if some is None else [some]
    return rests, _together(held) if held else None, notes


def _together(parts: Sequence[Pairs]) -> Pairs:
    """Pairs of several data sets; of further columns those that all have."""
    if len(parts) == 1:
        return parts[0]
    common = [name for name in parts[0].table.column_names if all(name in p.table.column_names for p in parts)]
    plain = [
        Pairs(p.table.select(common), p.sides, query_side=p.query_side, source=p.source, root=p.root) for p in parts
    ]
    return Pairs.concat(plain)


def choose_trained(space: Space, sides: Sequence[str]) -> None:
    """Mark which encoders train; a side that trains gets weights of its own, unless the encoder is shared.

    Raises:
        SpaceError: no such side, an encoder that cannot be trained, or half of a shared one.
    """
    if isinstance(sides, str):
        sides = (sides,)
    for side in sides:
        space.part(side)
    if space.shared_encoder and 0 < len(set(sides)) < len(space.sides):
        raise SpaceError(
            f"the sides share one encoder, so it trains for all of them or none; train_encoders has {', '.join(sides)}"
        )
    made: dict[int, Any] = {}
    for side in space.sides:
        for place, branch in enumerate(space.part(side).branches):
            if side not in sides:  # what began with the space's own texts always trains
                branch.trains = branch.trains and branch.origin is None and from_nothing(branch.encoder)
                continue
            if not branch.trains:
                key = id(branch.encoder) if space.shared_encoder else hash((side, place))
                if key not in made:
                    made[key] = own_encoder(branch.encoder, side)
                branch.encoder = made[key]
            branch.trains = True


def begin_encoders(space: Space, parts: Sequence[Pairs], seed: int) -> None:
    """Give vocabulary and weights to encoders that start from nothing, from the texts of the sides that use them."""
    waiting: dict[int, tuple[Any, list[pa.Array]]] = {}
    for side in (space.query_side, space.document_side):
        for branch in space.part(side).branches:
            if not getattr(branch.encoder, "ready", True):
                _, texts = waiting.setdefault(id(branch.encoder), (branch.encoder, []))
                texts += [pairs.unique(side)[0] for pairs in parts]
    for number, (encoder, texts) in enumerate(waiting.values()):
        if not all(pa.types.is_large_string(one.type) for one in texts):
            raise SpaceError(f"{encoder.name} learns from texts, and these items are none")
        encoder.begin(pa.concat_arrays(texts).unique(), seed=seed + number)


def keep_trained(space: Space) -> None:
    """Put encoders with the weights that were learnt in the place of those that were trained."""
    made: dict[int, Any] = {}
    for side in space.sides:
        for branch in space.part(side).branches:
            if branch.trains:
                if id(branch.encoder) not in made:
                    made[id(branch.encoder)] = branch.encoder.after_training()
                branch.encoder = made[id(branch.encoder)]
