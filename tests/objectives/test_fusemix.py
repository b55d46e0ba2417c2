from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairspace.errors import TrainingError
from pairspace.objectives import mix_partners


@given(n=st.integers(2, 60), alpha=st.floats(0.05, 10), seed=st.integers(0, 99))
def test_the_first_half_is_mixed_with_the_second_each_row_once(n, alpha, seed):
    share, partner = mix_partners(n, np.random.default_rng(seed), alpha)
    half = n // 2
    assert 0 <= share <= 1
    assert partner.tolist() == [i + half for i in range(half)]
    assert mix_partners(n, np.random.default_rng(seed), alpha)[0] == share


def test_shares_follow_the_beta_distribution():
    rng = np.random.default_rng(0)
    shares = np.array([mix_partners(2, rng, 2.0)[0] for _ in range(4000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / 20, abs=0.003)  # of Beta(2, 2)


@pytest.mark.parametrize(("n", "alpha", "message"), [(4, 0.0, "alpha above 0"), (1, 1.0, "at least two rows, got 1")])
def test_what_cannot_be_mixed_is_refused(n, alpha, message):
    with pytest.raises(TrainingError, match=message):
        mix_partners(n, np.random.default_rng(0), alpha)
