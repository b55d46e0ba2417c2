"""Training of a classifier on cached vectors of pictures and texts: seconds, not minutes.

Rows may lack their picture or their text, and in training each row loses one of the two now and then (modality
dropout, as in Neverova et al. 2015), so that the classifier also serves where one is missing. Part of the rows is
held out: it picks the epoch of the least loss and the thresholds of the largest F1 a class; a class that is not among
those rows takes its threshold from all rows. The seed decides everything; on a CPU the same seed gives the same
weights.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pairspace.errors import PairspaceError, ShapeError, TrainingError
from pairspace.tagging.classifier import FUSIONS, TagClassifier
from pairspace.tagging.losses import LOSSES
from pairspace.tagging.steps import Steps
from pairspace.tagging.thresholds import best_thresholds

__all__ = ["JointOptions", "fit_classifier"]


@dataclass(frozen=True)
class JointOptions(Steps):
    """How a classifier is built and trained; the learning rate falls to 0 along a cosine. See `Steps` for the rest.

    Attributes:
        fusion: "concat", "sum", "product" or "gate".
        dropout: before the last layer.
        loss: "bce", "focal" or "asymmetric".
        modality_dropout: share of the rows that lose one of their two vectors, anew in each epoch.
        validation: share of the rows held out; 0 keeps the last epoch, and its thresholds are those of all rows.
        image_weight: how long pictures' standardised vectors are beside texts', where there are both. Pictures that say
            little drown texts that say much, in early fusion; a weight of .03 to .3 prevents it.
    """

    fusion: str = "concat"
    dropout: float = 0.1
    loss: str = "bce"
    modality_dropout: float = 0.2
    validation: float = 0.1
    image_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("fusion", FUSIONS), ("loss", LOSSES)):
            if getattr(self, name) not in known:
                raise PairspaceError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        for name in ("modality_dropout", "dropout", "validation"):
            if not 0 <= getattr(self, name) < 1:
                raise PairspaceError(f"{name} must be at least 0 and below 1, got {getattr(self, name):g}")
        if not 0 < self.image_weight < float("inf"):
            raise PairspaceError(f"image_weight must be above 0, got {self.image_weight:g}")


def fit_classifier(
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    image: np.ndarray | None = None,
    text: np.ndarray | None = None,
    options: JointOptions | None = None,
) -> TagClassifier:
    """Train a classifier.

    Args:
        labels: (n, classes), 0 or 1, or soft ones between.
        classes: names.
        image: vectors (n, dim) of pictures, NaN in a row that has none; None for a classifier of texts.
        text: likewise of texts.
        options: how.

    Raises:
        ShapeError: shapes that do not fit, or a row without any vector.
        TrainingError: fewer than two rows to train on, or no label at all.
        DataError: a class without a name, or one that stands twice.
    """
    options = options or JointOptions()
    truth = torch.as_tensor(np.asarray(labels, np.float32))
    if truth.ndim != 2 or truth.shape[1] != len(classes):
        raise ShapeError(f"labels must be (rows, {len(classes)} classes), got {tuple(truth.shape)}")
    if not ((truth >= 0) & (truth <= 1)).all():
        raise ShapeError("labels must lie between 0 and 1")
    given = {name: one for name, one in (("image", image), ("text", text)) if one is not None}
    for name, one in given.items():
        if np.ndim(one) != 2 or len(one) != len(truth):
            raise ShapeError(f"{name} vectors {np.shape(one)} do not fit {len(truth):,} rows of labels")
    draw = torch.Generator().manual_seed(options.seed)
    order = torch.randperm(len(truth), generator=draw)
    held = order[: round(options.validation * len(truth))]
    used = order[len(held) :]
    if len(used) < 2 or not (truth[used] > 0).any():
        raise TrainingError(f"{len(used):,} rows to train on, with {int((truth[used] > 0).sum()):,} labels: too few")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        sizes = {name: np.shape(given[name])[1] if name in given else None for name in ("image", "text")}
        settings = {name: getattr(options, name) for name in ("fusion", "width", "layers", "dropout")}
        model = TagClassifier(classes, image=sizes["image"], text=sizes["text"], **settings)
        vectors, here = model.prepare(image, text)
        model.standardise(*({name: one[used] for name, one in kind.items()} for kind in (vectors, here)))
        if len(given) == 2:
            model.scale_image.div_(options.image_weight)
        _start_at_shares(model, truth[used])
        _descend(model, vectors, here, truth, used, held, options, draw)
    probabilities = model.eval().predict(image, text)
    _set_thresholds(model, probabilities, truth.numpy() >= 0.5, held.numpy())
    return model


def _start_at_shares(model: TagClassifier, truth: Tensor) -> None:
    """Let each class start from its share of the rows: small steps would take long to get there from a half."""
    share = (truth.sum(0) + 0.5) / (len(truth) + 1)
    with torch.no_grad():
        last = model.head[-1]
        assert isinstance(last, torch.nn.Linear)
        last.bias.copy_(torch.logit(share))


def _descend(
    model: TagClassifier,
    vectors: dict[str, Tensor],
    here: dict[str, Tensor],
    truth: Tensor,
    used: Tensor,
    held: Tensor,
    options: JointOptions,
    draw: torch.Generator,
) -> None:
    loss_of = LOSSES[options.loss]
    steps = options.epochs * -(-len(used) // options.batch_size)
    optimizer = options.optimizer(model)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, kept = float("inf"), None
    for _ in range(options.epochs):
        model.train()
        for rows in torch.split(used[torch.randperm(len(used), generator=draw)], options.batch_size):
            some = {name: one[rows] for name, one in vectors.items()}
            there = drop_modalities({name: one[rows] for name, one in here.items()}, options.modality_dropout, draw)
            options.descend(loss_of(model(some, there), truth[rows]), optimizer)
            schedule.step()
        if len(held):
            model.eval()
            with torch.no_grad():
                parts = [{name: one[held] for name, one in kind.items()} for kind in (vectors, here)]
                value = float(loss_of(model(*parts), truth[held]))
            if value < best:
                best, kept = value, copy.deepcopy(model.state_dict())
    if kept is not None:
        model.load_state_dict(kept)


def drop_modalities(here: dict[str, Tensor], share: float, draw: torch.Generator) -> dict[str, Tensor]:
    """Let a share of the rows that have both vectors lose one of them, either equally often."""
    if len(here) < 2 or not share:
        return here
    first, second = here
    both = here[first] & here[second]
    chance = torch.rand(len(both), generator=draw)
    return {
        first: here[first] & ~(both & (chance < share / 2)),
        second: here[second] & ~(both & (chance >= share / 2) & (chance < share)),
    }


def _set_thresholds(model: TagClassifier, probabilities: np.ndarray, truth: np.ndarray, held: np.ndarray) -> None:
    found = best_thresholds(probabilities, truth)
    if len(held):
        chosen = best_thresholds(probabilities[held], truth[held])
        found = np.where(np.isfinite(chosen), chosen, found)
    model.thresholds.copy_(torch.as_tensor(found, dtype=torch.float32))
