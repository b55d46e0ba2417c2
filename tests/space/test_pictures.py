import io
import json
import logging

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import pairspace as ps
from pairspace.data.picture_paths import check_pictures, locate
from pairspace.encoders.pictures import BadPicture
from pairspace.errors import DataError, EncoderError, SpaceError
from pairspace.features import FeatureCache
from pairspace.space import Space
from pairspace.space.pictures import mix_queries

NAMES = {"red": (220, 30, 30), "green": (40, 180, 60), "blue": (40, 60, 210), "white": (240, 240, 240)}


def png(colour, number):
    image = Image.new("RGB", (20, 16), colour)
    image.putpixel((number % 20, number // 20), (0, 0, 0))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def pictures():
    return [(png(NAMES[name], number), name) for number in range(24) for name in NAMES]


@pytest.fixture
def folder(tmp_path, pictures):
    for number, (content, name) in enumerate(pictures):
        path = tmp_path / "pictures" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "pictures"


def paths(pictures):
    return [f"{name}/{number}.png" for number, (_, name) in enumerate(pictures)]


@pytest.fixture
def space(network, tmp_path):
    return Space.create(
        ("image", "caption"),
        encoder={"image": str(network), "caption": "static:16"},
        dimension=16,
        cache=FeatureCache(tmp_path / "cache"),
    )


def train(space, pairs, **settings):
    own = {"epochs": 4, "batch_size": 32, "validation": None, "progress": False, "learning_rate": 0.01}
    return space.fit(pairs, **(own | settings))


def captions(pictures):
    return [f"a {name} field" for _, name in pictures]


def test_bytes_and_paths_train_the_same_space(space, network, pictures, folder, tmp_path):
    columns = {"image": [content for content, _ in pictures], "caption": captions(pictures)}
    train(space, ps.Pairs.from_columns(columns))
    other = Space.create(
        {"image": "image", "caption": "text"},
        encoder={"image": str(network), "caption": "static:16"},
        dimension=16,
        cache=FeatureCache(tmp_path / "cache"),
    )
    train(other, ps.Pairs.from_columns(columns | {"image": paths(pictures)}, root=folder))
    assert other.fingerprint == space.fingerprint
    one = space.encode(pictures[0][0], side="image")
    assert one.shape == (16,)
    for item in (str(folder / "red" / "0.png"), folder / "red" / "0.png", Image.open(folder / "red" / "0.png")):
        assert np.allclose(space.encode(item, side="image"), one, atol=1e-6)
    assert np.allclose(space.encode(np.asarray(Image.open(folder / "red" / "0.png")), side="image"), one, atol=1e-6)
    words = space.encode([f"a {name} field" for name in NAMES], side="caption")
    found = space.similarity(space.encode([png(NAMES[name], 99) for name in NAMES], side="image"), words)
    assert (found.argmax(1) == np.arange(4)).all()


def test_it_is_saved_and_loaded(space, pictures, tmp_path):
    train(space, ps.Pairs.from_columns({"image": [c for c, _ in pictures], "caption": captions(pictures)}), epochs=1)
    assert space.fusion_weight is None
    space.save_pretrained(tmp_path / "space")
    again = Space.from_pretrained(tmp_path / "space", cache=False)
    wanted = space.encode([pictures[5][0]], side="image", cache=False)
    assert np.allclose(again.encode([pictures[5][0]], side="image"), wanted, atol=1e-6)


def test_several_captions_of_a_picture_are_all_right(space, pictures):
    some = pictures[:12]
    columns = {"image": [content for content, _ in some]}
    columns["caption"] = [
        [f"a {name} field {number}", f"{name} number {number}"] for number, (_, name) in enumerate(some)
    ]
    pairs = ps.Pairs.from_columns(columns)
    assert len(pairs) == 24 and pairs.codes("image").max() == 11
    train(space, pairs, epochs=1)
    report = json.loads(ps.evaluate(space, pairs).to_json())
    vectors = (
        space.encode(pa.array(columns["image"]), side="image"),
        space.encode(pairs.items("caption"), side="caption"),
    )
    best = (vectors[0] @ vectors[1].T).argmax(1)
    wanted = float((best // 2 == np.arange(12)).mean())  # either of a picture's two captions
    there, back = (one["systems"]["space"]["metrics"] for one in report["directions"])
    assert there["R@1"]["value"] == pytest.approx(wanted)
    assert there["Recall@100"]["value"] == back["Recall@100"]["value"] == 1
    first = float(((vectors[1] @ vectors[0].T).argmax(1) == np.arange(24) // 2).mean())
    assert back["R@1"]["value"] == pytest.approx(first)


def test_missing_files_are_named_by_row_and_path(space, pictures, folder):
    names = paths(pictures)
    names[3] = "red/none.png"
    pairs = ps.Pairs.from_columns({"image": names, "caption": captions(pictures)}, root=folder)
    with pytest.raises(DataError, match=r"row 3 .*side 'image': .*red/none.png: no such file \(1 such"):
        train(space, pairs)
    with pytest.raises(DataError, match=r"row 3 .*none.png"):
        ps.evaluate(space, pairs)
    with pytest.raises(DataError, match=r"row 0 .*no such file \(96 such rows.*root="):
        locate(ps.Pairs.from_columns({"image": paths(pictures), "caption": captions(pictures)}), ["image"])


def test_broken_pictures_are_refused_or_left_out_and_counted(space, pictures, folder, caplog):
    (folder / "red" / "4.png").write_text("text")
    (folder / "blue" / "6.png").unlink()
    pairs = ps.Pairs.from_columns({"image": paths(pictures), "caption": captions(pictures)}, root=folder)
    with pytest.raises(DataError, match=r"row 4 .*4.png: not a picture.*\(2 such rows"):
        check_pictures(pairs, ["image"])
    with caplog.at_level(logging.WARNING):
        kept = check_pictures(pairs, ["image"], skip_bad=True)
    assert (len(kept), kept.skipped) == (94, 2) and "2 rows with unusable pictures" in caplog.text
    assert 4 not in kept.table["row"].to_pylist()
    train(space, kept, epochs=1)
    columns = {"image": [b"text"] + [content for content, _ in pictures[1:]], "caption": captions(pictures)}
    with pytest.raises(BadPicture, match="item 0: a picture: not a picture"):
        train(space, ps.Pairs.from_columns(columns))


def test_views_are_drawn_while_training_and_never_else(network, pictures, tmp_path):
    def made(views):
        space = Space.create(
            ("image", "caption"),
            encoder={"image": str(network), "caption": "static:16"},
            dimension=16,
            views=views,
            cache=FeatureCache(tmp_path / "cache"),
        )
        columns = {"image": [content for content, _ in pictures], "caption": captions(pictures)}
        train(space, ps.Pairs.from_columns(columns))
        return space

    plain, drawn, again = made(None), made(3), made(3)
    assert drawn.fingerprint == again.fingerprint != plain.fingerprint
    kept = {entry.fingerprint for entry in FeatureCache(tmp_path / "cache").info()}
    assert len(kept) == 4  # the pictures, and three views
    features = [one.features([pictures[0][0]], "image").rows() for one in (plain, drawn)]
    assert (features[0] == features[1]).all()
    drawn.save_pretrained(tmp_path / "space")
    assert Space.from_pretrained(tmp_path / "space").part("image").encoder.views == 3


def test_what_a_side_holds_must_fit_its_encoder(network):
    with pytest.raises(SpaceError, match="side 'a' holds texts, but net reads images|side 'a' holds texts"):
        Space.create({"a": "text", "b": "text"}, encoder={"a": str(network), "b": "minilm"})
    with pytest.raises(SpaceError, match="modality 'sound'"):
        Space.create({"a": "sound", "b": "text"}, encoder={"a": str(network), "b": "minilm"})
    with pytest.raises(EncoderError, match="reads pictures"):
        Space.create(
            ("image", "caption"),
            encoder={"image": str(network), "caption": "minilm"},
            prompt={"image": "a photo of ", "caption": ""},
        )
    Space.create(("image", "caption"), encoder={"image": str(network), "caption": "minilm"}, max_length=16)


def test_encoders_of_pictures_do_not_train(space, pictures):
    columns = {"image": [content for content, _ in pictures], "caption": captions(pictures)}
    with pytest.raises(SpaceError, match="cannot be trained: encoders of pictures"):
        train(space, ps.Pairs.from_columns(columns), train_encoders=("image",))


def test_a_query_may_mix_a_picture_and_words(space, pictures):
    train(space, ps.Pairs.from_columns({"image": [c for c, _ in pictures], "caption": captions(pictures)}))
    items = {"image": pictures[0][0], "caption": "a blue field"}
    a, b = (space.encode(item, side=side) for side, item in items.items())
    for weights, share in ((None, 0.5), ({"image": 3, "caption": 1}, 0.75), ({"image": 1}, 1.0)):
        wanted = share * a + (1 - share) * b
        assert np.allclose(mix_queries(space, items, weights), wanted / np.linalg.norm(wanted), atol=1e-6)
    with pytest.raises(SpaceError, match="weights of 0 and more"):
        mix_queries(space, items, {"image": -1, "caption": 2})


def test_one_folder_of_clip_serves_both_sides_from_its_own_zero_shot_on(clip_folder, pictures, tmp_path):
    import transformers

    texts = ["a photo of red", "dark blue square"]
    model = transformers.CLIPModel.from_pretrained(clip_folder)
    images = [Image.open(io.BytesIO(content)) for content, _ in pictures[:4]]
    pixels = transformers.CLIPImageProcessorPil.from_pretrained(clip_folder)(images, return_tensors="pt")
    tokens = transformers.AutoTokenizer.from_pretrained(clip_folder)(texts, padding=True, return_tensors="pt")
    tokens.pop("token_type_ids", None)
    wanted = (model(**pixels, **tokens).logits_per_image / model.logit_scale.exp()).detach().numpy()
    for sides in (("image", "caption"), {"seen": "image", "said": "text"}):
        for projector in ("identity", "linear"):
            space = Space.create(sides, encoder=str(clip_folder), projector=projector, cache=False)
            one, other = space.sides
            shown = space.encode([content for content, _ in pictures[:4]], side=one)
            found = space.similarity(shown, space.encode(texts, side=other))
            assert np.abs(found - wanted).max() < 5e-4  # features are kept in float16
    columns = {"seen": [content for content, _ in pictures], "said": [f"a photo of {name}" for _, name in pictures]}
    train(space, ps.Pairs.from_columns(columns), train_encoders=("said",), epochs=1, chunk_size=8)
    space.save_pretrained(tmp_path / "space")
    again = Space.from_pretrained(tmp_path / "space", cache=False)
    for side, item in (("seen", pictures[0][0]), ("said", "a photo of red")):
        assert np.allclose(again.encode([item], side=side), space.encode([item], side=side), atol=1e-5)
    assert space.part("said").encoder.fingerprint != space.part("said").branches[0].origin.fingerprint


def test_a_model_with_two_towers_is_saved_once(clip_folder, pictures, tmp_path):
    settings = {"prompt": {"said": "a photo of", "seen": None}, "max_length": {"said": 7, "seen": None}, "views": 2}
    for sides in ({"seen": "image", "said": "text"}, {"said": "text", "seen": "image"}):
        space = Space.create(sides, encoder=str(clip_folder), projector="identity", cache=False, **settings)
        space.save_pretrained(tmp_path / "space")
        assert len(list((tmp_path / "space").rglob("model.safetensors"))) == 1
        again = Space.from_pretrained(tmp_path / "space", cache=False)
        assert again.part("said").encoder.max_length == 7 and again.part("seen").encoder.views == 2
        for side, item in (("seen", pictures[0][0]), ("said", "red square")):
            assert np.allclose(again.encode([item], side=side), space.encode([item], side=side), atol=1e-6)
        again.save_pretrained(tmp_path / "space")  # over the files that its encoders came from
        assert Space.from_pretrained(tmp_path / "space", cache=False).fingerprint == space.fingerprint
        assert len(list((tmp_path / "space").rglob("model.safetensors"))) == 1


def test_an_index_takes_and_finds_pictures_in_any_form(space, pictures, tmp_path):
    train(space, ps.Pairs.from_columns({"image": [c for c, _ in pictures], "caption": captions(pictures)}))
    space.save_pretrained(tmp_path / "space")
    with pytest.raises(ps.PairspaceError, match="pictures have no words"):
        ps.Index.create(tmp_path / "index", space, side="image", text=True)
    with ps.Index.create(tmp_path / "index", space, side="image") as index:
        some = pictures[40:48]  # two of each colour, with a black pixel in different places
        index.add([str(n) for n in range(8)], [content for content, _ in some])
        image = Image.open(io.BytesIO(some[3][0]))
        for query in (some[3][0], image, np.asarray(image)):
            assert index.search(query, side="image", k=1)[0].id == "3"
        assert [one[0].id for one in index.search([image, some[5][0]], side="image", k=1)] == ["3", "5"]
        assert int(index.search("a blue field", k=1)[0].id) % 4 == 2


def test_a_picture_is_described_by_words_and_found_by_them(network, pictures, tmp_path):
    """A lexical projector on either side: words of the captions, their vectors from the encoder of texts."""
    encoders = {"image": str(network), "caption": "minilm"}
    space = Space.create(
        ("image", "caption"), encoder=encoders, projector="lexical", layers="last", cache=FeatureCache(tmp_path / "c")
    )
    said = [f"something {name} on the table" for _, name in pictures]
    pairs = ps.Pairs.from_columns({"image": [content for content, _ in pictures], "caption": said})
    train(space, pairs, epochs=20)
    assert set(NAMES) <= set(space.lexicon.terms)
    words = space.decode(space.encode([content for content, _ in pictures], side="image"), 20)
    first = [next(word for word, _ in own if word in NAMES) for own in words]
    assert np.mean([one == name for one, (_, name) in zip(first, pictures, strict=True)]) > 0.9
    space.save_pretrained(tmp_path / "space")
    with ps.Index.create(tmp_path / "index", space, side="image", text=False) as index:
        index.add([str(n) for n in range(len(pictures))], [content for content, _ in pictures])
        (hits,) = index.search(["blue"], mode="sparse", k=5)
        assert {pictures[int(hit.id)][1] for hit in hits} == {"blue"}
