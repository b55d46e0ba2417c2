"""SPLADE's head against the plain one, which holds texts x tokens x terms."""

from __future__ import annotations

import pytest
import torch

from pairspace.encoders import max_pool_head as module
from pairspace.encoders.max_pool_head import max_pool_head


def plain(hidden, mask, head, bias):
    scores = torch.log1p((hidden @ head.T + bias).relu())
    return (scores * mask[:, :, None]).max(1).values


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)

    def make(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    mask = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]])
    return make(4, 4, 5), mask, make(11, 5), make(11)


@pytest.mark.parametrize("piece", [1, 40, 1 << 23])
def test_equals_the_plain_head_with_all_gradients(inputs, monkeypatch, piece):
    monkeypatch.setattr(module, "PIECE", piece)
    hidden, _, head, bias = inputs
    ours, right = max_pool_head(*inputs), plain(*inputs)
    torch.testing.assert_close(ours, right)
    assert (ours[3] == 0).all() and (ours[:3] > 0).any()
    weigh = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = torch.autograd.grad((ours * weigh).sum(), (hidden, head, bias))
    wanted = torch.autograd.grad((right * weigh).sum(), (hidden, head, bias))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_trains_under_autocast_to_bf16(inputs):
    hidden, mask, head, bias = (one.detach().float() for one in inputs)
    grads = []
    for half in (True, False):
        parts = [one.clone().requires_grad_() for one in (hidden, head, bias)]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            states = parts[0].bfloat16() if half else parts[0]
            max_pool_head(states, mask, *parts[1:]).float().sum().backward()
        grads.append([one.grad for one in parts])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=0.2, rtol=0.1)


def test_never_holds_all_scores(largest, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 1 << 12)
    hidden = torch.randn(8, 64, 16, requires_grad=True)
    head, bias = torch.randn(500, 16, requires_grad=True), torch.zeros(500, requires_grad=True)
    mask = torch.ones(8, 64, dtype=torch.int64)
    assert largest(lambda: max_pool_head(hidden, mask, head, bias).sum().backward()) < 8 * 64 * 500 // 10
