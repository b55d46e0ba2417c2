from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from pairspace.encoders import load_encoder, resolve_layers
from pairspace.encoders.protocol import Encoder
from pairspace.encoders.small import SmallTransformerEncoder, rotate
from pairspace.errors import EncoderError

CORPUS = ["Play chess against the computer", "a game of chess with friends", "the computer plays music", ""] * 3


def begun(*, seed=0, **options):
    encoder = SmallTransformerEncoder(**({"width": 64, "vocabulary": 400} | options))
    encoder.begin(CORPUS, seed=seed)
    return encoder


def changed(encoder):
    """The same encoder with weights that make a difference everywhere, biases and norms too."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in encoder.module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return encoder


def slow(module, ids):
    """The formula on top of small.py, one text and one head at a time, complex numbers for the rotation."""
    h = module.embeddings.weight[ids].double()
    states = [h]

    def norm(layer, x):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + layer.eps).sqrt()
        return x * layer.weight.double() + layer.bias.double()

    def linear(layer, x):
        return x @ layer.weight.double().T + layer.bias.double()

    for block in module.blocks:
        heads = []
        for q, k, v in zip(
            *(x.chunk(block.heads, -1) for x in linear(block.qkv, norm(block.attention_norm, h)).chunk(3, -1))
        ):
            half = q.shape[-1] // 2
            turn = torch.arange(len(ids)).double()[:, None] * 10_000.0 ** (-torch.arange(half).double() / half)
            q, k = (torch.complex(x[:, :half], x[:, half:]) * torch.polar(torch.ones_like(turn), turn) for x in (q, k))
            heads.append(((q @ k.conj().T).real / (2 * half) ** 0.5).softmax(-1) @ v)
        h = h + linear(block.out, torch.cat(heads, -1))
        h = h + linear(block.down, functional.gelu(linear(block.up, norm(block.mlp_norm, h))))
        states.append(h)
    return [*states, norm(module.norm, h)]


@pytest.mark.parametrize("pooling", ["mean", "eot"])
def test_every_layer_equals_the_formula_computed_slowly(pooling):
    encoder = changed(begun(width=128, pooling=pooling))
    assert encoder.layers == ("0", "1", "2", "last") and encoder.module.blocks[0].heads == 2
    texts = ["chess", "the computer plays music with friends", ""]
    found = encoder.encode(texts, encoder.layers).vectors
    for row, ids in enumerate(encoder.tokens(texts)[0]):
        assert ids[-1] == 1
        for layer, state in zip(encoder.layers, slow(encoder.module, ids.tolist()), strict=True):
            expected = state.mean(0) if pooling == "mean" else state[-1]
            np.testing.assert_allclose(found[layer][row], expected.detach().numpy(), atol=2e-5, rtol=2e-5)


def test_rotated_products_depend_on_the_distance_alone():
    q, k = torch.randn(2, 1, 64, generator=torch.Generator().manual_seed(0))
    angles = 10_000.0 ** (-torch.arange(32) / 32)

    def turned(x, position):
        return rotate(x, (position * angles).cos()[None], (position * angles).sin()[None])

    near, far = turned(q, 3) @ turned(k, 5).T, turned(q, 103) @ turned(k, 105).T
    torch.testing.assert_close(near, far, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(turned(q, 0), q)
    assert abs(float(near - turned(q, 3) @ turned(k, 6).T)) > 1e-2


def test_padding_does_not_change_a_vector():
    encoder = changed(begun())
    ids, _ = encoder.tokens(["chess", "the computer plays music with friends against the game"])
    together = encoder.module(*encoder.collate(ids), layers=("0", "1", "last"))
    alone = encoder.module(*encoder.collate(ids[:1]), layers=("0", "1", "last"))
    for one, many in zip(alone, together, strict=True):
        torch.testing.assert_close(many[:1], one, atol=1e-5, rtol=1e-5)


def test_order_matters_and_the_empty_text_has_a_vector():
    a, b, empty = changed(begun()).encode(["chess game", "game chess", ""], ["last"]).vectors["last"]
    assert np.abs(a - b).max() > 1e-3 and np.linalg.norm(empty) > 0


def test_pre_norm_keeps_the_stream_open_from_the_embeddings_to_the_end():
    """With the two output maps of every block at zero nothing is added, so the stream is the embeddings still."""
    encoder = begun(width=128)
    with torch.no_grad():
        for block in encoder.module.blocks:
            block.out.weight.zero_()
            block.down.weight.zero_()
    found = encoder.encode(CORPUS, encoder.layers).vectors
    np.testing.assert_array_equal(found["0"], found["2"])


def test_the_first_weights_are_those_of_clip():
    module = begun(width=256).module
    block = module.blocks[0]
    assert len(module.blocks) == 4 == block.heads
    for weight, std in (
        (module.embeddings.weight, 0.02),
        (block.qkv.weight, 256**-0.5),
        (block.out.weight, (256 * 8) ** -0.5),
        (block.up.weight, 512**-0.5),
        (block.down.weight, (256 * 8) ** -0.5),
    ):
        assert abs(float(weight.detach().std()) / std - 1) < 0.03
    assert not block.qkv.bias.any() and bool((block.attention_norm.weight == 1).all())


def test_the_same_texts_and_seed_give_the_same_encoder():
    first = begun()
    assert begun().fingerprint == first.fingerprint != begun(seed=1).fingerprint
    np.testing.assert_array_equal(
        begun().encode(CORPUS, ["last"]).vectors["last"], first.encode(CORPUS, ["last"]).vectors["last"]
    )
    before = first.fingerprint
    with torch.no_grad():
        first.module.blocks[0].up.bias[3] += 1e-3
    assert first.fingerprint != before
    assert begun(pooling="eot").fingerprint != before != begun(max_length=9).fingerprint


def test_gradients_reach_every_weight_through_checked_layers():
    encoder = begun()
    encoder.module.train()
    (vectors,) = encoder.module(*encoder.collate(encoder.tokens(CORPUS)[0]))
    vectors.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in encoder.module.parameters())


def test_saved_encoder_is_the_same_encoder(tmp_path):
    encoder = changed(begun(pooling="eot", max_length=5, prompt="play "))
    encoder.save(tmp_path / "one")
    again = load_encoder(tmp_path / "one")
    assert (again.fingerprint, again.name, again.prompt, again.max_length) == (
        encoder.fingerprint,
        "transformer",
        "play ",
        5,
    )
    for layer in encoder.layers:
        np.testing.assert_array_equal(
            again.encode(CORPUS, [layer]).vectors[layer], encoder.encode(CORPUS, [layer]).vectors[layer]
        )
    assert load_encoder(**again.settings()).fingerprint == encoder.fingerprint
    assert load_encoder(tmp_path / "one", max_length=7).max_length == 7
    assert isinstance(again, Encoder) and again.ready and again.from_nothing and again.sorts


def test_texts_are_cut_and_told_to_be(tmp_path):
    encoder = begun(max_length=4)
    encoded = encoder.encode(["chess " * 30, "chess", "chess chess chess"], ["last"])
    assert encoded.lengths.tolist() == [31, 2, 4]
    np.testing.assert_allclose(encoded.vectors["last"][0], encoded.vectors["last"][2], atol=1e-6)


def test_order_is_kept_over_many_lengths():
    encoder = changed(begun())
    texts = [" ".join(["chess", "music", "computer"][: 1 + i % 3] * (1 + i % 7)) for i in range(60)]
    together = encoder.encode(texts, ["last"]).vectors["last"]
    alone = np.concatenate([encoder.encode([text], ["last"]).vectors["last"] for text in texts])
    np.testing.assert_allclose(together, alone, atol=2e-5)
    assert encoder.encode([], ["last"]).vectors["last"].shape == (0, 64)


def test_a_script_the_vocabulary_never_saw_is_still_told_apart():
    encoder = changed(begun())
    a, b, c = encoder.encode(["шахматы", "музыка", "国际象棋"], ["last"]).vectors["last"]
    assert min(np.abs(a - b).max(), np.abs(a - c).max()) > 1e-3


def test_names_give_widths():
    encoder = load_encoder("transformer:384")
    assert (encoder.name, encoder.width, encoder.depth, encoder.max_length) == ("transformer:384", 384, 6, 256)
    assert resolve_layers(encoder, "spread") == ("0", "2", "4", "last")
    assert load_encoder(**encoder.settings()).width == 384 and not encoder.ready


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 100}, "width 100 must be 32 or a multiple of 64"),
        ({"width": 0}, "width 0 must be"),
        ({"pooling": "cls"}, "'cls' is unknown: use 'mean' or 'eot'"),
        ({"max_length": 1}, "max_length 1 leaves no room"),
    ],
)
def test_bad_options_say_what_is_right(options, message):
    with pytest.raises(EncoderError, match=message):
        SmallTransformerEncoder(**options)


def test_what_cannot_be_done_is_said(tmp_path):
    encoder = load_encoder("transformer:64")
    for use in (lambda: encoder.encode(["a"], ["last"]), lambda: encoder.save(tmp_path / "x"), lambda: encoder.tokens):
        with pytest.raises(EncoderError, match="transformer:64 has no vocabulary yet: fit the space on pairs first"):
            use()
    assert not (tmp_path / "x").exists() and len(encoder.fingerprint) == 32
    with pytest.raises(EncoderError, match="it has 0, 1, last"):
        encoder.encode(["a"], ["7"])
    with pytest.raises(EncoderError, match="item 1 is int"):
        begun().encode(["a", 3], ["last"])
    with pytest.raises(EncoderError, match="'wide' is no width; use transformer:256"):
        load_encoder("transformer:wide")
