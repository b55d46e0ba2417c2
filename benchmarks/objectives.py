"""What InfoNCE with its gradients costs beside the four matrix products that it cannot do without, and its memory.

With a batch whose logits do not fit, they have to be computed twice, once for the normalisers and once for the
gradients, and each side's gradient is one product more: 8 n^2 d operations. Those four are run on the same blocks into
buffers that are there already. Loss and products are measured in turn, in one process, and their medians compared, by
the clock and by processor time; with one thread the second hardly feels what else runs on the machine. Memory is the
peak after the first loss less that before the vectors were made: vectors, gradients and all else.

    python benchmarks/objectives.py [--pairs 65536] [--dimension 384] [--repeats 3] [--threads N] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.nn.functional import normalize

from pairspace.objectives import info_nce
from pairspace.objectives.blocks import block_rows


def vectors(pairs: int, dimension: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two sides of random unit vectors, partners a little nearer than others."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(pairs, dimension, generator=generator) for _ in range(2))
    b.add_(a)
    return normalize(a, dim=1).requires_grad_(), normalize(b, dim=1).requires_grad_()


def loss_and_gradients(a: torch.Tensor, b: torch.Tensor) -> Callable[[], object]:
    temperature = torch.tensor(0.07, requires_grad=True)
    return lambda: torch.autograd.grad(info_nce(a, b, temperature=temperature), (a, b, temperature))


def products(a: torch.Tensor, b: torch.Tensor) -> Callable[[], object]:
    """Logits twice and a gradient a side, and nothing else."""
    a, b = a.detach(), b.detach()
    rows = min(len(a), block_rows(len(b)))
    logits, grad_a, grad_b = torch.empty(rows, len(b)), torch.empty_like(a), torch.zeros_like(b)

    def run() -> None:
        for again in (False, True):
            for start in range(0, len(a), rows):
                part = a[start : start + rows]
                block = torch.mm(part, b.T, out=logits[: len(part)])
                if again:
                    torch.mm(block, b, out=grad_a[start : start + rows])
                    grad_b.addmm_(block.T, part)

    return run


def peak() -> float:
    """Highest resident memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (30 if sys.platform == "darwin" else 20))


def measure(pairs: int, dimension: int, repeats: int) -> dict[str, float]:
    """Medians of interleaved measurements, their ratios, and the memory of the first loss."""
    loss_and_gradients(*vectors(64, dimension))()  # threads and libraries are up before anything counts
    before = peak()
    a, b = vectors(pairs, dimension)
    work = {"loss": loss_and_gradients(a, b), "products": products(a, b)}
    clock: dict[str, list[float]] = {name: [] for name in work}
    processor: dict[str, list[float]] = {name: [] for name in work}
    memory = 0.0
    for _ in range(repeats):
        for name, call in work.items():
            began, began_processor = time.perf_counter(), time.process_time()
            call()
            clock[name].append(time.perf_counter() - began)
            processor[name].append(time.process_time() - began_processor)
            memory = memory or peak() - before
    seconds = {name: statistics.median(values) for name, values in clock.items()}
    busy = {name: statistics.median(values) for name, values in processor.items()}
    return {
        "pairs": pairs,
        "dimension": dimension,
        "threads": torch.get_num_threads(),
        "loss_seconds": seconds["loss"],
        "products_seconds": seconds["products"],
        "products_gflops": 8.0 * pairs * pairs * dimension / seconds["products"] / 1e9,
        "ratio": seconds["loss"] / seconds["products"],
        "ratio_processor": busy["loss"] / busy["products"],
        "memory_gib": memory,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="InfoNCE and its gradients beside their matrix products")
    parser.add_argument("--pairs", type=int, default=65_536)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    r = measure(arguments.pairs, arguments.dimension, arguments.repeats)
    if arguments.json:
        print(json.dumps(r))
        return
    print(
        f"InfoNCE of {r['pairs']:,} x {r['dimension']}, {r['threads']} threads: loss and gradients "
        f"{r['loss_seconds']:.2f} s, their four products {r['products_seconds']:.2f} s "
        f"({r['products_gflops']:.0f} GFLOP/s), ratio {r['ratio']:.2f} (processor {r['ratio_processor']:.2f}), "
        f"peak memory {r['memory_gib']:.2f} GiB"
    )


if __name__ == "__main__":
    main()
