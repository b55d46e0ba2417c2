"""A pretrained encoder that trains: which weights move, and that what was learnt is what is kept."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from transformers import (
    DebertaV2Config,
    DebertaV2Model,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
)

from pairspace.encoders import load_encoder
from pairspace.encoders import transformer as transformer_module
from pairspace.encoders.device import has_openvino
from pairspace.encoders.protocol import Encoder, Trainable
from pairspace.encoders.tuning import TrainableText
from pairspace.encoders.words import WordBag, word_weights, words_of_padded
from pairspace.errors import EncoderError

LAYERS = ("words", "0", "2", "last")
needs_peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")


@pytest.fixture
def encoder(sentence_model):
    """With a Dense head and a prompt, so that both are seen to be minded."""
    return load_encoder(sentence_model(dense=True), device="cpu", precision="fp32", prompt="play ")


def run(encoder, module, texts):
    return module(*encoder.collate(encoder.tokens(texts)[0]), LAYERS)


def train(encoder, texts, **how):
    """A few steps towards random vectors; the module in training."""
    module = encoder.training_module(**how).train()
    random = torch.Generator().manual_seed(0)
    targets = [torch.randn(one.shape, generator=random) for one in run(encoder, module, texts)]
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], 0.05)
    for _ in range(3):
        loss = sum(((one - target) ** 2).mean() for one, target in zip(run(encoder, module, texts), targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before, module):
    return {name for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


def test_it_is_trainable_and_gives_what_the_encoder_gives(encoder, texts):
    assert isinstance(encoder, Trainable) and isinstance(encoder, Encoder)
    found = run(encoder, encoder.training_module(), texts)
    expected = encoder.encode(texts, LAYERS).vectors
    for layer, vectors in zip(LAYERS, found, strict=True):
        np.testing.assert_allclose(vectors.detach().numpy(), expected[layer], atol=1e-5)
    order = encoder.training_module()(*encoder.collate(encoder.tokens(texts)[0]), ("last", "words"))
    assert torch.equal(order[0], found[-1]) and torch.equal(order[1], found[0])


def test_no_dropout_while_it_trains(encoder, texts):
    assert encoder.module.transformer.config.attention_probs_dropout_prob > 0
    module = encoder.training_module().train()
    assert module.training
    for one, two in zip(run(encoder, module, texts), run(encoder, module, texts), strict=True):
        assert torch.equal(one, two)


def test_all_of_it_trains(encoder, texts):
    before = state(encoder.module)
    train(encoder, texts)
    still = before.keys() - changed(before, encoder.module)
    assert all("position_ids" in name or "pooler" in name for name in still), still


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_only_the_last_blocks_and_the_heads_train(encoder, texts, blocks):
    before = state(encoder.module)
    train(encoder, texts, blocks=blocks)
    moved = changed(before, encoder.module)
    parts = [f"transformer.encoder.layer.{n}." for n in range(3 - blocks, 3)] + ["heads."]
    assert moved and all(any(name.startswith(part) for part in parts) for name in moved)
    assert all(any(name.startswith(part) for name in moved) for part in parts)


@pytest.mark.parametrize("blocks", [1, 2])
def test_blocks_over_token_states_are_those_of_the_whole_model(encoder, texts, blocks):
    module = encoder.training_module(blocks=blocks).train()
    layer = encoder.states_layer(blocks, ("words", "last"), texts)
    assert layer == str(3 - blocks)
    flat, lengths = encoder.token_states(texts, layer)
    ids, expected_lengths = encoder.tokens(texts)
    np.testing.assert_array_equal(lengths, expected_lengths)
    assert flat.dtype == np.float16 and flat.shape == (sum(map(len, ids)), 32)
    inputs, mask = encoder.collate(ids)
    states = torch.zeros(*mask.shape, 32)
    states[mask.bool()] = torch.from_numpy(flat).float()
    gradients = []
    for given in (None, states):
        words, last = module(inputs, mask, ("words", "last"), states=given)
        module.zero_grad()
        (last * torch.arange(last.numel()).view_as(last).cos()).sum().backward()
        gradients.append([words.detach(), last.detach(), *(p.grad for p in module.parameters() if p.grad is not None)])
    assert len(gradients[0]) == len(gradients[1]) > 4
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=3e-3, rtol=1e-2)  # the states are float16


def test_where_token_states_are_not_enough(encoder, texts):
    assert encoder.states_layer(1, ("1", "last"), texts) is None  # the model would have to be run for block 1
    assert encoder.states_layer(3, ("last",), texts) is None  # no block stays as it is


def make_model(name, folder):
    """One whose blocks differ in their attention and turn places, it padded on the left, and one that gives tuples."""
    size = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    size |= {"intermediate_size": 64, "pad_token_id": 0}
    torch.manual_seed(0)
    if name == "tuples":
        model = MPNetModel(MPNetConfig(max_position_embeddings=32, **size))
    elif name == "more":
        model = DebertaV2Model(DebertaV2Config(max_position_embeddings=32, **size))
    else:
        ends = dict.fromkeys(("eos_token_id", "bos_token_id", "cls_token_id", "sep_token_id"), 3)
        model = ModernBertModel(ModernBertConfig(**size, **ends))
    model.save_pretrained(folder)
    if name == "left":
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "left"}))
    return load_encoder(folder, device="cpu", precision="fp32")


@pytest.mark.parametrize("name", ["modern", "left", "tuples"])
def test_token_states_of_other_kinds_of_models(name, texts, transformer):
    encoder = make_model(name, transformer(name))
    assert encoder.states_layer(1, ("last",), texts) == "2"
    flat, _ = encoder.token_states(texts, "2")
    ids, _ = encoder.tokens(texts)
    inputs, mask = encoder.collate(ids)
    states = torch.zeros(*mask.shape, 32)
    states[mask.bool()] = torch.from_numpy(flat).float()
    module = encoder.training_module(blocks=1)
    torch.testing.assert_close(
        module(inputs, mask, ("last",), states=states)[0], module(inputs, mask, ("last",))[0], atol=3e-3, rtol=1e-2
    )


def test_a_model_whose_blocks_hand_on_more_than_states_is_run_whole(texts, transformer, caplog):
    encoder = make_model("more", transformer("more"))
    assert encoder.states_layer(1, ("last",), texts) is None
    assert encoder.states_layer(1, ("last",), texts) is None
    assert caplog.text.count("its lower blocks are run in every step, as token states do not serve (") == 1
    module = encoder.training_module(blocks=1)  # and its own blocks are in their places again
    inputs, mask = encoder.collate(encoder.tokens(texts)[0])
    expected = encoder.encode(texts, ["last"]).vectors["last"]
    np.testing.assert_allclose(module(inputs, mask, ("last",))[0].detach().numpy(), expected, atol=1e-5)


def test_two_pooling_modes_do_not_widen_token_states(texts, sentence_model):
    folder = sentence_model("two", pooling={"pooling_mode": ["cls", "mean"]})
    encoder = load_encoder(folder, device="cpu", precision="fp32")
    assert encoder.dimensions["last"] == 64
    assert encoder.token_states(texts, "2")[0].shape[1] == encoder.width == 32
    assert encoder.states_layer(1, ("last",), texts) == "2"


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
def test_token_states_of_the_quicker_engine(texts, plain_folder, monkeypatch):
    monkeypatch.setattr(transformer_module, "_WORTH", 0)
    exact = load_encoder(plain_folder, device="cpu", precision="fp32")
    quick = load_encoder(plain_folder, device="cpu")
    flat, _ = quick.token_states(texts, "2")
    assert quick.engine.startswith("openvino")
    np.testing.assert_allclose(flat, exact.token_states(texts, "2")[0], atol=0.05)


@pytest.mark.parametrize("blocks", [4, 99])
def test_more_blocks_than_there_are(encoder, blocks):
    with pytest.raises(EncoderError, match=f"the last {blocks} blocks cannot be trained: this model has 3 blocks"):
        encoder.training_module(blocks=blocks)


@needs_peft
def test_merged_adapters_equal_adapted(encoder, texts):
    before = state(encoder.module)
    module = train(encoder, texts, lora=2)
    adapted = run(encoder, module, texts)
    base = {name.replace(".base_layer", "").replace("base_model.model.", "") for name in module.module.state_dict()}
    assert before.keys() <= base
    plain = module.finish()
    assert plain.state_dict().keys() == before.keys()
    moved = changed(before, plain)
    assert any("attention" in name for name in moved) and not any("embeddings" in name for name in moved)
    again = TrainableText(plain, torch.from_numpy(word_weights(encoder._hf_tokenizer)), skip=module.skip)
    for one, two in zip(adapted, run(encoder, again, texts), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


@needs_peft
def test_adapters_are_few_and_start_at_nothing_and_the_same(encoder, texts, sentence_model):
    expected = [one.detach().clone() for one in run(encoder, encoder.training_module(), texts)]
    starts = []
    for name in ("one", "two"):
        other = load_encoder(sentence_model(name, dense=True), device="cpu", precision="fp32", prompt="play ")
        assert other.module  # loading may draw what it likes
        torch.manual_seed(len(starts))  # what was drawn before does not matter
        module = other.training_module(lora=2)
        drawn = torch.rand(1)
        torch.manual_seed(len(starts))
        assert torch.equal(drawn, torch.rand(1))  # nor is it disturbed
        for one, two in zip(run(other, module, texts), expected, strict=True):
            torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)
        trains = {name: p for name, p in module.named_parameters() if p.requires_grad}
        assert all("lora_" in name or "heads." in name for name in trains)
        assert sum(p.numel() for p in trains.values()) < 0.3 * sum(p.numel() for p in module.parameters())
        starts.append({name: p.detach().clone() for name, p in trains.items()})
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])


def test_adapters_without_their_package(encoder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EncoderError, match=r"need the package peft: pip install 'pairspace\[lora\]'"):
        encoder.training_module(lora=2)


@pytest.mark.parametrize("how", [{}, {"blocks": 1}, pytest.param({"lora": 2}, marks=needs_peft)])
def test_after_training_the_vectors_are_those_of_the_trained_module(encoder, texts, how, tmp_path):
    before, fingerprint = encoder.encode(texts, LAYERS).vectors, encoder.fingerprint
    module = train(encoder, texts, **how)
    expected = [one.detach().numpy() for one in run(encoder, module.eval(), texts)]
    trained = encoder.after_training()
    found = trained.encode(texts, LAYERS).vectors
    for layer, vectors in zip(LAYERS, expected, strict=True):
        np.testing.assert_allclose(found[layer], vectors, atol=2e-5)
    assert np.abs(found["last"] - before["last"]).max() > 1e-3
    assert (trained.prompt, trained.max_length, trained.layers) == ("play ", 12, encoder.layers)
    assert trained.name == f"{encoder.name} (trained)" and trained.fingerprint != fingerprint
    trained.save(tmp_path / "kept")
    kept = load_encoder(tmp_path / "kept", device="cpu", precision="fp32")
    assert kept.fingerprint == trained.fingerprint
    np.testing.assert_array_equal(kept.encode(texts, ["last"]).vectors["last"], found["last"])


def test_the_one_it_came_from_is_again_what_its_files_say(encoder, texts):
    before, fingerprint = encoder.encode(texts, LAYERS).vectors, encoder.fingerprint
    files = {path: path.read_bytes() for path in encoder.folder.rglob("*") if path.is_file()}
    train(encoder, texts)
    encoder.after_training()
    assert encoder.fingerprint == fingerprint
    for layer, vectors in encoder.encode(texts, LAYERS).vectors.items():
        np.testing.assert_array_equal(vectors, before[layer])
    assert {path: path.read_bytes() for path in encoder.folder.rglob("*") if path.is_file()} == files


def test_trained_twice_it_goes_on_from_the_first_time(encoder, texts):
    train(encoder, texts)
    once = encoder.after_training()
    vectors = once.encode(texts, ["last"]).vectors["last"]
    start = run(once, once.training_module(blocks=1), texts)[-1].detach().numpy()
    np.testing.assert_allclose(start, vectors, atol=2e-5)
    train(once, texts, blocks=1)
    twice = once.after_training()
    assert twice.name == once.name and twice.fingerprint not in (once.fingerprint, encoder.fingerprint)
    np.testing.assert_array_equal(once.encode(texts, ["last"]).vectors["last"], vectors)
    folder = twice.folder
    assert folder.is_dir()
    del twice
    assert not folder.exists()  # the weights that nobody holds any more


def test_what_was_not_made_ready_to_train_stays_itself(encoder):
    assert encoder.after_training() is encoder


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("skip", [0, 2])
def test_words_of_a_padded_batch_are_those_of_the_bag(left, skip):
    random = np.random.default_rng(0)
    table, weights = torch.randn(20, 6), random.random(20).astype(np.float32)
    texts = [random.integers(1, 20, n).tolist() for n in (2, 9, 5, 3)] + [[7, 7, 7, 7]]
    width = max(map(len, texts))
    ids, mask = torch.full((5, width), 11), torch.zeros(5, width, dtype=torch.long)  # padded with what is a word too
    for row, one in enumerate(texts):
        place = slice(width - len(one), None) if left else slice(len(one))
        ids[row, place], mask[row, place] = torch.tensor(one), 1
    table.requires_grad_()
    found = words_of_padded(ids, mask, table, torch.from_numpy(weights), skip=skip)
    np.testing.assert_allclose(found.detach().numpy(), WordBag(table, weights, skip=skip)(texts), atol=1e-5)
    found.sum().backward()
    used = sorted({token for one in texts for token in one[skip:]})
    assert table.grad.abs().sum(1).nonzero().flatten().tolist() == used
