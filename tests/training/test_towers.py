from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pairspace.encoders import load_encoder
from pairspace.training import FrozenBranch, LiveBranch, Tower, towers


def tower(features, projector=None):
    return Tower([FrozenBranch(features, projector or nn.Identity())])


def test_vectors_are_unit_rows_with_a_gradient(rows):
    one = tower(rows(np.random.default_rng(0).normal(size=(9, 5))), nn.Linear(5, 3))
    vectors = one.vectors(np.array([4, 4, 1]))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert torch.equal(vectors[0], vectors[1])
    vectors[:, 0].sum().backward()
    assert one.branches[0].projector.weight.grad.abs().sum() > 0


def test_features_too_large_for_memory_are_gathered_step_by_step(rows, monkeypatch):
    values = np.random.default_rng(1).normal(size=(50, 4))
    held = tower(rows(values))
    monkeypatch.setattr(towers, "IN_MEMORY", 100)
    read = []

    class Counted(rows):
        def rows(self, indices=None):
            read.append(None if indices is None else len(indices))
            return super().rows(indices)

    streamed = tower(Counted(values))
    chosen = np.array([7, 3, 49])
    assert torch.equal(streamed.vectors(chosen), held.vectors(chosen))
    np.testing.assert_array_equal(streamed.all_vectors(chunk=20), held.all_vectors())
    assert read == [3, 20, 20, 10]


def test_all_vectors_come_in_order_without_gradients(rows):
    vectors = tower(rows(np.eye(6))).all_vectors(chunk=4)
    np.testing.assert_array_equal(vectors, np.eye(6, dtype=np.float32))


def test_a_sample_is_spread_over_all_rows(rows):
    (sample,) = tower(rows(np.arange(1000.0)[:, None])).sample()
    assert len(sample) == towers.SAMPLE and sample[0, 0] == 0 and sample[-1, 0] == 999
    assert len(tower(rows(np.ones((3, 2)))).sample()[0]) == 3


def test_branches_are_added_each_at_unit_length(rows):
    random = np.random.default_rng(2)
    one, two = random.normal(size=(2, 7, 4)).astype(np.float32)
    joined = Tower([FrozenBranch(rows(one), nn.Identity()), FrozenBranch(rows(5 * two), nn.Identity())])
    expected = sum(x / np.linalg.norm(x, axis=1, keepdims=True) for x in (one, two))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(joined.vectors(np.arange(7)).numpy(), expected, atol=1e-6)
    assert not joined.live and not joined.heavy and len(joined) == 7


def test_mixing_mixes_features_before_they_are_projected(rows):
    x = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
    projector = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    taken, partners = np.array([0, 5, 2]), np.array([3, 0, 2])
    mixed = torch.from_numpy(0.25 * x[taken] + 0.75 * x[partners])
    expected = nn.functional.normalize(projector(mixed), dim=1)
    torch.testing.assert_close(tower(rows(x), projector).vectors(taken, (0.25, partners)), expected)


@pytest.fixture
def live(plain_folder, texts):
    encoder = load_encoder(plain_folder, device="cpu", precision="fp32")
    layers = ("words", "1", "last")
    return encoder, layers, LiveBranch(encoder, layers, texts, nn.Identity(), encoder.training_module())


def test_a_live_branch_gives_the_encoders_own_features(live, texts, monkeypatch):
    monkeypatch.setattr(towers, "TOKENS", 20)  # so that texts of unlike length are run apart, and put back in order
    encoder, layers, branch = live
    encoded = encoder.encode(texts, layers).vectors
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in map(encoded.get, layers)]
    chosen = np.array([3, 1, 4, 3, 0, 2])
    np.testing.assert_allclose(branch.features(chosen).detach().numpy(), np.concatenate(unit, 1)[chosen], atol=1e-5)
    assert (len(branch), branch.lengths.tolist()) == (5, [len(one) for one in encoder.tokens(texts)[0]])


def test_a_tower_knows_what_trains_and_what_is_cut(live, rows, plain_folder, texts):
    encoder, _, branch = live
    one = Tower([branch, FrozenBranch(rows(np.eye(5)), nn.Linear(5, 96))])
    assert one.live and one.heavy
    assert one.modules() == [branch.projector, one.branches[1].projector, branch.encoder_module]
    assert branch.encoder_rate == encoder.learning_rate
    parts = one.chunks(np.arange(5), 2)
    assert branch.lengths[np.concatenate(parts)].tolist() == sorted(branch.lengths, reverse=True)
    for part in parts:
        assert len(part) <= 2 and (branch.lengths[part].sum() <= 2 * branch.lengths.mean() or len(part) == 1)
    short = load_encoder(plain_folder, device="cpu", max_length=8)
    cut = LiveBranch(short, ("last",), texts, nn.Identity(), short.training_module())
    over = np.mean([len(one) > 8 for one in encoder.tokens(texts)[0]])
    assert Tower([branch, cut]).truncated == cut.truncated == over > branch.truncated == 0


def test_bf16_is_near_and_comes_back_as_float32(live, texts):
    encoder, layers, exact = live
    rough = LiveBranch(encoder, layers, texts, nn.Identity(), encoder.training_module(), bf16=True)
    a, b = (branch.features(np.arange(5)) for branch in (exact, rough))
    assert b.dtype == torch.float32 and not torch.equal(a, b)
    torch.testing.assert_close(a, b, atol=0.05, rtol=0)


def test_a_bag_is_light_and_never_taken_in_chunks(texts):
    encoder = load_encoder("static:8", device="cpu")
    encoder.begin(texts, seed=0)
    bag = Tower([LiveBranch(encoder, ("last",), texts, nn.Identity(), encoder.training_module())])
    assert bag.live and not bag.heavy
    encoder.module.eval()
    expected = encoder.encode(texts, ["last"]).vectors["last"]
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(bag.all_vectors(), expected / np.maximum(norms, 1e-9), atol=1e-6)


@pytest.mark.parametrize("kind", ["static:8", "transformer:32"])
def test_no_rows_are_a_share_too(kind, texts):
    encoder = load_encoder(kind, device="cpu")
    encoder.begin(texts, seed=0)
    width = encoder.dimensions["last"]
    one = Tower([LiveBranch(encoder, ("last",), texts, nn.Linear(width, 4), encoder.training_module())])
    assert one.vectors(np.empty(0, np.int64)).shape == (0, 4)


class States:
    """Token states in memory."""

    def __init__(self, encoder, texts, layer):
        self.rows = [encoder.token_states([text], layer)[0] for text in texts]

    def take(self, rows):
        return np.concatenate([self.rows[row] for row in rows])


def over_states(folder, texts, states):
    encoder = load_encoder(folder, device="cpu", precision="fp32")
    module = encoder.training_module(blocks=1)
    given = None if states is None else states(encoder, texts, encoder.states_layer(1, ("last",), texts))
    return LiveBranch(encoder, ("last",), texts, nn.Identity(), module, states=given)


def test_a_live_branch_over_token_states(plain_folder, texts, monkeypatch):
    monkeypatch.setattr(towers, "TOKENS", 20)  # texts of unlike length are run apart
    rows = np.array([3, 0, 3, 1])
    plain, quick = over_states(plain_folder, texts, None), over_states(plain_folder, texts, States)
    torch.testing.assert_close(quick.features(rows), plain.features(rows), atol=2e-3, rtol=1e-2)
    assert not torch.equal(quick.features(rows), plain.features(rows))  # it is the states, in float16, that are read
    gradients = []
    for branch in (plain, quick):
        branch.features(rows)[:, 0].sum().backward()
        gradients.append([p.grad for p in branch.encoder_module.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-2)
