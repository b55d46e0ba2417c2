"""Decoded examples: what a space of words says of Debian titles and descriptions, the best, the middling and the worst.

Texts of the test pairs are ordered by Semantic@20 (how near the 20 best terms are to the nearest word of the text), and
shown from evenly spaced places of that order; so neither the good nor the bad ones are chosen by hand. The space is
that of `benchmarks.hybrid`'s kind without own words, kept in --spaces.

    python -m benchmarks.decoded --spaces spaces
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np

from benchmarks.hybrid import space_of
from benchmarks.peer import read
from pairspace.evaluation.sparsity import TOP, semantic_at_k
from pairspace.evaluation.table import pipe_table

PLACES = (0.99, 0.9, 0.5, 0.1, 0.01)  # of the order, from the worst to the best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=24_000)
    parser.add_argument("--test", type=int, default=6_000)
    parser.add_argument("--spaces", type=Path, default=Path("spaces"))
    parser.add_argument("--setting", default="features, 100 terms")
    arguments = parser.parse_args()
    train, test = read(arguments.train, arguments.test)
    space = space_of(arguments.setting, train, arguments.spaces)
    table, rows = space.term_vectors(), []
    assert table is not None
    for side in space.sides:
        texts = test.unique(side)[0][:1000].to_pylist()
        vectors, own = space.encode(texts, side=side, progress=False), space.lexicon.counts(texts)
        near = np.array([semantic_at_k(vectors[[i]], own[[i]], TOP, table) for i in range(len(texts))])
        order = np.argsort(near)  # those without a known word of their own come last, as NaN
        known = int(np.isfinite(near).sum())
        for place in PLACES:
            row = int(order[round(place * (known - 1))])
            text = textwrap.shorten(texts[row].replace("|", "/"), 90, placeholder=" ...")
            terms = ", ".join(term for term, _ in space.decode(vectors[[row]], 10)[0])
            rows.append([side, f"{near[row]:.2f}", text, terms])
    print(pipe_table(["side", f"Semantic@{TOP}", "text", "ten best terms"], rows))


if __name__ == "__main__":
    main()
