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
from pairspace.tagging import JointOptions, label_matrix, tag_page

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
    titles = [row["title"] for row in rows if row["title"]]
    ps.centre_space(space, {"image": [row["image"] for row in rows], "title": titles})
    return space


def best_tags(classes: Sequence[str], scores: np.ndarray) -> list[tuple[str, float]]:
    """The likeliest of a picture, the highest first."""
    best = [c for c in np.argsort(-scores)[:TAGS] if scores[c] >= scores.max() / 2]
    return [(classes[c], float(scores[c])) for c in best]


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
    space = learn_space(train, chosen.data, encoders, chosen.epochs)
    words = [name.replace("_", " ") for name in classes]
    zero_shot = ps.ZeroShot(space, words, templates=PHRASES, background=())
    pictures, unseen = ([row["image"] for row in rows] for rows in (train, test))
    how: dict[str, Any] = {"images": pictures, "cache": ps.FeatureCache()}
    student = ps.Tagger.distil(zero_shot.local(pictures), classes, encoder=zero_shot.encoder, **how)
    network, options = {"image": zero_shot.encoder}, JointOptions(validation=0)
    taught = ps.Tagger.fit(
        label_matrix([row["tags"] for row in train], classes), classes, encoders=network, options=options, **how
    )
    systems = {
        "zero-shot, whole picture": zero_shot.scores(unseen),
        "zero-shot, with places": zero_shot.local(unseen),
        "label-free": student.scores(unseen),
        "with labels": taught.scores(unseen),
    }
    names = list(systems)
    truth = label_matrix([row["tags"] for row in test], classes)
    chance = truth.mean(0)[truth.any(0)].mean()
    compare = list(zip(names[1:], names[:-1], strict=True))
    report = ps.evaluate_multilabel(systems, truth, classes, compare=compare, resamples=chosen.resamples)
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "evaluation.txt").write_text(f"{report}\n", encoding="utf-8")
    print(f"\nmAP{'':26}(by chance {chance:.3f})")
    for name in names:
        print(f"  {name:26}{report.value(name):.3f}  ({'-'.join(f'{one:.3f}' for one in report.interval(name))})")
    student.save_pretrained(chosen.output / "tagger")
    space.save_pretrained(chosen.output / "space")
    some = np.random.default_rng(1).permutation(len(test))[: chosen.show]
    tags = [best_tags(classes, systems["label-free"][n]) for n in some]
    shown: dict[str, Any] = {"truth": [[c for c in classes if c in test[n]["tags"]] for n in some]}
    shown["title"] = "Clip art, tagged without labels"
    titles = [test[n]["title"] or test[n]["id"] for n in some]
    page = tag_page(student, student.encoder, [unseen[n] for n in some], titles, tags, **shown)
    (chosen.output / "tags.html").write_text(page, "utf-8")
    print(f"\ndone in {time.perf_counter() - began:.0f} s; look at {chosen.output / 'tags.html'}")


if __name__ == "__main__":
    main()
