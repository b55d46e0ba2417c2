"""SentenceTransformer(folder) gives the vectors of the space that was saved there."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pairspace.data import Pairs
from pairspace.encoders import load_encoder
from pairspace.errors import EncoderError, SpaceError
from pairspace.projectors import IdentityProjector
from pairspace.space import Space
from pairspace.space.sentence import is_stock, write_sentence_layout
from pairspace.space.side import Branch, Side

QUERIES = ["a red fox", "", "query ? unheard of", "small boats on the sea", "fox", "the red sea and a boat " * 8]
DOCUMENTS = ["the fox is red and small", "a sea of boats", "bread", "a fox on a boat, a fox on the sea " * 8]
pytestmark = pytest.mark.usefixtures("no_network")


def space_of(encoder, **options) -> Space:
    """A space whose projectors are all different from each other and from their start."""
    space = Space.create(("title", "body"), encoder=encoder, device="cpu", cache=False, **options)
    torch.manual_seed(7)
    projectors = [branch.projector for side in space.sides for branch in space.part(side).branches]
    for projector in dict.fromkeys(projectors):
        for value in projector.parameters():
            value.data.copy_(torch.randn_like(value) * 0.3)
    space.started = True
    return space


def fitted(encoder, *, sides=("title", "body"), train_encoders=None, settings=None, **options) -> Space:
    """A space after a step or two of training, which gives encoders from nothing their vocabulary."""
    space = Space.create(sides, encoder=encoder, device="cpu", cache=False, **options)
    columns = [text or "bread" for text in QUERIES] * 3, (DOCUMENTS * 6)[: 3 * len(QUERIES)]
    pairs = Pairs.from_columns(dict(zip(sides, columns, strict=True)))
    settings = {"epochs": 1, "batch_size": 8, "learning_rate": 0.02} | (settings or {})
    space.fit(pairs, train_encoders=train_encoders, validation=None, progress=False, **settings)
    return space


def load(folder: Path, *, ours: bool):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=ours)


def check_same(got: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the rounding of features to float16, which sentence-transformers does not do."""
    assert got.shape == expected.shape
    assert (((got * expected).sum(1) > 0.999999) | (~got.any(1) & ~expected.any(1))).all()  # no words: zero in both
    np.testing.assert_allclose(got, expected, atol=1e-3)


def check_equal(space: Space, folder: Path, *, ours: bool) -> None:
    loaded = load(folder, ours=ours)
    branches = [branch for side in space.sides for branch in space.part(side).branches]
    for ask, want, texts in (
        (loaded.encode_query, space.encode_query, QUERIES),
        (loaded.encode_document, space.encode_document, DOCUMENTS),
        (loaded.encode, space.encode, QUERIES),
    ):
        got, expected = ask(texts), want(texts, cache=False)
        check_same(got, expected)
        assert np.ptp(expected, axis=0).max() > 0.01, "vectors that are all equal would prove nothing"
        with pytest.MonkeyPatch.context() as patch:
            for branch in branches:
                patch.setattr(branch.encoder, "dtype", "float32")  # the features as they are, not rounded
            np.testing.assert_allclose(got, want(texts, cache=False), atol=1e-5)
    assert loaded.get_embedding_dimension() == expected.shape[1] == space.dimension


def kinds(folder: Path) -> list[str]:
    return [entry["type"].rsplit(".", 1)[-1] for entry in json.loads((folder / "modules.json").read_text())]


def routes(folder: Path) -> dict[str, list[str]]:
    return json.loads((folder / "router_config.json").read_text())["structure"]


@pytest.mark.parametrize(
    ("name", "projector", "layers", "ours"),
    [
        ("mean", "identity", "last", False),
        ("mean", "identity", "spread", False),
        ("mean", "identity", ("0", "words"), True),
        ("mean", "linear", "last", False),
        ("mean", "linear", "spread", True),
        ("mean", "residual", "last", True),
        ("mean", "residual", ("1", "3", "last"), True),
        ("mean", "linear", ("words", "last"), True),
        ("mean", "linear", ("2",), True),
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
    first, join = ("WordTransformer", "JoinLayers") if layers == "spread" else ("Transformer", "Normalize")
    assert kinds(tmp_path / "space") == [first, "Pooling", join, "Dense", "Normalize"]
    assert not (tmp_path / "space/router_config.json").exists()
    check_equal(space, tmp_path / "space", ours=layers == "spread")


@pytest.mark.parametrize(
    "options",
    [
        {"layers": "last"},
        {"layers": {"title": "last", "body": ["0", "2", "last"]}},
        {"layers": {"title": ["words", "last"], "body": "spread"}},
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


def test_a_prompt_that_pooling_leaves_out(bert, tmp_path):
    folder = bert(tmp_path / "bert", modes=["mean_tokens"])
    pooling = folder / "1_Pooling/config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text()) | {"include_prompt": False}))
    space = space_of(str(folder), layers="spread", prompt={"title": "query : ", "body": ""})
    space.save_pretrained(tmp_path / "space")
    check_equal(space, tmp_path / "space", ours=True)


def test_one_model_whose_words_one_side_alone_asks_for(mean, tmp_path):
    space = space_of(mean, layers={"title": "spread", "body": "last"})
    space.save_pretrained(tmp_path / "space")
    assert {chain[0] for chain in routes(tmp_path / "space").values()} == {"encoders/0"}
    types = json.loads((tmp_path / "space/router_config.json").read_text())["types"]
    assert types["encoders/0"] == "pairspace.space.sentence_module.WordTransformer"
    check_equal(space, tmp_path / "space", ours=True)


def test_words_of_a_batch_padded_on_the_left_and_no_copy_of_the_table(mean, tmp_path):
    space = space_of(mean, layers=("words", "last"), prompt={"title": "query : ", "body": ""})
    space.save_pretrained(tmp_path / "space")
    first = load(tmp_path / "space", ours=True)[0].sub_modules["query"][0]
    features = first.preprocess(QUERIES, prompt="query : ")
    lengths, width = features["attention_mask"].sum(1), features["input_ids"].shape[1]
    features["input_ids"][features["attention_mask"] == 0] = 9  # padding is what the mask says, not what its id is
    turned = (torch.arange(width) + lengths[:, None]) % width  # the padding, and it alone, goes to the front
    left = {name: features[name].gather(1, turned) for name in ("input_ids", "attention_mask")}
    expected = space.part("title").encoder.encode(QUERIES, ["words"]).vectors["words"]
    for inputs in (features, left | {"prompt_length": torch.tensor([features["prompt_length"]])}):
        np.testing.assert_allclose(first._words(**inputs).detach().numpy(), expected, atol=1e-6)
    assert [bool(row.any()) for row in expected[:3]] == [True, False, True]  # the second text is empty
    assert {path.parent.name for path in tmp_path.rglob("modules/*/*.safetensors")} == {"projector_0", "projector_1"}


def test_the_length_a_side_reads_is_the_spaces_not_the_encoders(mean, tmp_path):
    space = space_of(mean, layers="last", max_length={"title": 6, "body": 24})
    space.save_pretrained(tmp_path / "space")
    check_equal(space, tmp_path / "space", ours=False)
    cut, same = load(tmp_path / "space", ours=False).encode_query(["a fox on the sea and a boat", "a fox on the bread"])
    assert float(cut @ same) > 0.99999  # six tokens, [CLS] a fox on the [SEP], of both


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
    with pytest.raises(ValueError, match=r"sentence_module\.WordTransformer"):
        load(tmp_path / "space", ours=False)


def test_the_files_an_encoder_came_from_stay_as_they_were(mean, tmp_path):
    before = {path: path.read_bytes() for path in Path(mean).rglob("*") if path.is_file()}
    space_of(mean, layers="spread", max_length=12).save_pretrained(tmp_path / "space")
    assert {path: path.read_bytes() for path in Path(mean).rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("encoder", "options"),
    [
        ("static:16", {}),
        ("static:16", {"max_length": 12, "prompt": {"title": "query : ", "body": "passage : "}}),
        ("static:16", {"dimension": 8, "projector": "linear"}),
        ("transformer:32", {}),
        ("{mean}+static", {}),
        ("{mean}+static:16", {"layers": "last", "projector": "residual", "prompt": "passage : "}),
        ({"title": "static:16", "body": "{mean}"}, {}),
        ({"title": "{mean}", "body": "{mean}+transformer:32"}, {"prompt": {"title": "query : ", "body": ""}}),
    ],
)
def test_encoders_from_nothing_and_joined_ones(encoder, options, mean, tmp_path):
    named = (
        {s: e.format(mean=mean) for s, e in encoder.items()} if isinstance(encoder, dict) else encoder.format(mean=mean)
    )
    space = fitted(named, **options)
    space.save_pretrained(tmp_path / "space")
    assert kinds(tmp_path / "space") == ["Router", "Normalize"]
    types = json.loads((tmp_path / "space/router_config.json").read_text())["types"]
    assert "pairspace.space.sentence_module.SpaceSide" in types.values()
    check_equal(space, tmp_path / "space", ours=True)


def test_sides_that_share_all_are_one_module(mean, tmp_path):
    space = fitted(f"{mean}+static", shared_encoder=True, shared_projector=True)
    space.save_pretrained(tmp_path / "space")
    assert kinds(tmp_path / "space") == ["SpaceSide", "Normalize"]
    check_equal(space, tmp_path / "space", ours=True)


def test_a_frozen_encoder_that_both_sides_join_is_in_memory_once(mean, tmp_path):
    space = fitted(f"{mean}+static")
    space.save_pretrained(tmp_path / "space")
    router = load(tmp_path / "space", ours=True)[0]
    (query, own), (document, other) = (router.sub_modules[role][0].encoders for role in ("query", "document"))
    assert query.module is document.module and own.module is not other.module
    assert router.sub_modules["query"][0].max_seq_length == 24


def test_an_encoder_of_another_layout_is_run_by_sentence_transformers_itself(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(3)
    words = sorted({word for text in QUERIES + DOCUMENTS for word in text.split()})
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(["[UNK]", *words])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=12)]).save(
        str(tmp_path / "bag"), create_model_card=False
    )
    space = space_of(str(tmp_path / "bag"), prompt={"title": "fox ", "body": ""})
    space.save_pretrained(tmp_path / "space")
    check_equal(space, tmp_path / "space", ours=True)


@pytest.mark.parametrize("way", [{}, {"train_blocks": 1}, {"lora": 2}])
@pytest.mark.parametrize("layers", ["last", "spread"])
def test_encoders_that_were_trained(way, layers, mean, tmp_path):
    if "lora" in way:
        pytest.importorskip("peft")
    settings = way | {"encoder_learning_rate": 0.01}
    space = fitted(mean, layers=layers, train_encoders=("title",), settings=settings)
    title, body = (space.part(side).encoder for side in space.sides)
    assert title.fingerprint != body.fingerprint == load_encoder(mean).fingerprint
    space.save_pretrained(tmp_path / "space")
    check_equal(space, tmp_path / "space", ours=layers == "spread")
    assert len({chain[0] for chain in routes(tmp_path / "space").values()}) == 2


def test_a_shared_encoder_that_was_trained_is_kept_once(mean, tmp_path):
    space = fitted(mean, layers="last", shared_encoder=True, train_encoders=("title", "body"))
    space.save_pretrained(tmp_path / "space")
    assert {chain[0] for chain in routes(tmp_path / "space").values()} == {"encoders/0"}
    check_equal(space, tmp_path / "space", ours=False)


def test_whole_sides_saved_again_by_sentence_transformers_need_the_space_no_longer(mean, tmp_path):
    space = fitted({"title": "transformer:32", "body": f"{mean}+static:16"})
    space.save_pretrained(tmp_path / "space")
    loaded = load(tmp_path / "space", ours=True)
    with torch.no_grad():  # what is saved is what the modules hold now
        for side in loaded[0].sub_modules.values():
            first = next(iter(side[0].encoders[0].parameters()))
            first.add_(torch.randn_like(first))
    expected = loaded.encode_query(QUERIES), loaded.encode_document(DOCUMENTS)
    assert np.abs(expected[0] - space.encode_query(QUERIES, cache=False)).max() > 0.01
    loaded.save(str(tmp_path / "again"), create_model_card=False)
    (tmp_path / "space").rename(tmp_path / "elsewhere")
    again = load(tmp_path / "again", ours=True)
    np.testing.assert_allclose(again.encode_query(QUERIES), expected[0], atol=1e-6)
    np.testing.assert_allclose(again.encode_document(DOCUMENTS), expected[1], atol=1e-6)


def test_a_missing_encoder_and_an_item_that_is_no_text_are_named(tmp_path):
    fitted("static:16").save_pretrained(tmp_path / "space")
    with pytest.raises(EncoderError, match="item 0 is int"):
        load(tmp_path / "space", ours=True)[0].sub_modules["query"][0].preprocess([3])
    (tmp_path / "space/encoders/1").rename(tmp_path / "gone")
    with pytest.raises(SpaceError, match="no folder encoders/1 in it"):
        load(tmp_path / "space", ours=True)
    config = tmp_path / "space/modules/side_1/config.json"
    config.write_text(config.read_text().replace("../../encoders/1", "../../../gone"))
    with pytest.raises(SpaceError, match=r"no folder \.\./gone in it"):  # a file cannot point outside of its space
        load(tmp_path / "space", ours=True)


def test_which_sides_need_no_module_of_ours(mean):
    for options, expected in (
        ({"layers": "last"}, True),
        ({"projector": "identity", "layers": "spread"}, True),
        ({"layers": "spread"}, False),
        ({"projector": "residual", "layers": "last"}, False),
        ({"encoder": "static:16"}, False),
        ({"encoder": f"{mean}+static", "layers": "last"}, False),
    ):
        space = Space.create(("title", "body"), cache=False, device="cpu", **({"encoder": mean} | options))
        assert is_stock(space.part("title")) is expected, options


def test_nothing_is_written_where_the_items_are_no_texts(tmp_path):
    """Features of a file."""

    class Fake:
        sides, query_side, document_side, sparse = ("a", "b"), "a", "b", False

        def part(self, side):
            encoder = SimpleNamespace(modality="row", prompt="", max_length=None)
            projector = IdentityProjector([4], 4)
            return Side((Branch(encoder, ("last",), projector, projector),))

    write_sentence_layout(Fake(), tmp_path, encoders={"a": ["encoders/0"], "b": ["encoders/0"]})
    assert not list(tmp_path.rglob("*"))
