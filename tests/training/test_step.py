"""One step: what the objective is given, and that gradients taken piece by piece are those of the whole batch."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from pairspace.encoders import load_encoder
from pairspace.objectives import InfoNce, Objective, Temperature
from pairspace.projectors import create_projector
from pairspace.training import (
    Examples,
    FrozenBranch,
    LiveBranch,
    Processes,
    Tower,
    TrainingOptions,
    build_objective,
)
from pairspace.training.step import Step

WORDS = ["play", "chess", "against", "the", "computer", "game", "of", "cards", "friends", "music", "gnome", "files"]
PAIRS, ITEMS = 14, (12, 16)  # two titles come twice; some documents are no pair's, only negatives
LAYERS = ("words", "1", "last")


def texts(count, seed):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 12))) for _ in range(count)]


def unit(shape, seed):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def pretrained(folder):
    """Two towers over one transformer that trains in both."""
    encoder = load_encoder(folder, device="cpu", precision="fp32")
    module = encoder.training_module()
    torch.manual_seed(1)
    projectors = [create_projector("linear", blocks=[32] * 3, dimension=8) for _ in ITEMS]
    return tuple(
        Tower([LiveBranch(encoder, LAYERS, texts(n, n), one, module)]) for n, one in zip(ITEMS, projectors, strict=True)
    )


def from_nothing():
    """Two small transformers, each with dropout in its projector, and beside the second a bag of words."""
    towers = []
    for n in ITEMS:
        encoder = load_encoder("transformer:32", device="cpu")
        encoder.begin(texts(n, n), seed=n)
        torch.manual_seed(n)
        projector = create_projector("residual", blocks=[32], dimension=8)
        nn.init.normal_(projector.network[-1].weight)
        towers.append([LiveBranch(encoder, ("last",), texts(n, n), projector, encoder.training_module())])
    bag = load_encoder("static:8", device="cpu")
    bag.begin(texts(ITEMS[1], ITEMS[1]), seed=3)
    identity = create_projector("identity", blocks=[8], dimension=8)
    towers[1].append(LiveBranch(bag, ("last",), texts(ITEMS[1], ITEMS[1]), identity, bag.training_module()))
    for branch in (branch for tower in towers for branch in tower):
        branch.encoder_module.train()
        branch.projector.train()
    return tuple(map(Tower, towers))


def examples(rows, **given):
    query = np.arange(PAIRS) % ITEMS[0]
    return Examples(query, np.arange(PAIRS), **{name: make(rows) for name, make in given.items()})


def negatives(_):
    table = np.random.default_rng(5).integers(0, ITEMS[1], (PAIRS, 3))
    table[2, 1:] = table[7] = -1  # fewer, and none
    return table


def teacher(_):
    return tuple(unit((n, 6), n) for n in ITEMS)


def guide(rows):
    return tuple(rows(unit((n, 3), n)) for n in ITEMS)


def scores(_):
    return np.random.default_rng(6).normal(size=(PAIRS, 4)).astype(np.float32)


CASES = {
    "plain": ({}, {}),
    "negatives": ({"negatives": negatives}, {}),
    "mixing": ({}, {"mix": 0.4}),
    "teacher": ({"teacher": teacher}, {"teacher_weight": 0.3}),
    "debias": ({"guide": guide}, {"debias": 0.2}),
    "structure": ({"guide": guide}, {"structure": 2.0, "mix": 0.4}),
    "scores": ({"negatives": negatives, "scores": scores}, {"objective": "margin-mse"}),
    "all": (
        {"negatives": negatives, "teacher": teacher, "guide": guide},
        {"objective": "sigmoid", "structure": 1.0, "matryoshka": (4,)},
    ),
}


def take(towers, given, chunk_size, *, pairs=11, processes=None, **options):
    """Loss and gradients of a step over some pairs."""
    settings = TrainingOptions(chunk_size=chunk_size, **options)
    objective = build_objective(settings, Temperature(), given, dimension=8)
    step = Step(towers, objective, given, settings, processes or Processes())
    modules = nn.ModuleList([*(m for tower in towers for m in tower.modules()), objective])
    modules.zero_grad()
    torch.manual_seed(8)
    loss = step(np.random.default_rng(4).permutation(len(given))[:pairs], np.random.default_rng(9))
    gradients = {name: p.grad.clone() for name, p in modules.named_parameters() if p.grad is not None}
    assert gradients
    return loss, gradients


def check_equal(one, two):
    assert one[0] == pytest.approx(two[0], rel=1e-6, abs=1e-6)
    assert one[1].keys() == two[1].keys()
    for name, gradient in one[1].items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(
            two[1][name], gradient, atol=2e-5 * scale + 1e-6, rtol=0, msg=lambda m: f"{name} {m}"
        )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("chunk", [1, 4])
def test_gradient_caching_gives_the_loss_and_the_gradients_of_the_whole_batch(plain_folder, rows, case, chunk):
    given, options = CASES[case]
    towers = pretrained(plain_folder)
    given = examples(rows, **given)
    whole = take(towers, given, 1000, **options)
    assert max(float(gradient.abs().max()) for gradient in whole[1].values()) > 1e-3
    check_equal(whole, take(towers, given, chunk, **options))


def test_no_more_than_a_chunk_is_in_the_encoder_at_once(plain_folder, rows):
    towers, seen = pretrained(plain_folder), []
    module = towers[0].branches[0].encoder_module
    module.register_forward_pre_hook(lambda _, inputs: seen.append((len(inputs[0]), torch.is_grad_enabled())))
    take(towers, examples(rows), 4)
    assert max(count for count, _ in seen) <= 4
    assert sum(count for count, learns in seen if learns) == sum(count for count, learns in seen if not learns) == 22
    seen.clear()
    take(towers, examples(rows), 11)
    assert sum(count for count, _ in seen) == 22 and all(learns for _, learns in seen)


def test_chunks_are_run_again_with_the_same_random_numbers(rows):
    towers, given = from_nothing(), Examples(np.arange(12), np.arange(12))
    asked: list[list] = [[], []]
    for tower, calls in zip(towers, asked, strict=True):
        tower.vectors = lambda taken, mix=None, real=tower.vectors, calls=calls: (
            calls.append((taken, real(taken, mix))) or calls[-1][1]
        )
    cached = take(towers, given, 4)
    halves = [len(calls) // 2 for calls in asked]
    assert min(halves) >= 3 and [len(calls) % 2 for calls in asked] == [0, 0]
    for calls, half in zip(asked, halves, strict=True):
        for (first, before), (again, after) in zip(calls[:half], calls[half:], strict=True):
            assert (first == again).all() and torch.equal(before, after) and after.requires_grad
    for tower, calls, half in zip(towers, asked, halves, strict=True):  # the whole batch, over the same chunks
        del tower.vectors
        parts = calls[:half]
        tower.vectors = lambda taken, mix=None, real=tower.vectors, parts=parts: _in_parts(real, taken, parts)
    whole = take([SimpleNamespace(words=None, **_as_light(tower)) for tower in towers], given, 4)
    check_equal(whole, cached)


def _in_parts(vectors, taken, calls):
    """The items of `taken` in the chunks that were asked for, put back in order."""
    parts = [part for part, _ in calls]
    places = {row: place for place, row in enumerate(np.concatenate(parts).tolist())}
    return torch.cat([vectors(part) for part in parts])[[places[row] for row in taken.tolist()]]


def _as_light(tower):
    """What a step asks of a tower, as of one that is never taken in chunks."""
    return {"vectors": tower.vectors, "modules": tower.modules, "heavy": False, "device": tower.device}


def test_the_random_numbers_that_follow_do_not_depend_on_chunks(rows):
    towers, after = from_nothing(), []
    for chunk in (4, 4):
        take(towers, examples(rows), chunk)
        after.append(torch.rand(3))
    assert torch.equal(*after)


def in_shares(conftest, folder, chunk, pairs):
    processes, towers = Processes.join(), pretrained(folder)
    return {
        case: take(towers, examples(conftest.Rows, **given), chunk, pairs=pairs, processes=processes, **options)
        for case, (given, options) in CASES.items()
    }


@pytest.mark.parametrize(
    ("chunk", "pairs", "count"), [(1000, 11, 2), (2, 11, 2), (2, 2, 3)], ids=["odd", "odd in chunks", "none for one"]
)
def test_several_processes_give_the_loss_and_the_gradients_of_one(plain_folder, rows, together, chunk, pairs, count):
    ended = together(in_shares, str(plain_folder), chunk, pairs, count=count)
    assert [one.code for one in ended] == [0] * count
    towers = pretrained(plain_folder)
    for case, (given, options) in CASES.items():
        alone = take(towers, examples(rows, **given), 1000, pairs=pairs, **options)
        check_equal(alone, ended[0].result[case])
        for one in ended[1:]:  # bit for bit, or the processes' weights would drift apart
            assert one.result[case][0] == ended[0].result[case][0]
            for name, gradient in ended[0].result[case][1].items():
                assert torch.equal(gradient, one.result[case][1][name])


class Given(Objective):
    """Keeps the batch it was given."""

    def __init__(self, *needs):
        super().__init__()
        self.needs = frozenset(needs)

    def loss(self, batch):
        self.batch = batch
        return batch.a.sum() + batch.b.sum()


def frozen(rows):
    """Two towers whose vectors are their features."""
    return tuple(Tower([FrozenBranch(rows(unit((n, 8), n)), nn.Linear(8, 8))]) for n in ITEMS)


def batch_of(rows, given, *needs, taken=(13, 3, 8, 12), **options):
    objective, towers = Given(*needs), frozen(rows)
    one = examples(rows, **given)
    Step(towers, objective, one, TrainingOptions(**options), Processes())(np.array(taken), np.random.default_rng(9))
    vectors = [torch.from_numpy(tower.all_vectors()) for tower in towers]
    return objective.batch, one, vectors


def test_the_objective_is_given_the_pairs_vectors_and_their_ids(rows):
    batch, given, (queries, documents) = batch_of(rows, {})
    taken = [13, 3, 8, 12]
    torch.testing.assert_close(batch.a, queries[given.query[taken]])
    torch.testing.assert_close(batch.b, documents[taken])
    assert [ids.tolist() for ids in batch.ids] == [[1, 3, 8, 0], taken]
    assert batch.negatives is batch.own is batch.scores is batch.teacher is batch.features is None


def test_negatives_come_once_each_and_every_pair_knows_its_own(rows):
    taken = [2, 7, 5]
    batch, given, (_, documents) = batch_of(rows, {"negatives": negatives, "scores": scores}, taken=taken)
    table = given.negatives[taken]
    assert batch.negative_ids.tolist() == sorted({int(one) for one in table.flat if one >= 0})
    torch.testing.assert_close(batch.negatives, documents[batch.negative_ids])
    own = [[-1 if place < 0 else int(batch.negative_ids[place]) for place in row] for row in batch.own.tolist()]
    assert own == table.tolist() and own[1] == [-1, -1, -1]
    np.testing.assert_array_equal(batch.scores.numpy(), given.scores[taken])


def test_pairs_without_any_negative_keep_their_scores(rows):
    batch, given, _ = batch_of(rows, {"negatives": negatives, "scores": scores}, taken=[7, 7])
    assert batch.negatives.shape == (0, 8) and len(batch.negative_ids) == 0
    assert batch.own.tolist() == [[-1, -1, -1]] * 2
    np.testing.assert_array_equal(batch.scores.numpy(), given.scores[[7, 7]])
    towers, one = frozen(rows), examples(rows, negatives=negatives)
    plain, without = InfoNce(Temperature()), examples(rows)
    losses = [Step(towers, plain, of, TrainingOptions(), Processes())([7, 7], None) for of in (one, without)]
    assert losses[0] == losses[1]


def test_teacher_and_features_are_those_of_the_items(rows):
    batch, given, _ = batch_of(rows, {"teacher": teacher, "guide": guide}, "features")
    for side, code in enumerate((given.query[[13, 3, 8, 12]], np.array([13, 3, 8, 12]))):
        np.testing.assert_allclose(batch.teacher[side].numpy(), given.teacher[side][code], atol=1e-6)
        np.testing.assert_array_equal(batch.features[side].numpy(), given.guide[side].values[code])


def test_features_are_not_read_where_nothing_looks_at_them(rows):
    batch, _, _ = batch_of(rows, {"guide": guide})
    assert batch.features is None


def test_a_mixture_mixes_both_sides_with_one_partner_and_has_no_id(rows):
    taken = np.array([13, 3, 8, 12])
    given = {"guide": guide, "teacher": teacher}
    batch, given, _ = batch_of(rows, given, "features", taken=taken, mix=1.0)
    assert len(batch) == 2 and batch.ids is None
    share = np.random.default_rng(9).beta(1.0, 1.0)
    for side, code in enumerate((given.query, given.document)):
        x = given.guide[side].values
        expected = share * x[code[taken[:2]]] + (1 - share) * x[code[taken[2:]]]
        np.testing.assert_allclose(batch.features[side].numpy(), expected, atol=1e-6)
        taught = given.teacher[side]
        expected = share * taught[code[taken[:2]]] + (1 - share) * taught[code[taken[2:]]]
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(batch.teacher[side].numpy(), expected, atol=1e-6)


def test_a_step_is_the_plain_computation(rows):
    towers, taken = frozen(rows), np.array([13, 3, 8, 12, 1])
    given = examples(rows, negatives=negatives)
    objective = InfoNce(Temperature())
    loss = Step(towers, objective, given, TrainingOptions(), Processes())(taken, np.random.default_rng(0))
    modules = [m for tower in towers for m in tower.modules()]
    gradients = [p.grad.clone() for m in [*modules, objective] for p in m.parameters()]
    nn.ModuleList([*modules, objective]).zero_grad()
    table = given.negatives[taken]
    others = np.unique(table[table >= 0])
    a, b = towers[0].vectors(given.query[taken]), towers[1].vectors(taken)
    logits = a @ torch.cat([b, towers[1].vectors(others)]).T / objective.temperature()
    hidden = np.zeros(logits.shape, bool)  # columns that are the same document as the row's own, or belong to its query
    same_query = given.query[taken][:, None] == given.query[taken][None]
    hidden[:, : len(taken)] = same_query & ~np.eye(len(taken), dtype=bool)
    hidden[:, len(taken) :] = [[bool(same_query[i][taken == other].any()) for other in others] for i in range(5)]
    labels = torch.arange(len(taken))
    there = nn.functional.cross_entropy(logits.masked_fill(torch.from_numpy(hidden), -torch.inf), labels)
    square = logits[:, : len(taken)].masked_fill(torch.from_numpy(hidden[:, : len(taken)]), -torch.inf)
    plain = (there + nn.functional.cross_entropy(square.T, labels)) / 2
    plain.backward()
    assert loss == pytest.approx(float(plain.detach()), rel=1e-5)
    for ours, p in zip(gradients, [p for m in [*modules, objective] for p in m.parameters()], strict=True):
        torch.testing.assert_close(ours, p.grad, atol=1e-5, rtol=1e-4)
