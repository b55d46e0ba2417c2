"""Which encoders train and whose they are; what begins from nothing; which pairs watch."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.data import Pairs
from pairspace.encoders import load_encoder
from pairspace.errors import SpaceError, TrainingError
from pairspace.space import Space
from pairspace.space.preparing import begin_encoders, choose_trained, hold_out, keep_trained

TEXTS = ["play chess", "the computer files"]
FIT = {"batch_size": 16, "epochs": 1, "validation": None, "progress": False, "learning_rate": 1e-2}


def encoders(space):
    return [branch.encoder for side in space.sides for branch in space.part(side).branches]


@pytest.fixture
def create(plain_folder):
    def create(encoder=None, **options):
        return Space.create(
            ("title", "body"), encoder=encoder or str(plain_folder), device="cpu", cache=False, **options
        )

    return create


def test_one_side_trains_and_the_others_encoder_is_left_alone(create, shuffled):
    space = create(projector="identity")
    title, body = encoders(space)
    assert title is body
    before, fingerprint = space.encode(TEXTS, side="body"), body.fingerprint
    space.fit(shuffled, train_encoders=["title"], **FIT)
    title, same = encoders(space)
    assert same is body and same.fingerprint == fingerprint and title.fingerprint != fingerprint
    assert title.name == f"{body.name} (trained)"
    np.testing.assert_array_equal(space.encode(TEXTS, side="body"), before)
    assert np.abs(space.encode(TEXTS, side="title") - before).max() > 1e-3
    np.testing.assert_array_equal(space.encode_start(TEXTS, side="title"), before)


def test_both_sides_train_each_its_own(create, shuffled):
    space = create()
    space.fit(shuffled, train_encoders=["title", "body"], **FIT)
    title, body = encoders(space)
    assert title is not body and title.fingerprint != body.fingerprint


@pytest.mark.parametrize("encoder", [None, "static:16", "transformer:32"])
def test_a_shared_encoder_is_one_before_and_after(create, shuffled, encoder):
    space = create(encoder, shared_encoder=True, projector="identity")
    assert len({id(one) for one in encoders(space)}) == 1
    space.fit(shuffled, train_encoders=["title", "body"], **FIT)
    assert len({id(one) for one in encoders(space)}) == 1
    np.testing.assert_array_equal(space.encode(TEXTS, side="title"), space.encode(TEXTS, side="body"))
    again = space.encode(TEXTS)
    space.fit(shuffled, **FIT)  # goes on with what trained before
    assert np.abs(space.encode(TEXTS) - again).max() > 1e-4


def test_encoders_from_nothing_are_each_sides_own_and_always_train(create, shuffled):
    space = create("static:16")
    title, body = encoders(space)
    assert title is not body and not title.ready
    space.fit(shuffled, train_encoders=[], **FIT)
    assert encoders(space) == [title, body] and title.ready
    assert title.tokens.tokenizer.to_str() != ""
    before = title.fingerprint
    space.fit(shuffled, train_encoders=["body"], **FIT)
    assert title.fingerprint != before


def test_who_trained_once_goes_on_unless_told_otherwise(create, shuffled):
    space = create()
    space.fit(shuffled, train_encoders=["title"], **FIT)
    first = encoders(space)[0].fingerprint
    space.fit(shuffled, **FIT)
    second = encoders(space)[0].fingerprint
    space.fit(shuffled, train_encoders=[], **FIT)
    assert first != second == encoders(space)[0].fingerprint
    assert not any(branch.trains for side in space.sides for branch in space.part(side).branches)
    start = space.encode_start(TEXTS)
    space.fit(shuffled, train_encoders=["title"], **FIT)
    assert second != encoders(space)[0].fingerprint
    np.testing.assert_array_equal(space.encode_start(TEXTS), start)  # still as it was before any training


def test_a_fine_tuned_encoder_whose_origin_is_gone_is_still_a_pretrained_one(create, shuffled, transformer, tmp_path):
    folder = transformer("passing")
    space = create(str(folder))
    space.fit(shuffled, train_encoders=["title"], **FIT)
    space.save_pretrained(tmp_path / "space")
    (folder / "config.json").unlink()
    back = Space.from_pretrained(tmp_path / "space", device="cpu", cache=False)
    title, body = back.part("title").branches[0], back.part("body").branches[0]
    assert title.origin is None and title.trains and body.origin is body.encoder
    assert not back.has_start
    back.fit(shuffled, progress=False, epochs=1, validation=None, train_encoders=["title"])
    assert back.record["options"]["batch_size"] == 256
    before = title.encoder.fingerprint
    back.fit(shuffled, train_encoders=["body"], **FIT)
    assert title.encoder.fingerprint == before and not title.trains


def test_a_saved_encoder_from_nothing_is_pretrained_elsewhere(create, shuffled, tmp_path):
    first = create("static:16", shared_encoder=True)
    first.fit(shuffled, **FIT)
    encoders(first)[0].save(tmp_path / "bag")
    space = create(str(tmp_path / "bag"), projector="identity")
    before = space.encode(TEXTS)
    np.testing.assert_allclose(before, first.encode(TEXTS), atol=1e-3)
    space.fit(shuffled, train_encoders=["title"], **FIT)
    title, body = encoders(space)
    assert title is not body and body.fingerprint == load_encoder(tmp_path / "bag", device="cpu").fingerprint
    assert np.abs(space.encode(TEXTS) - before).max() > 1e-4
    np.testing.assert_array_equal(space.encode_start(TEXTS), before)
    np.testing.assert_array_equal(space.encode(TEXTS, side="body"), before)


def test_a_side_that_is_not_there(create, shuffled):
    with pytest.raises(SpaceError, match="no side 'caption' in this space: it has title, body"):
        create().fit(shuffled, train_encoders=["caption"], **FIT)


def test_half_of_a_shared_encoder(create, shuffled):
    for encoder in (None, "static:16"):
        with pytest.raises(SpaceError, match="trains for all of them or none; train_encoders has title"):
            create(encoder, shared_encoder=True).fit(shuffled, train_encoders="title", **FIT)


def test_an_encoder_that_has_no_weights_here(shuffled, tmp_path, plain_folder):
    np.save(tmp_path / "own.npy", np.random.default_rng(0).normal(size=(len(shuffled), 8)).astype(np.float32))
    space = Space.create(
        ("title", "body"), encoder={"title": str(tmp_path / "own.npy"), "body": str(plain_folder)}, device="cpu"
    )
    with pytest.raises(SpaceError, match=r"of side 'title', .*own\.npy, cannot be trained: .*features that"):
        space.fit(shuffled, train_encoders=["title"], **FIT)
    assert not space.part("title").branches[0].trains


def test_a_name_alone_is_one_side(create):
    space = create()
    choose_trained(space, "body")
    assert [branch.trains for side in space.sides for branch in space.part(side).branches] == [False, True]


def test_a_vocabulary_is_of_the_texts_of_the_sides_that_use_it(create):
    pairs = Pairs.from_columns({"title": [f"alpha {n}" for n in range(9)], "body": [f"gamma {n}" for n in range(9)]})
    own, shared = create("static:16"), create("static:16", shared_encoder=True)
    for space in (own, shared):
        begin_encoders(space, [pairs], 0)
    known = [set(one.tokens.tokenizer.get_vocab()) for one in [*encoders(own), encoders(shared)[0]]]
    found = [[any("alph" in token for token in one), any("gamm" in token for token in one)] for one in known]
    assert found == [[True, False], [False, True], [True, True]]
    seen = encoders(own)[0].fingerprint
    begin_encoders(own, [pairs], 1)
    assert encoders(own)[0].fingerprint == seen  # what has begun does not begin again


def test_seeds_and_sides_have_starts_of_their_own(create, shuffled):
    one, same, other = (create("transformer:32") for _ in range(3))
    for space, seed in ((one, 0), (same, 0), (other, 7)):
        begin_encoders(space, [shuffled], seed)
    prints = [[encoder.fingerprint for encoder in encoders(space)] for space in (one, same, other)]
    assert prints[0] == prints[1] and not set(prints[0]) & set(prints[2]) and len(set(prints[0])) == 2


def test_keeping_what_did_not_train_changes_nothing(create):
    space = create()
    before = encoders(space)
    choose_trained(space, ["title"])
    chosen = encoders(space)
    keep_trained(space)
    assert encoders(space) == chosen and chosen[1] is before[1]


SIDES = ("title", "body")


def test_a_share_of_each_data_set_is_held_out(shuffled):
    other = Pairs.from_columns({"title": [f"t{i}" for i in range(20)], "body": [f"b{i}" for i in range(20)]})
    rest, (held,), notes = hold_out([shuffled, other], 0.2, 0, SIDES)
    assert notes == [] and [len(rest[0]), len(rest[1])] == [len(shuffled) - 16, 16] and len(held) == 20
    (again,) = hold_out([shuffled, other], 0.2, 0, SIDES)[1]
    (another,) = hold_out([shuffled, other], 0.2, 1, SIDES)[1]
    assert again.table.equals(held.table) and not another.table.equals(held.table)


def test_no_more_are_held_out_than_can_be_ranked(shuffled, monkeypatch):
    monkeypatch.setattr("pairspace.space.preparing.HOLD_OUT", 8)
    assert [len(one) for one in (*hold_out([shuffled], 0.5, 0, SIDES)[0], *hold_out([shuffled], 0.5, 0, SIDES)[1])] == [
        len(shuffled) - 8,
        8,
    ]


def many(letter, sides=SIDES, **more):
    return Pairs.from_columns({side: [f"{letter} {side} {i}" for i in range(20)] for side in sides}, **more)


@pytest.mark.parametrize(
    "other",
    [
        {"score": [[0.5, 0.1]] * 20, "negatives": [["wrong"]] * 20},
        {"sides": ("body", "title"), "query_side": "title"},
        {"sides": ("package", "body", "title"), "id": [str(i) for i in range(20)]},
    ],
)
def test_data_sets_of_other_columns_are_held_out_together(other):
    one = many("a", score=[0.5] * 20, id=[str(i) for i in range(20)])
    rest, (held,), _ = hold_out([one, many("b", **other)], 0.2, 0, ("body", "title"))
    assert [len(part) for part in rest] == [16, 16] and len(held) == 8
    assert held.sides == ("body", "title") and set(held.table.column_names) - {"id"} == {"body", "title", "row"}
    assert ("id" in held.table.column_names) == ("id" in other)
    letters = [body[0] + title[0] for body, title in zip(*(held.items(s).to_pylist() for s in held.sides), strict=True)]
    assert letters == ["aa"] * 4 + ["bb"] * 4


def test_texts_and_bytes_do_not_go_together():
    other = Pairs.from_columns({"title": [b"x%d" % i for i in range(20)], "body": [f"y{i}" for i in range(20)]})
    with pytest.raises(SpaceError, match="side 'title' holds texts in memory and bytes in memory"):
        hold_out([many("a"), other], 0.2, 0, SIDES)


def test_pairs_of_your_own_or_none_watch(shuffled):
    assert hold_out([shuffled], None, 0, SIDES) == ([shuffled], [], [])
    assert hold_out([shuffled], shuffled, 0, SIDES) == ([shuffled], [shuffled], [])
    _, (held,), _ = hold_out([shuffled], [shuffled.select([0, 1]), shuffled.select([5])], 0, SIDES)
    assert held.items("title").to_pylist() == [shuffled.items("title")[row].as_py() for row in (0, 1, 5)]


def test_too_few_pairs_to_spare_any_are_noted():
    ten = Pairs.from_columns({"title": list("abcdefghij"), "body": list("klmnopqrst")})
    one_body = Pairs.from_columns(
        {"title": list("abcdefghij"), "body": ["x"] * 6 + ["y"] * 4}, group=list("abcdefg") + ["h"] * 3
    )
    for few, share in ((ten.select([0, 1]), 0.5), (ten, 0.1), (ten.select([0, 1, 2]), 0.7), (one_body, 0.2)):
        rest, held, notes = hold_out([few], share, 0, SIDES)
        assert held == [] and rest == [few] and notes == ["no validation split: too few pairs to spare any"]
    rest, (held,), notes = hold_out([ten, many("a")], 0.1, 0, SIDES)
    assert (len(rest[0]), len(rest[1]), len(held)) == (10, 18, 2)
    assert notes == ["no validation split of memory: too few pairs to spare any"]
    one_group = Pairs.from_columns({"title": list("abcdefghij"), "body": list("klmnopqrst")}, group=["g"] * 10)
    assert "all of them belong together" in hold_out([one_group], 0.2, 0, SIDES)[2][0]


RUSSIAN = [
    f"{one} и {two}" for one in ("шахматы", "музыка", "файлы") for two in ("игра", "карты", "компьютер", "друзья")
]


def test_a_vocabulary_of_the_other_sides_language_is_noted(create, shuffled, tmp_path):
    english = create("static:16", shared_encoder=True)
    english.fit(shuffled, **FIT)
    encoders(english)[0].save(tmp_path / "bag")
    pairs = Pairs.from_columns({"title": [f"play game {n}" for n in range(12)], "body": RUSSIAN})
    history = create(str(tmp_path / "bag"), projector="linear").fit(pairs, **FIT)
    said = [note for note in history.notes if "vocabulary" in note]
    assert len(said) == 1 and "does not fit the body texts (1.1 bytes a token)" in said[0]
    history = create().fit(pairs, **FIT)
    assert any("does not fit the body texts" in note and "of the tokens unknown" in note for note in history.notes)


def test_a_vocabulary_that_fits_is_not_noted(create, shuffled, tmp_path):
    short = Pairs.from_columns({"title": ["play", "files", "music"] * 5, "body": ["chess", "game", "cards"] * 5})
    for encoder, prompt in ((None, ""), ("static:16", ""), (None, "play chess against the computer for friends: ")):
        for pairs in (shuffled, short):
            notes = create(encoder, prompt=prompt).fit(pairs, **FIT).notes
            assert not any("vocabulary" in note for note in notes)


def test_a_warning_points_at_the_call_of_the_user(create):
    linked = Pairs.from_columns({"title": ["play chess"] * 20, "body": [f"game {i}" for i in range(20)]})
    with pytest.warns(UserWarning, match="linked by shared items") as said, pytest.raises(TrainingError):
        create(projector="linear").fit(linked, validation=0.2, progress=False)
    assert {one.filename for one in said if "linked" in str(one.message)} == {__file__}
