"""Mining: how fast against plain matrix products, the same pairs as a slow exact version, and F1 at four noises.

    python -m benchmarks.mining [--count 100000]

Vectors are made here: 384 dimensions, half of the left rows have a noisy copy on the right. The rate is that of the
whole pass (similarities, neighbours both ways), as a share of plain float32 matrix products of the same block size,
measured before and after. Sizes beyond are extrapolated: the work grows with the product of both sides.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from pairspace.bitext import mine_vectors
from pairspace.evaluation.bitext import mining_f1
from pairspace.evaluation.table import pipe_table
from pairspace.neighbours import BothWays, normalise, top_k

DIMENSION = 384


def vectors(count: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, DIMENSION)).astype(np.float32)
    y = rng.normal(size=(count, DIMENSION)).astype(np.float32)
    y[: count // 2] = x[: count // 2] + noise * rng.normal(size=(count // 2, DIMENSION)).astype(np.float32)
    return normalise(x), normalise(y)


def rate(seconds: float = 5.0) -> float:
    a, b, out = torch.randn(4096, DIMENSION), torch.randn(4096, DIMENSION), torch.empty(4096, 4096)
    torch.mm(a, b.T, out=out)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        torch.mm(a, b.T, out=out)
        count += 1
    return count * 2 * 4096 * 4096 * DIMENSION / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    count = parser.parse_args().count
    x, y = vectors(count, 1.0)
    before = rate()
    work, began = BothWays(x, y, 4), time.perf_counter()
    while work.advance():
        pass
    there, back = work.result()
    seconds = time.perf_counter() - began
    machine = (before + rate()) / 2
    ours = 2 * count * count * DIMENSION / seconds
    print(
        f"{count:,} x {count:,}: {seconds:.0f} s, {ours / 1e9:.0f} GFLOP/s; plain products {machine / 1e9:.0f}: "
        f"{ours / machine:.0%}; a million by a million would take {seconds * (1e6 / count) ** 2 / 3600:.1f} h"
    )
    some = np.arange(0, count, max(1, count // 2000))
    slow = [top_k(x[some], y, 4), top_k(y[some], x, 4)]
    same = [np.mean(one.indices[some] == other.indices) for one, other in zip((there, back), slow, strict=True)]
    print(f"neighbours equal to those of separate exact passes: {same[0]:.6f}, {same[1]:.6f} (of {len(some):,} rows)")
    rows = []
    for noise in (1.0, 2.0, 3.0, 4.0):
        x, y = vectors(20_000, noise)
        half = np.arange(10_000)
        f1 = mining_f1(x, y, (half, half), noise=0.0, rng=np.random.default_rng(0))
        began = time.perf_counter()
        mine_vectors(x, y, progress=False)
        rows.append(
            [
                f"{noise:g}",
                *(f"{v:.3f}" for v in (f1.f1, f1.precision, f1.recall)),
                f"{time.perf_counter() - began:.1f}",
            ]
        )
    print(pipe_table(["noise", "F1", "precision", "recall", "s"], rows))


if __name__ == "__main__":
    main()
