"""Hybrid search against the best single one: on Debian test pairs, and on Cranfield, Medline and CACM, never seen.

A dense space, a space of words and BM25, fused as an index fuses them: z-scores, weighted by what either space learnt
beside BM25 on held-out Debian pairs. Both spaces are trained on the pairs of `benchmarks.ladder` and kept in --spaces,
so that a second call only measures. The measure is R@1 of the pairs and nDCG@10 of the judged collections; p is of the
two-sided sign-flip test against the best single system.

    python -m benchmarks.hybrid --train 24000 --spaces spaces
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np

import pairspace as ps
from benchmarks.peer import read
from benchmarks.sparse import new_space, path_of
from pairspace.evaluation.metrics import METRICS, per_query, ranked_run
from pairspace.evaluation.significance import sign_flip_p_values
from pairspace.evaluation.table import p_text, pipe_table
from pairspace.index.hybrid import fusion_weights
from pairspace.neighbours import zscore_fusion

DEPTH = 100
WORDS = "own words and 65 terms"
SINGLE = ("dense", "words", "bm25")


def space_of(name: str, train: ps.Pairs, folder: Path) -> ps.Space:
    path = path_of(name, folder)
    if path.exists():
        return ps.Space.from_pretrained(path)
    space, options = new_space(name, train)
    space.fit(train, progress=False, **options)
    space.save_pretrained(path)
    return space


def rows_of(what: str, metric: str, spaces: dict[str, ps.Space], **task: Any) -> list[list[str]]:
    how: dict[str, Any] = {"depth": DEPTH, "start": False, "fusion": False, "resamples": 100, "progress": False}
    reports = {name: ps.evaluate(space, **task, **how) for name, space in spaces.items()}
    weights = {name: space.fusion_weight for name, space in spaces.items()} | {"bm25": 0.5}
    made = []
    for direction in reports["dense"].directions:
        results = {name: report.results["space"][direction.name] for name, report in reports.items()}
        results["bm25"] = reports["dense"].results["bm25"][direction.name]
        rankings = {name: result.ranking for name, result in results.items()}

        def values(ranking: Any, direction: Any = direction) -> np.ndarray:
            run = ranked_run(direction.query_ids, direction.document_ids, ranking.indices)
            return per_query(run, direction.qrels)[:, METRICS.index(metric)]

        found = {name: values(ranking) for name, ranking in rankings.items()}
        best = max(SINGLE, key=lambda name: found[name].mean())
        cells = [f"{what} {direction.name}", metric, *(f"{found[name].mean():.4f}" for name in SINGLE)]
        for count in (2, 3):
            for names in itertools.combinations(SINGLE, count):
                shares = fusion_weights([weights[name] for name in names])
                assert shares is not None
                fused = values(zscore_fusion([rankings[name] for name in names], shares, DEPTH))
                p = sign_flip_p_values((fused - found[best])[:, None])[0]
                cells.append(f"{fused.mean():.4f} ({fused.mean() - found[best].mean():+.4f}, p {p_text(p)})")
        made.append([*cells, str(len(found[best]))])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=24_000)
    parser.add_argument("--test", type=int, default=6_000)
    parser.add_argument("--spaces", type=Path, default=Path("spaces"))
    arguments = parser.parse_args()
    train, test = read(arguments.train, arguments.test)
    spaces = {"dense": space_of("dense", train, arguments.spaces), "words": space_of(WORDS, train, arguments.spaces)}
    rows = rows_of("Debian", "R@1", spaces, pairs=test)
    for name in ("cranfield", "medline", "cacm"):
        corpus, queries, qrels = ps.read_beir(Path(os.environ["PAIRSPACE_DATA"]) / f"ir_{name}")
        rows += rows_of(name, "nDCG@10", spaces, corpus=corpus, queries=queries, qrels=qrels)
    fused = [" + ".join(names) for count in (2, 3) for names in itertools.combinations(SINGLE, count)]
    print({name: space.fusion_weight for name, space in spaces.items()})
    print(pipe_table(["search", "measure", *SINGLE, *fused, "queries"], rows))


if __name__ == "__main__":
    main()
