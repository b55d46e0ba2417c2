"""A space on disk: what comes back is what was saved, and what was altered is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from pairspace.data import Pairs
from pairspace.errors import SpaceError, StorageError
from pairspace.space import Space


@pytest.fixture(scope="module")
def trained(plain_folder):
    words = [f"{a} {b}" for a in "abcdefgh" for b in "abcdefgh"]
    pairs = Pairs.from_columns({"title": words, "body": [w[::-1] + " game" for w in words]})
    space = Space.create(
        pairs.sides, encoder=str(plain_folder), name="small", language="german", device="cpu", cache=False
    )
    space.fit(pairs, epochs=2, batch_size=16, validation=0.2)
    return space


@pytest.fixture(scope="module")
def original(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "space"
    trained.save_pretrained(folder)
    return folder


@pytest.fixture
def saved(original, tmp_path):
    """A copy for each test to break."""
    return Path(shutil.copytree(original, tmp_path / "space"))


def test_what_comes_back_is_what_was_saved(trained, saved):
    back = Space.from_pretrained(saved, device="cpu", cache=False)
    assert back.fingerprint == trained.fingerprint
    assert (back.name, back.language, back.sides, back.trained) == ("small", "german", ("title", "body"), True)
    assert (back.fusion_weight, back.record) == (trained.fusion_weight, trained.record)
    assert back.temperature.value == trained.temperature.value
    for side in back.sides:
        np.testing.assert_array_equal(back.encode(["a game"], side=side), trained.encode(["a game"], side=side))
        np.testing.assert_array_equal(back.encode_start(["b"], side=side), trained.encode_start(["b"], side=side))
    assert back.part("title").encoder is back.part("body").encoder
    assert len(list((saved / "encoders").iterdir())) == 1


def test_a_space_saved_twice_has_the_same_checksums(trained, saved, tmp_path):
    Space.from_pretrained(saved, device="cpu").save_pretrained(tmp_path / "again")
    first, second = (json.loads((f / "config.json").read_text())["files"] for f in (saved, tmp_path / "again"))
    assert first == second


def test_saving_replaces_a_space_but_nothing_else(trained, saved, tmp_path):
    trained.save_pretrained(saved)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(StorageError, match="home"):
        trained.save_pretrained(tmp_path / "home")
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


def test_a_missing_file_is_named(saved):
    (saved / "projectors.safetensors").unlink()
    with pytest.raises(SpaceError, match="the file projectors.safetensors is missing"):
        Space.from_pretrained(saved)


def test_a_pickle_in_place_of_weights_is_never_read(saved):
    (saved / "projectors.safetensors").rename(saved / "projectors.bin")
    with pytest.raises(SpaceError, match="projectors.bin is a pickle and is never read"):
        Space.from_pretrained(saved)


def test_an_altered_file_is_named(saved):
    path = saved / "projectors.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SpaceError, match="projectors.safetensors was altered"):
        Space.from_pretrained(saved)


def test_the_model_card_may_be_edited(saved):
    (saved / "README.md").write_text("our space")
    assert Space.from_pretrained(saved).name == "small"


def older(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "not a space"),
        (lambda f: (f / "config.json").write_text("{"), "not readable as JSON"),
        (lambda f: (f / "config.json").write_text("{}"), "some other model"),
        (lambda f: (f / "config.json").write_text("[]"), "some other model"),
        (lambda f: (f / "config.json").write_text('{"library": "pairspace", "format": 99}'), "newer pairspace"),
        (lambda f: older(f / "config.json"), r"older pairspace \(format 1\); train it anew"),
    ],
)
def test_a_folder_that_is_no_space_says_why(saved, break_it, message):
    break_it(saved)
    with pytest.raises(SpaceError, match=message):
        Space.from_pretrained(saved)


def test_no_folder_says_how_to_make_one(tmp_path):
    with pytest.raises(SpaceError, match="no such folder.*pairspace train"):
        Space.from_pretrained(tmp_path / "nothing")


def test_a_full_disk_leaves_the_old_space(trained, saved, monkeypatch):
    import pairspace.space.saving as saving

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "save_file", full)
    with pytest.raises(StorageError, match="No space left on device"):
        trained.save_pretrained(saved)
    monkeypatch.undo()
    assert Space.from_pretrained(saved).fingerprint == trained.fingerprint
    assert [p.name for p in saved.parent.iterdir() if p.name.endswith(".tmp")] == []


def test_the_card_says_how_it_was_trained(saved):
    card = (saved / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: pairspace")
    assert "held-out pairs" in card and "from_pretrained" in card


@pytest.mark.parametrize("key", ["format", "fingerprint", "sides", "files", "record", "language", "dropped", "wider"])
def test_altered_settings_are_refused(saved, key):
    config = json.loads((saved / "config.json").read_text())
    if key == "dropped":
        del config["sides"]["title"][0]["projector"]
    elif key == "wider":
        config["sides"]["title"][0]["projector"]["dimension"] = 99
    else:
        del config[key]
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(SpaceError, match=r"config\.json: altered or incomplete"):
        Space.from_pretrained(saved, device="cpu")


def test_settings_that_are_not_those_of_the_weights_are_refused(saved):
    config = json.loads((saved / "config.json").read_text())
    config["sides"]["title"][0]["layers"].reverse()
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(SpaceError, match="saved with .* is not the one it was saved with"):
        Space.from_pretrained(saved, device="cpu")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_or_altered_encoder_file_is_named(saved, name):
    file = next((saved / "encoders" / "0").rglob(name))
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(SpaceError, match=rf"encoders/0/.*{name} was altered or damaged"):
        Space.from_pretrained(saved)
    file.unlink()
    with pytest.raises(SpaceError, match=rf"encoders/0/.*{name} is missing"):
        Space.from_pretrained(saved)


TEXTS = ["play chess", "the computer files", "", "music for gnome"]


def same(one, other):
    """Equal arrays, or equal CSR matrices entry by entry."""
    parts = (lambda x: (x.indptr, x.indices, x.data, x.shape)) if sparse.issparse(one) else (lambda x: (x,))
    for left, right in zip(parts(one), parts(other), strict=True):
        np.testing.assert_array_equal(left, right)


def test_every_kind_of_space_comes_back_as_it_was(fitted_space, space_kind, tmp_path):
    space = fitted_space(space_kind)
    space.save_pretrained(tmp_path / "space")
    back = Space.from_pretrained(tmp_path / "space", device="cpu", cache=False)
    assert back.fingerprint == space.fingerprint and repr(back) == repr(space)
    assert (back.bias, back.shared_encoder, back.has_start) == (space.bias, space.shared_encoder, space.has_start)
    for side in space.sides:
        same(back.encode(TEXTS, side=side), space.encode(TEXTS, side=side))
        assert back.part(side).starts_equal == space.part(side).starts_equal
        if space.part(side).starting():
            same(back.encode_start(TEXTS, side=side), space.encode_start(TEXTS, side=side))
        ours, theirs = (one.part(side).branches for one in (back, space))
        assert [branch.trains for branch in ours] == [branch.trains for branch in theirs]
    back.save_pretrained(tmp_path / "again")
    first, second = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("space", "again"))
    assert first["sides"] == second["sides"] and first["files"] == second["files"]


def test_one_object_is_saved_once_and_is_one_again(fitted_space, tmp_path):
    for kind, folders in (("adapters", 1), ("bag", 1), ("whole", 2), ("last block", 2), ("joined", 3)):
        space = fitted_space(kind)
        space.save_pretrained(tmp_path / kind)
        assert len(list((tmp_path / kind / "encoders").iterdir())) == folders
        back = Space.from_pretrained(tmp_path / kind, device="cpu", cache=False)
        found = {id(branch.encoder) for side in back.sides for branch in back.part(side).branches}
        assert len(found) == folders


def test_a_loaded_space_goes_on_with_what_trained(fitted_space, shuffled, space_kind, tmp_path):
    fitted_space(space_kind).save_pretrained(tmp_path / "space")
    back = Space.from_pretrained(tmp_path / "space", device="cpu", cache=False)
    before = {s: [b.encoder.fingerprint for b in back.part(s).branches] for s in back.sides}
    trains = {s: [b.trains for b in back.part(s).branches] for s in back.sides}
    starts = {s: back.encode_start(TEXTS, side=s) for s in back.sides if back.part(s).starting()}
    back.fit(shuffled, epochs=1, batch_size=16, validation=None, learning_rate=1e-2, progress=False)
    for side in back.sides:
        after = [branch.encoder.fingerprint for branch in back.part(side).branches]
        assert [one != two for one, two in zip(before[side], after, strict=True)] == trains[side]
    for side, vectors in starts.items():
        same(back.encode_start(TEXTS, side=side), vectors)


def test_a_start_whose_model_is_gone_is_left_out(transformer, shuffled, tmp_path):
    folder = transformer("passing")
    space = Space.create(("title", "body"), encoder=str(folder), device="cpu", cache=False)
    space.fit(shuffled, train_encoders=["title"], epochs=1, batch_size=32, validation=None, progress=False)
    assert space.has_start and not space.part("title").starts_equal and space.part("body").starts_equal
    space.save_pretrained(tmp_path / "space")
    assert Space.from_pretrained(tmp_path / "space", device="cpu", cache=False).has_start
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)  # another model of the same name
    changed = Space.from_pretrained(tmp_path / "space", device="cpu", cache=False)
    shutil.rmtree(folder)
    gone = Space.from_pretrained(tmp_path / "space", device="cpu", cache=False)
    for back in (changed, gone):
        assert not back.has_start
        np.testing.assert_array_equal(back.encode(TEXTS), space.encode(TEXTS))
        with pytest.raises(SpaceError, match="side 'title' has no encoder that came with weights"):
            back.encode_start(TEXTS, side="title")
        assert back.encode_start(TEXTS, side="body").shape == (4, 32)


def test_a_relative_folder_is_found_from_elsewhere(transformer, shuffled, tmp_path, monkeypatch):
    folder = transformer("models")
    monkeypatch.chdir(folder.parent)
    space = Space.create(("title", "body"), encoder=folder.name, device="cpu", cache=False)
    space.fit(shuffled, train_encoders=["title"], epochs=1, batch_size=32, validation=None, progress=False)
    space.save_pretrained(tmp_path / "space")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert Space.from_pretrained(tmp_path / "space", device="cpu", cache=False).has_start


def test_saving_imports_no_sentence_transformers(warm, tmp_path):
    code = "from __main__ import IMPORTED; print('pairspace.space' in IMPORTED, 'sentence_transformers' in IMPORTED)"
    assert warm.run(code, folder=tmp_path).out.split() == ["True", "False"]


def test_a_models_folder_is_never_taken_for_a_space(trained, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    with pytest.raises(StorageError, match="model"):
        trained.save_pretrained(model)
    assert [path.name for path in model.iterdir()] == ["config.json"]
