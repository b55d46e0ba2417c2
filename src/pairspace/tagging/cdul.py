"""Training without labels: from scores of whole pictures and their parts to pseudo-labels to a classifier, in turns.

    a_c = max over parts of s_c,  b_c = min over parts      over the parts (snippets) of one picture
    s_parts = a_c where a_c >= z, else b_c                  z, a threshold
    y = (s_whole + s_parts) / 2                             the pseudo-labels that training starts from

    classifier's turn     p <- network, towards less  KL(p || y)              over classes, y scaled to sum 1
    pseudo-labels' turn   u = logit(y);  u <- u - psi(y) d KL(y || p) / dy;  y <- sigmoid(u)
                          psi(y) = exp(-(y - 1/2)^2 / 2) / sqrt(2 pi)         unsure labels move most

CDUL (Abdelfattah et al., ICCV 2023, arXiv 2307.16634): what makes labels is not asked again once training runs. There
is no released code; the turns and the order of the divergences follow the reproduction study (arXiv 2405.11574).
There labels are scaled to sum 1 before they are compared, and so d KL / dy here is that of the scaled ones:

    d KL / dy_c = (log(y_c / (S p_c)) - KL) / S,            S = sum_c y_c

With `outputs="sigmoid"` each class is a yes or no of its own: KL is then that of two coins, summed over classes, and

    d KL / dy_c = logit(y_c) - logit(p_c).

The network is a `TagClassifier` on cached vectors of pictures. On frozen features it soon learns the teacher's faults
too, so the default is few epochs and a small step, not the paper's hundred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pairspace.errors import PairspaceError, ShapeError, TrainingError
from pairspace.tagging.classifier import TagClassifier
from pairspace.tagging.steps import Steps

__all__ = ["CdulOptions", "Student", "aggregate", "pseudo_labels", "realign", "train_student"]

_EDGE = 1e-6  # pseudo-labels stay this far from 0 and 1


@dataclass(frozen=True)
class CdulOptions(Steps):
    """How a student is trained. See `Steps` for the rest.

    Attributes:
        outputs: "softmax" over classes, as published, or "sigmoid" of each.
        warm_up: epochs before the first turn of the pseudo-labels.
        every: epochs between such turns; 0 leaves the pseudo-labels as they are.
        step: length of their step.
    """

    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 3e-4
    outputs: str = "softmax"
    warm_up: int = 5
    every: int = 5
    step: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.outputs not in ("softmax", "sigmoid"):
            raise PairspaceError(f"outputs must be softmax or sigmoid, got {self.outputs!r}")
        if self.every < 0 or self.warm_up < 0:
            raise PairspaceError(f"warm_up and every must be at least 0, got {self.warm_up} and {self.every}")


@dataclass(frozen=True)
class Student:
    """What training gave.

    Attributes:
        model: the classifier; its `predict` gives probabilities of pictures' vectors.
        labels: the pseudo-labels at the end, float32 (n, classes).
        losses: mean loss an epoch.
    """

    model: TagClassifier
    labels: np.ndarray
    losses: tuple[float, ...]


def aggregate(parts: np.ndarray, *, threshold: float = 0.0) -> np.ndarray:
    """Scores of a picture's parts as one: a class's largest where that reaches the threshold, else its least.

    Args:
        parts: (n, parts, classes).
        threshold: z; 0 always takes the largest, which the reproduction study found best.

    Returns:
        (n, classes).

    Raises:
        ShapeError: not three axes, or no part.
    """
    parts = np.asarray(parts)
    if parts.ndim != 3 or not parts.shape[1]:
        raise ShapeError(f"scores of parts must be (pictures, parts, classes) with a part at least, got {parts.shape}")
    most = parts.max(1)
    return np.asarray(np.where(most >= threshold, most, parts.min(1)))


def pseudo_labels(whole: np.ndarray, parts: np.ndarray, *, threshold: float = 0.0) -> np.ndarray:
    """The mean of whole pictures' scores (n, classes) and the aggregate of their parts' (n, parts, classes).

    Raises:
        ShapeError: shapes that do not fit.
    """
    joined = aggregate(parts, threshold=threshold)
    if np.shape(whole) != joined.shape:
        raise ShapeError(f"scores of whole pictures {np.shape(whole)} do not fit those of parts {np.shape(parts)}")
    return np.asarray((np.asarray(whole) + joined) / 2)


def realign(labels: Tensor, logits: Tensor, *, outputs: str = "softmax", step: float = 1.0) -> Tensor:
    """The pseudo-labels' turn: one step along the gradient of the divergence, in the logits of the labels.

    Args:
        labels: (n, classes), between 0 and 1.
        logits: of the network (n, classes).
        outputs: how the network's logits become probabilities.
        step: length.
    """
    y = labels.double().clamp(_EDGE, 1 - _EDGE)
    if outputs == "softmax":
        total = y.sum(1, keepdim=True)
        apart = (y / total).log() - logits.double().log_softmax(1)
        slope = (apart - (y / total * apart).sum(1, keepdim=True)) / total
    else:
        slope = torch.logit(y) - logits.double()
    gate = torch.exp(-((y - 0.5) ** 2) / 2) / math.sqrt(2 * math.pi)
    return torch.sigmoid(torch.logit(y) - step * gate * slope).clamp(_EDGE, 1 - _EDGE).to(labels.dtype)


def train_student(
    image: np.ndarray, labels: np.ndarray, classes: Sequence[str], *, options: CdulOptions | None = None
) -> Student:
    """Train a classifier from pseudo-labels.

    Args:
        image: vectors (n, dim) of pictures, of whatever encoder.
        labels: pseudo-labels (n, classes) between 0 and 1, see `pseudo_labels`.
        classes: names.
        options: how.

    Raises:
        ShapeError: shapes that do not fit, or labels outside 0 to 1.
        TrainingError: fewer than two pictures, or a loss that is not finite.
        DataError: a class without a name, or one that stands twice.
    """
    options = options or CdulOptions()
    y = torch.as_tensor(np.asarray(labels, np.float32))
    if np.ndim(image) != 2 or y.shape != (len(image), len(classes)):
        raise ShapeError(f"vectors {np.shape(image)} and labels {tuple(y.shape)} do not fit {len(classes)} classes")
    if not ((y >= 0) & (y <= 1)).all():
        raise ShapeError("pseudo-labels must lie between 0 and 1")
    if len(y) < 2:
        raise TrainingError(f"{len(y)} picture: training needs two at least")
    y = y.clamp(_EDGE, 1 - _EDGE)
    draw = torch.Generator().manual_seed(options.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        model = TagClassifier(
            classes,
            image=np.shape(image)[1],
            layers=options.layers,
            width=options.width,
            dropout=0.0,
            outputs=options.outputs,
        )
    vectors, here = model.prepare(image, None)
    model.standardise(vectors, here)
    optimizer = options.optimizer(model)
    losses = []
    for epoch in range(options.epochs):
        if options.every and epoch and epoch >= options.warm_up and (epoch - options.warm_up) % options.every == 0:
            with torch.no_grad():
                y = realign(y, model(vectors, here), outputs=options.outputs, step=options.step)
        total = 0.0
        for rows in torch.split(torch.randperm(len(y), generator=draw), options.batch_size):
            logits = model({"image": vectors["image"][rows]}, {"image": here["image"][rows]})
            loss = divergence(logits, y[rows], outputs=options.outputs)
            options.descend(loss, optimizer)
            total += loss.item() * len(rows)
        losses.append(total / len(y))
    return Student(model.eval(), y.numpy(), tuple(losses))


def divergence(logits: Tensor, labels: Tensor, *, outputs: str = "softmax") -> Tensor:
    """KL of the network's probabilities from the pseudo-labels, the mean over pictures, in nats."""
    if outputs == "softmax":
        log_p, log_y = logits.log_softmax(1), (labels / labels.sum(1, keepdim=True)).log()
        return (log_p.exp() * (log_p - log_y)).sum(1).mean()
    yes, no = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
    return (yes.exp() * (yes - labels.log()) + no.exp() * (no - (1 - labels).log())).sum(1).mean()
