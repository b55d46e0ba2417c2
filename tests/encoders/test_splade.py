"""SPLADE encoders beside sentence-transformers' and the plain formula, trained, saved and cached."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import sparse

from pairspace.encoders import load_encoder
from pairspace.encoders.splade import SpladeEncoder
from pairspace.errors import EncoderError
from pairspace.features import FeatureCache, compute_terms


@pytest.fixture
def encoder(masked_folder):
    return load_encoder(f"splade:{masked_folder}", device="cpu")


def test_equals_the_plain_formula_and_sentence_transformers(encoder, masked_folder, texts):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.models import MLMTransformer, SpladePooling
    from transformers import AutoModelForMaskedLM

    vectors, lengths = encoder.encode_sparse(texts)
    assert sparse.issparse(vectors) and vectors.shape == (len(texts), len(encoder.lexicon))
    model = AutoModelForMaskedLM.from_pretrained(masked_folder).eval()
    ids, mask = encoder.collate(encoder.tokens(texts)[0])
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits
    plain = (torch.log1p(logits.relu()) * mask[:, :, None]).max(1).values.numpy()
    np.testing.assert_allclose(vectors.toarray(), plain, atol=1e-5)
    assert lengths.tolist() == mask.sum(1).tolist()
    peer = SparseEncoder(modules=[MLMTransformer(str(masked_folder)), SpladePooling("max")], device="cpu")
    theirs = peer.encode(texts, convert_to_sparse_tensor=False).cpu().numpy()
    np.testing.assert_allclose(vectors.toarray(), theirs, atol=1e-5)


def test_order_of_the_texts_and_batches_do_not_matter(encoder, texts):
    whole = encoder.encode_sparse(texts)[0].toarray()
    single = np.vstack([encoder.encode_sparse([text])[0].toarray() for text in texts])
    np.testing.assert_allclose(whole, single, atol=1e-5)
    assert encoder.encode_sparse([])[0].shape == (0, len(encoder.lexicon))


def test_cached_features_are_those_without_a_cache(encoder, texts, tmp_path, monkeypatch):
    cache, given = FeatureCache(tmp_path / "cache"), [*texts, texts[0]]
    first, plain = compute_terms(encoder, given, cache=cache), compute_terms(encoder, given)
    monkeypatch.setattr(SpladeEncoder, "encode_sparse", lambda *_, **__: pytest.fail("encoded again"))
    again = compute_terms(encoder, given, cache=FeatureCache(tmp_path / "cache"))
    for found in (first, again):
        assert (found.vectors != plain.vectors).nnz == 0
        np.testing.assert_array_equal(found.rows(np.array([1, 5])), plain.vectors.toarray()[[1, 5]])
        assert found.truncated == plain.truncated == 0


def test_saved_and_loaded_it_gives_the_same(encoder, texts, tmp_path):
    encoder.save(tmp_path / "copy")
    back = load_encoder(tmp_path / "copy", device="cpu")
    assert isinstance(back, SpladeEncoder) and back.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(back.encode_sparse(texts)[0].toarray(), encoder.encode_sparse(texts)[0].toarray())
    again = load_encoder(**encoder.settings(), device="cpu")
    assert again.fingerprint == encoder.fingerprint


def test_trained_it_is_another_that_transformers_can_load(encoder, texts, tmp_path):
    before = encoder.encode_sparse(texts)[0].toarray()
    module = encoder.training_module().train()
    inputs = encoder.collate(encoder.tokens(texts)[0])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module(*inputs)[0].sum().backward()
    optimizer.step()
    with torch.inference_mode():
        expected = module(*inputs)[0].numpy()
    trained = encoder.after_training()
    np.testing.assert_allclose(trained.encode_sparse(texts)[0].toarray(), expected, atol=1e-5)
    assert trained.fingerprint != encoder.fingerprint and trained.name.endswith("(trained)")
    np.testing.assert_array_equal(encoder.encode_sparse(texts)[0].toarray(), before)  # as its files say again


def test_what_is_no_masked_language_model_is_refused(masked_folder, plain_folder, tmp_path):
    with pytest.raises(EncoderError, match="trains whole"):
        load_encoder(f"splade:{masked_folder}").training_module(blocks=1)
    with pytest.raises(EncoderError, match="no masked language model, .* has no weights"):
        load_encoder(f"splade:{plain_folder}").encode_sparse(["a"])
    with pytest.raises(EncoderError, match="unknown encoder"):
        load_encoder(f"splade:{tmp_path / 'none'}")


def test_a_tokenizer_of_another_model_is_refused(masked_folder, tmp_path):
    import shutil

    folder = tmp_path / "wrong"
    shutil.copytree(masked_folder, folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] |= {f"extra{n}": len(tokenizer["model"]["vocab"]) + n for n in range(500)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(EncoderError, match="it is another model's"):
        load_encoder(f"splade:{folder}")
