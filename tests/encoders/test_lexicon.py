from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from pairspace.encoders.lexicon import UNKNOWN_COLUMNS, Lexicon
from pairspace.errors import EncoderError

TEXTS = ["A package for chess", "chess packages", "packages and the Chess engine", "engine 3 of x"]


def named(lexicon: Lexicon, text: str) -> dict[str, float]:
    counts = lexicon.counts([text])
    return {lexicon.name(column): float(value) for column, value in zip(counts.indices, counts.data, strict=True)}


def test_terms_are_words_by_frequency_and_a_stem_has_the_name_of_its_commonest_form():
    lexicon = Lexicon.from_texts(TEXTS, least=2)
    assert lexicon.terms == ("chess", "packages", "engine")  # 3 texts each, then 2; stopwords are none
    assert named(lexicon, "Package chess, chess!") == {"packages": 1, "chess": 2}


def test_at_most_so_many_terms_and_no_numbers_or_letters():
    assert Lexicon.from_texts(TEXTS, least=1, most=2).terms == ("chess", "packages")
    assert not {"3", "x"} & set(Lexicon.from_texts(TEXTS, least=1).terms)
    assert "茶" in Lexicon.from_texts(["茶 a", "茶 b"], language=None, least=2).terms


def test_unknown_words_have_columns_behind_the_terms_that_are_the_same_everywhere():
    lexicon, other = Lexicon.from_texts(TEXTS, least=2), Lexicon(["chess", "packages", "engine"])
    counts, again = lexicon.counts(["squid chess squids"]), other.counts(["a squid"])
    assert counts.shape == (1, 3 + UNKNOWN_COLUMNS)
    unknown = counts.indices[counts.indices >= 3]
    assert list(unknown) == list(again.indices) and counts[0, unknown[0]] == 2
    assert lexicon.name(int(unknown[0])) == "squid" and Lexicon(["a"], language=None).name(7) == "#6"


def test_arrow_arrays_and_lists_count_alike_and_a_text_without_words_is_an_empty_row():
    lexicon = Lexicon.from_texts(TEXTS, least=2)
    one, other = lexicon.counts([*TEXTS, "", "the"]), lexicon.counts(pa.array([*TEXTS, "", "the"]))
    assert (one != other).nnz == 0
    assert list(np.diff(one.indptr)[-2:]) == [0, 0]
    assert lexicon.counts([]).shape[0] == 0


def test_phrases_of_a_word_list_are_found_the_longest_first(tmp_path: Path):
    file = tmp_path / "terms.txt"
    file.write_text("machine learning\nmachine\nmachine learning engineer\n", encoding="utf-8")
    lexicon = Lexicon.from_file(file, language="en")
    assert named(lexicon, "Machines; machine learning engineers, machine learning") == {
        "machine": 1,
        "machine learning engineer": 1,
        "machine learning": 1,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\n\nb\n", "line 2: empty"),
        ("a\nb\n a\n", "line 3: 'a' stands already on line 1"),
        ("", "empty"),
    ],
)
def test_a_bad_word_list_is_refused_with_its_line(tmp_path: Path, content: str, message: str):
    file = tmp_path / "terms.txt"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(EncoderError, match=message):
        Lexicon.from_file(file)


def test_a_word_list_that_is_no_text_or_not_there_is_refused(tmp_path: Path):
    file = tmp_path / "terms.txt"
    file.write_bytes(b"caf\xe9\n")
    for path in (file, tmp_path / "none.txt"):
        with pytest.raises(EncoderError, match="cannot be read"):
            Lexicon.from_file(path)


def test_rarer_words_become_terms_where_frequent_ones_are_few():
    rare, names = [f"rare{'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]}" for n in range(100)], "abcdefghij"
    often = [f"word{a}{b}{c}" for a in names for b in names for c in names[:5]]  # 500 of them
    few = Lexicon.from_texts([" ".join(often[:80])] * 5 + [" ".join(rare[:50])] * 2 + rare[50:])
    assert set(few.terms) == {*often[:80], *rare}
    enough = Lexicon.from_texts([" ".join(often)] * 5 + [" ".join(rare)] * 4)
    assert set(enough.terms) == set(often)


def test_texts_without_a_frequent_word_and_items_that_are_no_text_are_refused():
    with pytest.raises(EncoderError, match="no word occurs in 1 of these 2 texts"):
        Lexicon.from_texts(["a b", "c d"])
    with pytest.raises(EncoderError, match="no word occurs in 3 of these 2 texts"):
        Lexicon.from_texts(["chess engine", "chess"], least=3)
    with pytest.raises(EncoderError, match="item 1 is int"):
        Lexicon.from_texts(["a", 3])  # type: ignore[list-item]
    with pytest.raises(EncoderError, match="'a' stands twice"):
        Lexicon(["a", "b", "a"])
    with pytest.raises(EncoderError, match="at least one"):
        Lexicon([])


def test_pieces_of_a_tokenizer_are_terms_by_their_ids_without_special_ones():
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2, "[CLS]": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["[CLS]"])
    lexicon = Lexicon.from_tokenizer(tokenizer)
    assert lexicon.terms == ("[UNK]", "a", "##b", "[CLS]") and lexicon.width == 4
    assert named(lexicon, "ab a [CLS]") == {"a": 2, "##b": 1}


@pytest.mark.parametrize("pieces", [False, True])
def test_saved_and_loaded_it_counts_alike(tmp_path: Path, pieces: bool):
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "chess": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    lexicon = Lexicon.from_tokenizer(tokenizer) if pieces else Lexicon.from_texts(TEXTS, least=2)
    lexicon.save(tmp_path / "lexicon")
    again = Lexicon.load(tmp_path / "lexicon")
    assert again.fingerprint == lexicon.fingerprint and again.terms == lexicon.terms
    assert (again.counts(TEXTS) != lexicon.counts(TEXTS)).nnz == 0
    assert Lexicon(["chess"]).fingerprint != Lexicon(["chess"], language=None).fingerprint
