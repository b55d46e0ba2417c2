"""FuseMix: new pairs between the pairs, mixed from cached features.

    v'_i = l v_i + (1 - l) v_{i+h},    t'_i = l t_i + (1 - l) t_{i+h},    h = n/2,  l ~ Beta(alpha, alpha)

One l a step, and the same partner on both sides, so a mixture still belongs with a mixture (Vouitsis et al.
2024). The batch halves: mixing each row with a partner and the partner with the row would give two nearly equal
mixtures that count as each other's negatives.
"""

from __future__ import annotations

import numpy as np

from pairspace.errors import TrainingError

__all__ = ["mix_partners"]


def mix_partners(n: int, rng: np.random.Generator, alpha: float) -> tuple[float, np.ndarray]:
    """How the rows of a batch are mixed; the same for both sides.

    A mixture is no known item: it has no id, so an objective is given no ids of it.

    Args:
        n: rows of the batch; of an odd number the last is left out.
        rng: for the share.
        alpha: of the Beta distribution: 1 is uniform (the authors' setting), small values mix little.

    Returns:
        The share l of row i, and of each of the n // 2 mixtures the row it is mixed with.

    Raises:
        TrainingError: alpha is not positive, or there are not two rows.
    """
    if not alpha > 0:
        raise TrainingError(f"mixing needs an alpha above 0, got {alpha}")
    if n < 2:
        raise TrainingError(f"mixing needs at least two rows, got {n}")
    half = n // 2
    return float(rng.beta(alpha, alpha)), np.arange(half, 2 * half)
