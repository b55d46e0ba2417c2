from __future__ import annotations

import copy

import numpy as np
import pyarrow as pa
import pytest
import torch

from pairspace.encoders import load_encoder, static
from pairspace.encoders.protocol import Encoder
from pairspace.encoders.static import StaticEncoder
from pairspace.errors import EncoderError, StorageError

CORPUS = ["Play chess against the computer", "a game of chess with friends", "the computer plays music", ""] * 3


def begun(*, seed=0, **options):
    encoder = StaticEncoder(**({"width": 64, "vocabulary": 400} | options))
    encoder.begin(CORPUS, seed=seed)
    return encoder


def vectors(encoder, texts):
    return encoder.encode(texts, ["last"]).vectors["last"]


def changed(encoder):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in encoder.module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return encoder


def slow(encoder, text):
    """The formula on top of static.py, one token at a time."""
    ids = encoder.tokens([text])[0][0].tolist()
    parts = {name: 3 * p.detach().double().numpy() for name, p in encoder.module.named_parameters()}
    distinct = list(dict.fromkeys(ids))
    if not distinct:
        return np.zeros(encoder.width)

    def step(number):
        return min(int(1.5 * np.log2(number)), 15)

    out = parts["lengths"][step(len(distinct))]
    for token in distinct:
        exponent = parts["log_weights"][token] + parts["log_places"][step(1 + ids.index(token))]
        out = out + np.log(1 + ids.count(token)) * np.exp(exponent) * parts["vectors"][token] / 3
    return out


def test_vectors_equal_the_formula_computed_slowly(monkeypatch):
    monkeypatch.setattr("pairspace.encoders.nothing._ROWS", 3)
    encoder = changed(begun())
    texts = [*CORPUS[:4], "chess music chess the music chess", "computer " * 40 + "the game of music", "x" * 3000, ""]
    np.testing.assert_allclose(vectors(encoder, texts), [slow(encoder, text) for text in texts], atol=1e-4, rtol=1e-5)


def test_the_weights_start_as_idf_and_the_vectors_as_a_gaussian():
    encoder = begun(width=256)
    rare, often, never = (encoder.tokens([word])[0][0][0] for word in ("chess", "the", "%"))
    weights = (3 * encoder.module.log_weights).detach().exp().numpy()
    expected = np.log1p((12 - 6 + 0.5) / 6.5) ** 0.75  # both words are in half of the texts
    np.testing.assert_allclose(weights[[rare, often]], expected, rtol=1e-5)
    assert weights[never] == weights.max()
    assert abs(float(encoder.module.vectors.detach().std()) * 16 - 1) < 0.02


def test_before_training_texts_that_share_rare_words_are_near():
    a, b, c = vectors(begun(width=2048), ["chess friends", "friends play chess", "the computer music"])
    assert a @ b > 3 * abs(a @ c)


def test_the_same_texts_and_seed_give_the_same_encoder():
    first, again = begun(), begun()
    np.testing.assert_array_equal(vectors(first, CORPUS), vectors(again, CORPUS))
    assert first.fingerprint == again.fingerprint != begun(seed=1).fingerprint
    assert begun(max_length=3).fingerprint != first.fingerprint != begun(prompt="play ").fingerprint


def test_the_fingerprint_follows_the_weights():
    encoder = begun()
    before = encoder.fingerprint
    with torch.no_grad():
        encoder.module.log_places[2] += 1e-3
    changed_once = encoder.fingerprint
    assert len(before) == 32 and before != changed_once
    with torch.no_grad():
        encoder.module.log_places.zero_()
    assert encoder.fingerprint == before


def test_saved_encoder_is_the_same_encoder(tmp_path):
    encoder = changed(begun(max_length=5, prompt="play "))
    encoder.save(tmp_path / "one")
    again = load_encoder(tmp_path / "one")
    assert (again.fingerprint, again.name, again.prompt, again.max_length) == (
        encoder.fingerprint,
        "static",
        "play ",
        5,
    )
    np.testing.assert_array_equal(vectors(again, CORPUS), vectors(encoder, CORPUS))
    assert load_encoder(**again.settings()).fingerprint == encoder.fingerprint
    again.save(tmp_path / "one")
    assert load_encoder(tmp_path / "one").fingerprint == encoder.fingerprint
    assert load_encoder(tmp_path / "one", prompt="").fingerprint != encoder.fingerprint
    assert isinstance(again, Encoder) and again.ready and again.from_nothing and not again.sorts
    copied = copy.deepcopy(again)
    assert copied.fingerprint == again.fingerprint and copied.module is not again.module


def test_gradients_reach_vectors_weights_and_places():
    encoder = begun(token_dropout=0.0, dropout=0.0)
    ids, _ = encoder.tokens(CORPUS[:2])
    (out,) = encoder.module(*encoder.collate(ids))
    (out[0] * torch.arange(64.0)).sum().backward()
    used = set(ids[0].tolist())
    touched = set(torch.nonzero(encoder.module.vectors.grad.abs().sum(1)).flatten().tolist())
    assert bool(encoder.module.lengths.grad.any()) and not encoder.module.lengths.grad[15].any()
    assert touched == used == set(torch.nonzero(encoder.module.log_weights.grad).flatten().tolist())
    assert encoder.module.log_places.grad[0] != 0 and encoder.module.log_places.grad[15] == 0


def test_a_step_of_training_brings_a_pair_together():
    encoder = begun()
    left, right = (encoder.collate(encoder.tokens([text])[0]) for text in ("chess", "music"))
    optimizer = torch.optim.SGD(encoder.module.parameters(), lr=1.0)
    before = vectors(encoder, ["chess", "music"])
    loss = -torch.cosine_similarity(encoder.module(*left)[0], encoder.module(*right)[0]).sum()
    loss.backward()
    optimizer.step()
    after = vectors(encoder, ["chess", "music"])
    cosine = [float(np.dot(*v) / np.prod(np.linalg.norm(v, axis=1))) for v in (before, after)]
    assert cosine[1] > cosine[0] + 0.1


def test_dropout_is_in_training_only_and_leaves_tokens_out():
    encoder = begun(token_dropout=0.9, dropout=0.0)
    batch = encoder.collate(encoder.tokens(["chess music"] * 4000)[0])
    torch.manual_seed(0)
    trained = encoder.module.train()(*batch)[0].detach().numpy()
    whole = vectors(encoder, ["chess music"])[0]
    assert encoder.module.training  # encode leaves the mode as it was
    kept, counts = np.unique(np.round(trained, 4), axis=0, return_counts=True)
    assert len(kept) == 4  # both tokens, either, none
    share = 1 - 0.9 * 2 / 42
    assert abs(counts.max() / 4000 - share**2) < 0.02
    np.testing.assert_allclose(kept[counts.argmax()], whole, atol=1e-4)
    np.testing.assert_array_equal(encoder.module.eval()(*batch)[0][0].detach().numpy(), whole)


def test_long_texts_lose_a_larger_share_of_their_tokens():
    bag = static.WeightedBag(2000, 1, token_dropout=0.8).train()
    with torch.no_grad():
        bag.vectors.fill_(1.0)
    sizes = torch.tensor([4, 1996])
    ids, offsets = torch.arange(2000).repeat(200), torch.tensor([0, 4]) + 2000 * torch.arange(200)[:, None]
    torch.manual_seed(0)
    (out,) = bag(ids, torch.ones(400_000), torch.zeros(400_000, dtype=torch.int64), offsets.flatten())
    kept = out.detach().view(200, 2).mean(0) / sizes
    expected = 1 - 0.8 * sizes / (sizes + 40)
    torch.testing.assert_close(kept, expected, atol=0.03, rtol=0)


def test_values_are_dropped_in_training():
    encoder = begun(token_dropout=0.0, dropout=0.5)
    (out,) = encoder.module.train()(*encoder.collate(encoder.tokens(["chess music"] * 400)[0]))
    assert 0.45 < float((out == 0).float().mean()) < 0.55


def test_texts_are_cut_and_told_to_be():
    encoder = begun(max_length=2)
    encoded = encoder.encode(["chess music computer", "chess music", ""], ["last"])
    assert encoded.lengths.tolist() == [3, 2, 0] and encoded.lengths.dtype == np.int32
    np.testing.assert_array_equal(encoded.vectors["last"][0], encoded.vectors["last"][1])
    assert begun().encode(["chess " * 5000], ["last"]).lengths.tolist() == [5000]


def test_empty_texts_give_zeros_and_no_texts_give_no_rows():
    encoder = begun()
    assert not vectors(encoder, ["", "  \n"]).any()
    assert vectors(encoder, []).shape == (0, 64)
    assert np.isfinite(vectors(encoder, ["", "chess", ""])).all()
    (out,) = encoder.module(*encoder.collate(encoder.tokens(["", ""])[0]))
    out.sum().backward()
    assert bool(encoder.module.log_weights.grad.isfinite().all())


def test_arrow_arrays_are_taken():
    encoder = begun()
    np.testing.assert_array_equal(vectors(encoder, pa.array(CORPUS, pa.large_string())), vectors(encoder, CORPUS))


def test_a_script_the_vocabulary_never_saw_is_still_told_apart():
    encoder = StaticEncoder(width=512, vocabulary=400)
    encoder.begin(CORPUS, seed=0)
    a, b, c, d = vectors(encoder, ["шахматы", "Шахматы", "музыка", "国际象棋"])
    np.testing.assert_array_equal(a, b)

    def cosine(x, y):
        return x @ y / np.linalg.norm(x) / np.linalg.norm(y)

    assert cosine(a, c) < 0.9 and cosine(a, d) < 0.9


def test_it_can_start_like_a_transformer(plain_folder, tmp_path):
    like = load_encoder(plain_folder)
    encoder = StaticEncoder("mine", like=like, width=999)
    encoder.begin(CORPUS, seed=0)
    assert (encoder.width, encoder.dimensions["last"]) == (32, 32)
    table = like.module.transformer.get_input_embeddings().weight.detach()
    row = encoder.tokens(["music"])[0][0]
    assert row.tolist() == like.tokens(["music"])[0][0][1:-1]  # without [CLS] and [SEP]
    np.testing.assert_allclose(encoder.module.vectors.detach(), table / table.norm(dim=1).mean(), rtol=1e-5)
    encoder.save(tmp_path / "one")
    again = load_encoder(tmp_path / "one")
    assert again.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(vectors(again, CORPUS), vectors(encoder, CORPUS))
    named = load_encoder(f"static:{plain_folder}")
    named.begin(CORPUS, seed=0)
    np.testing.assert_array_equal(vectors(named, CORPUS), vectors(encoder, CORPUS))


def test_names_give_widths():
    assert [load_encoder(name).width for name in ("static", "static:512")] == [StaticEncoder().width, 512]
    encoder = load_encoder("static:48", prompt="q ", max_length=9)
    again = load_encoder(**encoder.settings())
    assert (again.name, again.width, again.prompt, again.max_length) == ("static:48", 48, "q ", 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width 0; a positive number"),
        ({"dropout": 1.0}, "dropout 1.0 must be at least 0 and below 1"),
        ({"token_dropout": -0.1}, "token_dropout -0.1 must be"),
        ({"max_length": 0}, "max_length 0 must be at least 1"),
    ],
)
def test_bad_options_say_what_is_right(options, message):
    with pytest.raises(EncoderError, match=message):
        StaticEncoder(**options)


def test_what_cannot_be_done_is_said(tmp_path):
    encoder = load_encoder("static:64")
    uses = [
        lambda: encoder.encode(["a"], ["last"]),
        lambda: encoder.save(tmp_path / "x"),
        lambda: encoder.tokens(["a"]),
        lambda: encoder.module,
    ]
    for use in uses:
        with pytest.raises(EncoderError, match="static:64 has no vocabulary yet: fit the space on pairs first"):
            use()
    with pytest.raises(EncoderError, match="no layer 'words'; it has last"):
        begun().encode(["a"], ["words"])
    with pytest.raises(EncoderError, match="item 1 is NoneType"):
        begun().encode(["a", None], ["last"])
    with pytest.raises(EncoderError, match="all empty"):
        StaticEncoder().begin(["", ""], seed=0)
    np.save(tmp_path / "given.npy", np.ones((2, 3), np.float32))
    with pytest.raises(EncoderError, match="given.npy has no token embeddings to start from"):
        load_encoder(f"static:{tmp_path / 'given.npy'}")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(StorageError, match="left alone"):
        begun().save(tmp_path / "mine")


def test_damaged_folders_are_named(tmp_path):
    for file, text in (("tokenizer.json", "{"), ("model.safetensors", "no weights")):
        begun().save(tmp_path / file)
        (tmp_path / file / file).write_text(text)
        with pytest.raises(EncoderError, match=f"{file}: no"):
            load_encoder(tmp_path / file)
    begun().save(tmp_path / "other")
    begun(width=32).save(tmp_path / "narrow")
    (tmp_path / "narrow" / "model.safetensors").replace(tmp_path / "other" / "model.safetensors")
    with pytest.raises(EncoderError, match="not the weights of this encoder"):
        load_encoder(tmp_path / "other")
    settings = tmp_path / "other" / "pairspace_encoder.json"
    settings.write_text(settings.read_text().replace('"width"', '"breadth"'))
    with pytest.raises(EncoderError, match="not the settings of a static encoder"):
        load_encoder(tmp_path / "other")


def test_the_places_are_steps_of_a_logarithmic_scale():
    encoder = begun()
    _, _, places, _ = encoder.collate([np.arange(300)])
    assert places[[0, 1, 2, 3, 7, 15, 31, 255]].tolist() == [0, 1, 2, 3, 4, 6, 7, 12]
    assert encoder.collate([np.append(np.repeat(5, 2000), 6)])[2].tolist() == [0, 15]
