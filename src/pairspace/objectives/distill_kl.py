"""Distillation by KL divergence: rank as a teacher does, not only the right answer first.

From a teacher's space, over the batch and in both directions, with t = teacher_a @ teacher_b.T / teacher_temperature:

    L = 1/(2N) * sum_i ( KL( softmax_j(t_ij) | softmax_j(s_ij) ) + KL( softmax_j(t_ji) | softmax_j(s_ji) ) )

With `within`, each side's items are also compared with each other, as the teacher compares them (a = b, an item with
itself left out), and half the loss is the mean of these two:

    L = ( L_ab + (L_aa + L_bb) / 2 ) / 2

Pairs alone say of two queries nothing; where a student cannot hold all that its teacher knows, as weights of few terms
cannot, learning all similarities keeps more of them (3 points of R@1 at 100 terms, see docs/log.md).

From a teacher's scores t_ik of each pair and its own hard negatives, mostly of a cross-encoder:

    L = mean_i KL( softmax_k(t_ik / teacher_temperature) | softmax_k(s_ik) ),    s = cosine / temperature

The first is the soft-target loss of D2S (Nguyen et al. 2024) less the teacher's entropy, so that 0 is reached by
agreeing; the gradients are equal. The second is sentence-transformers' DistillKLDivLoss without its factor
temperature^2, which would reward a learnt temperature for shrinking. Items that repeat need no mask: the teacher gives
equal items equal shares. Memory as in `info_nce.py`: two passes over blocks of rows, with

    dL/ds_ij = ( exp(s_ij - r_i) + exp(s_ij - c_j) - exp(t_ij - R_i) - exp(t_ij - C_j) ) / (2N)

where r, c, R, C are the log-sum-exps of rows and columns of s and of t.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pairspace.errors import ShapeError, TrainingError
from pairspace.objectives.batch import Batch
from pairspace.objectives.blocks import block_rows, blocks, check_pairs
from pairspace.objectives.objective import Objective
from pairspace.objectives.temperature import Temperature

__all__ = ["DistillKl", "distill_kl", "distill_scores", "distill_within"]

_NEVER = -1e9  # a logit that gets no share


class DistillKl(Objective):
    """KL divergence from a teacher.

    Args:
        temperature: the student's, learnt along or fixed.
        teacher_temperature: the teacher's, fixed: what cosines or scores are divided by. D2S divides cosines by 0.001,
            which leaves little but the first; a cross-encoder's scores are logits, so 1 fits them.
        source: "teacher" for a space, "scores" for scores; None takes the space where a batch has one, else the scores.
        within: of a space, learn the similarities within either side too.

    Raises:
        TrainingError: a teacher's temperature that is not positive.
    """

    def __init__(
        self,
        temperature: Temperature,
        *,
        teacher_temperature: float,
        source: Literal["teacher", "scores"] | None = None,
        within: bool = False,
    ) -> None:
        super().__init__()
        if not teacher_temperature > 0:
            raise TrainingError(f"the teacher's temperature must be above 0, got {teacher_temperature}")
        self.temperature, self.teacher_temperature, self.source = temperature, teacher_temperature, source
        self.within = within
        self.needs = frozenset({"negatives", "scores"} if source == "scores" else {"teacher"})

    def missing(self, batch: Batch) -> list[str]:
        """What is needed; without a source either of the two will do."""
        if self.source is None and batch.teacher is None and batch.scores is not None:
            return [] if batch.negatives is not None else ["negatives"]
        return super().missing(batch)

    def loss(self, batch: Batch) -> Tensor:
        """The mean divergence, in nats."""
        temperature = self.temperature()
        if batch.teacher is not None and self.source != "scores":
            how: dict[str, Any] = {"temperature": temperature, "teacher_temperature": self.teacher_temperature}
            loss = distill_kl(batch.a, batch.b, teacher=batch.teacher, **how)
            if not self.within:
                return loss
            sides = zip((batch.a, batch.b), batch.teacher, strict=True)
            return (loss + sum(distill_within(x, teacher=theirs, **how) for x, theirs in sides) / 2) / 2
        assert batch.scores is not None
        cosines, counts = batch.own_cosines()
        return distill_scores(cosines / temperature, batch.scores / self.teacher_temperature, counts)


def distill_scores(student: Tensor, teacher: Tensor, counts: Tensor) -> Tensor:
    """Mean divergence of two rankings of a few candidates.

    Args:
        student: logits (n, k).
        teacher: logits (n, k), which carry no gradient.
        counts: bool (n, k), which of the candidates take part.

    Returns:
        The mean over rows with at least two candidates, in nats; 0 if there is none.
    """
    rows = counts.sum(1) > 1
    if not bool(rows.any()):
        return student.sum() * 0.0
    left_out = ~counts[rows]
    log_s, log_t = (
        one[rows].masked_fill(left_out, -torch.inf).log_softmax(1)
        for one in (student, teacher.detach().to(student.dtype))
    )
    return (log_t.exp() * (log_t - log_s).masked_fill(left_out, 0.0)).sum(1).mean()


def distill_kl(
    a: Tensor,
    b: Tensor,
    *,
    teacher: tuple[Tensor, Tensor],
    temperature: Tensor | float,
    teacher_temperature: float,
    chunk: int | None = None,
) -> Tensor:
    """Mean divergence over the batch, of both directions.

    Args:
        a: unit vectors (n, dim) of the queries.
        b: those of the documents; row i of `a` belongs with row i of `b`.
        teacher: the teacher's unit vectors (n, d_t) of the same items; they carry no gradient.
        temperature: positive scalar.
        teacher_temperature: positive number.
        chunk: rows of logits computed at once.

    Returns:
        The mean divergence, in nats.

    Raises:
        ShapeError: the batches do not fit each other.
    """
    check_pairs("distill_kl", a, b)
    check_pairs("the teacher of distill_kl", *teacher)
    if len(teacher[0]) != len(a):
        raise ShapeError(f"a teacher of {len(teacher[0])} pairs for a batch of {len(a)}")
    scale = 1.0 / torch.as_tensor(temperature, dtype=a.dtype, device=a.device)
    theirs = tuple(one.detach().to(a.dtype) for one in teacher)
    loss: Tensor = _Blocked.apply(a, b, scale, *theirs, 1.0 / teacher_temperature, chunk or block_rows(len(b)))  # type: ignore[no-untyped-call]
    return loss


def distill_within(
    x: Tensor,
    *,
    teacher: Tensor,
    temperature: Tensor | float,
    teacher_temperature: float,
    chunk: int | None = None,
) -> Tensor:
    """Mean divergence of the rankings of a side's items by each of its items, itself left out.

    Args:
        x: unit vectors (n, dim).
        teacher: the teacher's unit vectors (n, d_t) of the same items; they carry no gradient.
        temperature: positive scalar.
        teacher_temperature: positive number.
        chunk: rows of logits computed at once.

    Returns:
        The mean divergence, in nats; 0 of fewer than three items.

    Raises:
        ShapeError: another number of vectors of the teacher.
    """
    if len(teacher) != len(x):
        raise ShapeError(f"a teacher of {len(teacher)} items for {len(x)}")
    if len(x) < 3:  # with a single other item there is nothing to rank
        return x.sum() * 0.0
    scale = 1.0 / torch.as_tensor(temperature, dtype=x.dtype, device=x.device)
    theirs = teacher.detach().to(x.dtype)
    loss: Tensor = _Blocked.apply(
        x, None, scale, theirs, theirs, 1.0 / teacher_temperature, chunk or block_rows(len(x))
    )  # type: ignore[no-untyped-call]
    return loss


class _Itself:
    """Takes an item's similarity with itself out of the logits; finite, so that no share of it is NaN."""

    def mask_(self, logits: Tensor, start: int) -> None:
        logits.diagonal(start).fill_(_NEVER)


def _passes(
    a: Tensor, b: Tensor | None, scale: Tensor | float, chunk: int
) -> Callable[[], Iterable[tuple[slice, Tensor]]]:
    """Goes over the blocks of logits as often as it is called; a single one is computed once."""
    columns, masks = (a, (_Itself(),)) if b is None else (b, ())
    if chunk < len(a):
        return lambda: blocks(a, columns, scale, masks, chunk)
    whole = list(blocks(a, columns, scale, masks, chunk))
    return lambda: whole


def _normalisers(found: Iterable[tuple[slice, Tensor]], a: Tensor) -> tuple[Tensor, Tensor]:
    """The log-sum-exps of rows and of columns."""
    row, column = a.new_empty(len(a)), a.new_full((len(a),), -torch.inf)
    for rows, logits in found:
        row[rows] = logits.logsumexp(1)
        column = torch.logaddexp(column, logits.logsumexp(0))
    return row, column


class _Blocked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor | None, scale: Tensor, left: Tensor, right: Tensor, sharpness: float, chunk: int
    ) -> Tensor:
        n, learns = len(a), any(ctx.needs_input_grad)
        student, teacher = _passes(a, b, scale, chunk), _passes(left, None if b is None else right, sharpness, chunk)
        ours, theirs = _normalisers(student(), a), _normalisers(teacher(), a)
        losses, grad_a = a.new_zeros(n), torch.empty_like(a)
        grad_b = None if b is None else torch.zeros_like(b)
        for (rows, s), (_, t) in zip(student(), teacher(), strict=True):
            gradient = torch.zeros_like(s)
            for r, big_r in ((ours[0][rows, None], theirs[0][rows, None]), (ours[1], theirs[1])):
                log_s, log_t = s - r, t - big_r
                share = log_t.exp()
                losses[rows] += share.mul(log_t.sub_(log_s)).sum(1)
                gradient.add_(log_s.exp_()).sub_(share)
            if learns:
                torch.mm(gradient, a if b is None else b, out=grad_a[rows])
                if grad_b is not None:
                    grad_b.addmm_(gradient.T, a[rows])
        ctx.save_for_backward(a, scale, grad_a, grad_b)
        return losses.mean() / 2

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, scale, grad_a, grad_b = ctx.saved_tensors
        outer = grad / (2 * len(a))
        of_scale = outer * (a * grad_a).sum()
        if grad_b is None:  # the logits are symmetric: an item's row and its column have one gradient
            return 2 * outer * scale * grad_a, None, of_scale, None, None, None, None
        return outer * scale * grad_a, outer * scale * grad_b, of_scale, None, None, None, None
