"""Sentence alignment: F1 on Text+Berg (German-French) with multilingual e5, and time against length.

    PAIRSPACE_DATA=data python benchmarks/alignment.py [--lengths 1000 2000 5000 10000 20000] [--only quality|time]

The settings were chosen on the article `dev` alone. Beside them stands the cost by vectors alone: with vecalign's own
settings (up to 4 sentences a bead, both sides together; deletions at quantile 0.2), and with ours. Scores are counted
as by vecalign's `score.py`. Times are of vectors made up here: one text is the other with noise, and as long.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import time
from pathlib import Path

import numpy as np

import pairspace as ps
from pairspace.bitext import AlignmentOptions, align_documents, align_vectors, trusted_score
from pairspace.evaluation import alignment_scores
from pairspace.evaluation.table import pipe_table

SETTINGS = {
    "vecalign's cost and settings": {"lengths": False, "options": AlignmentOptions(most=4, deletion=0.2, centre=False)},
    "vecalign's cost, our settings": {"lengths": False, "options": AlignmentOptions()},
    "with lengths (default)": {"lengths": True, "options": AlignmentOptions()},
}


def quality() -> None:
    path = Path(os.environ["PAIRSPACE_DATA"]) / "alignment_text_berg" / "dev_test.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        articles = [json.loads(line) for line in file]
    space = ps.Space.create(("de", "fr"), encoder="e5-multilingual", projector="identity")
    rows, tests = [], {name: ([], []) for name in SETTINGS}
    for number, article in enumerate(articles):
        for name, settings in SETTINGS.items():
            start = time.perf_counter()
            beads = align_documents(space, article["de"], article["fr"], **settings)
            seconds = time.perf_counter() - start
            rows.append([article["doc"], name, *shown(beads, article["gold"]), trusted_score(beads), seconds])
            if article["doc"] != "dev":
                for found, given in zip(tests[name], (beads, article["gold"]), strict=True):
                    found.extend(moved(bead, 10_000 * number) for bead in given)
    rows += [["all tests", name, *shown(*both), float("nan"), float("nan")] for name, both in tests.items()]
    heads = ["article", "cost", "strict P", "R", "F1", "lax P", "R", "F1", "trusted score", "seconds"]
    print(pipe_table(heads, [[*row[:2], *(f"{value:.3f}" for value in row[2:])] for row in rows]))


def moved(bead, by: int):
    return [index + by for index in bead[0]], [index + by for index in bead[1]]


def shown(beads, gold) -> list[float]:
    return list(alignment_scores(beads, gold).to_dict().values())


def times(lengths: list[int], dimension: int = 384) -> None:
    random, rows = np.random.default_rng(0), []
    for n in lengths:
        base = random.normal(size=(n + 3, dimension)).astype(np.float32)
        left, right = (runs(base + 0.8 * random.normal(size=base.shape).astype(np.float32), n) for _ in range(2))
        sizes = random.integers(20, 200, n)
        start = time.perf_counter()
        found = align_vectors(left, right, lengths=(sizes, sizes))
        seconds = time.perf_counter() - start
        right_share = sum(b.left == b.right and len(b.left) == 1 for b in found.beads) / n
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append([f"{n:,}", f"{seconds:.2f}", f"{1e3 * seconds / n:.3f}", f"{right_share:.3f}", f"{peak:,.0f}"])
    print(pipe_table(["sentences a side", "seconds", "ms a sentence", "right", "peak MiB of the process"], rows))


def runs(vectors: np.ndarray, n: int) -> np.ndarray:
    return np.stack([sum(vectors[j : j + n] for j in range(k)) for k in range(1, 5)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="*", default=[1000, 2000, 5000, 10_000, 20_000])
    parser.add_argument("--only", choices=["quality", "time"])
    arguments = parser.parse_args()
    if arguments.only != "time":
        quality()
    if arguments.only != "quality":
        times(arguments.lengths)


if __name__ == "__main__":
    main()
