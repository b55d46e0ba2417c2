"""An index over real spaces of every kind; most other tests take one made of hashes."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.errors import IndexingError
from pairspace.index import Index
from pairspace.index.hybrid import fusion_weights


def test_every_kind_of_space_is_indexed_and_searched(fitted_space, shuffled, space_kind, tmp_path):
    space, bodies = fitted_space(space_kind), shuffled.items("body").to_pylist()
    queries = shuffled.items("title").to_pylist()[:5]
    expected = space.similarity(space.encode(queries, side="title"), space.encode(bodies, side="body"))
    with Index.create(tmp_path / "index", space, side="body") as index:
        index.add([f"b{n}" for n in range(len(bodies))], bodies)
        for query, scores in zip(queries, expected, strict=True):
            hits = index.search(query, k=3)
            best = [score for score in sorted(scores, reverse=True)[:3] if score > 0 or not space.sparse]
            assert [hit.score for hit in hits] == pytest.approx(best, abs=1e-3)
            assert not best or scores[int(hits[0].id[1:])] == pytest.approx(scores.max(), abs=1e-3)


def test_an_index_is_of_the_weights_it_was_made_with(new_space, shuffled, tmp_path):
    space, how = new_space("joined")
    space.fit(shuffled, **how | {"validation": None})
    space.save_pretrained(tmp_path / "space")
    with Index.create(tmp_path / "index", space, side="body") as index:
        index.add(["one"], ["play chess"])
    fingerprint = space.fingerprint
    space.fit(shuffled, **how | {"validation": None})
    assert space.fingerprint != fingerprint
    with pytest.raises(IndexingError, match=fingerprint), Index.open(tmp_path / "index", space=space):
        pass
    with Index.open(tmp_path / "index") as index:
        [hit] = index.search("play chess", k=1)
        assert hit.id == "one" and np.isfinite(hit.score)


def test_a_space_that_trusts_itself_alone_lets_others_be_heard():
    weights = fusion_weights([1.0, 0.7, 0.5])
    total = 3 + 7 / 3 + 1
    assert weights == pytest.approx([3 / total, 7 / 3 / total, 1 / total])
    assert fusion_weights([0.7, None]) is None


def test_a_space_and_bm25_alone_count_as_was_learnt():
    assert fusion_weights([0.8, 0.5]) == pytest.approx([0.8, 0.2])
    assert fusion_weights([1.0, 0.5]) == pytest.approx([1.0, 0.0], abs=1e-5)
    assert fusion_weights([0.0, 0.0]) is None  # two that trust themselves in nothing: ranks are added up
