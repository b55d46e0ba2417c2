"""The layer of words: distinct ordinary tokens, weighted by rank, summed."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.encoders import load_encoder
from pairspace.encoders.words import WordBag, word_weights


@pytest.fixture
def encoder(plain_folder):
    return load_encoder(plain_folder, device="cpu", precision="fp32")


def test_weights_grow_with_the_rank_and_leave_special_tokens_out(encoder):
    weights = word_weights(encoder._hf_tokenizer)
    assert weights.shape == (len(encoder._hf_tokenizer),) and weights.dtype == np.float32
    special = encoder._hf_tokenizer.all_special_ids
    assert (weights[special] == 0).all()
    ordinary = np.delete(weights, special)
    assert (np.diff(ordinary) > 0).all()
    assert ordinary[0] == pytest.approx(np.log1p(1 / 100))


def test_it_is_the_plain_sum_over_distinct_tokens(encoder, texts):
    vectors = encoder.encode(texts, ["words", "last"]).vectors["words"]
    table = encoder.module.transformer.get_input_embeddings().weight.detach().numpy()
    weights = word_weights(encoder._hf_tokenizer)
    ids, _ = encoder.tokens(texts)
    for vector, one in zip(vectors, ids, strict=True):
        np.testing.assert_allclose(vector, sum(weights[t] * table[t] for t in set(one)), atol=1e-6)
    assert (vectors[2] == 0).all()  # the empty text


def test_order_and_repetition_do_not_count_and_the_prompt_is_left_out(plain_folder, encoder):
    prompted = load_encoder(plain_folder, device="cpu", precision="fp32", prompt="music for ")
    a, b, c = encoder.encode(["chess game", "game chess game", "music for chess"], ["words"]).vectors["words"]
    np.testing.assert_allclose(a, b, atol=1e-6)
    assert not np.allclose(a, c)
    np.testing.assert_allclose(prompted.encode(["chess game"], ["words"]).vectors["words"][0], a, atol=1e-6)


def test_a_bag_reads_any_table():
    import torch

    bag = WordBag(torch.eye(4), np.array([0, 1, 2, 3], np.float32))
    assert bag([[3, 1, 3], [2], [0]]).tolist() == [[0, 1, 0, 3], [0, 0, 2, 0], [0, 0, 0, 0]]
