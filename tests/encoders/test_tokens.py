from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from pairspace.encoders.tokens import Tokens
from pairspace.errors import EncoderError


@pytest.fixture(scope="module")
def tokenizer(plain_folder):
    return AutoTokenizer.from_pretrained(plain_folder)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text("abc xyz,.\n", max_size=60), min_size=1, max_size=4), st.integers(3, 20))
def test_the_cut_gives_the_ids_that_the_tokenizer_gives(tokenizer, texts, limit):
    ids, lengths = Tokens(tokenizer, max_length=limit)(texts)
    assert ids == tokenizer(texts, truncation=True, max_length=limit)["input_ids"]
    assert lengths.tolist() == [len(one) for one in tokenizer(texts)["input_ids"]]


def test_left_truncation_too(tokenizer):
    tokenizer.truncation_side = "left"
    try:
        expected = tokenizer(["a b c d e f g"], truncation=True, max_length=5)["input_ids"]
        assert Tokens(tokenizer, max_length=5)(["a b c d e f g"])[0] == expected
    finally:
        tokenizer.truncation_side = "right"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text("abcdef  .\n", max_size=80), min_size=1, max_size=4), st.integers(3, 12), st.integers(0, 3))
def test_passages_fit_cover_and_keep_their_owner(tokenizer, texts, limit, stride):
    tokens = Tokens(tokenizer, max_length=limit)
    stride = min(stride, limit - 3)
    passages, owners = tokens.split(texts, stride=stride)
    assert sorted(set(owners.tolist())) == list(range(len(texts)))
    assert (tokens(passages)[1] <= limit).all()
    for row, text in enumerate(texts):
        own = [passage for passage, owner in zip(passages, owners, strict=True) if owner == row]
        assert all(passage in text for passage in own)
        if not stride:
            assert "".join("".join(own).split()) == "".join(text.split())


def test_passages_break_between_words(tokenizer):
    tokens = Tokens(tokenizer, max_length=5)
    passages, owners = tokens.split(["chess music", "play chess against the computer zz zz"])
    assert passages == ["chess music", "play chess against", "the computer", "zz", "zz"]
    assert owners.tolist() == [0, 1, 1, 1, 1]


def test_a_prompt_takes_room_from_the_passages(tokenizer):
    tokens = Tokens(tokenizer, max_length=6, prompt="play ")
    passages, _ = tokens.split(["chess music chess music"])
    assert passages == ["chess music chess", "music"]
    with pytest.raises(EncoderError, match="use 0 to 2"):
        tokens.split(["a"], stride=3)


def test_a_bad_item_is_named_when_splitting(tokenizer):
    with pytest.raises(EncoderError, match="item 1 is float"):
        Tokens(tokenizer, max_length=6).split(["a", 2.0])
