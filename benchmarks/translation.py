"""Two languages, two encoders, one space: how well translations find each other.

    python -m benchmarks.translation multi30k [--only "bags of words"]
    python -m benchmarks.translation debian --language it
    python -m benchmarks.translation tatoeba

multi30k: English and German captions, trained on 29,000 pairs, tested on test_2016. debian: package descriptions, all
rows with the language but --test random ones of other groups; short and long texts are pairs of their own, trained
together and tested apart, untranslated BM25 beside them. tatoeba: ten languages against English with e5 as it is, by
cosine and corrected for hubs; once more with hubs known from other sentences only (half of the English side).
No caption and no picture of multi30k's test is in its training pairs. Of debian's test texts .1 to .9 % stand in a
training group as well, word for word. Training pairs carry no groups, so those held out to stop by are of packages that
are trained on, and are soon all found: `recipes/translation_by_retrieval.py` shows what groups change.
Equal texts count as right answers everywhere. Seconds are the processor's, of encoding what is not cached and training.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pairspace as ps
from pairspace.evaluation.bitext import BitextReport
from pairspace.evaluation.table import pipe_table
from pairspace.neighbours import Bm25, Hubs, corrected_top_k, find_hubs
from pairspace.space import centre_space

NOTHING: dict[str, Any] = {"validation": 0.02}
MARGIN: dict[str, Any] = {"objective": "margin"}
SHORT: dict[str, Any] = {"validation": None, "epochs": 6, "batch_size": 256}  # few pairs held out are all found at once
E5: dict[str, Any] = {"encoder": "e5-multilingual"}
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {  # how a space is made, how it is trained
    "bags of words": ({"encoder": "static"}, NOTHING),
    "one bag of words for both": ({"encoder": "static", "shared_encoder": True}, NOTHING),
    "one bag, additive margin": ({"encoder": "static", "shared_encoder": True}, NOTHING | MARGIN),
    "small transformers": ({"encoder": "transformer"}, NOTHING | {"epochs": 4}),
    "one small transformer for both": ({"encoder": "transformer:128", "shared_encoder": True}, NOTHING | {"epochs": 4}),
    "one small transformer for both, batches of 256": (
        {"encoder": "transformer:128", "shared_encoder": True},
        NOTHING | {"epochs": 6, "batch_size": 256},
    ),
    "e5 as it is": (E5 | {"projector": "identity"}, None),
    "e5, centred": (E5 | {"projector": "identity", "centre": True}, None),
    "e5, centred, linear projectors": (E5 | {"centre": True}, {}),
    "e5, centred, linear projectors, six epochs of 256": (E5 | {"centre": True}, SHORT),
    "e5, centred, residual projectors": (E5 | {"projector": "residual", "centre": True}, {}),
    "e5, linear projectors, last layer": (E5 | {"layers": "last"}, {}),
    "e5, linear projectors": (E5, {}),
    "e5, linear projectors, six epochs of 256": (E5, SHORT),
    "e5, linear projectors, temperature .02": (E5, {"temperature": 0.02}),
    "e5, linear projectors, rate 3e-3": (E5, {"learning_rate": 3e-3}),
    "e5, one linear projector for both": (E5 | {"shared_projector": True}, {}),
    "e5, linear projectors, mixing": (E5, {"mix": 1.0}),
    "e5, linear projectors, additive margin": (E5, MARGIN),
    "e5, residual projectors": (E5 | {"projector": "residual"}, {}),
    "e5, residual projectors, mixing": (E5 | {"projector": "residual"}, {"mix": 1.0}),
    "MiniLM for English, a bag for the other": ({"encoder": {"en": "minilm", "xx": "static"}}, NOTHING),
    "MiniLM as it is, a bag for the other": (
        {"encoder": {"en": "minilm", "xx": "static"}, "projector": "identity", "dimension": 384},
        NOTHING,
    ),
    "e5 and bags of words, joined": ({"encoder": "e5-multilingual+static"}, NOTHING),
}
DATA = Path(os.environ.get("PAIRSPACE_DATA", "."))
LANGUAGES = ["fra", "rus", "cmn", "dan", "por", "heb", "kor", "ell", "ben", "hun"]
KINDS = ("cosine", "csls", "margin")


def space_for(name: str, train: ps.Pairs) -> tuple[ps.Space, float]:
    """The space of a setting, trained; seconds of encoding and training."""
    made, how = SETTINGS[name]
    made = dict(made)
    if isinstance(made["encoder"], dict):
        made["encoder"] = {side: made["encoder"].get(side, made["encoder"]["xx"]) for side in train.sides}
    centre, began = made.pop("centre", False), time.process_time()
    space = ps.Space.create(train.sides, language=None, **made)
    if centre:  # the texts alone, not who belongs with whom
        centre_space(space, {side: train.unique(side)[0] for side in train.sides})
    if how is not None:
        space.fit(train, progress=False, **how)
    return space, time.process_time() - began


def show(rows: list[list[str]], name: str, report: BitextReport, seconds: float | None) -> None:
    for direction in report.xsim:
        values = [f"{report.accuracy(direction, kind):.3f}" for kind in KINDS]
        rows.append(
            [name, direction, *values, f"{report.xsim[direction]:.3f}", "" if seconds is None else f"{seconds:.0f}"]
        )
    for mined in report.mined:
        print(f"{name}: mining F1 {mined.f1:.3f} where {mined.noise:.0%} of the pairs lack a half")
    print(pipe_table(["system", "direction", *KINDS, "xsim error", "s"], rows), flush=True)


def multi30k(names: list[str]) -> None:
    folder = DATA / "multi30k"
    train, test = (
        ps.read_pairs(folder / name, sides={"en": "en", "de": "de"}, skip_bad=True)
        for name in ("train.parquet", "test_2016_flickr.parquet")
    )
    rows: list[list[str]] = []
    for name in names:
        space, seconds = space_for(name, train)
        show(rows, name, ps.evaluate_bitext(space, test, resamples=1000, progress=False), seconds)


def split_languages(language: str, held: int) -> tuple[ps.Pairs, dict[str, ps.Pairs]]:
    """Debian's descriptions: pairs to train on, and of `held` rows of other groups the short and the long texts."""
    table = pq.read_table(DATA / "debian_descriptions" / "train.parquet")
    table = table.filter(pa.compute.is_valid(table[f"short_{language}"]))
    groups = np.asarray(table["group"].dictionary_encode().combine_chunks().indices)
    order = np.random.default_rng(0).permutation(len(groups))
    tested = order[:held]
    trained = np.flatnonzero(~np.isin(groups, groups[tested]))

    def pairs(rows: np.ndarray, *lengths: str) -> ps.Pairs:
        some = table.take(pa.array(rows))
        columns = {
            side: pa.concat_arrays([part for length in lengths for part in some[f"{length}_{side}"].chunks])
            for side in ("en", language)
        }
        return ps.Pairs.from_columns(columns, skip_bad=True)

    return pairs(trained, "short", "long"), {length: pairs(tested, length) for length in ("short", "long")}


def debian(language: str, names: list[str], held: int) -> None:
    train, tests = split_languages(language, held)
    print(f"en-{language}: {len(train):,} pairs to train on, {len(tests['short']):,} rows to test on")
    for length, test in tests.items():
        items, codes = zip(*(test.unique(side) for side in test.sides), strict=True)
        lexical = Bm25(None).fit(items[1].to_pylist())
        best = lexical.search(items[0].to_pylist(), 1).indices[:, 0]
        right = set(zip(codes[0].tolist(), codes[1].tolist(), strict=True))
        print(f"BM25, untranslated, {length}: {np.mean([(q, d) in right for q, d in enumerate(best.tolist())]):.3f}")
    rows: list[list[str]] = []
    for name in names:
        space, seconds = space_for(name, train)
        for length, test in tests.items():
            show(rows, f"{name}, {length}", ps.evaluate_bitext(space, test, resamples=1000, progress=False), seconds)


def tatoeba() -> None:
    table = pq.read_table(DATA / "tatoeba" / "tatoeba.parquet")
    space = ps.Space.create(("xx", "en"), projector="identity", language=None, **E5)
    rows, means = [], np.zeros(7)
    english = table["text_eng"].unique()
    for language in LANGUAGES:
        some = table.filter(pa.compute.equal(table["lang"], language))
        pairs = ps.Pairs.from_columns({"xx": some["text"], "en": some["text_eng"]}, skip_bad=True)
        report = ps.evaluate_bitext(space, pairs, noise=(), resamples=10, progress=False)
        both = [np.mean([report.accuracy(d, kind) for d in report.xsim]) for kind in KINDS]
        elsewhere = english.filter(pa.compute.invert(pa.compute.is_in(english, value_set=some["text_eng"])))
        both += [_known_hubs(space, pairs, elsewhere, table, language, kind) for kind in ("csls", "margin")]
        values = np.array([*both, *report.xsim.values()])
        means += values / len(LANGUAGES)
        rows.append([language, *(f"{value:.3f}" for value in values)])
    rows.append(["mean", *(f"{value:.3f}" for value in means)])
    head = ["language", *KINDS, "csls, kept hubs", "margin, kept hubs", "xsim xx -> en", "xsim en -> xx"]
    print(pipe_table(head, rows))


def _known_hubs(space: ps.Space, pairs: ps.Pairs, english: Any, table: Any, language: str, kind: str) -> float:
    """Mean accuracy both ways where the r of documents comes from queries of other sets, as an index keeps it."""
    foreign = table.filter(pa.compute.not_equal(table["lang"], language))["text"]
    rng = np.random.default_rng(0)
    found = []
    for one, other, elsewhere in (("xx", "en", foreign), ("en", "xx", english)):
        some = elsewhere.take(pa.array(np.sort(rng.choice(len(elsewhere), 5000, replace=False))))
        asked = space.encode(pa.chunked_array([some]) if isinstance(some, pa.Array) else some, side=one, progress=False)
        items, codes = zip(*(pairs.unique(side) for side in (one, other)), strict=True)
        x, y = (space.encode(part, side=side, progress=False) for part, side in zip(items, (one, other), strict=True))
        kept = find_hubs(asked, y).right
        own = find_hubs(x, y).left  # a query's own nearest are found with its search
        best = corrected_top_k(x, y, 1, kind=kind, hubs=Hubs(own, kept)).indices[:, 0]
        right = set(zip(codes[0].tolist(), codes[1].tolist(), strict=True))
        found.append(np.mean([(q, d) in right for q, d in enumerate(best.tolist())]))
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["multi30k", "debian", "tatoeba"])
    parser.add_argument("--only", nargs="*", choices=list(SETTINGS))
    parser.add_argument("--language", default="it")
    parser.add_argument("--test", type=int, default=3000)
    arguments = parser.parse_args()
    names = arguments.only or list(SETTINGS)
    if arguments.data == "multi30k":
        multi30k(names)
    elif arguments.data == "debian":
        debian(arguments.language, names, arguments.test)
    else:
        tatoeba()


if __name__ == "__main__":
    main()
