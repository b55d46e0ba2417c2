from __future__ import annotations

import logging
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch

from pairspace.encoders import load_encoder, resolve_layers, transformer
from pairspace.encoders.engines import agrees
from pairspace.encoders.protocol import Encoder
from pairspace.errors import EncoderError


def reference(folder, texts, **options):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(texts, show_progress_bar=False, **options)


@pytest.mark.parametrize(
    "mode", ["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", ["cls", "mean"]]
)
def test_every_pooling_mode_equals_sentence_transformers(sentence_model, texts, mode):
    folder = sentence_model(pooling={"pooling_mode": mode})
    encoder = load_encoder(folder, precision="fp32")
    found = encoder.encode(texts, ["last"]).vectors["last"]
    np.testing.assert_allclose(found, reference(folder, texts), atol=1e-6)
    assert encoder.dimensions["last"] == found.shape[1] == encoder.dimensions["0"]


def test_legacy_pooling_keys_are_read(sentence_model, texts):
    folder = sentence_model()
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_cls_token": true}'
    )
    found = load_encoder(folder).encode(texts, ["last"]).vectors["last"]
    np.testing.assert_allclose(found, reference(folder, texts), atol=1e-6)


def test_dense_heads_belong_to_the_last_layer_only(sentence_model, texts):
    folder = sentence_model(dense=True)
    encoder = load_encoder(folder)
    assert dict(encoder.dimensions) == {"words": 32, "0": 32, "1": 32, "2": 32, "3": 32, "last": 8}
    encoded = encoder.encode(texts, ["3", "last"])
    assert encoded.vectors["3"].shape == (5, 32)
    np.testing.assert_allclose(encoded.vectors["last"], reference(folder, texts), atol=1e-6)


def test_inner_layers_are_the_pooled_hidden_states(plain_folder):
    from transformers import AutoModel, AutoTokenizer

    encoder = load_encoder(plain_folder)
    text = "play chess with friends"
    tokens = AutoTokenizer.from_pretrained(plain_folder)(text, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(plain_folder)(**tokens, output_hidden_states=True).hidden_states
    found = encoder.encode([text, "a much longer text with the computer of friends"], ["0", "2", "last"]).vectors
    for layer, state in (("0", states[0]), ("2", states[2]), ("last", states[3])):
        np.testing.assert_allclose(found[layer][0], state[0].mean(0).numpy(), atol=1e-6)


@pytest.mark.parametrize("include", [True, False])
def test_prompts_follow_sentence_transformers(sentence_model, texts, include):
    folder = sentence_model(pooling={"include_prompt": include}, prompts={"query": "play: "}, default="query")
    default, none = load_encoder(folder), load_encoder(folder, prompt="")
    assert (default.prompt, none.prompt) == ("play: ", "")
    texts = [text for text in texts if text]
    np.testing.assert_allclose(default.encode(texts, ["last"]).vectors["last"], reference(folder, texts), atol=1e-6)
    expected = reference(folder, texts, prompt="")
    np.testing.assert_allclose(none.encode(texts, ["last"]).vectors["last"], expected, atol=1e-6)
    assert default.fingerprint != none.fingerprint


def test_order_is_kept_and_lengths_are_those_before_truncation(sentence_folder, texts):
    encoder = load_encoder(sentence_folder)
    many = [texts[i % 5] + " chess" * (i % 7) for i in range(200)]
    encoded = encoder.encode(many, ["last"])
    single = np.concatenate([encoder.encode([text], ["last"]).vectors["last"] for text in many[:20]])
    np.testing.assert_allclose(encoded.vectors["last"][:20], single, atol=1e-5)
    assert encoder.max_length == 12
    assert encoder.encode(["chess " * 30], ["last"]).lengths.tolist() == [32]
    assert encoded.vectors["last"].dtype == np.float32 and encoded.lengths.dtype == np.int32


def test_arrow_arrays_are_taken_and_empty_input_gives_empty_output(plain_folder):
    encoder = load_encoder(plain_folder)
    ours = encoder.encode(pa.array(["chess", "music"], pa.large_string()), ["0"]).vectors["0"]
    np.testing.assert_array_equal(ours, encoder.encode(["chess", "music"], ["0"]).vectors["0"])
    assert encoder.encode([], ["last"]).vectors["last"].shape == (0, 32)
    assert isinstance(encoder, Encoder)


def test_fingerprint_is_of_content_not_of_path(sentence_folder, sentence_model, tmp_path):
    first = load_encoder(sentence_folder)
    copied = tmp_path / "elsewhere"
    shutil.copytree(sentence_folder, copied)
    (copied / "README.md").write_text("not part of it")
    assert len(first.fingerprint) == 32
    assert load_encoder(copied).fingerprint == first.fingerprint
    assert load_encoder(sentence_folder, max_length=9).fingerprint != first.fingerprint
    assert load_encoder(sentence_folder, prompt="q: ").fingerprint != first.fingerprint
    assert load_encoder(sentence_model(pooling={"pooling_mode": "cls"})).fingerprint != first.fingerprint
    weights = bytearray((copied / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copied / "model.safetensors").write_bytes(weights)
    assert load_encoder(copied).fingerprint != first.fingerprint


def test_saved_encoder_is_the_same_encoder(sentence_model, texts, tmp_path):
    encoder = load_encoder(sentence_model(dense=True), prompt="play ", max_length=10)
    encoder.save(tmp_path / "saved")
    again = load_encoder(tmp_path / "saved")
    assert (again.fingerprint, again.prompt, again.max_length) == (encoder.fingerprint, "play ", 10)
    for layer in encoder.layers:
        np.testing.assert_array_equal(
            again.encode(texts, [layer]).vectors[layer], encoder.encode(texts, [layer]).vectors[layer]
        )
    assert load_encoder(**encoder.settings()).fingerprint == encoder.fingerprint
    again.save(tmp_path / "twice")
    assert load_encoder(tmp_path / "twice").fingerprint == encoder.fingerprint
    assert not list(tmp_path.glob(".*.tmp"))


def test_nothing_is_loaded_before_the_first_text(plain_folder):
    encoder = load_encoder(plain_folder)
    assert encoder.fingerprint and encoder.dimensions["last"] == 32
    assert "module" not in vars(encoder)
    encoder.encode(["chess"], ["last"])
    assert "module" in vars(encoder)


class _Wrong:
    """An engine that is quick and a little off."""

    tokens, title = 64, "wrong"

    def __init__(self, module, layers, *, bf16):
        self.inner = transformer.TorchEngine(module, torch.device("cpu"))

    def run(self, batches, layers, put):
        noise = np.random.default_rng(0)
        self.inner.run(batches, layers, lambda r, v: put(r, [x + 0.1 * noise.standard_normal(x.shape) for x in v]))


def test_an_engine_that_does_not_agree_is_not_used(plain_folder, texts, monkeypatch, caplog):
    monkeypatch.setattr(transformer, "_WORTH", 1)
    monkeypatch.setattr(transformer, "has_openvino", lambda: True)
    monkeypatch.setattr(transformer, "OpenVinoEngine", _Wrong)
    encoder = load_encoder(plain_folder, device="cpu")
    with caplog.at_level(logging.WARNING):
        found = encoder.encode(texts, ["1", "last"]).vectors
    assert encoder.engine == "torch fp32 on cpu"
    assert "not used" in caplog.text
    expected = load_encoder(plain_folder, precision="fp32").encode(texts, ["1", "last"]).vectors
    np.testing.assert_allclose(found["1"], expected["1"], atol=1e-6)


def test_an_engine_that_gives_nan_does_not_agree():
    class Engine:
        title = "made up"

        def __init__(self, value):
            self.value = value

        def run(self, batches, layers, put):
            for rows, ids, _ in batches:
                put(rows, [np.full((len(rows), *self.value.shape), self.value) for _ in layers])

    batches = [(np.arange(3), None, None)]
    good, nan = np.array([1.0, 2.0]), np.array([np.nan, 2.0])
    assert agrees(Engine(good), Engine(good), batches, ("last",), 0.99)
    assert not agrees(Engine(nan), Engine(good), batches, ("last",), 0.99)
    tokens, turned = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 2.0], [1.0, 0.0]])  # the second is padding
    assert agrees(Engine(tokens), Engine(tokens), batches, ("1",), 0.99)
    assert not agrees(Engine(turned), Engine(tokens), batches, ("1",), 0.99)


def test_an_engine_that_cannot_be_made_is_no_failure(plain_folder, texts, monkeypatch, caplog):
    def broken(*_args, **_options):
        raise RuntimeError("no such operation")

    monkeypatch.setattr(transformer, "_WORTH", 1)
    monkeypatch.setattr(transformer, "has_openvino", lambda: True)
    monkeypatch.setattr(transformer, "OpenVinoEngine", broken)
    encoder = load_encoder(plain_folder, device="cpu")
    assert encoder.encode(texts, ["last"]).vectors["last"].shape == (5, 32)
    assert encoder.engine == "torch fp32 on cpu" and "no such operation" in caplog.text


def test_openvino_gives_the_vectors_of_torch(sentence_folder, texts, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(transformer, "_WORTH", 1)
    encoder = load_encoder(sentence_folder, device="cpu")
    layers = resolve_layers(encoder, "0,1,last")
    many = [texts[i % 5] + " a" * (i % 11) for i in range(150)]
    found = encoder.encode(many, layers).vectors
    assert encoder.engine.startswith("openvino")
    expected = load_encoder(sentence_folder, precision="fp32").encode(many, layers).vectors
    for layer in layers:
        a, b = found[layer], expected[layer]
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosine.min() >= 0.9999


@pytest.mark.parametrize(
    ("items", "message"),
    [(["a", None], "item 1 is NoneType"), (["a", 3], "item 1 is int"), (["\ud800"], "item 0 is not valid Unicode")],
)
def test_items_that_are_no_text_are_named(plain_folder, items, message):
    with pytest.raises(EncoderError, match=message):
        load_encoder(plain_folder).encode(items, ["last"])


def test_bad_options_say_what_is_right(plain_folder):
    with pytest.raises(EncoderError, match="it has words, 0, 1, 2, 3, last"):
        load_encoder(plain_folder).encode(["a"], ["7"])
    with pytest.raises(EncoderError, match="1 to 32 tokens"):
        load_encoder(plain_folder, max_length=33)
    with pytest.raises(EncoderError, match="special tokens"):
        load_encoder(plain_folder, max_length=2)
    with pytest.raises(EncoderError, match="auto, fp32, bf16"):
        load_encoder(plain_folder, precision="int8")
    with pytest.raises(EncoderError, match="'cpu' always can"):
        load_encoder(plain_folder, device="toaster")


def test_spread_and_lists_of_layers(plain_folder, transformer):
    encoder = load_encoder(plain_folder)
    assert resolve_layers(encoder, "spread") == ("words", "0", "1", "2", "last")
    assert resolve_layers(load_encoder(transformer(layers=6)), "spread") == ("words", "0", "2", "4", "last")
    assert resolve_layers(load_encoder(transformer("one", layers=1)), "spread") == ("words", "0", "last")
    assert resolve_layers(encoder, "last") == ("last",)
    assert resolve_layers(encoder, ["last", "1", "1"]) == ("1", "last")
    assert resolve_layers(encoder, "0, last") == ("0", "last")
    with pytest.raises(EncoderError, match="no layer '9'"):
        resolve_layers(encoder, ["9"])


def test_lower_case_setting_is_honoured(sentence_model):
    folder = sentence_model()
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12, "do_lower_case": true}')
    encoder = load_encoder(folder)
    a, b = encoder.encode(["CHESS Game", "chess game"], ["last"]).vectors["last"]
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_no_file_is_written_beside_the_model(plain_folder):
    before = sorted(plain_folder.iterdir())
    load_encoder(plain_folder).encode(["chess"], ["last"])
    assert sorted(plain_folder.iterdir()) == before
