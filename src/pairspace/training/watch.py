"""What goes wrong in contrastive training, noticed early and said in plain words with what to do."""

from __future__ import annotations

import math

import numpy as np
import torch

from pairspace.errors import ShapeError, TrainingError
from pairspace.training.history import History
from pairspace.training.options import TrainingOptions
from pairspace.training.towers import FrozenTower

__all__ = ["check_codes", "describe_collapse", "describe_divergence"]

COLLAPSED = 0.95  # mean cosine of unrelated items above which a space no longer tells them apart
SAMPLE = 512


def check_codes(codes: tuple[np.ndarray, np.ndarray]) -> None:
    """See that there is something to learn from.

    Raises:
        ShapeError: the two sides differ in length.
        TrainingError: fewer than two pairs, or no negatives because one side has a single distinct item.
    """
    if len(codes[0]) != len(codes[1]):
        raise ShapeError(f"a pair has two items, but one side has {len(codes[0])} and the other {len(codes[1])}")
    if len(codes[0]) < 2:
        raise TrainingError(f"{len(codes[0])} pair(s) to train on: at least 2 are needed, better thousands")
    for which, one in zip(("first", "second"), codes, strict=True):
        if (one == one[0]).all():
            raise TrainingError(
                f"all {len(one)} pairs have the same item on the {which} side, so no negatives are left to learn from: "
                "check which columns were given as sides"
            )


def describe_divergence(what: str, options: TrainingOptions) -> str:
    """The message for numbers that are none any more; `what` says which and where."""
    return (
        f"{what}: training diverged. The features are finite (they were checked), so try a smaller learning rate than "
        f"{options.learning_rate:g}"
    )


@torch.inference_mode()
def describe_collapse(query: FrozenTower, document: FrozenTower, history: History, batch: int) -> list[str]:
    """Notes on a space that does not tell items apart, or a loss that never left chance."""
    notes = []
    for name, tower in (("query", query), ("document", document)):
        rows = np.unique(np.linspace(0, len(tower) - 1, SAMPLE).astype(np.int64))
        mean = float(tower.vectors(rows).mean(0).norm() ** 2)
        if len(rows) > 8 and mean > COLLAPSED:
            notes.append(
                f"collapse: unrelated items of the {name} side have a mean cosine of {mean:.2f}. Lower the learning "
                "rate, use more pairs, or check that the sides' items differ"
            )
    losses = history.column("loss")
    if losses and batch > 2 and losses[-1] > 0.98 * math.log(batch):
        notes.append(
            f"the loss ({losses[-1]:.2f}) is still at chance (ln {batch} = {math.log(batch):.2f}): the two sides seem "
            "unrelated. Check that row i of one side belongs with row i of the other"
        )
    return notes
