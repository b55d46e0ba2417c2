from __future__ import annotations

import pytest
import torch

from pairspace.errors import ShapeError
from pairspace.projectors import LexicalProjector, create_projector
from pairspace.projectors.lexical import saturate


def made(**settings):
    torch.manual_seed(0)
    return LexicalProjector([3, 4], 20, **settings)


def test_saturation_and_its_gradient_equal_autograds():
    x = torch.linspace(-2, 3, 12, dtype=torch.float64).reshape(3, 4).requires_grad_()
    torch.testing.assert_close(saturate(x), torch.log1p(torch.relu(x)))
    assert torch.autograd.gradcheck(saturate, (x,))


@pytest.mark.parametrize("settings", [{}, {"head": "free"}, {"width": 6}])
def test_scores_are_those_of_the_formula(settings):
    projector = made(**settings)
    x = torch.randn(5, 7)
    h = torch.nn.functional.layer_norm(projector.hidden(x), (projector.width,)) * projector.width**-0.5
    right = (h @ projector.head.T + projector.bias) * projector.log_gain.exp()
    torch.testing.assert_close(projector.scores(x), right, rtol=1e-4, atol=1e-5)
    assert projector(x).shape == (5, 20) and bool((projector(x) >= 0).all())


def test_an_item_keeps_the_terms_of_the_highest_scores_less_the_highest_left_out():
    projector, x = made(keep=3), torch.randn(6, 7)
    weights, scores = projector(x), projector.scores(x)
    assert (weights > 0).sum(1).tolist() == [3] * 6
    order = scores.sort(1, descending=True)
    for row in range(6):
        right = torch.log1p(order.values[row, :3] - order.values[row, 3])
        torch.testing.assert_close(weights[row, order.indices[row, :3]], right)
    assert made(keep=50)(x).shape == (6, 20)


def test_of_allowed_terms_the_highest_are_kept_and_all_where_they_are_few():
    projector, x = made(keep=3), torch.randn(3, 7)
    allowed = torch.zeros(3, 20, dtype=torch.bool)
    allowed[0, :10], allowed[1, [2, 5]] = True, True
    weights = projector(x, allowed)
    assert (weights > 0).sum(1).tolist() == [3, 2, 0] and not bool(weights[~allowed].any())
    weights.sum().backward()
    assert bool(torch.isfinite(projector.head.grad).all()) and bool((projector.head.grad[[2, 5]] != 0).any(1).all())


def test_a_fixed_head_stays_and_the_others_train():
    for head, trains in (("fixed", False), ("anchored", True), ("free", True)):
        names = {name for name, p in made(head=head).named_parameters() if p.requires_grad}
        assert ("head" in names) == trains and {"hidden.weight", "log_gain", "bias"} <= names


def test_the_start_passes_the_last_layer_through_with_the_terms_that_are_asked_for():
    projector, x = made(), torch.randn(200, 7)
    projector.pass_through(x)
    projector.calibrate(x, gain=5.0, terms=4.0)
    assert float((projector(x) > 0).sum(1).float().mean()) == pytest.approx(4.0, abs=0.1)
    last = x[:, 3:] - x[:, 3:].mean(0)
    torch.testing.assert_close(projector.hidden(x), last)


def test_made_again_from_its_settings_it_is_the_same():
    projector = made(width=5, head="free")
    again = create_projector(**projector.settings())
    again.load_state_dict(projector.state_dict())
    x = torch.randn(4, 7)
    torch.testing.assert_close(again(x), projector(x))
    assert again.sparse and not create_projector("linear", blocks=[4], dimension=4).sparse


def test_a_head_of_another_shape_or_kind_is_refused():
    with pytest.raises(ShapeError, match="shape"):
        made().set_head(torch.zeros(3, 4))
    with pytest.raises(ShapeError, match="one of anchored, fixed, mlm, free"):
        made(head="mask")
