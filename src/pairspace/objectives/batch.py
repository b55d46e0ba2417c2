"""What an objective is given: the vectors of one batch of pairs, and whatever else is known about them.

One object for all objectives, so that they can be weighed, summed and cut (Matryoshka) without knowing each other. Only
the vectors are required; an objective says in `needs` what else it cannot do without.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pairspace.errors import ShapeError

__all__ = ["Batch"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Aligned pairs of unit vectors.

    Args:
        a: (n, dim) unit vectors of the query side; row i belongs with row i of `b`.
        b: (n, dim) those of the document side.
        ids: int64 (n,) of either side: an equal id on a side is the same item, and items known to belong together are
            never each other's negatives.
        negatives: (m, dim) unit vectors of hard negatives (documents), each distinct item once.
        negative_ids: int64 (m,), in the numbering of `ids[1]`.
        own: int64 (n, k), for each pair its own negatives as rows of `negatives`; -1 where it has fewer.
        scores: (n, 1 + k), a teacher's score of the pair and of its own negatives; NaN where there is none.
        teacher: (n, d_t) unit vectors of either side in a teacher's space.
        features: (n, d_a) and (n, d_b), what the frozen encoders gave; they carry no gradient.

    Raises:
        ShapeError: parts that do not fit each other.
    """

    a: Tensor
    b: Tensor
    ids: tuple[Tensor, Tensor] | None = None
    negatives: Tensor | None = None
    negative_ids: Tensor | None = None
    own: Tensor | None = None
    scores: Tensor | None = None
    teacher: tuple[Tensor, Tensor] | None = None
    features: tuple[Tensor, Tensor] | None = None

    def __post_init__(self) -> None:
        if self.a.ndim != 2 or self.a.shape != self.b.shape:
            raise ShapeError(
                f"a batch needs vectors of equal shape (n, dim), got {tuple(self.a.shape)} and {tuple(self.b.shape)}"
            )
        n, dim = self.a.shape
        for name, pair in (("ids", self.ids), ("teacher", self.teacher), ("features", self.features)):
            for side, one in zip(("query", "document"), pair or (), strict=False):
                _expect(f"{name} of the {side} side", one, (n,) if name == "ids" else (n, None))
        given = None if self.negatives is None else len(self.negatives)
        _expect("negatives", self.negatives, (None, dim))
        _expect("negative_ids", self.negative_ids, (given or 0,))
        _expect("own", self.own, (n, None))
        _expect("scores", self.scores, (n, 1 if self.own is None else 1 + self.own.shape[1]))
        if self.own is not None and self.own.numel() and int(self.own.max()) >= (given or 0):
            raise ShapeError(f"own names negative {int(self.own.max())}, but the batch has {given or 0}")

    def __len__(self) -> int:
        return len(self.a)

    def full_precision(self) -> Batch:
        """The same with vectors of float32 where they were of half precision."""
        if self.a.dtype not in (torch.float16, torch.bfloat16):
            return self
        negatives = None if self.negatives is None else self.negatives.float()
        return replace(self, a=self.a.float(), b=self.b.float(), negatives=negatives)

    @property
    def same(self) -> tuple[Tensor, ...] | None:
        """The ids of queries, documents and, where known, negatives, as the functions take them."""
        if self.ids is None or self.negative_ids is None:
            return self.ids
        return (*self.ids, self.negative_ids)

    def own_cosines(self) -> tuple[Tensor, Tensor]:
        """Cosines of each query with its document and its own negatives, and which of them count.

        Both are (n, 1 + k). What counts is there and, where the batch has scores, has one that is a number. Memory is
        that of `negatives` once more where each negative belongs to one pair.

        Raises:
            ShapeError: the batch has no negatives, or does not say which pair's they are.
        """
        if self.negatives is None or self.own is None:
            raise ShapeError("own_cosines needs a batch with `negatives` and `own`")
        table = self.negatives if len(self.negatives) else self.b  # with no negative at all, any row will do
        columns = [self.b, *(table[rows.clamp_min(0)] for rows in self.own.unbind(1))]
        cosines = torch.stack([(self.a * column).sum(1) for column in columns], 1)
        scored = torch.cat([self.own.new_ones(len(self), 1), self.own + 1], 1) > 0
        return cosines, scored if self.scores is None else scored & ~self.scores.isnan()


def _expect(name: str, value: Tensor | None, shape: tuple[int | None, ...]) -> None:
    """See that a part has the shape it must have; None stands for any length."""
    if value is None:
        return
    fits = value.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, value.shape, strict=True))
    if not fits:
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ShapeError(f"{name} of a batch must have the shape ({wanted}), got {tuple(value.shape)}")
