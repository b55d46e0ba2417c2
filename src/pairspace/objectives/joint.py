"""Dense and sparse vectors trained together, each also taught by their weighted sum.

    s_d = cos / T_d,    s_s = w . w' / T_s,    s_i = p s_d + q s_s
    L   = ( l NCE(s_d) + m NCE(s_s) + NCE(s_i) ) / 2
    L'  = ( l KL(s_i || s_d) + m KL(s_i || s_s) ) / 2
    loss = ( L + L' ) / 2

over both directions (Song et al., CIKM 2025; weights of their released code). There the second direction of L' re-uses
the first one's teacher without transposing it; here it is the teacher's own. The teacher carries no gradient.

A batch holds both vectors side by side, [dense | sparse]. s_i is then a dot product too, of
[ sqrt(p / T_d) dense | sqrt(q / T_s) sparse ], so nothing of the batch squared is ever held.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pairspace.errors import TrainingError
from pairspace.objectives.batch import Batch
from pairspace.objectives.distill_kl import distill_kl
from pairspace.objectives.info_nce import info_nce
from pairspace.objectives.objective import Objective
from pairspace.objectives.sparsity import Sparsity
from pairspace.objectives.temperature import Temperature

__all__ = ["Joint"]


class Joint(Objective):
    """The loss of vectors [dense | sparse], with a regulariser of the sparse part.

    Args:
        temperature: of the dense part.
        sparse_temperature: of the sparse part.
        dense: how many of the dimensions are dense.
        mixing: p and q, of the dense and the sparse similarity in their sum.
        shares: l and m, of the dense and the sparse loss.
        sparsity: of the sparse part; None for none.

    Raises:
        TrainingError: a weight below 0, or no dimension on one of the two sides.
    """

    def __init__(
        self,
        temperature: Temperature,
        sparse_temperature: Temperature,
        *,
        dense: int,
        mixing: tuple[float, float] = (0.1, 0.1),
        shares: tuple[float, float] = (0.9, 0.3),
        sparsity: Sparsity | None = None,
    ) -> None:
        super().__init__()
        if min(*mixing, *shares) < 0 or dense < 1:
            raise TrainingError(f"joint training needs weights of 0 or more, got {mixing} and {shares}")
        self.temperature, self.sparse_temperature = temperature, sparse_temperature
        self.dense, self.mixing, self.shares = dense, mixing, shares
        self.sparsity = sparsity

    def loss(self, batch: Batch) -> Tensor:
        """The sum above, in nats, and the regulariser."""
        temperature, other = self.temperature(), self.sparse_temperature()
        (p, q), (for_dense, for_sparse) = self.mixing, self.shares
        sides = [(one[:, : self.dense], one[:, self.dense :]) for one in (batch.a, batch.b)]
        (a_dense, a_sparse), (b_dense, b_sparse) = sides
        scales = p**0.5 * temperature.rsqrt(), q**0.5 * other.rsqrt()
        both = [torch.cat([scales[0] * dense, scales[1] * sparse], 1) for dense, sparse in sides]
        contrast = (
            for_dense * info_nce(a_dense, b_dense, temperature=temperature, same=batch.same)
            + for_sparse * info_nce(a_sparse, b_sparse, temperature=other, same=batch.same)
            + info_nce(*both, temperature=1.0, same=batch.same)
        ) / 2
        teacher = both[0].detach(), both[1].detach()
        taught = (
            for_dense * distill_kl(a_dense, b_dense, teacher=teacher, temperature=temperature, teacher_temperature=1.0)
            + for_sparse * distill_kl(a_sparse, b_sparse, teacher=teacher, temperature=other, teacher_temperature=1.0)
        ) / 2
        total: Tensor = (contrast + taught) / 2
        if self.sparsity is not None:
            total = total + self.sparsity(Batch(a_sparse, b_sparse))
        return total
