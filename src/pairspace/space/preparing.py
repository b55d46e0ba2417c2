"""What is settled before training: which pairs watch it, which encoders train, and what they begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pairspace.data import Pairs, split_together
from pairspace.errors import DataError, SpaceError, TrainingError
from pairspace.space.building import from_nothing, own_encoder
from pairspace.space.reading import Pairing, check_types
from pairspace.training import TrainingOptions

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["begin_encoders", "choose_trained", "describe_vocabularies", "hold_out", "keep_trained", "options_for"]

SAMPLE = 256  # texts that a vocabulary is tried on
SHORT, UNKNOWN = 1.5, 0.2  # bytes a token below which, share of unknown tokens above which it is of other texts
HOLD_OUT = 10_000  # pairs that a share holds out at most: validation ranks them against each other every epoch


def options_for(
    space: Space, settings: Mapping[str, Any], parts: Sequence[Pairs], *, taught: bool, pretrained: bool
) -> TrainingOptions:
    """The settings of a run, with the defaults that suit what is trained.

    Args:
        space: which encoders train, and whether its vectors are weights of terms.
        settings: those that the caller named.
        parts: the data sets.
        taught: a teacher is given.
        pretrained: an encoder that came with weights trains.
    """
    branches = [branch for side in space.sides for branch in space.part(side).branches]
    given = any("negatives" in pairs.table.column_names for pairs in parts)
    if not space.sparse:
        return (TrainingOptions.for_encoders if pretrained else TrainingOptions)(**settings)
    if not all(space.part(side).unit for side in space.sides):
        raw: dict[str, Any] = {"temperature": 1.0, "learn_temperature": False}
        raw |= {"objective": "distill"} if taught else {}
        return (TrainingOptions.for_encoders if pretrained else TrainingOptions)(**(raw | dict(settings)))
    frozen = not any(branch.trains for branch in branches)
    own: dict[str, Any] = {} if taught and frozen and not given else {"mix": 0.0, "batch_size": 1024, "epochs": 8}
    own |= {"batch_size": 256, "epochs": 3, "patience": None} if pretrained else {}
    return TrainingOptions.for_words(taught=taught, **(own | dict(settings)))


def hold_out(
    parts: Sequence[Pairs], validation: float | Pairs | Sequence[Pairs] | None, seed: int, sides: Sequence[str]
) -> tuple[list[Pairs], list[Pairs], list[str]]:
    """What is left to train on, the pairs held out, and notes; of several data sets each gives its share.

    Args:
        parts: the data sets.
        validation: share of each to hold out, pairs of your own, or None; a data set with too few to hold out two of
            different items keeps all, because a ranking and a spread need two.
        seed: of the split.
        sides: of the space. Of two, all pairs held out are one data set. Of more, what belongs together is held out of
            all data sets.

    Raises:
        TrainingError: the share is none.
        SpaceError: a side holds texts in one data set and bytes in another.
    """
    if validation is None or validation == 0:
        return list(parts), [], []
    if not isinstance(validation, (int, float)):
        given = [validation] if isinstance(validation, Pairs) else list(validation)
        return list(parts), _merged(given, sides), []
    if not 0 < validation < 1:
        raise TrainingError(f"validation is a share between 0 and 1, got {validation}")
    share = min(validation, HOLD_OUT / sum(map(len, parts)))
    rests, held, notes = [], [], []
    hang_together = [parts] if len(sides) > 2 else [[pairs] for pairs in parts]
    for pairs, rest, some, why in (one for sets in hang_together for one in _split(sets, share, seed)):
        own = [side for side in sides if side in pairs.sides]
        why = why or ("" if _enough(rest, own) and _enough(some, own) else "too few pairs to spare any")
        if why:
            of = f" of {pairs.source}" if len(parts) > 1 else ""
            notes.append(f"no validation split{of}: {why}")
        rests.append(pairs if why else rest)
        held += [] if why else [some]
    return rests, _merged(held, sides), notes


def _split(parts: Sequence[Pairs], share: float, seed: int) -> list[tuple[Pairs, Pairs, Pairs, str]]:
    """Each data set, its two parts, and why it could not be split."""
    try:
        if len(parts) == 1:
            return [(parts[0], *parts[0].split(test=share, seed=seed), "")]
        both = split_together(parts, test=share, seed=seed)
        return [(*one, "") for one in zip(parts, *both, strict=True)]
    except DataError as error:
        return [(pairs, pairs, pairs, str(error)) for pairs in parts]


def _enough(pairs: Pairs, sides: Sequence[str]) -> bool:
    """True if there are two pairs and, on every side, two different items."""
    return len(pairs) > 1 and all(pairs.codes(side).max() > 0 for side in sides)


def _merged(parts: list[Pairs], sides: Sequence[str]) -> list[Pairs]:
    """Data sets of two sides, their paths whole, as one: the sides, and of group and id what all have.

    Validation wants no scores.
    """
    if len(sides) > 2 or len(parts) < 2:
        return parts
    check_types([Pairing(pairs, *sides) for pairs in parts])
    extra = [name for name in ("id", "group") if all(name in p.table.column_names for p in parts)]
    names = [*sides, "row", *extra]
    return [Pairs.concat([Pairs(p.table.select(names), sides, source=p.source) for p in parts])]


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


def describe_vocabularies(space: Space, items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Notes on encoders whose tokens do not fit the texts of their side, as if made for another side or language.

    Args:
        space: its encoders as they are; those that have no vocabulary yet will make a fitting one.
        items: of each side, those that are searched with and those that are searched for.
    """
    notes = []
    for side, own in {side: own for end in items for side, own in end.items()}.items():
        rows = np.unique(np.linspace(0, len(own) - 1, SAMPLE).astype(np.int64))
        for branch in space.part(side).branches:
            encoder = branch.encoder
            if not getattr(encoder, "ready", False) or not pa.types.is_large_string(own.type):
                continue
            texts = [text for text in own.take(pa.array(rows)).to_pylist() if text.strip()]
            if not texts:
                continue
            ids, lengths = encoder.tokens(texts)
            (around,), (count,) = encoder.tokens([""])  # the prompt, and special tokens
            size = sum(len(text.encode()) for text in texts) / max(1, int(lengths.sum()) - int(count) * len(texts))
            which = getattr(encoder.tokens, "unknown", None)
            strange = sum(np.sum(np.asarray(one) == which) - np.sum(np.asarray(around) == which) for one in ids)
            unknown = 0.0 if which is None else strange / max(1, sum(map(len, ids)) - len(around) * len(texts))
            if size < SHORT or unknown > UNKNOWN:
                what = f"{size:.1f} bytes a token" if size < SHORT else f"{unknown:.0%} of the tokens unknown"
                notes.append(
                    f"the vocabulary of {encoder.name} does not fit the {side} texts ({what}): was it made from the "
                    "other side's, or for another language?"
                )
    return notes


def begin_encoders(space: Space, parts: Sequence[Pairs], seed: int) -> None:
    """Give vocabulary and weights to encoders that start from nothing, from the texts of the sides that use them."""
    waiting: dict[int, tuple[Any, list[pa.Array]]] = {}
    for side in sorted(space.sides, key=lambda side: side != space.query_side):
        for branch in space.part(side).branches:
            if not getattr(branch.encoder, "ready", True):
                _, texts = waiting.setdefault(id(branch.encoder), (branch.encoder, []))
                texts += [pairs.unique(side)[0] for pairs in parts if side in pairs.sides]
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
