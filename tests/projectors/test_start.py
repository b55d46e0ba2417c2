from __future__ import annotations

import pytest
import torch

from pairspace.errors import ShapeError, TrainingError
from pairspace.projectors import LinearProjector, ResidualProjector, align, start_at_identity


def rotation(rows, columns, seed):
    """Orthonormal rows or columns, whichever are fewer."""
    q, _ = torch.linalg.qr(
        torch.randn(max(rows, columns), min(rows, columns), generator=torch.Generator().manual_seed(seed))
    )
    return q.T if rows < columns else q


def latent(n, dim, seed=0):
    """Vectors whose directions all differ in spread, so that principal axes are unique."""
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)) * torch.linspace(3, 1, dim)


@pytest.mark.parametrize("kind", [LinearProjector, ResidualProjector])
def test_identity_start_passes_the_last_layer_through_exactly(kind):
    projector = kind([5, 7, 4], 4).eval()
    start_at_identity(projector)
    x = torch.randn(9, 16)
    assert torch.equal(projector(x), x[:, -4:])


def test_identity_start_needs_equal_dimensions():
    with pytest.raises(ShapeError, match="from 4 to 3"):
        start_at_identity(LinearProjector([4], 3))


@pytest.mark.parametrize("widths", [(6, 6), (6, 10), (12, 8)])
def test_alignment_recovers_a_rotation_between_two_encoders(widths):
    z, dimension = latent(500, 6), 6
    x_first = z @ rotation(6, widths[0], seed=1) + 0.5
    x_other = 2.0 * z @ rotation(6, widths[1], seed=2) - 1.0
    first, other = LinearProjector([3, widths[0]], dimension), LinearProjector([widths[1]], dimension)
    align(first, other, x_first, x_other)
    ours = first(torch.cat([torch.randn(500, 3), x_first], dim=1))  # inner layers do not matter at the start
    theirs = other(x_other)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(torch.cdist(ours, ours), torch.cdist(z, z), rtol=1e-3, atol=1e-2)  # distances survive


def test_alignment_reduces_to_the_principal_axes():
    z = latent(800, 3) * 10
    noise = 0.01 * torch.randn(800, 8, generator=torch.Generator().manual_seed(5))
    x = z @ rotation(3, 8, seed=3) + noise
    first, other = LinearProjector([8], 3), LinearProjector([8], 3)
    align(first, other, x, x)
    kept = first(x).var(0).sum() / x.var(0).sum()
    assert kept > 0.9999
    torch.testing.assert_close(first(x), other(x), rtol=1e-3, atol=1e-3)


def test_a_space_wider_than_an_encoder_is_filled_with_nothing():
    z = latent(100, 4)
    first, other = LinearProjector([4], 6), LinearProjector([4], 6)
    align(first, other, z, z @ rotation(4, 4, seed=4))
    torch.testing.assert_close(first(z), other(z @ rotation(4, 4, seed=4)), rtol=1e-3, atol=1e-3)


def test_alignment_needs_pairs_that_differ():
    first, other = LinearProjector([4], 2), LinearProjector([4], 2)
    with pytest.raises(TrainingError, match="at least two pairs"):
        align(first, other, torch.ones(1, 4), torch.ones(1, 4))
    with pytest.raises(TrainingError, match="all features are equal"):
        align(first, other, torch.ones(9, 4), torch.randn(9, 4))
