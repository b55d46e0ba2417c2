"""Picture and text together against either alone: several labels an item, on two free data sets (Guo 2024).

    PAIRSPACE_DATA=<folder> python -m benchmarks.joint [clipart apps] [--folds 3] [--resamples 1000]

    clipart   Open Clip Art: drawing, title and description -> its keywords
    apps      AppStream: icon, name, summary and description of a desktop application -> its categories

Classes are the labels with 20 positives and more in every training part. Near-duplicates (the same folder and title but
for digits; the same package) are in one fold. Each fold is scored by models that were trained on the other folds; which
layers of the encoders, which weight of pictures beside texts, how many layers of the classifier, which fusion and which
loss is chosen anew for each fold: by the mAP on the next fold of models trained on what is left. The same models set
the thresholds for F1. Encoders are EfficientNet-Lite0 and MiniLM, frozen; features are kept in the cache folder.

A keyword may stand in the title, which is natural, and easy. So the chosen options are measured once more on texts
without any word that stands in the name of a class (of the same stem); a text may then be empty.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from Stemmer import Stemmer

import pairspace as ps
from pairspace.features import FeatureCache, Features
from pairspace.tagging import FUSIONS, LOSSES, JointOptions, TagClassifier, best_threshold, best_thresholds
from pairspace.tagging import fit_classifier as fit

LEAST = 20
LAYERS = {
    "image": (("last",), ("last", "classes"), ("5", "6", "7", "last")),
    "text": (("last",), ("words", "last")),
}
WEIGHTS = (0.03, 0.1, 0.3, 1.0)
KINDS = {"picture": ("image",), "text": ("text",), "picture and text": ("image", "text")}


@dataclass(frozen=True)
class Data:
    """Items: encoded pictures, texts, labels a row, and the group that must not be split."""

    pictures: list[bytes]
    texts: list[str]
    labels: list[set[str]]
    groups: list[str]


@dataclass(frozen=True)
class Choice:
    """How a classifier is built: from which layers of which encoders, and how it is trained."""

    layers: tuple[tuple[str, tuple[str, ...]], ...]  # ("image" or "text", layers)
    options: JointOptions


def text_of(*parts: str | None) -> str:
    return ". ".join(html.unescape(part).strip() for part in parts if part)


def clipart(folder: Path) -> Data:
    rows = pq.read_table(folder / "openclipart" / "clipart.parquet").to_pylist()
    people = {(row["author"] or "").lower() for row in rows}
    return Data(
        [row["image"] for row in rows],
        [text_of(row["title"], row["description"]) for row in rows],
        [set(row["tags"]) - people for row in rows],
        [
            f"{row['id'].rpartition('/')[0]}|{re.sub(r'[0-9]+', '', (row['title'] or '').lower()).strip()}"
            for row in rows
        ],
    )


def apps(folder: Path) -> Data:
    rows = pq.read_table(folder / "appstream" / "applications.parquet").to_pylist()
    return Data(
        [row["icon"] for row in rows],
        [text_of(row["name_en"], row["summary_en"], row["description_en"]) for row in rows],
        [set(row["categories"]) for row in rows],
        [row["package"] for row in rows],
    )


SETS: dict[str, Callable[[Path], Data]] = {"clipart": clipart, "apps": apps}


def folds_of(groups: Sequence[str], folds: int) -> np.ndarray:
    """Groups in random order, each to the fold that has least so far."""
    sizes, fold = Counter(groups), {}
    filled = [0] * folds
    for place in np.random.default_rng(0).permutation(len(sizes)).tolist():
        group = list(sizes)[place]
        fold[group] = int(np.argmin(filled))
        filled[fold[group]] += sizes[group]
    return np.array([fold[group] for group in groups])


def classes_of(labels: Sequence[set[str]], which: np.ndarray) -> list[str]:
    """Labels that are frequent enough in every training part."""
    counts = [
        Counter(name for row in np.flatnonzero(which != fold) for name in labels[row])
        for fold in range(which.max() + 1)
    ]
    return sorted(name for name in counts[0] if min(count[name] for count in counts) >= LEAST)


def words_of(text: str) -> list[str]:
    """TextEditor and text_editor are two words each."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))


def without(texts: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Texts less all words of the classes' names, of the same stem."""
    stem = Stemmer("english").stemWord
    named = {stem(word.lower()) for name in classes for word in words_of(name) if len(word) > 2}

    def kept(token: str) -> bool:
        return not any(stem(word.lower()) in named for word in words_of(token))

    return [" ".join(token for token in text.split() if kept(token)) for text in texts]


class Bench:
    """One set and one form of its texts; trained models' scores are kept by what they were trained on."""

    def __init__(self, data: Data, texts: Sequence[str], classes: Sequence[str], which: np.ndarray) -> None:
        self.classes, self.which, self.folds = tuple(classes), which, int(which.max()) + 1
        self.labels = np.array([[name in own for name in classes] for own in data.labels])
        self.items = {"image": data.pictures, "text": list(texts)}
        self.encoders = {"image": ps.load_encoder("efficientnet-lite0"), "text": ps.load_encoder("minilm")}
        self.cache, self._features = FeatureCache(), dict[tuple[str, tuple[str, ...]], np.ndarray]()
        self._models: dict[tuple[Choice, int, int], TagClassifier] = {}
        self.seconds: dict[tuple[Choice, int, int], float] = {}

    def vectors(self, kind: str, layers: tuple[str, ...]) -> np.ndarray:
        if (kind, layers) not in self._features:
            found: Features = self.cache.features(self.encoders[kind], self.items[kind], layers)
            self._features[kind, layers] = found.rows()
        return self._features[kind, layers]

    def given(self, choice: Choice, rows: np.ndarray, only: str = "") -> dict[str, np.ndarray]:
        return {kind: self.vectors(kind, layers)[rows] for kind, layers in choice.layers if only in ("", kind)}

    def model(self, choice: Choice, *left_out: int) -> TagClassifier:
        """Trained on all folds but these."""
        key = (choice, min(left_out), max(left_out))
        if key not in self._models:
            rows = np.flatnonzero(~np.isin(self.which, left_out))
            given = self.given(choice, rows)
            began = time.perf_counter()
            self._models[key] = fit(self.labels[rows], self.classes, **given, options=choice.options)
            self.seconds[key] = time.perf_counter() - began
        return self._models[key]

    def next(self, fold: int) -> int:
        return (fold + 1) % self.folds

    def validated(self, choice: Choice, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and labels of the fold that options for `fold` are chosen on."""
        rows = np.flatnonzero(self.which == self.next(fold))
        return self.model(choice, fold, self.next(fold)).predict(**self.given(choice, rows)), self.labels[rows]

    def best(self, choices: Sequence[Choice], fold: int) -> Choice:
        return max(choices, key=lambda one: mean_ap(*self.validated(one, fold)))

    def out_of_fold(self, choices: Sequence[Choice], only: str = "") -> np.ndarray:
        """Scores of all rows, each fold by its own choice; of one kind of vector only, if asked."""
        out = np.empty(self.labels.shape, np.float32)
        for fold, choice in enumerate(choices):
            rows = np.flatnonzero(self.which == fold)
            out[rows] = self.model(choice, fold).predict(**self.given(choice, rows, only))
        return out

    def decided(self, choices: Sequence[Choice], *, single: bool) -> np.ndarray:
        """Out-of-fold scores, moved so that the thresholds chosen on validation (one a class, or one) lie at 1/2."""
        out = self.out_of_fold(choices)
        for fold, choice in enumerate(choices):
            scores, labels = self.validated(choice, fold)
            one = best_threshold(scores, labels)
            limits = best_thresholds(scores, labels)
            limits = np.where(np.isfinite(limits) & (not single), limits, one)
            out[self.which == fold] += np.asarray(0.5 - limits, np.float32)
        return out


def mean_ap(scores: np.ndarray, labels: np.ndarray) -> float:
    names = [str(number) for number in range(labels.shape[1])]
    return float(ps.evaluate_multilabel({"": scores}, labels, names, resamples=2).value(""))


def grid(layers: Mapping[str, tuple[str, ...]], base: JointOptions) -> dict[str, Choice]:
    """Name -> classifier, from these layers: every fusion with one layer and two; other losses with concat."""
    both = len(layers) == 2
    plans = [(fusion, depth, "bce") for fusion in FUSIONS[: 4 if both else 1] for depth in (1, 2)]
    plans += [(FUSIONS[0], 2, loss) for loss in LOSSES if loss != "bce"]
    return {
        f"{f'{fusion}, ' if both else ''}{depth} layer{'s' * (depth - 1)}, {loss}": Choice(
            tuple(layers.items()), replace(base, fusion=fusion, layers=depth, loss=loss)
        )
        for fusion, depth, loss in plans
    }


def choose(bench: Bench, base: JointOptions) -> dict[str, list[Choice]]:
    """System -> choice a fold. Layers first, with the simplest classifier; then all else. Prints each grid's mAP."""
    simple = replace(base, layers=1)
    layers = [
        {
            kind: bench.best([Choice(((kind, some),), simple) for some in LAYERS[kind]], fold).layers[0][1]
            for kind in LAYERS
        }
        for fold in range(bench.folds)
    ]
    for kind in LAYERS:
        print(f"layers of {kind}: {dict(Counter(' '.join(one[kind]) for one in layers))}", flush=True)
    weights = [
        bench.best([Choice(tuple(own.items()), replace(base, image_weight=one)) for one in WEIGHTS], fold).options
        for fold, own in enumerate(layers)
    ]
    print(f"weight of pictures: {dict(Counter(one.image_weight for one in weights))}", flush=True)
    chosen = {}
    for name, kinds in KINDS.items():
        grids = [grid({kind: own[kind] for kind in kinds}, one) for own, one in zip(layers, weights, strict=True)]
        picks = [max(own, key=lambda key: mean_ap(*bench.validated(own[key], f))) for f, own in enumerate(grids)]
        chosen[name] = [own[key] for own, key in zip(grids, picks, strict=True)]
        print(f"\n{name}: chosen {dict(Counter(picks))}; mAP validated / out of fold", flush=True)
        for key in grids[0]:
            valid = np.mean([mean_ap(*bench.validated(own[key], fold)) for fold, own in enumerate(grids)])
            tested = mean_ap(bench.out_of_fold([own[key] for own in grids]), bench.labels)
            print(f"  {key:28}{valid:.3f}  {tested:.3f}", flush=True)
    return chosen


def report(bench: Bench, chosen: Mapping[str, list[Choice]], resamples: int) -> None:
    """Measure the chosen ones, with a vector missing too."""
    systems = {name: bench.out_of_fold(own) for name, own in chosen.items()}
    both = chosen["picture and text"]
    systems["mean of the two alone"] = (systems["picture"] + systems["text"]) / 2
    systems["both, picture given"] = bench.out_of_fold(both, "image")
    systems["both, text given"] = bench.out_of_fold(both, "text")
    compare = [("picture and text", name) for name in ("picture", "text", "mean of the two alone")]
    compare += [("both, picture given", "picture"), ("both, text given", "text")]
    print(ps.evaluate_multilabel(systems, bench.labels, bench.classes, compare=compare, resamples=resamples))
    halves = np.full(len(bench.classes), 0.5)
    for single in (True, False):
        moved = {name: bench.decided(own, single=single) for name, own in chosen.items()}
        given = ps.evaluate_multilabel(
            moved, bench.labels, bench.classes, thresholds=dict.fromkeys(moved, halves), compare=compare[:2],
            resamples=resamples,
        )  # fmt: skip
        print(f"\nF1, micro and macro, at {'one threshold' if single else 'a threshold a class'} chosen on validation:")
        for name in moved:
            shown = [
                f"{given.value(name, m):.3f} ({given.interval(name, m)[0]:.3f}-{given.interval(name, m)[1]:.3f})"
                for m in ("F1 micro per class", "F1 macro per class")
            ]
            tests = ["p " + format(given.p_value("picture and text", name, m), ".3f")
                     for m in ("F1 micro per class", "F1 macro per class") if name != "picture and text"]  # fmt: skip
            print(f"  {name:18} {'  '.join(shown)}  {'  '.join(tests)}")
    for name, own in chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            bench.model(own[0], 0).save_pretrained(Path(folder) / "classifier")
            size = sum(path.stat().st_size for path in (Path(folder) / "classifier").iterdir())
        seconds = np.median([bench.seconds[own[fold], fold, fold] for fold in range(bench.folds)])
        print(f"{name}: {size / 1e6:.1f} MB on disk, trained in {seconds:.1f} s (median of the folds)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS), help=f"of {', '.join(SETS)}")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    base = JointOptions(epochs=20, learning_rate=2e-3, width=128, validation=0)
    for name in arguments.sets:
        data = SETS[name](Path(os.environ["PAIRSPACE_DATA"]))
        which = folds_of(data.groups, arguments.folds)
        classes = classes_of(data.labels, which)
        print(
            f"\n# {name}: {len(which):,} items in {len(set(data.groups)):,} groups, {len(classes)} classes", flush=True
        )
        bench = Bench(data, data.texts, classes, which)
        chosen = choose(bench, base)
        print("\n## Texts as they are\n")
        report(bench, chosen, arguments.resamples)
        bare = without(data.texts, classes)
        fewer = 1 - sum(len(text.split()) for text in bare) / sum(len(text.split()) for text in data.texts)
        empty = sum(not text for text in bare)
        print(f"\n## Without the classes' words: {fewer:.0%} of the words fewer, {empty} texts empty\n", flush=True)
        report(Bench(data, bare, classes, which), chosen, arguments.resamples)


if __name__ == "__main__":
    main()
