"""More than two sides in one space: several languages, each paired with some of the others."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.evaluation import evaluate, evaluate_bitext
from pairspace.space import Space
from pairspace.space.preparing import hold_out
from pairspace.space.reading import pairings, read_data

WORDS = [
    "sun",
    "moon",
    "star",
    "tree",
    "house",
    "road",
    "sea",
    "boat",
    "fox",
    "bread",
    "milk",
    "salt",
    "king",
    "bell",
    "door",
    "hand",
]
LANGUAGES = ("en", "it", "de")
HOW = {"epochs": 24, "batch_size": 32, "encoder_learning_rate": 0.05, "validation": 0.25}


def say(language: str, words) -> str:
    return " ".join(f"{word}{language}" for word in words)


def sentences(count: int, seed: int):
    random = np.random.default_rng(seed)
    return [random.choice(WORDS, 3, replace=False) for _ in range(count)]


def translated(one: str, other: str, some, **more) -> Pairs:
    columns = {language: [say(language, words) for words in some] for language in (one, other)}
    return Pairs.from_columns(columns, group=[" ".join(words) for words in some], **more)


def static(**how) -> Space:
    return Space.create(LANGUAGES, encoder="static:16", device="cpu", cache=False, **how)


@pytest.fixture(scope="module")
def trained():
    space = static()
    some = sentences(300, 0)
    history = space.fit([translated("en", "it", some[:200]), translated("en", "de", some[100:])], **HOW)
    return space, history


def accuracy(space, one, other):
    pairs = translated(one, other, sentences(60, 9))
    return evaluate_bitext(space, pairs, left=one, right=other, noise=(), resamples=10).accuracy(f"{one} -> {other}")


def test_languages_that_were_never_paired_meet_over_the_pivot(trained):
    space, _ = trained
    assert accuracy(space, "en", "it") > 0.9 and accuracy(space, "de", "en") > 0.9
    assert accuracy(space, "it", "de") > 0.75


def test_a_language_with_too_few_pairs_to_hold_any_out_is_trained_all_the_same():
    some = sentences(63, 3)
    sets = [translated("en", "it", some[:60]), translated("en", "de", some[60:])]
    space = static()
    history = space.fit(sets, **(HOW | {"epochs": 1}))
    assert [key for key in history.records[0] if key.startswith("validation_R@1 ")] == ["validation_R@1 en-it"]
    assert len(space.encode(["sunde"], side="de")) == 1
    held = translated("en", "de", sentences(5, 4))
    history = static().fit(sets, **(HOW | {"epochs": 1, "validation": held}))
    assert [key for key in history.records[0] if key.startswith("validation_R@1 ")] == ["validation_R@1 en-de"]


def test_each_two_sides_are_watched_by_themselves(trained):
    space, history = trained
    last = history.records[-1]
    own = [last["validation_R@1 en-it"], last["validation_R@1 en-de"]]
    assert last["validation_R@1"] == pytest.approx(np.mean(own), abs=1e-4) and min(own) > 0.8
    assert set(space.record["truncated"]) == set(LANGUAGES) and space.fusion_weight is None


def test_it_is_saved_and_loaded(trained, tmp_path):
    space = trained[0]
    space.save_pretrained(tmp_path / "space")
    loaded = Space.from_pretrained(tmp_path / "space", device="cpu", cache=False)
    text = say("de", ["sun", "sea"])
    np.testing.assert_array_equal(loaded.encode([text], side="de"), space.encode([text], side="de"))


def test_a_killed_run_of_many_sides_goes_on_bit_for_bit(trained, tmp_path):
    some, space = sentences(300, 0), static()
    sets = [translated("en", "it", some[:200]), translated("en", "de", some[100:])]

    def stop(history):
        if history.records[-1]["epoch"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        space.fit(sets, **HOW, checkpoint=tmp_path / "c", after_epoch=stop)
    space = static()
    space.fit(sets, **HOW, checkpoint=tmp_path / "c", resume=True)
    assert space.fingerprint == trained[0].fingerprint


def test_pairs_of_three_sides_are_two_data_sets():
    space = static()
    three = Pairs.from_columns(
        {language: [say(language, words) for words in sentences(4, 1)] for language in LANGUAGES}
    )
    assert [(one.query, one.document) for one in pairings(space, [three])] == [("en", "it"), ("en", "de")]
    assert next(one[1:] for one in pairings(space, [translated("it", "de", sentences(4, 1)), three])) == ("it", "de")


def test_items_of_all_sides_are_numbered_through():
    space, some = static(), sentences(4, 1)
    data = read_data(space, pairings(space, [translated("en", "it", some[:3]), translated("en", "de", some[2:])]))
    assert [list(end) for end in data.items] == [["en"], ["it", "de"]] and data.sides == LANGUAGES
    assert data.query.tolist() == [0, 1, 2, 2, 3] and data.document.tolist() == [0, 1, 2, 3, 4]
    assert data.sources.tolist() == [0, 0, 0, 1, 1] and data.start(1, "de") == 3
    order = np.array([4, 0, 3, 2])
    (left, numbers), (right, others) = data.partners("de", "en", order, 2)
    assert (left, right) == (1, 0) and numbers.tolist() == [1, 0] and others.tolist() == [3, 2]
    assert data.partners("it", "de", order, 2) == []


def test_what_is_held_out_in_one_language_is_held_out_in_all():
    some = sentences(200, 3)
    sets = [translated("en", "it", some), translated("en", "de", some)]
    rests, held, notes = hold_out(sets, 0.2, 0, LANGUAGES)
    assert notes == [] and [pairs.sides for pairs in held] == [("en", "it"), ("en", "de")]
    left, out = ({text for pairs in part for text in pairs.items("en").to_pylist()} for part in (rests, held))
    assert out and not left & out
    assert 0.15 < sum(map(len, held)) / 400 < 0.25


def few(one, other, count=40):
    random = np.random.default_rng(5)
    some = [list(random.choice(["fox", "boat", "red", "small", "sea", "bread", "boats"], 4)) for _ in range(count)]
    turns = {"it": lambda words: words[::-1], "de": lambda words: words[1:] + words[:1]}
    return Pairs.from_columns(
        {side: [" ".join(turns.get(side, list)(words)) for words in some] for side in (one, other)}
    )


def test_encoders_of_different_origin_are_brought_onto_the_axes_of_the_first(folders):
    space = Space.create(LANGUAGES, encoder=folders, device="cpu", cache=False)
    sets = [few("en", "it"), few("it", "de")]  # German reaches English over Italian
    space.fit(sets, epochs=1, learning_rate=1e-9, validation=None)
    vectors = {side: space.encode(few("en", side).items(side), side=side) for side in ("it", "de")}
    vectors["en"] = space.encode(sets[0].items("en"), side="en")
    own = {
        pair: float(np.mean(np.sum(vectors[pair[0]] * vectors[pair[1]], 1))) for pair in (("en", "it"), ("en", "de"))
    }
    turned = float(np.mean(np.sum(vectors["en"] * np.roll(vectors["de"], 1, 0), 1)))
    assert own["en", "it"] > turned + 0.2 and own["en", "de"] > turned + 0.2


def test_an_encoder_shared_by_all_sides_trains_for_all(folders):
    space = Space.create(LANGUAGES, encoder=folders["en"], shared_encoder=True, device="cpu", cache=False)
    before = {side: space.encode(["red fox"], side=side) for side in LANGUAGES}
    space.fit(
        [few("en", "it"), few("en", "de")],
        train_encoders=LANGUAGES,
        epochs=1,
        batch_size=8,
        chunk_size=4,
        validation=None,
    )
    assert len({id(space.part(side).encoder) for side in LANGUAGES}) == 1
    assert all(np.abs(space.encode(["red fox"], side=side) - before[side]).max() > 1e-4 for side in LANGUAGES)


def test_a_teacher_of_one_language_teaches_the_others(folders):
    sets = [few("en", "it"), few("en", "de")]
    teacher = Space.create(("en", "x"), encoder=folders["en"], projector="identity", device="cpu", cache=False)
    space = Space.create(LANGUAGES, encoder=folders, device="cpu", cache=False)
    history = space.fit(sets, teacher=teacher, objective="distill", epochs=3, batch_size=16, validation=None)
    losses = history.column("loss")
    assert losses[-1] < losses[0]


def test_features_that_are_looked_at_and_mixing_work_with_many_sides(folders):
    sets = [few("en", "it"), few("en", "de")]
    space = Space.create(LANGUAGES, encoder=folders, device="cpu", cache=False)
    space.fit(sets, epochs=1, batch_size=16, structure=0.1, mix=0.5, validation=None)
    space.fit(sets, epochs=1, batch_size=16, group_batches=True, validation=None)
    assert np.isfinite(space.encode(["red fox"], side="de")).all()


def test_all_data_sets_are_in_one_report(trained):
    space, some = trained[0], sentences(30, 11)
    report = evaluate(space, [translated("en", "it", some), translated("en", "de", some)], bm25=False, resamples=10)
    assert [one.name for one in report.directions] == ["en -> it", "it -> en", "en -> de", "de -> en"]


@pytest.mark.parametrize(
    ("how", "sets", "message"),
    [
        ({}, [("en", "it")], "no pairs have the side de"),
        ({}, [("en", "fr")], "the sides en, fr, the space needs two of en, it, de"),
        ({"projector": "lexical"}, [("en", "it"), ("en", "de")], "space of words is trained on two sides"),
    ],
)
def test_what_cannot_be_trained(folders, how, sets, message):
    encoder = folders if how else "static:16"
    space = Space.create(LANGUAGES, encoder=encoder, device="cpu", cache=False, **how)
    with pytest.raises(SpaceError, match=message):
        space.fit([few(*two) for two in sets])


def test_negatives_are_of_pairs_of_two_sides():
    three = {language: [say(language, words) for words in sentences(4, 1)] for language in LANGUAGES}
    given = Pairs.from_columns(three, negatives=[["x"]] * 4)
    with pytest.raises(SpaceError, match="negatives of memory are of one side"):
        static().fit(given)
    some = sentences(40, 2)
    sets = [translated("en", "it", some), translated("en", "de", some, negatives=[[say("de", ["sun"])]] * 40)]
    assert static().fit(sets, epochs=1, batch_size=8).records[-1]["epoch"] == 1
