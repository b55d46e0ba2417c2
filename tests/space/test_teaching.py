"""A dense teacher of a sparse space, trained on the spot."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
import torch

from pairspace import Space
from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.neighbours import similarity_matrix
from pairspace.space.preparing import options_for

HOW = {"batch_size": 16, "epochs": 2, "progress": False, "validation": 0.2, "terms": (5, 5)}


@pytest.fixture
def two(plain_folder):
    """Equal new spaces, a dense and a sparse one."""

    def make(**more):
        how = {"encoder": str(plain_folder), "device": "cpu", "cache": False} | more
        return Space.create(("title", "body"), **how), Space.create(("title", "body"), projector="lexical", **how)

    return make


def test_the_start_is_the_teachers_map_and_its_similarities_are_learnt(two, shuffled):
    dense, words = two()
    dense.fit(shuffled, validation=0.2, seed=3, progress=False)
    words.fit(shuffled, teacher="dense", seed=3, **HOW)
    assert words.record["options"]["objective"] == "distill"
    for side in words.sides:
        learnt = dense.part(side).branches[0].projector.linear.weight
        torch.testing.assert_close(words.part(side).branches[0].start.hidden.weight, learnt)
    anchors = words.part("title").branches[0].start.head
    torch.testing.assert_close(anchors.norm(dim=1), torch.ones(len(anchors)))


def test_a_space_of_ones_own_may_teach_alone_or_beside_the_pairs(two, shuffled):
    dense, words = two()
    dense.fit(shuffled, validation=0.2, progress=False)
    words.fit(shuffled, teacher=dense, objective="infonce", teacher_weight=0.5, **HOW)
    assert words.record["options"]["objective"] == "infonce"


def test_stopped_within_the_student_and_resumed_is_not_stopped(two, shuffled, tmp_path):
    class Stop(Exception):
        pass

    def stop(history):
        raise Stop

    (_, whole), (_, resumed) = two(), two()
    whole.fit(shuffled, teacher="dense", **HOW)
    with pytest.raises(Stop):
        resumed.fit(shuffled, teacher="dense", checkpoint=tmp_path, after_epoch=stop, **HOW)
    assert (tmp_path / "teacher").is_dir()
    _, resumed = two()
    resumed.fit(shuffled, teacher="dense", checkpoint=tmp_path, resume=True, **HOW)
    assert resumed.fingerprint == whole.fingerprint


def test_what_cannot_be_taught_is_refused_and_leaves_no_trace(two, shuffled):
    _, words = two()
    with pytest.raises(SpaceError, match="give a space, or 'dense'"):
        words.fit(shuffled, teacher="sparse", **HOW)
    _, new = two(encoder="static")
    with pytest.raises(SpaceError, match="frozen features"):
        new.fit(shuffled, teacher="dense", **HOW)
    words.fit(shuffled, teacher="dense", **HOW)
    assert words.trained and not new.trained


def test_sides_that_share_a_projector_keep_equally_many_terms(plain_folder, shuffled):
    how = {"encoder": str(plain_folder), "device": "cpu", "cache": False}
    shared = Space.create(("title", "body"), projector="lexical", shared_projector=True, **how)
    with pytest.raises(SpaceError, match="5 and 6"):
        shared.fit(shuffled, **(HOW | {"terms": (5, 6)}))
    shared.fit(shuffled, **HOW)
    counts = shared.part("title").branches[0].projector.keep
    assert counts == 5
    shared.fit(shuffled, **(HOW | {"terms": (4, 4)}))
    assert shared.part("title").branches[0].projector.keep == 4


def test_a_teacher_of_words_that_knows_one_side_teaches_another_language(plain_folder, shuffled):
    """A foreign text's vector is made to repeat what the teacher says of its translation."""
    how = {"device": "cpu", "cache": False}
    teacher = Space.create(("title", "body"), encoder=str(plain_folder), projector="lexical", **how)
    teacher.fit(shuffled, **HOW)
    table = shuffled.table.append_column("foreign", pc.utf8_replace_slice(shuffled.table["title"], 0, 0, "x"))
    foreign = Pairs.from_columns({"foreign": table["foreign"], "title": table["title"]})
    encoders = {"foreign": "static:16", "title": str(plain_folder)}
    words = Space.create(foreign.sides, encoder=encoders, projector="lexical", lexicon=teacher.lexicon, **how)
    words.fit(foreign, teacher=teacher, **HOW | {"epochs": 30, "learning_rate": 1e-2, "sparsity": (0, 0)})
    taught, theirs = (one.part("title").branches[0].projector for one in (words, teacher))
    assert taught.keep == theirs.keep and all(parameter.requires_grad for parameter in taught.parameters())
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(taught.state_dict()[name], value, rtol=0, atol=0)
    found = words.encode(table["foreign"], side="foreign")[:, : len(teacher.lexicon)]
    said = teacher.encode(table["title"], side="title")[:, : len(teacher.lexicon)]
    nearness = similarity_matrix(found, said)
    own = np.diag(nearness).mean()
    assert own > nearness.mean() + 0.2
    with pytest.raises(SpaceError, match="no side foreign, other; it has title, body"):
        other = Space.create(("foreign", "other"), encoder="static:16", projector="lexical", **how)
        pairs = Pairs.from_columns({"foreign": table["foreign"], "other": table["title"]})
        other.fit(pairs, teacher=teacher, **HOW)


def test_a_teacher_of_words_that_knows_both_sides_lets_both_train(two, shuffled):
    _, teacher = two()
    teacher.fit(shuffled, **HOW | {"validation": None})
    _, words = two()
    words.fit(shuffled, teacher=teacher, **HOW | {"terms": (3, 3), "validation": None})
    assert words.lexicon.fingerprint == teacher.lexicon.fingerprint
    for side in words.sides:
        branch = words.part(side).branches[0]
        assert branch.projector.keep == 3
        assert not torch.equal(branch.projector.hidden.weight, branch.start.hidden.weight)


@pytest.mark.parametrize(
    ("taught", "settings", "negatives", "expected"),
    [
        (
            True,
            {},
            False,
            {"objective": "distill", "mix": 0.5, "batch_size": 2048, "epochs": 16, "regulariser": "flops"},
        ),
        (True, {}, True, {"objective": "distill", "mix": 0.0, "batch_size": 1024, "epochs": 8}),
        (True, {"objective": "infonce"}, False, {"mix": 0.0, "batch_size": 1024}),
        (True, {"batch_size": 3}, False, {"mix": 0.0, "batch_size": 3}),
        (False, {}, False, {"objective": "infonce", "mix": 0.0, "terms": (100, 100), "sparsity": (1.0, 1.0)}),
        (False, {"regulariser": "l1"}, False, {"regulariser": "l1", "sparsity": (1e-3, 1e-3)}),
    ],
)
def test_the_defaults_fit_what_is_trained(two, shuffled, taught, settings, negatives, expected):
    _, words = two()
    wrong = {"negatives": [[body] for body in shuffled.items("body").to_pylist()[::-1]]} if negatives else {}
    columns = {side: shuffled.items(side) for side in shuffled.sides}
    parts = [Pairs.from_columns(columns, **wrong)]
    found = options_for(words, settings, parts, taught=taught, pretrained=False)
    assert {name: getattr(found, name) for name in expected} == expected
