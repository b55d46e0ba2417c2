"""The blocked sigmoid loss against the formula written out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import logsigmoid

from pairspace.errors import ShapeError
from pairspace.objectives import Batch, Sigmoid, Temperature, sigmoid


def plain(a, b, temperature, bias, same=None, negatives=None):
    """Every pair in turn."""
    columns = b if negatives is None else torch.cat([b, negatives])
    queries, documents, *more = [one.tolist() for one in same] if same else [list(range(len(a)))] * 2
    ids = documents + (more[0] if more else [None] * (len(columns) - len(a)))
    known, total = set(zip(queries, documents, strict=True)), 0.0
    for i in range(len(a)):
        for j in range(len(columns)):
            if i != j and (queries[i], ids[j]) in known:
                continue
            x = a[i] @ columns[j] / temperature + bias
            total = total - logsigmoid(x if i == j else -x)
    return total / len(a)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 10),
    m=st.integers(0, 4),
    temperature=st.floats(0.01, 1.0),
    bias=st.floats(-12, 12),
    chunk=st.one_of(st.none(), st.integers(1, 12)),
    repeated=st.booleans(),
    seed=st.integers(0, 50),
)
def test_equals_the_plain_formula_in_value_and_gradients(unit, agree, n, m, temperature, bias, chunk, repeated, seed):
    a, b, negatives = unit(n, 4, seed), unit(n, 4, seed + 100), unit(m, 4, seed + 200) if m else None
    generator = torch.Generator().manual_seed(seed)
    same = tuple(torch.randint(0, 4, (size,), generator=generator) for size in ((n, n, m) if m else (n, n)))
    same = same if repeated else None
    temperature, bias = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (temperature, bias))
    ours = sigmoid(a, b, temperature=temperature, bias=bias, same=same, negatives=negatives, chunk=chunk)
    agree(ours, plain(a, b, temperature, bias, same, negatives), a, b, temperature, bias, negatives)


def test_passes_gradcheck(unit):
    a, b = unit(6, 4, 0), unit(6, 4, 1)
    temperature, bias = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.3, -2.0))
    assert torch.autograd.gradcheck(
        lambda a, b, t, c: sigmoid(a, b, temperature=t, bias=c, chunk=4), (a, b, temperature, bias)
    )


def test_equals_the_form_of_open_clip(unit):
    # labels 2 * eye - 1, -logsigmoid(labels * logits).sum() / n
    a, b = unit(20, 8, 2), unit(20, 8, 3)
    logits = 20.0 * a @ b.T - 10.0
    theirs = -logsigmoid((2 * torch.eye(20) - 1) * logits).sum() / 20
    assert sigmoid(a, b, temperature=0.05, bias=-10.0).item() == pytest.approx(theirs.item(), rel=1e-12)


def test_float32_keeps_small_losses_of_sure_pairs():
    # softplus(x) - x would be 0 or noise here: the pair is sure by 30 nats.
    a = torch.eye(2)
    loss = sigmoid(a, a, temperature=0.025, bias=-10.0)
    assert loss.item() == pytest.approx(4.54e-5, rel=1e-3)  # the one negative of each row: log(1 + e^-10)


def test_no_tensor_grows_with_the_square_of_the_batch(unit, largest):
    a, b = unit(600, 8, 4), unit(600, 8, 5)
    assert largest(lambda: sigmoid(a, b, temperature=0.05, bias=-10.0, chunk=10).backward()) == 6000


def test_the_module_starts_where_sail_does_and_learns_both(unit):
    objective = Sigmoid(Temperature(0.05))
    a, b, negatives = unit(8, 4, 6), unit(8, 4, 7), unit(3, 4, 8)
    ids = (torch.arange(8) // 2, torch.arange(8))
    loss = objective(Batch(a, b, ids=ids, negatives=negatives, negative_ids=torch.tensor([0, 20, 21])))
    same = (*ids, torch.tensor([0, 20, 21]))
    assert loss.item() == pytest.approx(plain(a, b, 0.05, -10.0, same, negatives).item(), rel=1e-5)
    loss.backward()
    assert objective.bias.grad.item() != 0.0
    assert objective.temperature.log_scale.grad.item() != 0.0


def test_batches_that_do_not_fit_each_other_are_named():
    with pytest.raises(ShapeError, match=r"sigmoid needs .* \(3, 4\) and \(2, 4\)"):
        sigmoid(torch.zeros(3, 4), torch.zeros(2, 4), temperature=0.1, bias=0.0)
