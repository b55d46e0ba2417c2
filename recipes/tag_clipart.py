"""Tagging clip art without labels: from pictures and their titles to tags, and to where in a picture each was seen.

    python recipes/tag_clipart.py /path/to/data --output clipart-tags/

The folder holds `openclipart/clipart.parquet`; `emoji/emoji.parquet` and `tuxpaint_stamps/stamps.parquet` are used
where they are there. No keyword of a picture is learnt from, only the list of the frequent ones: the tags to give.

1. A space of pictures and words learns from pictures and titles (and from emoji and stamps with their names). Pictures
   that are not square are squeezed: nothing is cut off, and the places of the map are those of the whole picture.
2. Zero-shot: each tag, as a phrase, is compared with a picture as a whole, and with the places of its feature map.
3. Label-free: both scores together are pseudo-labels, from which a small classifier is trained (CDUL).

Measured on pictures of other folders and titles, against the keywords that people gave, beside a classifier that was
trained with their labels. Without labels few tags are right, and places help no more than the whole picture does: clip
art shows one thing, and words such as "sign" or "symbol" stand in few titles. Nor did people give all keywords that
fit. Last, a page: `tags.html` shows pictures, tags and heat maps; point at a tag to see where it was seen.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import pairspace as ps
from pairspace.data import read_table
from pairspace.tagging import (
    JointOptions,
    MapOptions,
    MapScores,
    Sheet,
    class_vectors,
    contact_sheet,
    global_scores,
    map_scores,
    train_student,
)

SIDES = ("image", "title")
PHRASES = ("{}", "a drawing of a {}", "a {}, clip art")
OTHERS = (("emoji/emoji.parquet", "image", "label_en"), ("tuxpaint_stamps/stamps.parquet", "image", "caption_en"))
TAGS = 3  # shown at most, each at least half as likely as the likeliest

Row = dict[str, Any]


def group(row: Row) -> str:
    """The same for near-duplicates: folder, and title without digits."""
    return f"{row['id'].rpartition('/')[0]}|{re.sub('[0-9]+', '', row['title'] or '').strip().lower()}"


def split(rows: Sequence[Row], test: float) -> tuple[list[Row], list[Row]]:
    """Rows to learn from, and rows of other groups to measure on."""
    groups = sorted({group(row) for row in rows})
    order = np.random.default_rng(0).permutation(len(groups))
    held = {groups[n] for n in order[: round(test * len(groups))]}
    return [row for row in rows if group(row) not in held], [row for row in rows if group(row) in held]


def frequent(rows: Sequence[Row], least: int) -> list[str]:
    """Keywords that enough pictures have, less the names of authors."""
    authors = {(row["author"] or "").lower() for row in rows}
    counts = Counter(tag for row in rows for tag in set(row["tags"]) - authors)
    return sorted(tag for tag, count in counts.items() if count >= least)


def learn_space(rows: Sequence[Row], folder: Path, encoders: dict[str, str], epochs: int) -> ps.Space:
    """A space of pictures and titles; keywords have no part in it."""
    pairs = [(row["image"], row["title"]) for row in rows if row["title"]]
    for name, picture, title in OTHERS:
        if (folder / name).is_file():
            more = read_table(folder / name, [picture, title]).to_pylist()
            pairs += [(row[picture], row[title]) for row in more if row[title]]
    layers = {"image": "last", "title": "spread"}
    space = ps.Space.create(SIDES, encoder=encoders, layers=layers, frame="stretch", name="clip-art")
    columns = dict(zip(SIDES, map(list, zip(*pairs, strict=True)), strict=True))
    history = space.fit(ps.Pairs.from_columns(columns), validation=0.1, epochs=epochs)
    print(f"a space from {len(pairs):,} pictures and titles, in {sum(history.column('seconds')):.0f} s")
    return space


class Tagger:
    """Zero-shot scores of pictures from a space; vectors and classes lie around the means of what was learnt from."""

    def __init__(self, space: ps.Space, classes: Sequence[str], rows: Sequence[Row]) -> None:
        self.space, self.temperature = space, space.temperature.value
        self.encoder = space.part("image").encoder
        self.cache = ps.FeatureCache()
        self.middle = self.whole(rows).mean(0)
        words = class_vectors(self.texts, [name.replace("_", " ") for name in classes], templates=PHRASES)
        titles = self.texts([row["title"] for row in rows if row["title"]])
        self.classes = words - titles.mean(0)

    def texts(self, texts: list[str]) -> np.ndarray:
        """Vectors in the space."""
        return np.asarray(self.space.encode(texts, side="title"))

    def whole(self, rows: Sequence[Row]) -> np.ndarray:
        """Vectors of whole pictures in the space."""
        return np.asarray(self.space.encode([row["image"] for row in rows], side="image"))

    def features(self, rows: Sequence[Row]) -> np.ndarray:
        """What the encoder gives for whole pictures: what classifiers learn from."""
        return self.cache.features(self.encoder, [row["image"] for row in rows], ("last",)).rows()

    def scores(self, rows: Sequence[Row]) -> tuple[np.ndarray, MapScores]:
        """By whole pictures, and by places and whole together."""
        whole = self.whole(rows) - self.middle
        height, width, channels = self.encoder.maps["map"]
        states = self.cache.token_states(self.encoder, [row["image"] for row in rows], "map")
        maps = np.asarray(states.take(np.arange(len(rows))), np.float32).reshape(len(rows), height, width, channels)
        places = np.asarray(self.space.encode(maps.reshape(-1, channels), side="image")) - self.middle
        options = MapOptions(self.temperature, 0.3, 0.5, 0.5)
        given = {"features": maps, "whole": whole, "options": options}
        local = map_scores(places.reshape(len(rows), height, width, -1), self.classes, **given)
        return global_scores(whole, self.classes, temperature=self.temperature), local


def labels_of(rows: Sequence[Row], classes: Sequence[str]) -> np.ndarray:
    """The keywords that people gave."""
    return np.array([[name in row["tags"] for name in classes] for row in rows])


def sheets(rows: Sequence[Row], classes: Sequence[str], scores: np.ndarray, heat: np.ndarray) -> list[Sheet]:
    """Pictures with the tags given, and with the keywords beside the title."""
    made = []
    for row, own, maps in zip(rows, scores, heat, strict=True):
        best = [c for c in np.argsort(-own)[:TAGS] if own[c] >= own.max() / 2]
        known = ", ".join(name for name in classes if name in row["tags"]) or "none of these"
        title = f"{row['title'] or row['id']} (keywords: {known})"
        tags = [(classes[c], float(own[c])) for c in best]
        made.append(Sheet(title, row["image"], tags, {classes[c]: maps[..., c] for c in best}))
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn, tag, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, help="folder that holds openclipart/")
    parser.add_argument("--least", type=int, default=20, help="pictures a keyword must have to be a tag (default: 20)")
    parser.add_argument("--test", type=float, default=0.3, help="share of the pictures to measure on (default: 0.3)")
    parser.add_argument("--epochs", type=int, default=20, help="of the space")
    parser.add_argument("--image-encoder", default="efficientnet-lite0", help="one with a map")
    parser.add_argument("--text-encoder", default="minilm")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--show", type=int, default=60, help="pictures on the page")
    parser.add_argument("--output", type=Path, default=Path("clipart-tags"), help="folder for all that is made")
    chosen = parser.parse_args(arguments)
    path, began = chosen.data / "openclipart/clipart.parquet", time.perf_counter()
    if not path.is_file():
        sys.exit(f"{path}: no such file; give the folder that holds openclipart/")
    train, test = split(read_table(path, ["id", "image", "title", "tags", "author"]).to_pylist(), chosen.test)
    classes = frequent(train, chosen.least)
    if len(classes) < 2:
        sys.exit(f"{path}: {len(classes)} keywords stand at {chosen.least} pictures or more; lower --least")
    print(f"{len(train):,} pictures to learn from, {len(test):,} to measure on, {len(classes)} tags")
    encoders = {"image": chosen.image_encoder, "title": chosen.text_encoder}
    tagger = Tagger(learn_space(train, chosen.data, encoders, chosen.epochs), classes, train)
    _, local = tagger.scores(train)
    pseudo, vectors, unseen = local.scores, tagger.features(train), tagger.features(test)
    student = train_student(vectors, pseudo, classes).model
    taught = ps.fit_classifier(labels_of(train, classes), classes, image=vectors, options=JointOptions(validation=0))
    whole, local = tagger.scores(test)
    systems = {
        "zero-shot, whole picture": whole,
        "zero-shot, with places": local.scores,
        "label-free": student.predict(unseen),
        "with labels": taught.predict(unseen),
    }
    names = list(systems)
    truth = labels_of(test, classes)
    chance = truth.mean(0)[truth.any(0)].mean()
    compare = list(zip(names[1:], names[:-1], strict=True))
    report = ps.evaluate_multilabel(systems, truth, classes, compare=compare, resamples=chosen.resamples)
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "evaluation.txt").write_text(f"{report}\n", encoding="utf-8")
    print(f"\nmAP{'':26}(by chance {chance:.3f})")
    for name in names:
        print(f"  {name:26}{report.value(name):.3f}  ({'-'.join(f'{one:.3f}' for one in report.interval(name))})")
    student.save_pretrained(chosen.output / "classifier")
    tagger.space.save_pretrained(chosen.output / "space")
    some = np.random.default_rng(1).permutation(len(test))[: chosen.show]
    rows = [test[n] for n in some]
    page = sheets(rows, classes, systems["label-free"][some], local.heat[some])
    (chosen.output / "tags.html").write_text(contact_sheet(page, title="Clip art, tagged without labels"), "utf-8")
    print(f"\ndone in {time.perf_counter() - began:.0f} s; look at {chosen.output / 'tags.html'}")


if __name__ == "__main__":
    main()
