"""Label-free training: its formulas by hand and by differentiation, and that it repeats."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from pairspace.errors import PairspaceError, ShapeError, TrainingError
from pairspace.tagging import CdulOptions, aggregate, pseudo_labels, train_student
from pairspace.tagging.cdul import divergence, realign

DRAW = np.random.default_rng(0)
NAMES = ["a", "b", "c"]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9])
def test_aggregation_by_hand(threshold):
    parts, whole = DRAW.random((4, 5, 3)), DRAW.random((4, 3))
    found = pseudo_labels(whole, parts, threshold=threshold)
    for i in range(4):
        for c in range(3):
            alpha, beta = max(parts[i, :, c]), min(parts[i, :, c])
            gamma = 1 if alpha >= threshold else 0
            assert found[i, c] == pytest.approx(0.5 * (whole[i, c] + gamma * alpha + (1 - gamma) * beta))


def kl_softmax(y, logits):
    """KL(y || p) of labels scaled to sum 1."""
    scaled = y / y.sum(1, keepdim=True)
    return (scaled * (scaled.log() - logits.log_softmax(1))).sum()


def kl_sigmoid(y, logits):
    p = torch.sigmoid(logits)
    return (y * (y / p).log() + (1 - y) * ((1 - y) / (1 - p)).log()).sum()


@pytest.mark.parametrize(("outputs", "kl"), [("softmax", kl_softmax), ("sigmoid", kl_sigmoid)])
def test_realign_steps_along_the_gradient(outputs, kl):
    y = torch.tensor(DRAW.uniform(0.02, 0.98, (6, 3)), requires_grad=True)
    logits = torch.tensor(DRAW.normal(size=(6, 3)))
    (slope,) = torch.autograd.grad(kl(y, logits), y)
    found = realign(y.detach(), logits, outputs=outputs, step=0.7)
    for i in range(6):
        for c in range(3):
            value = float(y[i, c].detach())
            psi = math.exp(-((value - 0.5) ** 2) / 2) / math.sqrt(2 * math.pi)
            u = math.log(value / (1 - value)) - 0.7 * psi * float(slope[i, c])
            assert float(found[i, c]) == pytest.approx(1 / (1 + math.exp(-u)))
    nearer = realign(y.detach(), logits, outputs=outputs, step=0.01)
    assert float(kl(nearer, logits)) < float(kl(y.detach(), logits))


def test_divergence_by_hand():
    y, x = torch.tensor([[0.2, 0.6, 0.4]]), torch.tensor([[0.5, -1.0, 2.0]])
    raised = [math.exp(v) for v in x[0].tolist()]
    p, q = [r / sum(raised) for r in raised], [v / 1.2 for v in (0.2, 0.6, 0.4)]
    slow = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert float(divergence(x, y)) == pytest.approx(slow, rel=1e-5)
    p = [1 / (1 + 1 / r) for r in raised]
    slow = sum(
        a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b)) for a, b in zip(p, (0.2, 0.6, 0.4), strict=True)
    )
    assert float(divergence(x, y, outputs="sigmoid")) == pytest.approx(slow, rel=1e-5)
    assert float(divergence(y.log(), y)) == pytest.approx(0, abs=1e-6)


def world(rows: int = 300):
    """Vectors, labels, and what a noisy teacher says of them."""
    draw = np.random.default_rng(3)
    labels = draw.random((rows, 3)) < 0.35
    vectors = draw.normal(size=(rows, 8)) + 2 * labels @ np.random.default_rng(4).normal(size=(3, 8))
    teacher = 1 / (1 + np.exp(-(3 * labels - 1.5 + 2 * draw.normal(size=labels.shape))))
    return vectors.astype(np.float32), labels, teacher


@pytest.mark.parametrize("outputs", ["softmax", "sigmoid"])
def test_a_student_sees_through_its_teachers_noise(outputs):
    vectors, labels, teacher = world()
    some = labels.any(1)  # classes that compete need one to win
    vectors, labels, teacher = vectors[some], labels[some], teacher[some]
    student = train_student(
        vectors, teacher, NAMES, options=CdulOptions(outputs=outputs, layers=1, epochs=30, learning_rate=0.01, every=10)
    )
    assert average_precision_score(
        labels, student.model.predict(vectors), average="macro"
    ) > 0.05 + average_precision_score(labels, teacher, average="macro")
    assert student.losses[-1] < student.losses[0] and len(student.losses) == 30


def test_pseudo_labels_move_only_at_their_turns():
    vectors, _, teacher = world()
    ends = {}
    for every, epochs in ((0, 30), (10, 10), (10, 11), (10, 20), (10, 21)):
        options = CdulOptions(every=every, epochs=epochs, warm_up=10)
        ends[every, epochs] = train_student(vectors, teacher, NAMES, options=options).labels
    assert np.allclose(ends[0, 30], teacher, atol=1e-6) and np.array_equal(ends[0, 30], ends[10, 10])
    assert not np.array_equal(ends[10, 10], ends[10, 11]) and np.array_equal(ends[10, 11], ends[10, 20])
    assert not np.array_equal(ends[10, 20], ends[10, 21])


def test_the_same_seed_gives_the_same_student():
    vectors, _, teacher = world(60)
    runs = [
        train_student(vectors, teacher, NAMES, options=CdulOptions(layers=2, width=8, seed=seed)).model.predict(vectors)
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])


def test_bad_input_is_named():
    vectors, _, teacher = world(10)
    with pytest.raises(ShapeError, match="with a part at least"):
        aggregate(teacher)
    with pytest.raises(ShapeError, match="do not fit those of parts"):
        pseudo_labels(teacher[1:], teacher[:, None])
    with pytest.raises(ShapeError, match="do not fit 2 classes"):
        train_student(vectors, teacher, NAMES[:2])
    with pytest.raises(ShapeError, match="between 0 and 1"):
        train_student(vectors, teacher * 2, NAMES)
    with pytest.raises(TrainingError, match="1 picture"):
        train_student(vectors[:1], teacher[:1], NAMES)
    with pytest.raises(PairspaceError, match="softmax or sigmoid"):
        CdulOptions(outputs="max")
