"""Exact top-k in blocks: the k best documents of every query, never the whole queries x documents matrix.

Documents go by in blocks; for each, all queries go by in chunks, so that a block is brought to float32 and normalised
once. A block's best are merged into the running best, so memory is one block of scores beside the result.

Equal scores are ordered by position: the lower document index first, also where the tie lies across the k-th place.
torch.topk promises neither. So its choice within a block is checked against the (k+1)-th score and redone for the rows
where the two are equal, and merging compares 64-bit keys of score and index, of which no two are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from pairspace.errors import FeatureError, PairspaceError, ShapeError
from pairspace.neighbours.similarity import check_shapes, check_similarity, normalise

__all__ = ["Best", "Ranking", "dense_rows", "top_k"]

_CHUNK = 1024  # queries a block of scores
_BLOCK = 16_384  # documents a block of scores: 64 MiB of float32 with the chunk above
_CELLS = _CHUNK * _BLOCK
_NOTHING = -(0x7F800001 << 32)  # the key of score -inf at the last index there can be: below every document's


Adjust = Callable[[torch.Tensor, slice, slice], torch.Tensor]


class Ranking(NamedTuple):
    """The best documents of each query, best first; a row with fewer than k is filled with index -1, score -inf."""

    scores: np.ndarray  # float32 (queries, k)
    indices: np.ndarray  # int64 (queries, k)


def top_k(
    queries: Any,
    documents: Any,
    k: int,
    *,
    similarity: str = "cosine",
    owners: np.ndarray | None = None,
    chunk: int = _CHUNK,
    device: str | torch.device | None = None,
    adjust: Adjust | None = None,
) -> Ranking:
    """The k most similar documents of each query; exact.

    Args:
        queries: (n, dim) NumPy array (a memory-mapped one is read block by block), torch tensor or CSR matrix.
        documents: (m, dim), likewise; CSR where the queries are, and then a document that shares no column with the
            query is not found at all.
        k: how many a query; with fewer documents the rows are filled up (index -1, score -inf).
        similarity: "cosine" or "dot".
        owners: (m,) non-decreasing ids 0, 1, ...: the rows of one id are passages of one document, whose score is
            that of its best passage. The ranking then holds owners.
        chunk: queries in a block of scores.
        device: where dense products are taken; default: where the queries are.
        adjust: changes a block of similarities before it is ranked: given the block, and the slices of queries and
            documents that it is of. Not with `owners`.

    Returns:
        A `Ranking`; equal scores are ordered by document index, lower first.

    Raises:
        ShapeError: dimensions differ, or `owners` does not fit.
        FeatureError: NaN in the vectors.
        PairspaceError: k below 1, an unknown similarity, or only one side is CSR.
    """
    check_similarity(similarity)
    if k < 1 or chunk < 1:
        raise PairspaceError(f"top_k needs k and chunk of at least 1, got k={k}, chunk={chunk}")
    check_shapes(queries, documents, ("queries", "documents"))
    if owners is not None:
        owners = _checked_owners(owners, documents.shape[0])
    if sparse.issparse(queries) != sparse.issparse(documents):
        raise PairspaceError("queries and documents must both be dense or both be CSR matrices")
    if sparse.issparse(queries):
        return _sparse_top_k(queries, documents, k, similarity, owners, chunk, adjust)
    where = torch.device(device) if device is not None else _device(queries)
    unit = similarity == "cosine"
    best = Best(queries.shape[0], k, where)
    asked = dense_rows(queries, slice(None), unit, where) if _device(queries) == where else None
    for start, stop in _document_blocks(documents.shape[0], owners):
        block = dense_rows(documents, slice(start, stop), unit, where).T
        for first in range(0, queries.shape[0], chunk):
            rows = slice(first, min(first + chunk, queries.shape[0]))
            chosen = asked[rows] if asked is not None else dense_rows(queries, rows, unit, where)
            scores = chosen @ block
            if adjust is not None:
                scores = adjust(scores, rows, slice(start, stop))
            best.update(rows, *_owned(scores, start, stop, owners))
    return best.ranking()


class Best:
    """The best k of each query among the blocks seen so far, as keys that sort by score, then by lower index."""

    def __init__(self, queries: int, k: int, device: torch.device) -> None:
        self.k = k
        self.keys = torch.full((queries, k), _NOTHING, dtype=torch.int64, device=device)

    def update(self, rows: slice, block: torch.Tensor, start: int) -> None:
        """Merge a block of scores (rows, width) whose first column is document `start`."""
        scores, columns = _block_top_k(block, self.k)
        keys = torch.cat([self.keys[rows], _keys(scores, columns + start)], 1)
        self.keys[rows] = torch.topk(keys, self.k, dim=1).values

    def last(self, rows: slice) -> torch.Tensor:
        """The score of the k-th best of these rows so far, float32; -inf where there are fewer."""
        return _score_of(self.keys[rows, -1])

    def add(self, rows: torch.Tensor, scores: torch.Tensor, indices: torch.Tensor) -> None:
        """Merge single entries.

        Args:
            rows: int64 (entries,), whose they are, in any order.
            scores: float32 (entries,).
            indices: int64 (entries,), the documents.
        """
        order = rows.argsort(stable=True)
        owners, counts = torch.unique_consecutive(rows[order], return_counts=True)
        ends = counts.cumsum(0)
        place = torch.arange(len(rows), device=rows.device) - (ends - counts).repeat_interleave(counts)
        line = torch.arange(len(owners), device=rows.device).repeat_interleave(counts)
        keys = torch.full((len(owners), int(counts.max())), _NOTHING, dtype=torch.int64, device=rows.device)
        keys[line, place] = _keys(scores, indices)[order]
        self.keys[owners] = torch.topk(torch.cat([self.keys[owners], keys], 1), self.k, dim=1).values

    def ranking(self) -> Ranking:
        """The result, checked for NaN (which sorts above every number, so it cannot hide)."""
        scores = _score_of(self.keys)
        bad = torch.isnan(scores).any(1)
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise FeatureError(f"the similarities of query {row} are not numbers: its vector or a document's holds NaN")
        indices = torch.where(torch.isneginf(scores), -1, 0xFFFFFFFF - (self.keys & 0xFFFFFFFF))
        return Ranking(scores.cpu().numpy(), indices.cpu().numpy())


def _keys(scores: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """One int64 each: the score's bits, made to sort as numbers do, above the complement of the index."""
    scores = torch.where(torch.isnan(scores), torch.nan, scores + 0.0)  # one NaN, above all; -0 becomes 0
    bits = scores.view(torch.int32)
    return ((bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(torch.int64) << 32) | (0xFFFFFFFF - indices)


def _score_of(keys: torch.Tensor) -> torch.Tensor:
    bits = (keys >> 32).to(torch.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(torch.float32)


def _block_top_k(block: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and columns of the best k of each row in any order; of those tied for the last place the lowest."""
    width = block.shape[1]
    scores, columns = torch.topk(block, min(k + 1, width), dim=1)
    if width <= k:
        return scores, columns
    tied = ((scores[:, k - 1] == scores[:, k]) & ~torch.isneginf(scores[:, k])).nonzero()[:, 0]
    for row in tied.tolist():
        last = scores[row, k]
        above = (block[row] > last).nonzero()[:, 0]
        columns[row, :k] = torch.cat([above, (block[row] == last).nonzero()[: k - len(above), 0]])
        scores[row, :k] = block[row, columns[row, :k]]
    return scores[:, :k].contiguous(), columns[:, :k]


def _sparse_top_k(
    queries: Any,
    documents: Any,
    k: int,
    similarity: str,
    owners: np.ndarray | None,
    chunk: int,
    adjust: Adjust | None,
) -> Ranking:
    """Top-k of CSR matrices. Columns may be hashes (2^32 of them), so those in use are numbered first."""
    if similarity == "cosine":
        queries, documents = normalise(queries), normalise(documents)
    terms, columns = np.unique(documents.indices, return_inverse=True)
    shape = (documents.shape[0], len(terms))
    by_term = sparse.csr_array((documents.data, columns.astype(np.int32), documents.indptr), shape=shape).T.tocsr()
    queries = _known_columns(queries, terms)
    best = Best(queries.shape[0], k, torch.device("cpu"))
    rows_a_block = max(1, min(chunk, _CELLS // max(1, documents.shape[0])))
    for first in range(0, queries.shape[0], rows_a_block):
        rows = slice(first, min(first + rows_a_block, queries.shape[0]))
        product = queries[rows] @ by_term
        block = np.full(product.shape, -np.inf, np.float32)
        for line, start, stop in zip(block, product.indptr, product.indptr[1:], strict=False):
            line[product.indices[start:stop]] = product.data[start:stop]
        scores = torch.from_numpy(block)
        if adjust is not None:
            scores = adjust(scores, rows, slice(0, documents.shape[0]))
        best.update(rows, *_owned(scores, 0, documents.shape[0], owners))
    return best.ranking()


def _known_columns(matrix: Any, terms: np.ndarray) -> Any:
    """The matrix with its columns numbered as in `terms` (sorted); entries of other columns left out."""
    at = np.minimum(np.searchsorted(terms, matrix.indices), max(0, len(terms) - 1))
    known = terms[at] == matrix.indices if len(terms) else np.zeros(len(matrix.indices), bool)
    starts = np.concatenate([[0], np.cumsum(known)])[matrix.indptr]
    return sparse.csr_array((matrix.data[known], at[known], starts), shape=(matrix.shape[0], len(terms)))


def _owned(scores: torch.Tensor, start: int, stop: int, owners: np.ndarray | None) -> tuple[torch.Tensor, int]:
    """Scores of documents from scores of rows, and the first document's index."""
    if owners is None:
        return scores, start
    mine = owners[start:stop]
    first = int(mine[0])
    target = torch.from_numpy(mine - first).to(scores.device).expand_as(scores)
    best = scores.new_full((scores.shape[0], int(mine[-1]) - first + 1), -torch.inf)
    return best.scatter_reduce_(1, target, scores, "amax"), first


def _document_blocks(count: int, owners: np.ndarray | None) -> list[tuple[int, int]]:
    """Cuts of 0..count into blocks; never between two rows of one owner."""
    cuts = list(range(0, count, _BLOCK))
    if owners is not None:
        cuts = sorted({int(np.searchsorted(owners, owners[cut])) for cut in cuts})
    return list(zip(cuts, [*cuts[1:], count][: len(cuts)], strict=True))


def _checked_owners(owners: np.ndarray, rows: int) -> np.ndarray:
    owners = np.ascontiguousarray(owners, dtype=np.int64)
    if owners.shape != (rows,) or (rows and (owners[0] < 0 or np.any(np.diff(owners) < 0))):
        raise ShapeError(f"owners must be {rows} ids that never fall (one a document row), got shape {owners.shape}")
    return owners


def _device(x: Any) -> torch.device:
    return x.device if isinstance(x, torch.Tensor) else torch.device("cpu")


def dense_rows(x: Any, rows: slice, unit: bool, device: torch.device) -> torch.Tensor:
    """Some rows as float32 on a device, of length one if `unit`."""
    part = x[rows]
    if not isinstance(part, torch.Tensor):
        part = np.ascontiguousarray(part, dtype=np.float32)
        part = torch.from_numpy(part if part.flags.writeable else part.copy())
    part = part.detach().to(device=device, dtype=torch.float32)
    return normalise(part) if unit else part
