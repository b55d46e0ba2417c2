"""Several vectors of one item made one: what a side does whose encoders are joined.

    join(v_1, ..., v_k) = u / |u|,    u = sum_i v_i / |v_i|

Every encoder of the side speaks with the same weight, however long its vectors are; a projector that should say less
learns to say the same for all items.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["join_vectors"]


def join_vectors(vectors: Sequence[Tensor]) -> Tensor:
    """Unit vectors out of one or several.

    Args:
        vectors: one (n, dim) tensor an encoder, of any lengths.

    Returns:
        (n, dim), unit rows.
    """
    if len(vectors) == 1:
        return normalize(vectors[0], dim=1)
    total = normalize(vectors[0], dim=1)
    for one in vectors[1:]:
        total = total + normalize(one, dim=1)
    return normalize(total, dim=1)
