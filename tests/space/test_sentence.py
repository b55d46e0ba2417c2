"""SentenceTransformer(folder) gives the vectors of the space that was saved there."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pairspace.projectors import IdentityProjector
from pairspace.space import Space
from pairspace.space.sentence import write_sentence_layout

QUERIES = ["a red fox", "small boats on the sea", "fox", "the red sea and a boat " * 8]
DOCUMENTS = ["the fox is red and small", "a sea of boats", "bread", "a fox on a boat, a fox on the sea " * 8]
WORDS = ["a", "the", "fox", "boat", "boats", "red", "small", "sea", "on", "of", "and", "is", "bread", "query"]
WORDS += ["passage", ":", ","]


def model(
    folder: Path, *, seed: int = 0, hidden: int = 32, modes=None, dense: int | None = None, max_length: int = 24
) -> Path:
    """A tiny BERT of four layers with random weights, as a sentence-transformers folder; plain without `modes`."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(seed)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizerFast(vocab={word: n for n, word in enumerate(vocabulary)}, model_max_length=64)
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    BertModel(config).eval().save_pretrained(folder)
    if modes is None:
        return folder
    put(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    flags = {f"pooling_mode_{mode}": True for mode in modes}
    put(
        folder / "1_Pooling/config.json",
        {"word_embedding_dimension": hidden, "pooling_mode_mean_tokens": False} | flags,
    )
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    if dense:
        inputs = hidden * len(modes)
        activation = "torch.nn.modules.activation.Tanh"
        settings = {"in_features": inputs, "out_features": dense, "bias": True, "activation_function": activation}
        put(folder / "2_Dense/config.json", settings)
        weights = {"linear.weight": torch.randn(dense, inputs), "linear.bias": torch.randn(dense)}
        save_file(weights, folder / "2_Dense/model.safetensors")
        modules.append(("2_Dense", "Dense"))
    entries = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(modules)
    ]
    put(folder / "modules.json", entries)
    return folder


def put(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture(scope="module")
def mean(tmp_path_factory) -> str:
    return str(model(tmp_path_factory.mktemp("mean") / "bert", modes=["mean_tokens"]))


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("other") / "bert"
    return str(model(folder, seed=1, hidden=24, modes=["cls_token", "mean_tokens"], dense=20, max_length=16))


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> str:
    return str(model(tmp_path_factory.mktemp("plain") / "bert", seed=2))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Nothing may be asked of a hub, even where it would fail quietly."""

    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def space_of(encoder, **options) -> Space:
    """A space whose projectors are all different from each other and from their start."""
    space = Space.create(("title", "body"), encoder=encoder, device="cpu", cache=False, **options)
    torch.manual_seed(7)
    for projector in {id(part.projector): part.projector for part in map(space.part, space.sides)}.values():
        for value in projector.parameters():
            value.data.copy_(torch.randn_like(value) * 0.3)
    return space


def load(folder: Path, *, ours: bool):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=ours)


def check_same(got: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the rounding of features to float16, which sentence-transformers does not do."""
    assert got.shape == expected.shape
    assert (got * expected).sum(1).min() > 0.999999
    np.testing.assert_allclose(got, expected, atol=1e-3)


def check_equal(space: Space, folder: Path, *, ours: bool) -> None:
    loaded = load(folder, ours=ours)
    for ask, want, texts in (
        (loaded.encode_query, space.encode_query, QUERIES),
        (loaded.encode_document, space.encode_document, DOCUMENTS),
        (loaded.encode, space.encode, QUERIES),
    ):
        got, expected = ask(texts), want(texts, cache=False)
        assert got.shape == expected.shape == (len(texts), space.dimension)
        check_same(got, expected)
        assert np.ptp(expected, axis=0).max() > 0.01, "vectors that are all equal would prove nothing"
    assert loaded.get_embedding_dimension() == space.dimension


def kinds(folder: Path) -> list[str]:
    return [entry["type"].rsplit(".", 1)[-1] for entry in json.loads((folder / "modules.json").read_text())]


def routes(folder: Path) -> dict[str, list[str]]:
    return json.loads((folder / "router_config.json").read_text())["structure"]


@pytest.mark.parametrize(
    ("name", "projector", "layers", "ours"),
    [
        ("mean", "identity", "last", False),
        ("mean", "identity", "spread", False),
        ("mean", "linear", "last", False),
        ("mean", "linear", "spread", True),
        ("mean", "residual", "last", True),
        ("mean", "residual", ("1", "3", "last"), True),
        ("plain", "linear", "last", False),
        ("plain", "residual", "spread", True),
    ],
)
def test_vectors_are_those_of_the_space(name, projector, layers, ours, request, tmp_path):
    space = space_of(request.getfixturevalue(name), projector=projector, layers=layers)
    space.save_pretrained(tmp_path / "space")
    check_equal(space, tmp_path / "space", ours=ours)


@pytest.mark.parametrize("layers", ["last", "spread"])
def test_a_shared_projector_needs_no_router(mean, layers, tmp_path):
    space = space_of(mean, layers=layers, shared_projector=True)
    space.save_pretrained(tmp_path / "space")
    join = ["JoinLayers"] if layers == "spread" else ["Normalize"]
    assert kinds(tmp_path / "space") == ["Transformer", "Pooling", *join, "Dense", "Normalize"]
    assert not (tmp_path / "space/router_config.json").exists()
    check_equal(space, tmp_path / "space", ours=layers == "spread")


@pytest.mark.parametrize(
    "options",
    [
        {"layers": "last"},
        {"layers": {"title": "last", "body": ["0", "2", "last"]}},
        {"projector": {"title": "linear", "body": "residual"}, "layers": {"title": "spread", "body": "last"}},
    ],
)
def test_sides_with_different_encoders(mean, other, options, tmp_path):
    space = space_of({"title": other, "body": mean}, dimension=18, **options)
    space.save_pretrained(tmp_path / "space")
    assert kinds(tmp_path / "space") == ["Router", "Normalize"]
    check_equal(space, tmp_path / "space", ours=options != {"layers": "last"})


def test_two_sides_of_one_encoder_share_its_files_and_its_weights_in_memory(mean, tmp_path):
    space = space_of(mean, layers="last")
    space.save_pretrained(tmp_path / "space")
    assert len(list((tmp_path / "space").rglob("tokenizer.json"))) == 1
    query, document = (chain[0] for chain in routes(tmp_path / "space").values())
    assert query == document == "encoders/0"
    router = load(tmp_path / "space", ours=False)[0]
    assert router.sub_modules["query"][0] is router.sub_modules["document"][0]


@pytest.mark.parametrize(("projector", "layers"), [("identity", "last"), ("linear", "spread")])
def test_prompts_of_the_sides_are_honoured_and_the_model_behind_them_loaded_once(mean, projector, layers, tmp_path):
    prompts = {"title": "query : ", "body": "passage : "}
    space = space_of(mean, projector=projector, layers=layers, prompt=prompts)
    bare = space_of(mean, projector=projector, layers=layers)
    assert np.abs(space.encode_query(QUERIES) - bare.encode_query(QUERIES)).max() > 0.01
    space.save_pretrained(tmp_path / "space")
    check_equal(space, tmp_path / "space", ours=layers == "spread")
    if projector == "identity":
        assert kinds(tmp_path / "space")[0] == "Transformer"
    else:
        assert {chain[0] for chain in routes(tmp_path / "space").values()} == {"encoders/0"}


def test_a_prompt_that_pooling_leaves_out(tmp_path):
    folder = model(tmp_path / "bert", modes=["mean_tokens"])
    config = json.loads((folder / "1_Pooling/config.json").read_text())
    put(folder / "1_Pooling/config.json", config | {"include_prompt": False})
    space = space_of(str(folder), layers="spread", prompt={"title": "query : ", "body": ""})
    space.save_pretrained(tmp_path / "space")
    check_equal(space, tmp_path / "space", ours=True)


def test_the_length_a_side_reads_is_the_spaces_not_the_encoders(mean, tmp_path):
    space = space_of(mean, layers="last", max_length={"title": 6, "body": 24})
    space.save_pretrained(tmp_path / "space")
    check_equal(space, tmp_path / "space", ours=False)
    cut = load(tmp_path / "space", ours=False).encode_query(["a fox on the sea and a boat", "a fox on the bread"])
    assert float(cut[0] @ cut[1]) > 0.99999  # six tokens, [CLS] a fox on the [SEP], of both


def test_further_sides_are_tasks_of_their_own_name(mean, tmp_path):
    space = Space.create(("en", "de", "fr"), encoder=mean, layers="last", device="cpu", cache=False, query_side="de")
    space.save_pretrained(tmp_path / "space")
    assert list(routes(tmp_path / "space")) == ["query", "document", "fr"]
    loaded = load(tmp_path / "space", ours=False)
    for vectors, side in (
        (loaded.encode_query(QUERIES), "de"),
        (loaded.encode_document(QUERIES), "en"),
        (loaded.encode(QUERIES, task="fr", prompt_name="fr"), "fr"),
    ):
        check_same(vectors, space.encode(QUERIES, side=side))


@pytest.mark.parametrize("layers", ["last", "spread"])
def test_saved_again_by_sentence_transformers_it_is_the_same_model(mean, layers, tmp_path):
    space = space_of(mean, projector="residual", layers=layers)
    space.save_pretrained(tmp_path / "space")
    load(tmp_path / "space", ours=True).save(str(tmp_path / "again"), create_model_card=False)
    check_equal(space, tmp_path / "again", ours=True)


def test_the_layout_leaves_the_space_loadable(mean, tmp_path):
    space = space_of(mean, layers="spread", max_length=12, prompt={"title": "query : ", "body": ""})
    space.save_pretrained(tmp_path / "space")
    again = Space.from_pretrained(tmp_path / "space", device="cpu", cache=False)
    check_same(again.encode_query(QUERIES), space.encode_query(QUERIES))


def test_without_trust_a_layered_space_is_refused_by_name_of_the_class(mean, tmp_path):
    space_of(mean, layers="spread").save_pretrained(tmp_path / "space")
    with pytest.raises(ValueError, match=r"sentence_module\.JoinLayers"):
        load(tmp_path / "space", ours=False)


def test_the_files_an_encoder_came_from_stay_as_they_were(mean, tmp_path):
    before = {path: path.read_bytes() for path in Path(mean).rglob("*") if path.is_file()}
    space_of(mean, layers="spread", max_length=12).save_pretrained(tmp_path / "space")
    assert {path: path.read_bytes() for path in Path(mean).rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("modality", ["row", "text"])
def test_nothing_is_written_where_an_encoder_is_no_plain_text_model(modality, tmp_path):
    """Features of a file; and a text encoder whose modules only sentence-transformers itself can run."""

    class Part:
        projector = IdentityProjector([4], 4)
        layers = ("last",)

        class encoder:
            prompt, max_length = "", None

    class Fake:
        sides, query_side, document_side = ("a", "b"), "a", "b"

        def part(self, side):
            return Part()

    Part.encoder.modality = modality
    put(tmp_path / "encoders/0/modules.json", [{"path": "", "type": "sentence_transformers.models.StaticEmbedding"}])
    before = sorted(tmp_path.rglob("*"))
    write_sentence_layout(Fake(), tmp_path, encoders={"a": "encoders/0", "b": "encoders/0"})
    assert sorted(tmp_path.rglob("*")) == before


def test_saving_imports_no_sentence_transformers():
    code = "import sys, pairspace.space; print('sentence_transformers' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
