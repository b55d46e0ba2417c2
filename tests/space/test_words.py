"""Sparse spaces: what they begin with, what their vectors say, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from pairspace.data import Pairs
from pairspace.encoders.lexicon import Lexicon
from pairspace.errors import EncoderError, ShapeError, SpaceError, TrainingError
from pairspace.space import Space


@pytest.fixture
def word_list(tmp_path: Path) -> Path:
    file = tmp_path / "terms.txt"
    file.write_text("chess\nmusic\ncomputer\nfiles\nfriends\n", encoding="utf-8")
    return file


@pytest.fixture
def make(plain_folder, word_list):
    def space(**settings):
        settings = {"encoder": str(plain_folder), "lexicon": word_list, "device": "cpu", "cache": False} | settings
        return Space.create(("title", "body"), projector="lexical", **settings)

    return space


def test_with_a_word_list_a_space_speaks_before_any_training(make):
    space = make(echo=False)
    vectors = space.encode(["music", "play chess with friends"])
    assert sparse.issparse(vectors) and vectors.shape == (2, 5) and vectors.dtype == np.float32
    assert not space.trained and space.has_start
    best = space.decode(space.encode([*space.lexicon.terms]), top_k=1)
    assert [row[0][0] for row in best] == list(space.lexicon.terms)  # a term is nearest to itself


def test_the_head_is_the_terms_own_vectors_centred_and_of_length_one(make):
    space = make()
    head = space.part().branches[0].projector.head.detach().numpy()
    dense = Space.create(("title", "body"), encoder=space.part().encoder, projector="identity", cache=False)
    rows = dense.encode([*space.lexicon.terms])
    rows = rows - rows.mean(0)
    np.testing.assert_allclose(head, rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=2e-3)
    np.testing.assert_allclose(space.term_vectors(), head, atol=1e-6)


def test_own_words_count_with_an_echo_also_those_that_are_no_terms(make):
    plain, echo = make(echo=False), make()
    text = "chess squid"
    terms = dict(echo.decode(echo.encode([text]), top_k=None)[0])
    found = dict(plain.decode(plain.encode([text]), top_k=None)[0])
    own = {term: terms.pop(term) for term in ('"chess"', '"squid"')}
    assert all(weight > 0 for weight in own.values())
    assert terms == pytest.approx(found)  # what the projector finds stays as it is, in columns of its own


def test_own_words_meet_only_own_words(make):
    space = make()
    asked, given = space.encode(["squid chess"]), space.encode(["squid music"], side="body")
    both = space.intersection(asked, given)
    names = {space.name_of(column) for column in both.indices}
    assert '"squid"' in names and '"chess"' not in names


def test_explain_adds_up_to_the_similarity_and_names_the_shared_terms(make):
    space = make()
    why = space.explain("chess against the computer", "computer chess and music")
    vectors = space.encode(["chess against the computer"]), space.encode(["computer chess and music"], side="body")
    assert why.score == pytest.approx(float(space.similarity(*vectors)[0, 0]), rel=1e-5)
    assert why.score == pytest.approx(sum(m.query * m.document for m in why.matches), rel=1e-5)
    assert {"chess", "computer"} <= {match.term for match in why.matches}
    scores = [match.score for match in why.matches]
    assert scores == sorted(scores, reverse=True)
    both = space.intersection(*vectors)
    assert both.sum() == pytest.approx(why.score, rel=1e-5)
    assert space.sparsity(vectors[0])["active_dims"] == vectors[0].nnz


def test_terms_are_learnt_from_the_texts_where_no_list_is_given(plain_folder, shuffled):
    space = Space.create(("title", "body"), encoder=str(plain_folder), projector="lexical", cache=False)
    with pytest.raises(SpaceError, match="no terms yet"):
        space.encode(["chess"])
    space.fit(shuffled, epochs=2, batch_size=16, progress=False)
    assert "chess" in space.lexicon.terms and "the" not in space.lexicon.terms
    record = space.record["after"]
    assert record["query_terms"] > 0 and "alignment" not in record


def test_an_item_keeps_as_many_terms_as_are_asked_for(plain_folder, shuffled):
    sizes = []
    for terms in ((), (2, 3)):
        space = Space.create(("title", "body"), encoder=str(plain_folder), projector="lexical", echo=False, cache=False)
        how = {"epochs": 2, "batch_size": 16, "validation": None}
        space.fit(shuffled, terms=terms, sparsity=(1e-3, 1e-3), progress=False, **how)
        vectors = [space.encode(shuffled.items(side), side=side) for side in space.sides]
        sizes.append([set(np.diff(one.indptr).tolist()) for one in vectors])
    assert len(sizes[0][0]) > 1 and sizes[1] == [{2}, {3}]


def test_two_encoders_of_different_origin_share_the_words_of_one(plain_folder, transformer, shuffled):
    other = transformer("other", seed=5)
    encoders = {"title": str(other), "body": str(plain_folder)}
    space = Space.create(("title", "body"), encoder=encoders, projector="lexical", head="fixed", cache=False)
    space.fit(shuffled, epochs=2, batch_size=16, progress=False)
    assert space.started and space.encode(["chess"], side="body").shape == space.encode(["chess"]).shape
    heads = [space.part(side).branches[0].projector.head for side in space.sides]
    np.testing.assert_array_equal(*(head.detach().numpy() for head in heads))


def test_of_joined_encoders_each_is_brought_near_the_words_by_its_own_features(
    plain_folder, transformer, shuffled, monkeypatch
):
    from pairspace.space import words

    other, seen = transformer("other", seed=5), []
    align = words.align
    monkeypatch.setattr(words, "align", lambda *given: (seen.append(given[2:]), align(*given))[1])
    encoders = {"title": f"static:24+{plain_folder}", "body": f"{plain_folder}+{other}"}
    space = Space.create(("title", "body"), encoder=encoders, projector="lexical", head="fixed", cache=False)
    space.fit(shuffled, epochs=1, batch_size=16, terms=(4, 4), progress=False)
    (pair,) = seen  # only the other encoder has to be turned
    mine, others = space.part("body").branches
    rows = {round(float(x), 5) for x in mine.features(shuffled.items("body"), cache=None).rows()[:, -1]}
    theirs = {round(float(x), 5) for x in others.features(shuffled.items("body"), cache=None).rows()[:, -1]}
    assert {round(float(x), 5) for x in pair[1][:, -1]} <= theirs and not theirs & rows


def test_terms_given_wait_for_the_pairs_where_encoders_do_not_know_each_other(plain_folder, shuffled, word_list):
    for encoder in ({"title": "static:16", "body": str(plain_folder)}, "static:16"):
        space = Space.create(("title", "body"), encoder=encoder, projector="lexical", lexicon=word_list, cache=False)
        assert len(space.lexicon) == 5
        with pytest.raises(SpaceError, match="fit it on pairs"):
            space.encode(["chess"])
        space.fit(shuffled, epochs=1, batch_size=16, terms=(2, 2), progress=False)
        assert len(space.lexicon) == 5 and space.encode(["chess"]).nnz


def test_pieces_of_the_encoders_tokenizer_can_be_the_terms(make):
    space = make(lexicon="pieces")
    assert {"chess", "##a", "[CLS]"} <= set(space.lexicon.terms)
    assert space.encode(["chess"]).shape[1] == 2 * len(space.lexicon)  # terms, and own pieces


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "mask"}, "head 'mask': choose"),
        ({"head": "free:3"}, "choose"),
        ({"projector": {"title": "lexical", "body": "linear"}}, "sparse on all sides or on none"),
        ({"projector": "linear", "lexicon": "terms.txt"}, "a lexicon is of sparse spaces"),
    ],
)
def test_settings_that_do_not_fit_are_refused(plain_folder, settings, message):
    how = {"encoder": str(plain_folder), "projector": "lexical", "cache": False} | settings
    with pytest.raises(SpaceError, match=message):
        Space.create(("title", "body"), **how)


def test_the_head_of_a_masked_language_model_is_taken_with_its_norm_and_bias(masked_folder, plain_folder):
    from transformers import AutoModelForMaskedLM

    how = {"projector": "lexical", "lexicon": "pieces", "head": "mlm", "cache": False}
    space = Space.create(("title", "body"), encoder=str(masked_folder), **how)
    projector, model = space.part().branches[0].projector, AutoModelForMaskedLM.from_pretrained(masked_folder)
    head = model.cls.predictions
    np.testing.assert_array_equal(projector.head.detach(), head.decoder.weight.detach())
    norm = projector.norm.weight.detach() * projector.width**-0.5
    np.testing.assert_allclose(norm, head.transform.LayerNorm.weight.detach(), rtol=1e-6)
    shift = projector.bias.detach() - head.decoder.bias.detach()
    assert float(shift.std()) < 1e-6 and projector.head.requires_grad
    with pytest.raises(EncoderError, match="no masked language model"):
        Space.create(("title", "body"), encoder=str(plain_folder), **how)
    with pytest.raises(SpaceError, match="use lexicon='pieces'"):
        Space.create(("title", "body"), encoder=str(masked_folder), **how | {"lexicon": Lexicon(["chess"])})


@pytest.mark.parametrize("setting", [{"terms": (3, 3)}, {"sparsity": (1, 1)}, {"expansion": "words"}])
def test_settings_of_words_are_refused_for_a_dense_space(plain_folder, shuffled, setting):
    space = Space.create(("title", "body"), encoder=str(plain_folder), cache=False)
    with pytest.raises(TrainingError, match="of a sparse space, and this one is dense"):
        space.fit(shuffled, progress=False, **setting)


def test_a_dense_space_has_no_words_and_dense_vectors_no_terms(fitted_space, make):
    with pytest.raises(SpaceError, match="only a sparse space has words"):
        fitted_space("frozen").decode(np.zeros((1, 32)))
    space = make()
    with pytest.raises(SpaceError, match="SciPy CSR"):
        space.decode(np.zeros((1, 5)))
    with pytest.raises(ShapeError, match="columns, got 3"):
        space.decode(sparse.csr_array((1, 3)))
    one, two = space.encode(["a", "b"]), space.encode(["a", "b", "c"])
    with pytest.raises(ShapeError, match="equal numbers"):
        space.intersection(one, two)


def test_a_word_list_with_a_fault_is_refused_before_anything_is_made(plain_folder, tmp_path):
    file = tmp_path / "terms.txt"
    file.write_text("a\n\n", encoding="utf-8")
    with pytest.raises(EncoderError, match=r"terms.txt, line 2: empty"):
        Space.create(("a", "b"), encoder=str(plain_folder), projector="lexical", lexicon=file, cache=False)


def test_items_that_are_no_texts_give_no_terms(tmp_path, plain_folder):
    features = tmp_path / "features.npy"
    np.save(features, np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32))
    pairs = Pairs.from_columns({"title": [str(n) for n in range(30)], "body": [f"b{n}" for n in range(30)]})
    space = Space.create(("title", "body"), encoder=str(features), projector="lexical", cache=False)
    with pytest.raises(SpaceError, match="no side holds any: give it a word list"):
        space.fit(pairs, epochs=1, batch_size=8, progress=False)


def test_settings_of_words_are_refused_for_dense_spaces(plain_folder):
    for own in ({"head": "free"}, {"echo": False}):
        with pytest.raises(SpaceError, match="of sparse spaces, and this one is dense"):
            Space.create(("title", "body"), encoder=str(plain_folder), cache=False, **own)


@pytest.mark.parametrize("validation", [0.3, None])
def test_what_own_words_count_for_is_set_with_and_without_held_out_pairs(make, shuffled, validation):
    space = make()
    history = space.fit(shuffled, validation=validation, epochs=1, batch_size=16, terms=(2, 2), progress=False)
    scales = [float(space.part(side).echo.scale) for side in space.sides]
    assert scales[0] == scales[1] and 0 < scales[0] != 1
    assert any("with own words" in note for note in history.notes) == (validation is not None)
    codes = shuffled.codes("title"), shuffled.codes("body")
    asked, given = (space.encode(shuffled.unique(side)[0], side=side) for side in space.sides)
    own = [one[:, len(space.lexicon) :] for one in (asked, given)]
    brought = float(own[0][codes[0]].multiply(own[1][codes[1]]).sum()) / len(shuffled)
    if validation is None:
        assert brought == pytest.approx(0.4, rel=1e-4)


def test_two_splade_encoders_of_one_tokenizer_need_no_pairs_to_begin(masked_folder, tmp_path):
    from transformers import AutoModelForMaskedLM

    shutil.copytree(masked_folder, tmp_path / "copy")
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "copy")
    with torch.no_grad():
        model.cls.predictions.bias.add_(0.5)
    model.save_pretrained(tmp_path / "copy")
    encoders = {"title": f"splade:{masked_folder}", "body": f"splade:{tmp_path / 'copy'}"}
    space = Space.create(("title", "body"), encoder=encoders, cache=False, device="cpu")
    assert space.started and space.encode(["chess"]).nnz


def test_head_and_echo_are_refused_where_they_do_nothing(masked_folder, plain_folder, tmp_path):
    with pytest.raises(SpaceError, match="give weights of terms themselves"):
        Space.create(("title", "body"), encoder=f"splade:{masked_folder}", head="fixed", cache=False)
    np.save(tmp_path / "own.npy", np.ones((4, 3), np.float32))
    encoders = {"title": str(plain_folder), "body": str(tmp_path / "own.npy")}
    with pytest.raises(SpaceError, match="a side of this space holds none"):
        Space.create(("title", "body"), encoder=encoders, projector="lexical", echo=True, cache=False)
