"""Title to content on Debian's package descriptions: what projectors add to frozen MiniLM, and what BM25 adds to them.

24,000 training rows at random; 6,000 test rows, one a group and of other groups, so that near-duplicate packages decide
nothing; equal texts count as right answers. Reads `debian_descriptions/train.parquet` under $PAIRSPACE_DATA.

    python -m benchmarks.titles [--epochs 8 ...] [--projector residual] [--layers 0,2,4,last] [--train 24000]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

import pairspace as ps


def split(pairs: ps.Pairs, *, train: int, test: int, seed: int = 0) -> tuple[ps.Pairs, ps.Pairs]:
    """Test rows one a group; training rows of the other groups."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(pairs))
    groups = pairs.table["group"].to_numpy()[order]
    _, first = np.unique(groups, return_index=True)
    chosen = random.permutation(first)[:test]
    others = ~np.isin(groups, groups[chosen])
    return pairs.select(order[np.flatnonzero(others)[:train]]), pairs.select(order[chosen])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=24_000)
    parser.add_argument("--test", type=int, default=6_000)
    parser.add_argument("--projector", default="linear")
    parser.add_argument("--layers", default=None)
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--weight-decay", type=float)
    parser.add_argument("--temperature", type=float)
    arguments = vars(parser.parse_args())
    sizes = {name: arguments.pop(name) for name in ("train", "test")}
    kind = {name: arguments.pop(name) for name in ("projector", "layers")} | {
        "shared_projector": arguments.pop("shared")
    }
    options = {name: value for name, value in arguments.items() if value is not None}

    path = Path(os.environ["PAIRSPACE_DATA"]) / "debian_descriptions" / "train.parquet"
    pairs = ps.read_pairs(path, sides={"title": "short_en", "body": "long_en"}, group="group")
    train, test = split(pairs, **sizes)
    space = ps.Space.create(pairs.sides, encoder="minilm", **kind)
    began = time.perf_counter()
    for side in pairs.sides:
        space.features(train.unique(side)[0], side)
        space.features(test.unique(side)[0], side)
    print(f"encoding or reading the cache: {time.perf_counter() - began:.1f} s", flush=True)
    began = time.perf_counter()
    history = space.fit(train, validation=0.05, **options)
    print(
        f"fit: {time.perf_counter() - began:.1f} s, of which training {sum(history.column('seconds')):.1f} s; {space!r}"
    )
    print(f"best epoch {history.best_epoch} of {len(history.records) - 1}; {options or 'defaults'}")
    print("validation R@1", [round(score, 3) for score in history.column("validation_R@1")])
    began = time.perf_counter()
    print(ps.evaluate(space, test))
    print(f"evaluation: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
