"""What goes wrong in contrastive training, noticed early and said in plain words with what to do."""

from __future__ import annotations

import math

import numpy as np
import torch

from pairspace.training.history import History
from pairspace.training.options import TrainingOptions
from pairspace.training.towers import Tower

__all__ = ["describe_batches", "describe_chance", "describe_collapse", "describe_divergence"]

COLLAPSED = 0.95  # mean cosine of unrelated items above which a space no longer tells them apart
SAMPLE = 512


def describe_divergence(what: str, options: TrainingOptions) -> str:
    """The message for numbers that are none any more; `what` says which and where."""
    return (
        f"{what}: training diverged. The features are finite (they were checked), so try a smaller learning rate than "
        f"{options.learning_rate:g}"
    )


@torch.inference_mode()
def describe_collapse(query: Tower, document: Tower) -> list[str]:
    """Notes on a space that does not tell items apart."""
    notes = []
    for name, tower in (("query", query), ("document", document)):
        rows = np.unique(np.linspace(0, len(tower) - 1, SAMPLE).astype(np.int64))
        vectors = tower.vectors(rows)
        if tower.sparse:
            empty = int((vectors.amax(1) <= 0).sum())
            if empty:
                notes.append(
                    f"{empty / len(rows):.1%} of the items of the {name} side have no term at all and can be found by "
                    "nothing: lower the weight of the regulariser, or aim at more terms"
                )
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        mean = float(vectors.mean(0).norm() ** 2)
        if len(rows) > 8 and mean > COLLAPSED:
            notes.append(
                f"collapse: unrelated items of the {name} side have a mean cosine of {mean:.2f}. Lower the learning "
                "rate, use more pairs, or check that the sides' items differ"
            )
    return notes


def describe_chance(history: History, batch: int) -> list[str]:
    """A note on a loss that never left chance, which for InfoNCE alone is the logarithm of the batch."""
    losses = history.column("loss")
    if not losses or batch <= 2 or losses[-1] <= 0.98 * math.log(batch):
        return []
    return [
        f"the loss ({losses[-1]:.2f}) is still at chance (ln {batch} = {math.log(batch):.2f}): the two sides seem "
        "unrelated. Check that row i of one side belongs with row i of the other"
    ]


def describe_batches(pairs: int, options: TrainingOptions) -> list[str]:
    """A note where one batch holds all there is."""
    if options.batch_size <= pairs:
        return []
    return [
        f"batch_size {options.batch_size:,} is more than the {pairs:,} pairs there are, so an epoch is a single step "
        "over all of them; a smaller batch makes more steps"
    ]
