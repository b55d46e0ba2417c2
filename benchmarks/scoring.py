"""Errors planted into a memory: how many of them `score` finds, and how many good pairs it doubts.

    python -m benchmarks.scoring [--language it] [--others de fr]

The space is a bag of words for both languages, trained on all Debian descriptions in the language but 3,000 rows of
other groups. Of these, short and long texts apart, 5 % are swapped among each other, 5 % are cut at the half, and 5 %
are replaced by the translation into another language. The curve is over thresholds of the margin, other doubts as they
are; the default is .9.
"""

from __future__ import annotations

import argparse

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pairspace as ps
from benchmarks.translation import DATA, space_for
from pairspace.bitext import DOUBTS, score_pairs
from pairspace.evaluation.table import pipe_table

HELD, SHARE = 3000, 0.05
KINDS = ("swapped", "cut", "language")
THRESHOLDS = (0.7, 0.8, 0.9, 1.0, 1.1)


def planted(texts: list[str], others: list[str | None], rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """The texts with errors, and which error each has ("" for none)."""
    count = round(SHARE * len(texts))
    order = rng.permutation(len(texts))
    found, kinds = list(texts), np.full(len(texts), "", object)
    swapped = order[:count]
    for row, other in zip(swapped, np.roll(swapped, 1), strict=True):
        found[row], kinds[row] = texts[other], "swapped"
    for row in order[count : 2 * count]:
        found[row], kinds[row] = texts[row][: max(3, len(texts[row]) // 2)], "cut"
    for row in [row for row in order[2 * count :] if others[row]][:count]:
        found[row], kinds[row] = str(others[row]), "language"
    return found, kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", default="it")
    parser.add_argument("--others", nargs="+", default=["de", "fr"])
    arguments = parser.parse_args()
    language = arguments.language
    table = pq.read_table(DATA / "debian_descriptions" / "train.parquet")
    table = table.filter(pa.compute.is_valid(table[f"short_{language}"]))
    groups = np.asarray(table["group"].dictionary_encode().combine_chunks().indices)
    tested = np.random.default_rng(0).permutation(len(groups))[:HELD]
    rest = table.take(pa.array(np.flatnonzero(~np.isin(groups, groups[tested]))))
    columns = {
        side: pa.concat_arrays([*rest[f"short_{side}"].chunks, *rest[f"long_{side}"].chunks])
        for side in ("en", language)
    }
    space, _ = space_for("one bag of words for both", ps.Pairs.from_columns(columns, skip_bad=True))
    some, rng, rows, curve = table.take(pa.array(tested)), np.random.default_rng(1), [], []
    for length in ("short", "long"):
        english = some[f"{length}_en"].to_pylist()
        columns_of_others = [some[f"{length}_{other}"].to_pylist() for other in arguments.others]
        others = [next(filter(None, row), None) for row in zip(*columns_of_others, strict=True)]
        texts, kinds = planted(some[f"{length}_{language}"].to_pylist(), others, rng)
        wrong = kinds != ""
        for threshold in THRESHOLDS:
            scored = score_pairs(space, english, texts, threshold=threshold, progress=False)
            said = scored.doubtful
            hits = int((said & wrong).sum())
            curve.append([length, f"{threshold:g}", f"{hits / said.sum():.3f}", f"{hits / wrong.sum():.3f}"])
            if threshold == 0.9:
                found = [f"{said[kinds == kind].mean():.3f}" for kind in KINDS]
                rows.append([length, *curve[-1][2:], *found, f"{said[~wrong].mean():.3f}"])
                for doubt in DOUBTS:
                    one = np.array([doubt in doubts for doubts in scored.doubts])
                    print(f"{length}: {doubt} doubts {one.sum()}, {(one & wrong).sum()} of them rightly")
    print(pipe_table(["texts", "precision", "recall", *KINDS, "good ones doubted"], rows))
    print(pipe_table(["texts", "threshold", "precision", "recall"], curve))


if __name__ == "__main__":
    main()
