from __future__ import annotations

import pytest
import torch

from pairspace.errors import PairspaceError, ShapeError
from pairspace.projectors import create_projector, projector_kinds


@pytest.mark.parametrize("kind", projector_kinds())
def test_settings_build_the_same_projector_again(kind):
    projector = create_projector(kind, blocks=[6, 4], dimension=4).eval()
    settings = projector.settings()
    again = create_projector(**settings).eval()
    again.load_state_dict(projector.state_dict())
    x = torch.randn(3, 10)
    assert again.settings() == settings
    assert torch.equal(again(x), projector(x))
    assert projector(x).shape == (3, 4)


def test_an_unknown_kind_lists_those_there_are():
    with pytest.raises(PairspaceError, match="'mlp': choose one of identity, linear, residual"):
        create_projector("mlp", blocks=[4], dimension=4)


def test_identity_is_the_last_block_and_has_nothing_to_train():
    projector = create_projector("identity", blocks=[2, 3], dimension=3)
    x = torch.randn(4, 5)
    assert torch.equal(projector(x), x[:, 2:])
    assert not list(projector.parameters())


def test_identity_of_another_dimension_is_refused_with_what_to_do():
    with pytest.raises(ShapeError, match="use projector='linear'"):
        create_projector("identity", blocks=[4], dimension=3)


def test_residual_starts_as_its_linear_part_also_while_training():
    projector = create_projector("residual", blocks=[6, 4], dimension=4, hidden=8).train()
    x = torch.randn(5, 10)
    assert torch.equal(projector(x), projector.linear(x))


def test_residual_takes_options_and_drops_only_while_training():
    projector = create_projector("residual", blocks=[4], dimension=4, hidden=8, dropout=0.5)
    assert projector.settings() == {"kind": "residual", "blocks": [4], "dimension": 4, "hidden": 8, "dropout": 0.5}
    torch.nn.init.normal_(projector.network[-1].weight)
    x = torch.randn(5, 4)
    projector.train()
    assert not torch.equal(projector(x), projector(x))
    projector.eval()
    assert torch.equal(projector(x), projector(x))


def test_a_placed_projector_fills_its_own_dimensions():
    inner = create_projector("linear", blocks=[6, 4], dimension=3)
    placed = create_projector("placed", blocks=[6, 4], dimension=8, inner=inner.settings(), offset=2)
    placed.inner.load_state_dict(inner.state_dict())
    x = torch.randn(5, 10)
    out = placed(x)
    assert torch.equal(out[:, 2:5], inner(x)) and not out[:, :2].any() and not out[:, 5:].any()
    again = create_projector(**placed.settings())
    again.load_state_dict(placed.state_dict())
    assert torch.equal(again(x), out) and placed.title == "linear"


@pytest.mark.parametrize(("dimension", "offset"), [(8, 6), (8, -1), (2, 0)])
def test_a_place_that_does_not_fit(dimension, offset):
    inner = create_projector("linear", blocks=[4], dimension=3).settings()
    with pytest.raises(ShapeError, match="3 dimensions do not fit"):
        create_projector("placed", blocks=[4], dimension=dimension, inner=inner, offset=offset)


def test_a_place_for_a_projector_of_other_blocks():
    inner = create_projector("linear", blocks=[4], dimension=3).settings()
    with pytest.raises(ShapeError, match=r"takes blocks of \(4,\), not of \(5,\)"):
        create_projector("placed", blocks=[5], dimension=8, inner=inner, offset=0)
    with pytest.raises(PairspaceError, match="unknown projector 'placed': choose one of identity, linear, residual"):
        create_projector("placed", blocks=[5], dimension=8)
