"""How good the suggestions of a translation memory are, by their score: what its minima should be.

    PAIRSPACE_DATA=folder python -m benchmarks.minima [--language it] [--only "e5 as it is"] [--space folder]

Memory and space are made of Debian's descriptions as in `translation.py`; the short descriptions of packages that
neither has seen are asked for. A suggestion is as good as its letters are those of the true translation (rapidfuzz's
ratio), and fit for use from .7 on. Fuzzy matches stand beside semantic ones as a yardstick that translators know. A
semantic match counts where no fuzzy one of .7 (tm search) or .85 (pretranslate) is there, for only then it is of use.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rapidfuzz import fuzz

import pairspace as ps
from benchmarks.translation import SETTINGS, space_for, split_languages
from pairspace.bitext import Question, TranslationMemory
from pairspace.evaluation.table import pipe_table

FIT = 0.7
MINIMA = {"fuzzy": (0.5, 0.6, 0.7, 0.8, 0.85, 0.9), "semantic": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)}


def best_of_each(memory: TranslationMemory, texts: list[str], wanted: list[str], language: str) -> np.ndarray:
    """Score and goodness of the best fuzzy and the best semantic match of each text: (n, 4), 0 for none."""
    rows = np.zeros((len(texts), 4))
    how = {"source": "en", "target": language, "k": None, "minimum": 0.5, "semantic_minimum": 0.01}
    for start in range(0, len(texts), 256):
        found = memory.find([Question(text) for text in texts[start : start + 256]], **how)
        for place, matches in enumerate(found, start):
            for column, kind in ((0, "fuzzy"), (2, "semantic")):
                match = next((one for one in matches if (one.kind == "semantic") == (kind == "semantic")), None)
                if match is not None:
                    rows[place, column : column + 2] = match.score, fuzz.ratio(match.target, wanted[place]) / 100
    return rows


def table(rows: np.ndarray) -> str:
    lines = []

    def add(name: str, minimum: float, upper: float, chosen: np.ndarray, good: np.ndarray, of: int) -> None:
        quality = good[chosen]
        shown = ["-", "-"] if not chosen.any() else [f"{quality.mean():.2f}", f"{(quality >= FIT).mean():.2f}"]
        lines.append([name, f"{minimum:.2f} to {upper:.2f}", f"{chosen.sum() / of:.1%}", *shown])

    for kind, column, limit in (("fuzzy", 0, 2.0), ("semantic", 2, 0.7), ("semantic", 2, 0.85)):
        score, good, open_ = rows[:, column], rows[:, column + 1], rows[:, 0] < limit
        name = kind if kind == "fuzzy" else f"semantic, no fuzzy of {limit}"
        for minimum, upper in zip(MINIMA[kind], (*MINIMA[kind][1:], 1.0), strict=True):
            add(name, minimum, upper, open_ & (score >= minimum) & (score < upper + (upper == 1.0)), good, len(rows))
    return pipe_table(["kind", "score", "of all texts", "mean goodness", "fit for use"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", default="it")
    parser.add_argument("--test", type=int, default=3000)
    parser.add_argument("--only", choices=list(SETTINGS), default="one bag of words for both")
    parser.add_argument("--space", type=Path, default=None, help="folder of a space trained on the same split")
    parser.add_argument(
        "--units", type=int, default=None, help="so many short pairs make the space and the memory; all by default"
    )
    arguments = parser.parse_args()
    train, tests = split_languages(arguments.language, arguments.test)
    sides = ("en", arguments.language)
    if arguments.units:
        short = np.flatnonzero(pc.less_equal(pc.utf8_length(train.items("en")), 100))
        train = train.select(np.sort(np.random.default_rng(0).choice(short, arguments.units, replace=False)))
    space = ps.Space.from_pretrained(arguments.space) if arguments.space else space_for(arguments.only, train)[0]
    known = pa.table({side: train.items(side) for side in sides})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pq.write_table(known, folder / "pairs.parquet")
        how = {"source": "en", "target": arguments.language, "progress": False}
        with TranslationMemory.build(folder / "memory", folder / "pairs.parquet", space, **how) as memory:
            texts, wanted = (tests["short"].items(side).to_pylist() for side in sides)
            print(f"{len(memory):,} units, {len(texts):,} texts to translate")
            print(table(best_of_each(memory, texts, wanted, arguments.language)))


if __name__ == "__main__":
    main()
