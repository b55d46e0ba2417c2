"""From pairs to trained projectors: split, features, start, train, and the weight of the fusion with BM25."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from pairspace.data import Pairs
from pairspace.errors import DataError, SpaceError, TrainingError
from pairspace.neighbours import Bm25, learn_weight, top_k
from pairspace.objectives import Temperature
from pairspace.projectors import align
from pairspace.training import FrozenTower, History, TrainingOptions, Validation, train

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["fit"]

HOLD_OUT = 10_000  # pairs that a share holds out at most: validation ranks them against each other every epoch
ALIGN_ON = 20_000  # pairs that two encoders of different origin are aligned on before training
FUSION_DEPTH = 100


def fit(
    space: Space,
    pairs: Pairs,
    *,
    validation: float | Pairs | None,
    options: TrainingOptions,
    checkpoint: Path | None,
    resume: bool,
    progress: bool | None,
) -> History:
    """Train a space; see `Space.fit`."""
    query, document = space.query_side, space.document_side
    if len(space.sides) > 2:
        raise SpaceError(f"fit trains two sides at a time; this space has {', '.join(space.sides)}")
    for side in (query, document):
        if side not in pairs.sides:
            raise SpaceError(f"the pairs have the sides {', '.join(pairs.sides)}, the space needs '{side}'")
    pairs, held_out, notes = _hold_out(pairs, validation, options.seed)
    towers, codes = _towers(space, pairs, progress)
    if not space.trained:
        space.temperature = Temperature(options.temperature, learnable=options.learn_temperature)
    if not space.started:
        _align(space, towers, codes, options.seed)
    watched = None
    if held_out is not None:
        held, rows = _towers(space, held_out, progress)
        watched = Validation(*held, rows)
    if space.trainable:
        history = train(
            *towers,
            codes,
            temperature=space.temperature,
            options=options,
            validation=watched,
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
        )
        space.trained = True
    else:
        history = _untrained(watched)
    history.notes = notes + history.notes
    if watched is not None and held_out is not None:
        space.fusion_weight = _fusion_weight(space, held_out, watched)
    left, right = (tower.features for tower in towers)
    space.record = {
        "pairs": len(pairs),
        "validation_pairs": len(held_out) if held_out is not None else 0,
        "source": pairs.source,
        "truncated": {query: round(left.truncated, 4), document: round(right.truncated, 4)},
        "options": options.to_dict(),
        "best_epoch": history.best_epoch,
        "before": history.records[0] if history.records else {},
        "after": next((r for r in history.records if r["epoch"] == history.best_epoch), {}),
    }
    return history


def _hold_out(pairs: Pairs, validation: float | Pairs | None, seed: int) -> tuple[Pairs, Pairs | None, list[str]]:
    if validation is None or validation == 0:
        return pairs, None, []
    if isinstance(validation, Pairs):
        return pairs, validation, []
    if not 0 < validation < 1:
        raise TrainingError(f"validation is a share between 0 and 1, got {validation}")
    size = HOLD_OUT if validation * len(pairs) > HOLD_OUT else validation
    try:
        rest, held_out = pairs.split(test=size, seed=seed)
    except DataError as error:
        return pairs, None, [f"no validation split: {error}"]
    if len(rest) < 2:
        return pairs, None, ["no validation split: too few pairs to spare any"]
    return rest, held_out, []


def _towers(
    space: Space, pairs: Pairs, progress: bool | None
) -> tuple[tuple[FrozenTower, FrozenTower], tuple[np.ndarray, np.ndarray]]:
    """A tower over the distinct items of each side, and each pair's rows in them."""
    towers, codes = [], []
    for side in (space.query_side, space.document_side):
        _, rows = pairs.unique(side)
        first = np.unique(rows, return_index=True)[1]
        distinct = space.items(pairs, side).take(pa.array(first))
        features = space.features(distinct, side, progress=progress)
        towers.append(FrozenTower(features, space.part(side).projector, device=space.device))
        codes.append(rows)
    return (towers[0], towers[1]), (codes[0], codes[1])


def _align(
    space: Space,
    towers: tuple[FrozenTower, FrozenTower],
    codes: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> None:
    """Bring two encoders of different origin together on the training pairs: the state before training."""
    parts = space.part(space.query_side), space.part(space.document_side)
    rows = np.random.default_rng(seed).permutation(len(codes[0]))[:ALIGN_ON]
    last = [
        torch.from_numpy(tower.features.rows(code[rows])[:, -part.blocks[-1] :])
        for tower, code, part in zip(towers, codes, parts, strict=True)
    ]
    align(parts[0].projector.cpu(), parts[1].projector.cpu(), *last)
    for part in parts:
        part.projector.to(space.device)
    space.keep_start()


def _untrained(watched: Validation | None) -> History:
    record: dict[str, Any] = {"epoch": 0}
    if watched is not None:
        score = watched.score()
        record |= {"validation_R@1": round(score.recall, 5), "validation_MRR@10": round(score.reciprocal_rank, 5)}
    return History([record], notes=["identity projectors: there is nothing to train, the space is the encoder's own"])


def _fusion_weight(space: Space, held_out: Pairs, watched: Validation) -> float | None:
    """The weight of the space beside BM25 that ranks the held-out pairs best; None where the items are no texts."""
    texts = []
    for side in (space.query_side, space.document_side):
        distinct, _ = held_out.unique(side)
        if not pa.types.is_large_string(distinct.type):
            return None
        texts.append(distinct.to_pylist())
    queries, documents = watched.vectors()
    depth = min(FUSION_DEPTH, len(documents))
    lexical = Bm25(language=space.language).fit(texts[1]).search(texts[0], depth)
    order = np.lexsort((watched.codes[1], watched.codes[0]))
    left, right = watched.codes[0][order], watched.codes[1][order]
    relevant = np.split(right, np.flatnonzero(np.diff(left)) + 1)
    return learn_weight(top_k(queries, documents, depth), lexical, relevant)
