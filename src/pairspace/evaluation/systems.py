"""The systems of a report: BM25, the encoders before training, the space, and the space fused with BM25.

Each turns a task into a ranking of `depth` documents a query. Items are encoded once, however many systems and
directions use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from scipy.sparse import issparse

from pairspace.errors import SpaceError
from pairspace.evaluation.sparsity import WordUse, overlap_flops, word_use
from pairspace.evaluation.tasks import Items, Task
from pairspace.neighbours import Bm25, Ranking, prune, reciprocal_rank_fusion, top_k, zscore_fusion

__all__ = ["CONTRASTS", "Encoded", "Systems"]

BM25, ENCODERS, SPACE, PRUNED, FUSION = "bm25", "encoders", "space", "pruned", "space + bm25"
CONTRASTS = ((SPACE, ENCODERS), (SPACE, BM25), (PRUNED, SPACE), (FUSION, SPACE))  # what each is to beat, or not to lose


class Encoded(NamedTuple):
    """Vectors of a side's items: now, before training (None if that is the same), and whose passages they are."""

    vectors: Any
    start: Any
    owners: np.ndarray | None
    cut: float  # share of texts longer than the encoder reads


class Systems:
    """Ranks the documents of tasks with everything that a report shows.

    Args:
        space: what is evaluated.
        passages: documents are split into passages, of which the best counts.
        depth: documents a query.
        bm25: with BM25, where the items are texts.
        fusion: with the fusion of space and BM25.
        pruning: arguments of `prune`, to show what pruned documents of a sparse space cost; None for none.
        start: with the encoders before training, where the space was trained.
        cache: read and write the feature cache.
        progress: show bars.
    """

    def __init__(
        self,
        space: Any,
        *,
        passages: bool,
        depth: int,
        bm25: bool,
        fusion: bool,
        pruning: Mapping[str, Any] | None,
        start: bool,
        cache: bool,
        progress: bool | None,
    ) -> None:
        self.space, self.passages, self.depth = space, passages, depth
        self.bm25, self.fusion, self.pruning = bm25, fusion and bm25, pruning
        self.start = start and space.trained and space.has_start
        self.cache, self.progress = cache, progress
        self._encoded: dict[tuple[int, bool], Encoded] = {}

    def rankings(self, task: Task) -> dict[str, tuple[str, Ranking]]:
        """System -> (label, ranking), in the order of the table."""
        queries, documents = self.encoded(task.queries), self.encoded(task.documents, passages=self.passages)
        found: dict[str, tuple[str, Ranking]] = {}
        lexical = None
        if self.bm25 and task.queries.texts is not None and task.documents.texts is not None:
            lexical = Bm25(self.space.language).fit(task.documents.texts).search(task.queries.texts, self.depth)
            found[BM25] = ("bm25", lexical)
        if queries.start is not None and documents.start is not None:
            before = self._ranked(queries.start, documents.start, documents.owners)
            found[ENCODERS] = ("encoders before training", before)
        own = self._ranked(queries.vectors, documents.vectors, documents.owners)
        found[SPACE] = ("space", own)
        if self.pruning and issparse(documents.vectors):
            kept = prune(documents.vectors, **self.pruning)
            terms = kept.nnz / max(1, kept.shape[0])
            pruned = self._ranked(queries.vectors, kept, documents.owners)
            found[PRUNED] = (f"space, documents cut to {terms:.0f} terms", pruned)
        if lexical is not None and self.fusion:
            found[FUSION] = self._fused(own, lexical)
        return found

    def _ranked(self, queries: Any, documents: Any, owners: np.ndarray | None) -> Ranking:
        similarity = "dot" if issparse(documents) else "cosine"
        return top_k(queries, documents, self.depth, similarity=similarity, owners=owners)

    def encoded(self, items: Items, *, passages: bool = False) -> Encoded:
        """The items' vectors; encoded at the first call."""
        key = (id(items), passages)
        if key not in self._encoded:
            self._encoded[key] = self._encode(items, passages)
        return self._encoded[key]

    def words(self, task: Task) -> tuple[tuple[WordUse, ...], float]:
        """How either side of a sparse space uses its terms, and how many a query and a document share."""
        lexicon, table, found, vectors = self.space.lexicon, self.space.term_vectors(), [], []
        for items in (task.queries, task.documents):
            own = None if items.texts is None else lexicon.counts(items.texts)
            encoded = self.encoded(items)
            vectors.append(encoded.vectors)
            found.append(word_use(items.side, encoded.vectors, len(lexicon), own, table))
        return tuple(found), overlap_flops(*vectors)

    def _encode(self, items: Items, passages: bool) -> Encoded:
        given, owners = items.items, None
        if passages:
            if items.texts is None:
                raise SpaceError(f"the items of side {items.side!r} are no texts: they cannot be split into passages")
            texts, owners = self.space.split_passages(items.texts.to_pylist(), items.side)
            given = pa.array(texts, pa.large_string())
        how: dict[str, Any] = {"cache": self.cache, "progress": self.progress}
        features, start = self.space.features(given, items.side, **how), None
        if self.start:
            same = self.space.part(items.side).starts_equal
            before = features if same else self.space.features(given, items.side, start=True, **how)
            start = self.space.project(before, items.side, start=True)
        return Encoded(self.space.project(features, items.side), start, owners, features.truncated)

    def _fused(self, dense: Ranking, lexical: Ranking) -> tuple[str, Ranking]:
        weight = self.space.fusion_weight
        if weight is None:
            return "space + bm25 (rank fusion)", reciprocal_rank_fusion([dense, lexical], self.depth)
        fused = zscore_fusion([dense, lexical], [weight, 1 - weight], self.depth)
        return f"space + bm25 (z, {weight:.2f})", fused
