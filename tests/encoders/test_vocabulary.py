from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.encoders.vocabulary import END, PAD, Vocabulary, document_frequencies, train_bpe
from pairspace.errors import EncoderError

CORPUS = ["Play chess against the computer", "a game of chess", "the computer plays music", "play the game"] * 3


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(CORPUS, size=400)


def test_the_same_texts_give_the_same_vocabulary_in_any_order(tokenizer):
    assert train_bpe(CORPUS, size=400).to_str() == tokenizer.to_str()
    assert train_bpe(CORPUS[::-1], size=400).to_str() == tokenizer.to_str()
    assert train_bpe(pa.array(CORPUS, pa.large_string()), size=400).to_str() == tokenizer.to_str()


def test_frequent_words_become_one_token_wherever_they_stand(tokenizer):
    vocabulary = Vocabulary(tokenizer, max_length=None)
    (start, middle, capital), _ = vocabulary(["chess", "the chess", "CHESS"])
    assert len(start) == 1 and start.tolist() == capital.tolist() == middle[-1:].tolist()
    assert (vocabulary.id_of(PAD), vocabulary.id_of(END)) == (0, 1)


def test_a_word_inside_another_is_itself_where_there_is_no_mark():
    texts = ["chess", "gnu"] * 5
    marked, plain = (Vocabulary(train_bpe(texts, size=400, mark=mark), max_length=None) for mark in (True, False))
    (word, inside), _ = plain(["chess", "gnuchess"])
    assert word.tolist() == inside[-1:].tolist() and len(inside) == 2
    (word, inside), _ = marked(["chess", "gnuchess"])
    assert not set(word.tolist()) & set(inside.tolist())


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_no_text_is_unreadable(text):
    tokenizer = train_bpe(CORPUS, size=400)
    ids = Vocabulary(tokenizer, max_length=None)([text])[0][0]
    wanted = tokenizer.normalizer.normalize_str(text)
    assert "".join(tokenizer.decode(ids.tolist()).split()) == "".join(wanted.split())


def test_texts_are_cut_and_their_length_before_is_told(tokenizer):
    plain = Vocabulary(tokenizer, max_length=3)
    ending = Vocabulary(tokenizer, max_length=3, end=END)
    texts = ["chess", "chess game computer play", ""]
    ids, lengths = plain(texts)
    assert [len(one) for one in ids] == [1, 3, 0] and lengths.tolist() == [1, 4, 0] and lengths.dtype == np.int32
    ended, longer = ending(texts)
    assert [one[-1] for one in ended] == [1, 1, 1] and longer.tolist() == [2, 5, 1]
    assert ended[1].tolist() == [*ids[1][:2], 1]


def test_a_prompt_comes_before_every_text(tokenizer):
    plain, prompted = Vocabulary(tokenizer, max_length=None), Vocabulary(tokenizer, max_length=None, prompt="play ")
    assert prompted(["chess"])[0][0].tolist() == plain(["play chess"])[0][0].tolist()


def test_document_frequencies_count_a_text_once():
    ids = [np.array([1, 1, 2]), np.array([], int), np.array([2])]
    assert document_frequencies(ids, 4).tolist() == [0, 1, 2, 0]


def test_rows_beyond_one_block_are_named(tokenizer, monkeypatch):
    from pairspace.encoders import vocabulary

    monkeypatch.setattr(vocabulary, "_CHUNK", 2)
    made = Vocabulary(tokenizer, max_length=None)
    ids, lengths = made(CORPUS)
    assert len(ids) == len(CORPUS) == len(lengths)
    with pytest.raises(EncoderError, match="item 3 is NoneType"):
        made(["a", "b", "c", None])
    with pytest.raises(EncoderError, match="item 2 is not valid Unicode"):
        made(["a", "b", "\ud800"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "0 texts that are all empty"),
        (["", "  "], "2 texts that are all empty"),
        (["a", 3], "item 1 is int"),
        (["a", None], "item 1 is NoneType"),
        (["\ud800"], "item 0 is not valid Unicode"),
    ],
)
def test_texts_that_give_no_vocabulary_are_refused(texts, message):
    with pytest.raises(EncoderError, match=message):
        train_bpe(texts, size=400)


def test_a_vocabulary_needs_room_beside_the_bytes(tokenizer):
    with pytest.raises(EncoderError, match="use 300 or more"):
        train_bpe(CORPUS, size=256)
    with pytest.raises(EncoderError, match=r"no token '\[SEP\]'"):
        Vocabulary(tokenizer, max_length=None, end="[SEP]")
