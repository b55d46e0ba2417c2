"""Which pairs of a batch are no negatives of each other: known to belong together, or nearly the same to the encoder.

    known:  (i, j) is left out where some pair of the batch has the query of i and the document of j
    near:   (i, j) is left out where cos(f_i, f_j) > threshold for the frozen features of either side

Known pairs cover both equal queries and equal documents, and also the case between: with (q1, d1), (q1, d2), (q2, d2)
the last d2 is an answer to q1 as good as the one before it. Both masks are made for one block of rows at a time and set
logits to -inf, so a mask costs no n x n memory, and a batch without repeated items costs nothing at all.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pairspace.errors import ShapeError

__all__ = ["KnownPairs", "Mask", "Near", "masks_of"]

KEEP = 1 << 23  # positions of near items kept between two passes (64 MiB); what is beyond is searched again


class Mask(Protocol):
    """Sets to -inf the logits of rows `start`... that do not count; never a row's own partner."""

    def mask_(self, logits: Tensor, start: int) -> None: ...  # noqa: D102


def masks_of(
    count: int, same: Tensor | tuple[Tensor, ...] | None, negatives: Tensor | None = None, near: Near | None = None
) -> tuple[Mask, ...]:
    """The masks that a batch of `count` pairs needs; none where nothing repeats.

    Raises:
        ShapeError: `same` has not an id a pair, or not one a negative.
    """
    masks: list[Mask] = [] if near is None else [near]
    if same is not None:
        queries, documents, *more = same if isinstance(same, tuple) else (same, same)
        for one in (queries, documents):
            if one.shape != (count,):
                raise ShapeError(f"`same` must have one id a pair, ({count},), got {tuple(one.shape)}")
        given = 0 if negatives is None else len(negatives)
        for one in more:
            if one.shape != (given,):
                raise ShapeError(f"`same` must have one id a negative, ({given},), got {tuple(one.shape)}")
        known = KnownPairs(queries, documents, *more)
        if len(known.rows):
            masks.append(known)
    return tuple(masks)


class KnownPairs:
    """Leaves out documents that the batch itself pairs with the row's query.

    Args:
        queries: ids (n,) of the query side.
        documents: ids (n,) of the document side; columns 0..n-1 of the logits.
        negatives: ids (m,) of the further columns, in the numbering of `documents`.
    """

    def __init__(self, queries: Tensor, documents: Tensor, negatives: Tensor | None = None) -> None:
        columns = documents if negatives is None else torch.cat([documents, negatives])
        queries, columns = _numbered(queries), _numbered(columns)
        many = int(columns.max()) + 1 if len(columns) else 1
        pairs = torch.unique(queries * many + columns[: len(queries)])  # sorted: the distinct pairs, query by query
        self._queries, self._pairs = queries, _Groups(pairs // many)
        self._documents = pairs % many
        self._order = torch.argsort(columns, stable=True)
        self._columns = _Groups(columns[self._order])
        left_out = self._columns.counts[self._documents]
        a_query = torch.zeros_like(self._pairs.counts).index_add_(0, pairs // many, left_out)
        self.rows = torch.nonzero(a_query[queries] > 1).flatten()  # those that lose more than their own partner

    def mask_(self, logits: Tensor, start: int) -> None:
        """Set to -inf the logits of rows `start`... against columns known to belong to them, own partner excepted."""
        ends = torch.tensor([start, start + len(logits)], device=self.rows.device)
        low, high = torch.searchsorted(self.rows, ends).tolist()
        if low == high:
            return
        rows = self.rows[low:high]
        which, pair = self._pairs.members(self._queries[rows])
        again, place = self._columns.members(self._documents[pair])
        rows, columns = rows[which[again]], self._order[place]
        other = rows != columns
        logits[rows[other] - start, columns[other]] = -torch.inf


class Near:
    """Leaves out pairs whose frozen features nearly coincide on a side.

    Finding them costs a product of the features a side, which for wide features is more than the loss itself.

    Args:
        features: (n, d) of one or several sides, of any length; directions alone count.
        above: cosine above which two items count as one.

    Raises:
        ShapeError: the sides differ in their number of items.
    """

    def __init__(self, features: tuple[Tensor, ...], *, above: float) -> None:
        if len({len(one) for one in features}) != 1:
            raise ShapeError(f"features of one batch must have as many rows, got {[len(one) for one in features]}")
        half = torch.float16, torch.bfloat16  # what a cache keeps, but too coarse to multiply in
        self._features = [one.detach().float() if one.dtype in half else one.detach() for one in features]
        self._norms = [one.norm(dim=1).clamp_min(torch.finfo(one.dtype).tiny) for one in self._features]
        self._above, self._kept, self._left = above, dict[int, Tensor](), KEEP

    def mask_(self, logits: Tensor, start: int) -> None:
        """Set to -inf the logits of rows `start`... against the partners of near items, own partner excepted."""
        places = self._kept.get(start)
        if places is None:
            places = self._places(start, len(logits))
            if len(places) <= self._left:
                self._kept[start] = places
                self._left -= len(places)
        n = len(self._features[0])
        logits[places // n, places % n] = -torch.inf

    def _places(self, start: int, rows: int) -> Tensor:
        """Flat positions in a block (rows, n)."""
        near = None
        for features, norms in zip(self._features, self._norms, strict=True):
            part = slice(start, start + rows)
            found = (features[part] / norms[part, None]) @ features.T > self._above * norms
            near = found if near is None else near.logical_or_(found)
        assert near is not None
        near.diagonal(start).fill_(False)
        return torch.nonzero(near.flatten()).flatten()


class _Groups:
    """Sorted numbers 0, 1, ... as runs: where each number's run starts and how long it is."""

    def __init__(self, numbers: Tensor) -> None:
        self.counts = torch.bincount(numbers)
        self.starts = self.counts.cumsum(0) - self.counts

    def members(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """All positions in the runs of `numbers`, and for each the index into `numbers` it comes from."""
        counts = self.counts[numbers]
        which = torch.repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        return which, torch.arange(len(which), device=which.device) + (self.starts[numbers] - before)[which]


def _numbered(ids: Tensor) -> Tensor:
    """The same ids as 0, 1, ... without gaps."""
    numbers: Tensor = torch.unique(ids, return_inverse=True)[1]
    return numbers
