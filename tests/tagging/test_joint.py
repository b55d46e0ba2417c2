"""Training on pictures and texts: it learns, it repeats, and it lives with what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from pairspace.errors import DataError, PairspaceError, ShapeError, TrainingError
from pairspace.tagging import FUSIONS, LOSSES, JointOptions, fit_classifier
from pairspace.tagging.joint import drop_modalities

NAMES = ["a", "b", "c", "d"]
QUICK = {"epochs": 8, "width": 32, "batch_size": 50, "learning_rate": 1e-2}


def data(rows: int = 400, seed: int = 0):
    """Two classes that only pictures show, and two that only texts do."""
    draw = np.random.default_rng(seed)
    labels = draw.random((rows, 4)) < [0.4, 0.2, 0.4, 0.2]
    ways = np.random.default_rng(9).normal(size=(4, 10))
    image = draw.normal(size=(rows, 10)) + 2 * labels[:, :2] @ ways[:2]
    text = draw.normal(size=(rows, 10)) + 2 * labels[:, 2:] @ ways[2:]
    return labels, image.astype(np.float32), text.astype(np.float32)


LABELS, IMAGE, TEXT = data()
NEW_LABELS, NEW_IMAGE, NEW_TEXT = data(300, 1)


def score(model, image, text):
    return average_precision_score(NEW_LABELS, model.predict(image, text), average=None)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_both_show_what_neither_does_alone(fusion):
    model = fit_classifier(LABELS, NAMES, image=IMAGE, text=TEXT, options=JointOptions(fusion=fusion, **QUICK))
    both = score(model, NEW_IMAGE, NEW_TEXT)
    assert both.mean() > 0.85
    alone = score(model, NEW_IMAGE, None)
    assert alone[:2].mean() > 0.8 > 0.6 > alone[2:].mean()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns(loss):
    model = fit_classifier(LABELS, NAMES, image=IMAGE, text=TEXT, options=JointOptions(loss=loss, **QUICK))
    assert score(model, NEW_IMAGE, NEW_TEXT).mean() > 0.85


def test_the_same_seed_gives_the_same_weights_and_the_global_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    runs = [
        fit_classifier(LABELS, NAMES, image=IMAGE, text=TEXT, options=JointOptions(seed=seed, **QUICK)).state_dict()
        for seed in (3, 3, 4)
    ]
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not torch.equal(runs[0]["head.0.weight"], runs[2]["head.0.weight"])


def test_dropping_modalities_in_training_serves_where_one_is_missing():
    scores = []
    for share in (0.0, 0.5):
        options = JointOptions(modality_dropout=share, **QUICK)
        model = fit_classifier(LABELS, NAMES, image=IMAGE, text=TEXT, options=options)
        scores.append(np.concatenate([score(model, NEW_IMAGE, None)[:2], score(model, None, NEW_TEXT)[2:]]).mean())
    assert scores[1] > scores[0] - 0.005 and scores[1] > 0.85


def test_rows_without_text_or_picture_are_learnt_from():
    image, text = IMAGE.copy(), TEXT.copy()
    image[::3], text[1::3] = np.nan, np.nan
    model = fit_classifier(LABELS, NAMES, image=image, text=text, options=JointOptions(**QUICK))
    assert score(model, NEW_IMAGE, NEW_TEXT).mean() > 0.8


def test_drop_modalities_takes_one_of_two_and_the_share_asked_for():
    here = {"image": torch.ones(40_000, dtype=torch.bool), "text": torch.ones(40_000, dtype=torch.bool)}
    here["text"][:10_000] = False
    kept = drop_modalities(here, 0.3, torch.Generator().manual_seed(0))
    assert kept["image"][:10_000].all() and not kept["text"][:10_000].any()
    assert (kept["image"] | kept["text"]).all()
    for name in here:
        assert float((~kept[name][10_000:]).float().mean()) == pytest.approx(0.15, abs=0.01)


def test_one_linear_layer_is_logistic_regression():
    options = JointOptions(
        layers=1,
        dropout=0,
        modality_dropout=0,
        weight_decay=0,
        validation=0,
        epochs=300,
        learning_rate=0.02,
        batch_size=400,
    )
    noisy = LABELS ^ (np.random.default_rng(5).random(LABELS.shape) < 0.1)
    model = fit_classifier(noisy, NAMES, image=IMAGE, options=options)
    unit = IMAGE / np.linalg.norm(IMAGE, axis=1, keepdims=True)
    scaled = (unit - unit.mean(0)) / unit.std(0)
    for column in range(4):
        theirs = LogisticRegression(C=1e6, max_iter=2000).fit(scaled, noisy[:, column])
        np.testing.assert_allclose(model.predict(IMAGE)[:, column], theirs.predict_proba(scaled)[:, 1], atol=0.02)


def test_a_single_step_already_knows_how_rare_a_class_is():
    rare = LABELS.copy()
    rare[40:] = False
    options = JointOptions(epochs=1, learning_rate=1e-6, validation=0, layers=1)
    found = fit_classifier(rare, NAMES, image=IMAGE, options=options).predict(IMAGE).mean(0)
    np.testing.assert_allclose(found, rare.mean(0), atol=0.03)


def test_thresholds_make_f1_better_than_a_half_does():
    labels = LABELS & (np.random.default_rng(2).random(LABELS.shape) < 0.5)  # half of the labels are lost
    model = fit_classifier(labels, NAMES, image=IMAGE, text=TEXT, options=JointOptions(validation=0.3, **QUICK))
    found = model.predict(NEW_IMAGE, NEW_TEXT)

    def f1(limits):
        given = found >= limits
        return np.mean(2 * (given & NEW_LABELS).sum(0) / (given.sum(0) + NEW_LABELS.sum(0)))

    assert f1(model.thresholds.numpy()) > f1(0.5) + 0.05


def test_a_class_the_held_out_rows_lack_takes_its_threshold_from_all():
    labels = LABELS.copy()
    labels[:, 3] = False
    labels[:2, 3] = True
    model = fit_classifier(labels, NAMES, image=IMAGE, text=TEXT, options=JointOptions(validation=0.05, **QUICK))
    assert torch.isfinite(model.thresholds).all()
    labels[:, 3] = False
    never = fit_classifier(labels, NAMES, image=IMAGE, text=TEXT, options=JointOptions(**QUICK))
    assert torch.isinf(never.thresholds[3])


def test_bad_input_is_named():
    with pytest.raises(ShapeError, match="labels must be"):
        fit_classifier(LABELS, NAMES[:3], image=IMAGE)
    with pytest.raises(ShapeError, match="between 0 and 1"):
        fit_classifier(LABELS * 2, NAMES, image=IMAGE)
    with pytest.raises(ShapeError, match="do not fit 400 rows"):
        fit_classifier(LABELS, NAMES, image=IMAGE[1:])
    with pytest.raises(DataError, match="stands twice"):
        fit_classifier(LABELS, ["a", "b", "c", "a"], image=IMAGE)
    with pytest.raises(TrainingError, match="too few"):
        fit_classifier(np.zeros((5, 4)), NAMES, image=IMAGE[:5])
    with pytest.raises(PairspaceError, match="needs the dimension"):
        fit_classifier(LABELS, NAMES)
    with pytest.raises(PairspaceError, match="loss must be one of bce, focal, asymmetric"):
        JointOptions(loss="mse")
    with pytest.raises(PairspaceError, match="validation must"):
        JointOptions(validation=1)
    with pytest.raises(PairspaceError, match="image_weight must be above 0, got 0"):
        JointOptions(image_weight=0)


def test_pictures_of_little_weight_do_not_drown_texts():
    draw = np.random.default_rng(5)
    noise, unseen = (draw.normal(size=(len(one), 600)).astype(np.float32) for one in (LABELS, NEW_LABELS))
    found = {}
    for weight in (1.0, 0.1):
        options = JointOptions(image_weight=weight, validation=0, **QUICK)
        model = fit_classifier(LABELS, NAMES, image=noise, text=TEXT, options=options)
        found[weight] = score(model, unseen, NEW_TEXT)[2:].mean()
        unit = noise / np.linalg.norm(noise, axis=1, keepdims=True)
        assert np.allclose(model.scale_image * weight, unit.std(0), rtol=1e-4)
    assert found[0.1] > found[1.0] + 0.05
    alone = fit_classifier(LABELS, NAMES, image=IMAGE, options=JointOptions(image_weight=0.1, **QUICK))
    plain = fit_classifier(LABELS, NAMES, image=IMAGE, options=JointOptions(**QUICK))
    assert np.array_equal(alone.predict(IMAGE), plain.predict(IMAGE))  # nothing to weigh it against
