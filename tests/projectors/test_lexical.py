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


@pytest.mark.parametrize("settings", [{}, {"rank": 2}, {"head": "free"}, {"width": 6}])
def test_scores_are_those_of_the_formula(settings):
    projector = made(**settings)
    if projector.rank:
        torch.nn.init.normal_(projector.left)
    x = torch.randn(5, 7)
    h = torch.nn.functional.layer_norm(projector.hidden(x), (projector.width,)) * projector.width**-0.5
    rows = projector.head + (projector.left @ projector.right if projector.rank else 0)
    right = (h @ rows.T + projector.bias) * projector.log_gain.exp()
    torch.testing.assert_close(projector.scores(x), right, rtol=1e-4, atol=1e-5)
    assert projector(x).shape == (5, 20) and bool((projector(x) >= 0).all())


def test_an_anchored_head_stays_and_a_free_one_trains():
    for head, trains in (("anchored", False), ("free", True)):
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
    projector = made(rank=3, width=5, head="free")
    again = create_projector(**projector.settings())
    again.load_state_dict(projector.state_dict())
    x = torch.randn(4, 7)
    torch.testing.assert_close(again(x), projector(x))
    assert again.sparse and not create_projector("linear", blocks=[4], dimension=4).sparse


def test_a_head_of_another_shape_or_kind_is_refused():
    with pytest.raises(ShapeError, match="shape"):
        made().set_head(torch.zeros(3, 4))
    with pytest.raises(ShapeError, match="one of anchored, mlm, free"):
        made(head="mask")
