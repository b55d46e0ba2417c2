"""Distillation against the divergence written out, and against sentence-transformers'."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, kl_div

from pairspace.errors import ShapeError, TrainingError
from pairspace.objectives import Batch, DistillKl, Temperature, distill_kl, distill_within


def plain(a, b, teacher, temperature, teacher_temperature):
    s, t = a @ b.T / temperature, teacher[0] @ teacher[1].T / teacher_temperature
    parts = [
        kl_div(x.log_softmax(1), y.log_softmax(1), reduction="batchmean", log_target=True)
        for x, y in ((s, t), (s.T, t.T))
    ]
    return sum(parts) / 2


def plain_within(x, teacher, temperature, teacher_temperature):
    n = len(x)
    others = ~torch.eye(n, dtype=torch.bool)
    s, t = ((v @ v.T)[others].view(n, n - 1) for v in (x, teacher))
    s, t = s / temperature, t / teacher_temperature
    return kl_div(s.log_softmax(1), t.log_softmax(1), reduction="batchmean", log_target=True)


def held(unit, n, seed):
    return unit(n, 3, seed).detach(), unit(n, 3, seed + 1).detach()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 20),
    temperature=st.floats(0.01, 1.0),
    teacher_temperature=st.sampled_from([0.001, 0.05, 1.0]),
    chunk=st.one_of(st.none(), st.integers(1, 25)),
    seed=st.integers(0, 50),
)
def test_equals_the_plain_formula_in_value_and_gradients(unit, agree, n, temperature, teacher_temperature, chunk, seed):
    a, b, teacher = unit(n, 4, seed), unit(n, 4, seed + 100), held(unit, n, seed + 200)
    temperature = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    settings_ = {"temperature": temperature, "teacher_temperature": teacher_temperature}
    ours = distill_kl(a, b, teacher=teacher, chunk=chunk, **settings_)
    agree(ours, plain(a, b, teacher, temperature, teacher_temperature), a, b, temperature, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(3, 20),
    temperature=st.floats(0.01, 1.0),
    teacher_temperature=st.sampled_from([0.001, 0.05, 1.0]),
    chunk=st.one_of(st.none(), st.integers(1, 25)),
    seed=st.integers(0, 50),
)
def test_within_a_side_equals_the_plain_formula(unit, agree, n, temperature, teacher_temperature, chunk, seed):
    x, teacher = unit(n, 4, seed), unit(n, 3, seed + 200).detach()
    temperature = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    how = {"temperature": temperature, "teacher_temperature": teacher_temperature}
    ours = distill_within(x, teacher=teacher, chunk=chunk, **how)
    agree(ours, plain_within(x, teacher, temperature, teacher_temperature), x, temperature, atol=1e-7)


def test_within_adds_both_sides_to_the_loss(unit):
    a, b, teacher = unit(9, 4, 0), unit(9, 4, 1), held(unit, 9, 2)
    found = DistillKl(Temperature(0.1), teacher_temperature=0.2, within=True)(Batch(a, b, teacher=teacher))
    sides = [plain_within(x, t, 0.1, 0.2) for x, t in zip((a, b), teacher, strict=True)]
    assert found.item() == pytest.approx(((plain(a, b, teacher, 0.1, 0.2) + sum(sides) / 2) / 2).item(), rel=1e-5)


def test_within_needs_three_items_to_rank_and_a_teacher_of_as_many(unit):
    loss = distill_within(unit(2, 4, 0), teacher=unit(2, 4, 1), temperature=0.1, teacher_temperature=0.1)
    loss.backward()
    assert loss.item() == 0.0
    with pytest.raises(ShapeError, match="a teacher of 4 items for 5"):
        distill_within(unit(5, 4, 0), teacher=unit(4, 4, 1), temperature=0.1, teacher_temperature=0.1)


def test_within_no_tensor_grows_with_the_square_of_the_batch(unit, largest):
    x, teacher = unit(600, 8, 4), unit(600, 8, 6).detach()
    call = lambda: distill_within(x, teacher=teacher, temperature=0.05, teacher_temperature=0.1, chunk=10).backward()  # noqa: E731
    assert largest(call) == 6000


def test_passes_gradcheck(unit):
    teacher = held(unit, 6, 2)
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def call(a, b, t):
        return distill_kl(a, b, teacher=teacher, temperature=t, teacher_temperature=0.2, chunk=4)

    assert torch.autograd.gradcheck(call, (unit(6, 4, 0), unit(6, 4, 1), temperature))


def test_has_the_gradients_of_soft_cross_entropies(unit):
    # As D2S writes it; the two differ by the teacher's entropy, which is a constant.
    a, b, teacher = unit(12, 4, 0), unit(12, 4, 1), held(unit, 12, 2)
    s, t = a @ b.T / 0.1, teacher[0] @ teacher[1].T / 0.05
    theirs = (cross_entropy(s, t.softmax(1)) + cross_entropy(s.T, t.T.softmax(1))) / 2
    ours = distill_kl(a, b, teacher=teacher, temperature=0.1, teacher_temperature=0.05)
    for one, other in zip(torch.autograd.grad(ours, (a, b)), torch.autograd.grad(theirs, (a, b)), strict=True):
        torch.testing.assert_close(one, other)


def test_agreeing_with_the_teacher_costs_nothing(unit):
    a, b = unit(12, 4, 0), unit(12, 4, 1)
    loss = distill_kl(a, b, teacher=(a, b), temperature=0.07, teacher_temperature=0.07)
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    assert all(g.abs().max() < 1e-12 for g in torch.autograd.grad(loss, (a, b)))


def test_float32_holds_at_the_lowest_temperatures(unit):
    a, b, teacher = unit(200, 8, 0), unit(200, 8, 1), held(unit, 200, 2)
    right = plain(a, b, teacher, 0.01, 0.001)
    ours = distill_kl(
        a.float(), b.float(), teacher=tuple(x.float() for x in teacher), temperature=0.01, teacher_temperature=0.001
    )
    assert ours.item() == pytest.approx(right.item(), rel=1e-4)


def test_no_tensor_grows_with_the_square_of_the_batch(unit, largest):
    a, b, teacher = unit(600, 8, 4), unit(600, 8, 5), held(unit, 600, 6)
    call = lambda: distill_kl(a, b, teacher=teacher, temperature=0.05, teacher_temperature=0.1, chunk=10).backward()  # noqa: E731
    assert largest(call) == 6000


def test_scores_are_distilled_as_in_sentence_transformers_less_the_squared_temperature(unit, agree):
    from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss

    a, b, c, d = (unit(10, 6, seed) for seed in range(4))
    scores = torch.randn(10, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    loss = DistillKLDivLoss(None, student_temperature=0.5, teacher_temperature=2.0)
    theirs = loss.compute_loss_from_embeddings([a, b, c, d], scores) / 0.5**2
    own = torch.stack([torch.arange(10), torch.arange(10, 20)], 1)
    objective = DistillKl(Temperature(0.5, learnable=False), teacher_temperature=2.0)
    with torch.no_grad():
        objective.temperature.log_scale.data = torch.tensor(2.0, dtype=torch.float64).log()
    ours = objective(Batch(a, b, negatives=torch.cat([c, d]), own=own, scores=scores))
    agree(ours, theirs, a, b, c, d)


def test_of_scores_only_what_is_there_and_scored_takes_part(unit):
    a, b, negatives = unit(3, 4, 0), unit(3, 4, 1), unit(2, 4, 2)
    own = torch.tensor([[1, 0], [0, -1], [-1, -1]])
    scores = torch.tensor([[3.0, 1.0, torch.nan], [2.0, 4.0, 9.0], [1.0, 1.0, 1.0]])
    batch = Batch(a, b, negatives=negatives, own=own, scores=scores)
    ours = DistillKl(Temperature(0.5), teacher_temperature=1.0, source="scores")(batch)
    cosines = [[a[0] @ b[0], a[0] @ negatives[1]], [a[1] @ b[1], a[1] @ negatives[0]]]
    right = sum(
        kl_div((torch.stack(x) / 0.5).log_softmax(0), torch.tensor(y).double().softmax(0), reduction="sum")
        for x, y in zip(cosines, [[3.0, 1.0], [2.0, 4.0]], strict=True)
    )
    assert ours.item() == pytest.approx((right / 2).item(), rel=1e-6)
    ours.backward()
    assert a.grad[:2].abs().min() > 0
    assert not a.grad[2].any()
    assert not negatives.grad.isnan().any()


def test_a_batch_without_a_scored_negative_has_no_loss(unit):
    a, b = unit(3, 4, 0), unit(3, 4, 1)
    batch = Batch(a, b, negatives=torch.zeros(0, 4), own=torch.full((3, 1), -1), scores=torch.ones(3, 2))
    loss = DistillKl(Temperature(), teacher_temperature=1.0)(batch)
    loss.backward()
    assert loss.item() == 0.0
    assert not a.grad.any()


def test_takes_the_space_before_the_scores_unless_told(unit):
    a, b, teacher, negatives = unit(3, 4, 0), unit(3, 4, 1), held(unit, 3, 2), unit(3, 4, 4)
    scores, own = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)), torch.arange(3)[:, None]
    batch = Batch(a, b, teacher=teacher, negatives=negatives, own=own, scores=scores)
    temperature = Temperature(0.1)
    by_space = plain(a, b, teacher, 0.1, 1.0).item()
    assert DistillKl(temperature, teacher_temperature=1.0)(batch).item() == pytest.approx(by_space, rel=1e-5)
    by_scores = DistillKl(temperature, teacher_temperature=1.0, source="scores")(batch).item()
    assert by_scores != pytest.approx(by_space, rel=1e-2)


def test_what_is_missing_or_does_not_fit_is_named(unit):
    a, b = unit(3, 4, 0), unit(3, 4, 1)
    with pytest.raises(TrainingError, match="DistillKl needs teacher"):
        DistillKl(Temperature(), teacher_temperature=1.0)(Batch(a, b))
    with pytest.raises(TrainingError, match="DistillKl needs negatives and scores"):
        DistillKl(Temperature(), teacher_temperature=1.0, source="scores")(Batch(a, b))
    with pytest.raises(TrainingError, match="above 0, got 0"):
        DistillKl(Temperature(), teacher_temperature=0.0)
    with pytest.raises(ShapeError, match="a teacher of 2 pairs for a batch of 3"):
        distill_kl(a, b, teacher=held(unit, 2, 0), temperature=1.0, teacher_temperature=1.0)
