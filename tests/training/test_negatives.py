from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.errors import FeatureError, ShapeError, TrainingError
from pairspace.training import negatives
from pairspace.training.negatives import Mining, mine_negatives


def unit(rows, dimension=6, seed=0):
    x = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def slow(queries, documents, codes, mining):
    """The definition, a query at a time; all that are left where it would draw."""
    answer = []
    for q, vector in enumerate(queries):
        scores = documents @ vector
        own = {int(d) for one, d in zip(*codes, strict=True) if one == q}
        lowest = min((scores[d] for d in own), default=np.nan)
        nearest = [int(d) for d in np.argsort(-scores, kind="stable") if int(d) not in own][: mining.depth]
        kept = [
            d
            for d in nearest
            if not (mining.max_score is not None and scores[d] > mining.max_score)
            and not (mining.absolute_margin is not None and scores[d] > lowest - mining.absolute_margin)
            and not (mining.relative_margin is not None and scores[d] > lowest - abs(lowest) * mining.relative_margin)
        ]
        answer.append(kept[mining.range_min :])
    return answer


settings_of_mining = st.builds(
    Mining,
    num_negatives=st.integers(1, 4),
    range_min=st.integers(0, 3),
    range_max=st.sampled_from([None, 7, 12, 100]),
    max_score=st.sampled_from([None, 0.5, 0.9]),
    absolute_margin=st.sampled_from([None, -0.2, 0.1]),
    relative_margin=st.sampled_from([None, 0.05, 0.5]),
    sampling=st.sampled_from(["top", "random"]),
)


@given(mining=settings_of_mining, seed=st.integers(0, 1000), pairs=st.integers(1, 80))
@settings(max_examples=100, deadline=None)
def test_the_plain_definition(mining, seed, pairs):
    rng = np.random.default_rng(seed)
    queries, documents = unit(12, seed=seed), unit(30, seed=seed + 1)
    codes = np.minimum(rng.geometric(0.3, pairs) - 1, 11), rng.integers(0, 30, pairs)
    found = mine_negatives(queries, documents, codes, mining=mining)
    assert found.documents.shape == found.scores.shape == (12, mining.num_negatives)
    for q, expected in enumerate(slow(queries, documents, codes, mining)):
        row = found.documents[q]
        count = min(len(expected), mining.num_negatives)
        got = row[:count].tolist()
        assert (row[count:] == -1).all() and np.isnan(found.scores[q, count:]).all()
        assert got == (expected[:count] if mining.sampling == "top" else [d for d in expected if d in got])
        np.testing.assert_allclose(found.scores[q, :count], documents[got] @ queries[q], atol=1e-5)


SENTENCE = "play chess against the computer a game of cards with friends music player for gnome library files"
TEXTS = SENTENCE.split()


@pytest.fixture(scope="module")
def static():
    """A tiny static model of sentence-transformers, and texts that share many of its words."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(dict.fromkeys(TEXTS))}, unk_token="the"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 16)).astype(np.float32)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")
    rng = np.random.default_rng(1)
    texts = list(dict.fromkeys(" ".join(rng.choice(TEXTS, 5)) for _ in range(120)))
    return model, texts[:30], texts[30:90]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_negatives": 5, "range_min": 2},
        {"relative_margin": 0.05, "range_max": 60},
        {"absolute_margin": 0.1, "range_max": 60, "num_negatives": 4},
        {"max_score": 0.6, "range_min": 3, "range_max": 60},
        {"max_score": 0.7, "absolute_margin": 0.0, "relative_margin": 0.2, "range_max": 60},
    ],
)
def test_the_same_as_sentence_transformers(static, options):
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    model, queries, documents = static
    rng = np.random.default_rng(2)
    codes = np.r_[np.arange(30), rng.integers(0, 30, 30)], rng.permutation(60)  # one to four positives a query
    dataset = Dataset.from_dict({"q": [queries[i] for i in codes[0]], "d": [documents[i] for i in codes[1]]})
    theirs = mine_hard_negatives(
        dataset, model, verbose=False, output_format="labeled-list", output_scores=True, **options
    )
    expected = {(row["q"], row["d"][0]): row["d"][1:] for row in theirs}
    vectors = [model.encode(texts, show_progress_bar=False) for texts in (queries, documents)]
    found = mine_negatives(*vectors, codes, mining=Mining(**options))
    ours = {}
    for query, document in zip(*codes, strict=True):
        rows = found.documents[query]
        if rows[0] >= 0:
            ours[queries[query], documents[document]] = [documents[row] for row in rows if row >= 0]
    assert ours == expected and len(ours) > 10


def test_an_item_of_both_sides_is_not_its_own_negative():
    documents = unit(20)
    queries = documents[:5].copy()
    codes = np.arange(5), np.arange(10, 15)
    nearest = mine_negatives(queries, documents, codes)
    assert nearest.documents[:, 0].tolist() == [0, 1, 2, 3, 4]
    found = mine_negatives(queries, documents, codes, same=np.array([0, 1, 2, 3, -1]))
    assert found.documents[4, 0] == 4
    assert (found.documents[:4, :2] == nearest.documents[:4, 1:3]).all()


def test_documents_that_all_belong_to_a_query_leave_it_none():
    found = mine_negatives(unit(2), unit(6, seed=1), (np.r_[np.zeros(6, int), 1], np.r_[np.arange(6), 0]))
    assert found.documents[0].tolist() == [-1, -1, -1]
    assert (found.documents[1] > 0).all()


def test_what_the_filters_took_is_counted():
    queries = np.array([[1.0, 0.0]], np.float32)
    angles = np.array([0.1, 0.2, 0.5, 0.8, 1.2])
    documents = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    found = mine_negatives(
        queries,
        documents,
        (np.array([0, 0]), np.array([2, 0])),
        mining=Mining(num_negatives=2, max_score=0.9, absolute_margin=0.2, range_max=5),
    )
    assert found.positives == pytest.approx([np.cos(0.5)])
    assert found.documents.tolist() == [[4, -1]]  # 1 is above .9; 3 (.697) is within .2 of the lower positive (.878)
    assert found.removed == {"max_score": 1, "absolute_margin": 1}


def test_drawing_depends_on_the_seed_alone():
    queries, documents, codes = unit(50), unit(200, seed=1), (np.arange(50), np.arange(50))
    one, same, other = (
        mine_negatives(queries, documents, codes, mining=Mining(sampling="random", seed=seed)).documents
        for seed in (1, 1, 2)
    )
    assert (one == same).all() and (one != other).any()
    pool = mine_negatives(queries, documents, codes, mining=Mining(num_negatives=30)).documents
    assert all(set(row) <= set(near) for row, near in zip(one, pool, strict=True))
    assert len(np.unique(np.nonzero(one[:, :, None] == pool[:, None, :])[2])) > 20  # all ranks, not the first alone


def test_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    queries, documents = unit(40), unit(100, seed=1)
    codes = np.minimum(rng.geometric(0.1, 300) - 1, 39), rng.integers(0, 100, 300)
    whole = mine_negatives(queries, documents, codes)
    monkeypatch.setattr(negatives, "_QUERIES", 7)
    parts = mine_negatives(torch.from_numpy(queries), torch.from_numpy(documents), codes)
    assert (whole.documents == parts.documents).all()
    np.testing.assert_allclose(whole.positives, parts.positives, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_negatives": 0}, "num_negatives must be at least 1, got 0"),
        ({"range_min": -1}, "range_min must not be negative, got -1"),
        ({"range_min": 9, "range_max": 10}, "range_min=9 to range_max=10 leaves 1 candidates, and num_negatives=3"),
        ({"max_score": float("nan")}, "max_score must be a finite number, got nan"),
        ({"sampling": "best"}, "sampling is 'top' or 'random', got 'best'"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(TrainingError, match=message):
        Mining(**options)


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        ((np.arange(3), np.arange(2)), {}, "there are 3 queries and 2 documents"),
        ((np.array([0, 5]), np.array([0, 1])), {}, "pairs name rows 0 to 5 of 5 queries"),
        ((np.array([0, 1]), np.array([-1, 1])), {}, "pairs name rows -1 to 1 of 8 documents"),
        ((np.arange(2), np.arange(2)), {"same": np.zeros(2, int)}, "a row of the 8 documents for each of 5 queries"),
    ],
)
def test_codes_that_do_not_fit(codes, options, message):
    with pytest.raises(ShapeError, match=message):
        mine_negatives(unit(5), unit(8, seed=1), codes, **options)


def test_vectors_that_are_no_numbers():
    documents = unit(8, seed=1)
    documents[3] = np.nan
    with pytest.raises(FeatureError, match="NaN"):
        mine_negatives(unit(5), documents, (np.arange(2), np.arange(2)))
