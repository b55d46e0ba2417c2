"""Foreign texts described by English words: what a space of words says of German, taught by its English side alone.

An English space of words is trained on Debian titles and descriptions. Then German titles are brought to its words:
a bag of German words from nothing (`static`), trained on translations of titles, with the weights of the English
translation as teacher. Shown: R@1 of German titles against English descriptions and of the English titles themselves
(the ceiling), the share of the ten best terms that a German title shares with its translation, and examples.

    python -m benchmarks.crosslingual --spaces spaces
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

import pairspace as ps
from benchmarks.hybrid import space_of
from benchmarks.peer import read
from pairspace.evaluation.sparsity import top_terms
from pairspace.evaluation.table import pipe_table
from pairspace.neighbours import top_k

TEACHER = "features, 100 terms"
TOP, SHOWN = 10, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", type=Path, default=Path("spaces"))
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    train, test = read(24_000, 6_000)
    teacher = space_of(TEACHER, train, arguments.spaces)
    path = Path(os.environ["PAIRSPACE_DATA"]) / "debian_descriptions" / "train.parquet"
    table = pq.read_table(path, columns=["short_en", "short_de", "long_en"])
    table = table.filter(pc.is_valid(table["short_de"]))
    held = pc.is_in(table["short_en"], value_set=test.unique("title")[0].cast(table["short_en"].type))
    rows, asked = table.filter(pc.invert(held)), table.filter(held)
    pairs = ps.Pairs.from_columns({"german": rows["short_de"], "title": rows["short_en"]})
    space = ps.Space.create(
        pairs.sides,
        encoder={"german": "static", "title": "minilm"},
        projector="lexical",
        lexicon=teacher.lexicon,
        echo=False,
        language=None,
    )
    space.fit(pairs, teacher=teacher, epochs=arguments.epochs, progress=False)
    documents = teacher.encode(asked["long_en"], side="body", progress=False)
    german = space.encode(asked["short_de"], side="german", progress=False)
    english = teacher.encode(asked["short_en"], side="title", progress=False)
    texts = np.array(asked["long_en"].to_pylist(), object)
    found = []
    for name, queries in (("English titles", english), ("German titles", german)):
        best = top_k(queries, documents, 1, similarity="dot").indices[:, 0]
        found.append([name, f"{np.mean(texts[best] == texts):.3f}", f"{queries.nnz / queries.shape[0]:.0f}"])
    print(f"{len(pairs):,} pairs to learn from, {len(asked):,} to test on")
    print(pipe_table(["queries", "R@1 of English descriptions", "terms"], found))
    ours, theirs = (top_terms(one, TOP) for one in (german, english))
    shared = np.mean([len((set(a) & set(b)) - {-1}) / TOP for a, b in zip(ours, theirs, strict=True)])
    other = np.mean([len((set(a) & set(b)) - {-1}) / TOP for a, b in zip(ours, np.roll(theirs, 1, 0), strict=True)])
    print(f"of the {TOP} best terms {shared:.2f} are those of the translation ({other:.2f} those of another title)")
    for row in np.linspace(0, len(asked) - 1, SHOWN).astype(int):
        terms = ", ".join(term for term, _ in space.decode(german[[row]], SHOWN)[0])
        print(f"{asked['short_de'][row]} ({asked['short_en'][row]}) -> {terms}")


if __name__ == "__main__":
    main()
