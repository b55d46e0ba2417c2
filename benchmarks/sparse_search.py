"""Search by weighted words: how fast and how right the engines of an index are, against exact products.

    python -m benchmarks.sparse_search [--queries 2000] [--setting "features, 100 terms"] [--spaces spaces]

The pairs of `benchmarks.ladder`: documents are all descriptions and the titles of the training pairs (some 53,000),
queries are titles of the test pairs, as a space of `benchmarks.sparse` describes them. Vectors are given, so the
encoder's time is not counted; queries are asked one at a time through `Index.search`, payloads and all.
The exact products are SciPy's. Goal: 1,500 queries a second at recall@10 of .99.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import sparse

import pairspace as ps
from benchmarks.hybrid import space_of
from benchmarks.ladder import BOTH
from benchmarks.peer import read
from benchmarks.search import recall, timed
from pairspace.neighbours import top_k


def vectors(name: str, train: ps.Pairs, test: ps.Pairs, queries: int, folder: Path):
    """The space, documents and queries, CSR."""
    space = space_of(name, train, folder)
    asked, given = (space.encode(test.unique(side)[0], side=side, progress=False) for side in BOTH)
    more = [space.encode(train.unique(side)[0], side=side, progress=False) for side in BOTH]
    return space, sparse.vstack([given, *more], format="csr"), asked[:queries]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--setting", default="features, 100 terms")
    parser.add_argument("--spaces", type=Path, default=Path("spaces"))
    options = parser.parse_args()
    space, documents, queries = vectors(options.setting, *read(24_000, 6_000), options.queries, options.spaces)
    print(f"{documents.shape[0]:,} documents, {documents.nnz / documents.shape[0]:.1f} terms each")
    truth = top_k(queries, documents, 10, similarity="dot").indices
    asked = [queries[[row]] for row in range(queries.shape[0])]
    turned = documents.T.tocsr()

    def exact(query: sparse.csr_array) -> np.ndarray:
        scores = (query @ turned).toarray()[0]
        best = np.argpartition(-scores, 10)[:10]
        return best[np.argsort(-scores[best])]

    rows = {"SciPy, exact": (*timed(exact, asked[:300])[:2], None, None, None)}
    with tempfile.TemporaryDirectory() as folder:
        for engine in ("edge", "seismic"):
            with ps.Index.create(Path(folder) / engine, space, side="body", engine=engine) as index:
                began = time.perf_counter()
                index.add([str(row) for row in range(documents.shape[0])], vectors=documents, progress=False)
                index.optimise()
                built = time.perf_counter() - began
                wall, cpu, found = timed(lambda query, index=index: index.search(query, k=10)[0], asked)
                answers = np.array([[int(hit.id) for hit in hits] for hits in found])
                rows[engine] = wall, cpu, recall(answers, truth), built, index.info()["bytes"] / 1e6
    print(f"{'':14}{'wall q/s':>10}{'cpu q/s':>10}{'recall@10':>11}{'built, s':>10}{'MB':>7}")
    for name, (wall, cpu, share, built, size) in rows.items():
        rest = "" if share is None else f"{share:>11.4f}{built:>10.1f}{size:>7.0f}"
        print(f"{name:14}{wall:>10,.0f}{cpu:>10,.0f}{rest}")


if __name__ == "__main__":
    main()
