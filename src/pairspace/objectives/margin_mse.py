"""MarginMSE: how much better a pair is than each of its negatives, as a teacher sees it.

    L = mean over (i, k) of ( (cos(a_i, b_i) - cos(a_i, d_ik)) - (t_i0 - t_ik) / scale )^2

Hofstaetter et al. 2020 (arXiv 2010.02666). d_ik are a pair's own hard negatives, t a teacher's scores, mostly of a
cross-encoder. Margins of cosines lie within [-2, 2]; a teacher's may not, which is what `scale` is for. With scale 1 it
is sentence-transformers' MarginMSELoss on unit vectors.
"""

from __future__ import annotations

from torch import Tensor

from pairspace.errors import TrainingError
from pairspace.objectives.batch import Batch
from pairspace.objectives.objective import Objective

__all__ = ["MarginMse"]


class MarginMse(Objective):
    """The squared difference of margins, mean over all negatives that a teacher scored.

    Args:
        scale: what the teacher's margins are divided by, so that they fit those of cosines.

    Raises:
        TrainingError: a scale that is not positive.
    """

    needs = frozenset({"negatives", "scores"})

    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__()
        if not scale > 0:
            raise TrainingError(f"the scale of a teacher's margins must be above 0, got {scale}")
        self.scale = scale

    def loss(self, batch: Batch) -> Tensor:
        """The mean squared difference, 0 where no pair of the batch has a scored negative."""
        assert batch.scores is not None
        cosines, counts = batch.own_cosines()
        ours, theirs = (one[:, :1] - one[:, 1:] for one in (cosines, batch.scores / self.scale))
        chosen = counts[:, :1] & counts[:, 1:]
        if not bool(chosen.any()):
            return cosines.sum() * 0.0
        return (ours[chosen] - theirs[chosen].to(ours.dtype)).square().mean()
