"""Fit with all kinds of encoders: a stop changes nothing, and what cannot be is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from pairspace.data import Pairs
from pairspace.encoders.transformer import TransformerEncoder
from pairspace.errors import EncoderError, SpaceError, TrainingError
from pairspace.features import FeatureCache
from pairspace.space import Space
from pairspace.training import TrainingOptions

TEXTS = ["play chess", "the computer files", "", "music for gnome"]


class Stop(Exception):
    pass


def stop_at(epoch):
    def stop(history):
        if history.records[-1]["epoch"] == epoch:
            raise Stop

    return stop


def vectors(space, start=False):
    encode = space.encode_start if start else space.encode
    found = [encode(TEXTS, side=side) for side in space.sides]
    return sparse.vstack(found)[:, : len(space.lexicon)].toarray() if space.sparse else np.concatenate(found)


def without_times(records):
    return [{k: v for k, v in r.items() if k not in ("seconds", "pairs_per_second")} for r in records]


def test_stop_and_resume_is_no_stop_bit_for_bit(new_space, shuffled, tmp_path, space_kind):
    check_resume(new_space, shuffled, tmp_path, space_kind, 1, validation=None)


@pytest.mark.parametrize(("one", "epoch"), [("warm-up", 2), ("warm-up", 4), ("joined and tuned", 2), ("bag", 2)])
def test_stopped_after_a_warm_up_or_watched_by_validation_too(new_space, shuffled, tmp_path, one, epoch):
    check_resume(new_space, shuffled, tmp_path, one, epoch)


def check_resume(new_space, shuffled, tmp_path, kind, epoch, **changed):
    (whole, how), (stopped, _), (resumed, _) = (new_space(kind) for _ in range(3))
    how = how | {"epochs": 2, "learning_rate": 0.01} | changed
    start = stopped.fingerprint
    torch.manual_seed(98)
    history = whole.fit(shuffled, **how)
    with pytest.raises(Stop):
        stopped.fit(shuffled, checkpoint=tmp_path / "run", after_epoch=stop_at(epoch), **how)
    torch.manual_seed(99)  # what the process did before does not matter
    again = resumed.fit(shuffled, checkpoint=tmp_path / "run", resume=True, **how)
    assert resumed.fingerprint == whole.fingerprint != start
    np.testing.assert_array_equal(vectors(resumed), vectors(whole))
    assert without_times(again.records) == without_times(history.records)
    assert (again.best_epoch, again.notes) == (history.best_epoch, history.notes)
    for when in ("before", "after"):
        assert without_times([resumed.record[when]]) == without_times([whole.record[when]])
    assert (resumed.fusion_weight, resumed.bias) == (whole.fusion_weight, whole.bias)


def test_a_run_that_breaks_off_leaves_the_best_so_far_ready_for_use(new_space, shuffled, space_kind):
    space, how = new_space(space_kind)
    with pytest.raises(Stop):
        space.fit(shuffled, after_epoch=stop_at(1), **how)
    found = vectors(space)
    assert np.isfinite(found).all() and found.shape == (8, len(space.lexicon) if space.sparse else space.dimension)
    space.fit(shuffled, **how | {"epochs": 1, "projector_epochs": 0})  # and it can go on
    assert space.trained


def test_the_history_of_a_warm_up_and_of_what_followed_is_one(new_space, shuffled):
    space, how = new_space("warm-up")
    seen = []
    history = space.fit(shuffled, after_epoch=lambda h: seen.append([r["epoch"] for r in h.records]), **how)
    assert [record["epoch"] for record in history.records] == [0, 1, 2, 3, 4, 5]
    assert seen == [list(range(n)) for n in range(2, 7)]
    assert history.records[0] == space.record["before"]
    assert space.record["after"] == history.records[history.best_epoch]


def test_a_checkpoint_of_another_configuration_says_what_differs(new_space, shuffled, tmp_path):
    (first, how), (second, _), (third, _) = (new_space("whole") for _ in range(3))
    first.fit(shuffled, checkpoint=tmp_path, **how | {"batch_size": 50, "epochs": 1})
    other = how | {"batch_size": 60, "epochs": 1, "train_blocks": 1}
    said = r"\(batch_size 50 there, 60 here, train_blocks None there, 1 here\)"
    with pytest.raises(TrainingError, match=said):
        second.fit(shuffled, checkpoint=tmp_path, resume=True, **other)
    others = Pairs.from_columns({"title": ["a b", "b c", "c d"] * 20, "body": [str(n) for n in range(60)]})
    with pytest.raises(TrainingError, match=r"\(the pairs, the validation pairs, the items\)"):
        third.fit(others, checkpoint=tmp_path, resume=True, **how | {"batch_size": 50, "epochs": 1})


def test_a_pretrained_encoder_in_training_has_defaults_of_its_own(new_space, shuffled):
    seen = []
    for kind in ("frozen", "whole", "bag"):
        space, how = new_space(kind)
        with pytest.raises(Stop):
            space.fit(shuffled, train_encoders=how.get("train_encoders"), after_epoch=stop_at(1))
        space.fit(shuffled, epochs=1, train_encoders=how.get("train_encoders"), validation=None)
        seen.append(space.record["options"]["batch_size"])
    assert seen == [2048, 256, 2048]


def test_a_batch_larger_than_the_data_is_all_of_it_and_noted(new_space, shuffled):
    space, how = new_space("whole")
    history = space.fit(shuffled, **how | {"batch_size": 500, "validation": None, "epochs": 1})
    assert any(f"batch_size 500 is more than the {len(shuffled)} pairs there are" in note for note in history.notes)
    twice = space.fit(shuffled, **how | {"batch_size": 500, "epochs": 1, "projector_epochs": 1})
    assert sum("batch_size 500" in note for note in twice.notes) == 1


def test_settings_of_an_encoder_in_training_where_none_trains(new_space, shuffled):
    space, how = new_space("frozen")
    with pytest.raises(
        TrainingError, match="lora is of pretrained encoders that train, and none does: name their sides"
    ):
        space.fit(shuffled, **how | {"lora": 2})
    space, how = new_space("bag")
    with pytest.raises(TrainingError, match="train_blocks is of pretrained encoders"):
        space.fit(shuffled, **how | {"train_blocks": 1})


def test_settings_are_given_once(new_space, shuffled):
    space, _ = new_space("frozen")
    with pytest.raises(SpaceError, match="either options or single settings, not both: epochs"):
        space.fit(shuffled, options=TrainingOptions(), epochs=3)


@pytest.mark.parametrize("kind", ["frozen", "bag", "joined"])
def test_a_matryoshka_size_beyond_the_dimension(new_space, shuffled, kind):
    space, how = new_space(kind)
    size = space.dimension + 1
    message = rf"matryoshka sizes \[{size}\] exceed the space's {space.dimension} dimensions"
    with pytest.raises(TrainingError, match=message):
        space.fit(shuffled, matryoshka=(4, size), **how)


def test_cut_vectors_of_a_matryoshka_space_are_better_than_without(new_space, shuffled):
    scores = []
    for sizes in ((), (4,)):
        space, how = new_space("frozen")
        how = how | {"epochs": 60, "batch_size": 80, "validation": None, "learning_rate": 1e-2}
        space.fit(shuffled, matryoshka=sizes, **how)
        a, b = (space.encode(shuffled.items(side), side=side)[:, :4] for side in space.sides)
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
        scores.append(((a @ b.T).argmax(1) == np.arange(len(a))).mean())
    assert scores[1] > scores[0] + 0.1


def test_features_of_frozen_encoders_where_there_are_none(new_space, shuffled):
    space, how = new_space("bag")
    for options in ({"debias": 0.9}, {"structure": 1.0}, {"group_batches": True}):
        with pytest.raises(TrainingError, match="features of frozen encoders, and"):
            space.fit(shuffled, **how, **options)


@pytest.mark.parametrize("options", [{"debias": 0.9}, {"structure": 1.0}, {"group_batches": True}])
@pytest.mark.parametrize("kind", ["whole", "joined"])
def test_objectives_look_at_the_features_of_the_encoders_as_they_came(new_space, shuffled, options, kind):
    space, how = new_space(kind)
    history = space.fit(shuffled, **how | {"epochs": 1} | options)
    assert np.isfinite(history.column("loss")).all()


def test_the_bias_of_the_sigmoid_loss_is_kept_and_goes_on(new_space, shuffled):
    space, how = new_space("frozen")
    how["validation"] = None
    history = space.fit(shuffled, objective="sigmoid", **how)
    assert space.bias == history.records[-1]["bias"] != -10
    again = space.fit(shuffled, objective="sigmoid", **how)
    assert again.records[0]["bias"] == history.records[-1]["bias"] != again.records[-1]["bias"] == space.bias


def test_one_learns_from_a_teacher(new_space, fitted_space, shuffled):
    teacher = fitted_space("joined")
    space, how = new_space("bag")
    how = how | {"epochs": 30, "learning_rate": 1e-2, "encoder_learning_rate": 1e-2, "patience": None}
    history = space.fit(shuffled, teacher=teacher, objective="distill", **how)
    assert history.column("loss")[-1] < history.column("loss")[0]
    with pytest.raises(SpaceError, match="the teacher space has no side title, body; it has q, d"):
        space.fit(shuffled, teacher=Space.create(("q", "d"), encoder=teacher.part("title").branches[0].encoder))
    with pytest.raises(TrainingError, match="'distill' needs a teacher space"):
        new_space("frozen")[0].fit(shuffled, objective="distill")


def test_a_teacher_or_a_student_of_features_that_are_filed(shuffled, plain_folder, tmp_path):
    np.save(tmp_path / "own.npy", np.random.default_rng(0).normal(size=(len(shuffled), 16)).astype(np.float32))
    encoders = {"title": str(plain_folder), "body": str(tmp_path / "own.npy")}
    pair = [
        Space.create(("title", "body"), encoder=one, device="cpu", cache=False) for one in (encoders, encoders["title"])
    ]
    for space in pair:
        space.fit(shuffled, batch_size=40, epochs=1, progress=False)
    for student, teacher in (pair, pair[::-1]):
        history = student.fit(shuffled, teacher=teacher, objective="distill", batch_size=40, epochs=20, progress=False)
        assert history.column("loss")[-1] < history.column("loss")[0]


def test_given_negatives_are_taken_along(new_space, shuffled):
    bodies = shuffled.items("body").to_pylist()
    given = Pairs.from_columns(
        {"title": shuffled.items("title").to_pylist(), "body": bodies},
        negatives=[[bodies[n - 1], "another text"] for n in range(len(bodies))],
    )
    weights = []
    for pairs in (shuffled, given):
        space, how = new_space("frozen")
        space.fit(pairs, **how | {"validation": None})
        weights.append(space.fingerprint)
    assert weights[0] != weights[1]
    with pytest.raises(TrainingError, match="mixing of features has no place for given negatives"):
        new_space("frozen")[0].fit(given, mix=0.4)
    with pytest.raises(TrainingError, match="'margin-mse' needs negatives"):
        new_space("frozen")[0].fit(shuffled, objective="margin-mse")


def test_several_data_sets_share_the_batches(new_space, shuffled):
    other = Pairs.from_columns({"title": ["one two", "three", "four five", "six"], "body": ["1 2", "3", "4 5", "6"]})
    space, how = new_space("frozen")
    history = space.fit([shuffled, other], mixing=4.0, **how)
    assert space.record["pairs"] + space.record["validation_pairs"] == len(shuffled) + 4
    assert len(history.records) > 1
    with pytest.raises(TrainingError, match="no pairs to train on"):
        space.fit([])
    with pytest.raises(SpaceError, match="of memory have the sides q, d, the space needs 'title'"):
        space.fit([shuffled, Pairs.from_columns({"q": ["a"], "d": ["b"]})])


def test_more_blocks_than_the_encoder_has_leave_the_space_as_it_was(new_space, shuffled):
    space, how = new_space("last block")
    before = vectors(space)
    with pytest.raises(EncoderError, match="the last 9 blocks cannot be trained: this model has 3 blocks"):
        space.fit(shuffled, **how | {"train_blocks": 9})
    np.testing.assert_allclose(vectors(space), before, atol=1e-6)
    assert not space.trained
    space.fit(shuffled, **how)  # with what it was told now, not with what failed
    assert space.trained


def test_a_warm_up_of_projectors_without_weights(new_space, shuffled):
    space, how = new_space("bag")
    with pytest.raises(TrainingError, match="projector_epochs train the projectors alone, and these have no weights"):
        space.fit(shuffled, **how | {"projector_epochs": 1})


def test_token_states_are_computed_once_and_give_the_same_space(
    new_space, plain_folder, shuffled, tmp_path, monkeypatch
):
    _, how = new_space("last block")
    made, texts, seen = [], [], 0
    every = {*shuffled.items("title").to_pylist(), *shuffled.items("body").to_pylist()}
    plain = TransformerEncoder.token_states

    def counted(self, items, layer):
        texts.extend(items)
        return plain(self, items, layer)

    monkeypatch.setattr(TransformerEncoder, "token_states", counted)
    options = {"encoder": str(plain_folder), "layers": "last", "device": "cpu", "precision": "fp32"}
    for cache in (False, FeatureCache(tmp_path), FeatureCache(tmp_path)):
        space = Space.create(("title", "body"), cache=cache, **options)
        space.fit(shuffled, **how | {"validation": None, "encoder_learning_rate": 1e-3})
        made.append(vectors(space))
        if cache is False:
            assert not texts
        elif len(made) == 3:
            assert set(texts[seen:]) < every  # some to try, and no more
        seen = len(texts)
    assert set(texts) == every
    assert not np.array_equal(made[1], made[0])  # float16
    np.testing.assert_allclose(made[1], made[0], atol=5e-3)
    np.testing.assert_array_equal(made[2], made[1])


def test_without_room_for_token_states_the_blocks_are_run(new_space, shuffled, tmp_path, caplog):
    space, how = new_space("token states")
    space.cache = FeatureCache(tmp_path, limit=1000)
    space.fit(shuffled, **how)
    assert "no room for 0.0 GB of token states" in caplog.text and not list(tmp_path.rglob("tokens-*"))
    other, _ = new_space("token states")
    other.fit(shuffled, **how)
    np.testing.assert_allclose(vectors(space), vectors(other), atol=5e-3)
