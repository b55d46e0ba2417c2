"""The blocked InfoNCE against slow, plain ones: the formula written out, and open_clip's."""

from __future__ import annotations

import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, normalize

from pairspace.errors import ShapeError, TrainingError
from pairspace.objectives import Batch, InfoNce, Near, Temperature, info_nce

module = importlib.import_module("pairspace.objectives.info_nce")
masks = importlib.import_module("pairspace.objectives.masks")


def plain(a, b, temperature, same=None, negatives=None, features=(), above=1.0, margin=0.0, symmetric=True):
    """The formula, with the whole matrix of logits, and masks found pair by pair."""
    n = len(a)
    columns = b if negatives is None else torch.cat([b, negatives])
    cosines = a @ columns.T
    left_out = torch.zeros(cosines.shape, dtype=torch.bool)
    if same is not None:
        queries, documents, *more = [one.tolist() for one in (same if isinstance(same, tuple) else (same, same))]
        known = set(zip(queries, documents, strict=True))
        for i, query in enumerate(queries):
            for j, document in enumerate(documents + (more[0] if more else [])):
                left_out[i, j] = (query, document) in known
    for one in features:
        left_out[:, :n] |= normalize(one, dim=1) @ normalize(one, dim=1).T > above
    left_out[:, :n].fill_diagonal_(False)
    shifted = cosines - margin * torch.eye(n, len(columns), dtype=a.dtype)
    logits = (shifted / temperature).masked_fill(left_out, -torch.inf)
    rows, below = logits.log_softmax(1).diagonal(), logits[:, :n].log_softmax(0).diagonal()
    return -(rows + below).mean() / 2 if symmetric else -rows.mean()


def batch(n, dim, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    a, b = (normalize(torch.randn(n, dim, generator=generator, dtype=dtype), dim=1) for _ in range(2))
    return a.requires_grad_(), b.requires_grad_()


def gradients(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


@st.composite
def problems(draw):
    n, dim, m = draw(st.integers(1, 24)), draw(st.integers(1, 8)), draw(st.integers(0, 9))
    seed = draw(st.integers(0, 99))
    negatives = batch(m, dim, seed + 100)[0] if m else None

    def ids(length):
        return torch.tensor(draw(st.lists(st.integers(0, 6), min_size=length, max_size=length)), dtype=torch.int64)

    given = draw(st.sampled_from(["none", "one", "two", "three"]))
    same = {"none": None, "one": ids(n), "two": (ids(n), ids(n))}.get(given, (ids(n), ids(n), ids(m)) if m else None)
    near = draw(st.booleans())
    features = tuple(one.detach() for side in (1, 2) for one in batch(n, 3, seed + side)[:1]) if near else ()
    options = {
        "negatives": negatives,
        "margin": draw(st.sampled_from([0.0, 0.3])),
        "symmetric": draw(st.booleans()),
    }
    return {
        "batch": batch(n, dim, seed),
        "temperature": draw(st.floats(0.01, 1.0)),
        "same": same,
        "features": features,
        "options": options,
        "chunk": draw(st.one_of(st.none(), st.integers(1, 30))),
        "keep": draw(st.sampled_from([0, 100, 1 << 20])),
        "underflow": draw(st.sampled_from([1e-30, torch.inf])),  # inf: every column takes the careful path
        "keep_places": draw(st.sampled_from([0, 5, 1 << 20])),
    }


@settings(max_examples=150, deadline=None)
@given(problems())
def test_equals_the_plain_formula_in_value_and_gradients(problem):
    a, b = problem["batch"]
    temperature = torch.tensor(problem["temperature"], dtype=torch.float64, requires_grad=True)
    options, features, same = problem["options"], problem["features"], problem["same"]
    inputs = [one for one in (a, b, temperature, options["negatives"]) if one is not None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "KEEP", problem["keep"])
        patch.setattr(module, "UNDERFLOW", problem["underflow"])
        patch.setattr(masks, "KEEP", problem["keep_places"])
        near = Near(features, above=0.5) if features else None
        loss = info_nce(a, b, temperature=temperature, same=same, near=near, chunk=problem["chunk"], **options)
        ours = gradients(loss, *inputs)
    right = plain(a, b, temperature, same, features=features, above=0.5, **options)
    assert loss.item() == pytest.approx(right.item(), rel=1e-10, abs=1e-12)
    for one, other in zip(ours, gradients(right, *inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("keep", [0, 40, 1 << 20])
def test_passes_gradcheck(monkeypatch, keep):
    monkeypatch.setattr(module, "KEEP", keep)
    a, b = batch(7, 4, seed=0)
    temperature = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([0, 1, 1, 2, 3, 3, 3])
    assert torch.autograd.gradcheck(
        lambda a, b, t: info_nce(a, b, temperature=t, same=ids, chunk=3), (a, b, temperature), eps=1e-6
    )


def test_columns_that_vanish_beside_the_highest_logit_are_computed_with_care():
    # In float32 at the lowest temperature a column can lie 200 nats below the highest logit, where exp gives 0.
    e = torch.eye(4)
    a = torch.stack([e[0], e[0], e[1]])
    b = torch.stack([e[0], -e[0], e[2]])
    loss = info_nce(a.requires_grad_(), b.requires_grad_(), temperature=0.01)
    exact_a, exact_b = a.detach().double().requires_grad_(), b.detach().double().requires_grad_()
    exact = plain(exact_a, exact_b, 0.01)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    for one, other in zip(gradients(loss, a, b), gradients(exact, exact_a, exact_b), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


def test_float32_stays_close_to_float64_at_the_lowest_temperature():
    a, b = batch(300, 16, seed=1, dtype=torch.float32)
    loss = info_nce(a, b, temperature=0.01, chunk=64)
    exact_a, exact_b = a.detach().double().requires_grad_(), b.detach().double().requires_grad_()
    exact = plain(exact_a, exact_b, 0.01)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    for one, other in zip(gradients(loss, a, b), gradients(exact, exact_a, exact_b), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-5)


def test_equals_the_loss_of_open_clip_and_of_sentence_transformers():
    # ClipLoss and MultipleNegativesSymmetricRankingLoss are one formula; their scale is 1 / temperature.
    a, b = batch(40, 8, seed=2)
    logits, labels = 20.0 * a @ b.T, torch.arange(40)
    theirs = (cross_entropy(logits, labels) + cross_entropy(logits.T, labels)) / 2
    assert info_nce(a, b, temperature=0.05).item() == pytest.approx(theirs.item(), rel=1e-12)


def test_a_second_backward_gives_the_same_gradients():
    a, b = batch(20, 8, seed=4)
    loss = info_nce(a, b, temperature=0.1, chunk=6)
    first = torch.autograd.grad(loss, (a, b), retain_graph=True)
    second = torch.autograd.grad(loss, (a, b))
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("side", [0, 1])
def test_items_equal_on_one_side_are_no_negatives_and_without_negatives_the_loss_is_nothing(side):
    a, b = batch(6, 4, seed=5)
    ids = [torch.arange(6), torch.arange(6)]
    ids[side] = torch.zeros(6, dtype=torch.int64)
    loss = info_nce(a, b, temperature=0.07, same=(ids[0], ids[1]))
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    assert all(g.abs().max() < 1e-12 for g in gradients(loss, a, b))


@pytest.mark.parametrize("keep", [0, 1 << 14])
@pytest.mark.parametrize("extras", ["none", "ids", "near", "negatives", "equal ids"])
def test_no_tensor_grows_with_the_square_of_the_batch(monkeypatch, largest, keep, extras):
    monkeypatch.setattr(module, "KEEP", keep)
    n, m, dim, chunk = 600, 100, 8, 10
    a, b = batch(n, dim, seed=6)
    ids = {"ids": torch.arange(n) // 3, "equal ids": torch.zeros(n, dtype=torch.int64)}.get(extras)
    near = Near((a.detach(), b.detach()), above=0.7) if extras == "near" else None
    negatives = batch(m, dim, seed=7)[0] if extras == "negatives" else None
    width = n + (m if extras == "negatives" else 0)
    seen = largest(
        lambda: info_nce(a, b, temperature=0.07, same=ids, near=near, negatives=negatives, chunk=chunk).backward()
    )
    assert seen == width * chunk


def test_what_is_kept_between_the_passes_is_bounded(monkeypatch):
    n, chunk = 600, 10
    monkeypatch.setattr(module, "KEEP", 5 * n * chunk + 1)
    a, b = batch(n, 8, seed=7)
    loss = info_nce(a, b, temperature=0.07, chunk=chunk)
    assert sum(e.numel() for _, e in loss.grad_fn.kept) == 5 * n * chunk
    monkeypatch.setattr(module, "KEEP", 0)
    other = info_nce(a, b, temperature=0.07, chunk=chunk)
    for one, two in zip(gradients(loss, a, b), gradients(other, a, b), strict=True):
        torch.testing.assert_close(one, two)


def test_nothing_is_kept_without_gradients():
    with torch.no_grad():
        a, b = batch(20, 4, seed=8)
        assert info_nce(a, b, temperature=0.07).item() == pytest.approx(plain(a, b, 0.07).item())


def test_batches_that_do_not_fit_each_other_are_named():
    with pytest.raises(ShapeError, match=r"\(3, 4\) and \(2, 4\)"):
        info_nce(torch.zeros(3, 4), torch.zeros(2, 4), temperature=0.1)
    with pytest.raises(ShapeError, match=r"one id a pair, \(3,\), got \(2,\)"):
        info_nce(torch.zeros(3, 4), torch.zeros(3, 4), temperature=0.1, same=torch.zeros(2))
    with pytest.raises(ShapeError, match=r"\(m, 4\), got \(2, 5\)"):
        info_nce(torch.zeros(3, 4), torch.zeros(3, 4), temperature=0.1, negatives=torch.zeros(2, 5))
    ids = torch.zeros(3)
    with pytest.raises(ShapeError, match=r"one id a negative, \(2,\), got \(3,\)"):
        info_nce(
            torch.zeros(3, 4), torch.zeros(3, 4), temperature=0.1, negatives=torch.zeros(2, 4), same=(ids, ids, ids)
        )


@pytest.mark.parametrize("symmetric", [False, True])
def test_hard_negatives_are_those_of_sentence_transformers(agree, symmetric):
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    (a, b), (c, d) = batch(15, 6, seed=9), batch(15, 6, seed=10)
    kind = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"} if symmetric else {}
    theirs = MultipleNegativesRankingLoss(None, scale=20.0, **kind).compute_loss_from_embeddings([a, b, c, d], None)
    negatives = torch.cat([c, d])
    # They normalise what is unit already, which takes away the part of a gradient along the vector.
    unit = [normalize(one, dim=1) for one in (a, b, negatives)]
    ours = info_nce(unit[0], unit[1], temperature=0.05, negatives=unit[2], symmetric=symmetric)
    agree(ours, theirs, a, b, c, d)


def test_a_negative_that_the_batch_pairs_with_the_query_counts_for_others_alone():
    a, b = batch(3, 4, seed=11)
    queries, documents = torch.tensor([7, 8, 7]), torch.tensor([1, 2, 3])
    negatives, ids = batch(2, 4, seed=12)[0], torch.tensor([3, 9])  # 3 answers query 7, which is the first and the last
    loss = info_nce(a, b, temperature=0.1, same=(queries, documents, ids), negatives=negatives, symmetric=False)
    cosines = torch.cat([a @ b.T, a @ negatives.T], 1) / 0.1
    kept = [[0, 1, 4], [0, 1, 2, 3, 4], [1, 2, 4]]
    right = sum(cosines[i, columns].logsumexp(0) - cosines[i, i] for i, columns in enumerate(kept)) / 3
    assert loss.item() == pytest.approx(right.item())


def test_an_answer_of_the_query_that_came_with_another_query_is_no_negative():
    a, b = batch(3, 4, seed=13)
    queries, documents = torch.tensor([1, 1, 2]), torch.tensor([1, 2, 2])  # document 2 answers query 1 too
    loss = info_nce(a, b, temperature=0.1, same=(queries, documents), symmetric=False)
    logits = a @ b.T / 0.1
    # Query 1 knows all three documents; query 2 knows document 2, which is the second and the third.
    right = (logits[2, [0, 2]].logsumexp(0) - logits[2, 2]) / 3
    assert loss.item() == pytest.approx(right.item())


def test_the_module_reads_all_of_a_batch():
    a, b = batch(12, 6, seed=14)
    ids, negatives = (torch.arange(12) // 2, torch.arange(12)), batch(5, 6, seed=15)[0]
    features = tuple(one.detach() for one in batch(12, 3, seed=16))
    one = Batch(a, b, ids=ids, negatives=negatives, negative_ids=torch.arange(5), features=features)
    temperature = Temperature(0.1)
    loss = InfoNce(temperature, debias=0.4)(one)
    same = (*ids, torch.arange(5))
    right = plain(a, b, 0.1, same, negatives=negatives, features=features, above=0.4)
    assert loss.item() == pytest.approx(right.item(), rel=1e-6)  # the temperature is float32
    assert plain(a, b, 0.1, same, negatives=negatives).item() != pytest.approx(right.item(), rel=1e-3)
    with pytest.raises(TrainingError, match="InfoNce needs features"):
        InfoNce(temperature, debias=0.4)(Batch(a, b))
