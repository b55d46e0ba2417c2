"""How much of the machine's matrix-product rate a whole training step reaches, and how much memory a large batch takes.

A step is all that the loop does for a batch: gather the features, project both sides from 1536 to 384, the symmetric
InfoNCE, backward, AdamW. Useful operations: forward and weight gradient of both projections (2 * n * d * k each), and
three products for the loss (2 * n * n * k each: logits and two gradients). Whatever is computed twice does not count.

Three things are measured in turn, in one process, and their medians compared, so that a busy machine slows all alike:
the step, its matrix products alone on the same shapes, and the step with the loss as open_clip writes it (whole logits,
two cross-entropies). The share is given by the clock and by processor time; with one thread the second hardly feels
what else runs on the machine. Memory is a process of its own: the peak after one step less the peak before it, data
included.

    python benchmarks/training.py [--batch 2048 4096 8192] [--large 32768] [--repeats 9] [--threads N] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from pairspace.objectives import InfoNce, Temperature
from pairspace.projectors import create_projector
from pairspace.training import Examples, FrozenBranch, Processes, Tower, TrainingOptions
from pairspace.training.loop import _Run

LAYERS, WIDTH = 4, 384
DIMENSION = LAYERS * WIDTH
BLOCKS = [WIDTH] * LAYERS
ROWS = 24_000  # of the training set the project is measured on


class RandomFeatures:
    """Unit blocks of noise in the shape of layered features."""

    dimension, truncated = DIMENSION, 0.0

    def __init__(self, count: int, seed: int) -> None:
        self._rows = torch.empty(count, DIMENSION).normal_(generator=torch.Generator().manual_seed(seed))
        self._rows.div_(DIMENSION**0.5)

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, indices: np.ndarray | None = None) -> np.ndarray:
        rows = self._rows.numpy()
        return rows if indices is None else rows[indices]


def make_run(batch: int) -> _Run:
    """A run over random features of twice 1536 dimensions, ready to step."""
    count = max(ROWS, batch)
    torch.manual_seed(0)
    towers = [
        Tower([FrozenBranch(RandomFeatures(count, seed), create_projector("linear", blocks=BLOCKS, dimension=WIDTH))])
        for seed in (1, 2)
    ]
    examples = Examples(np.arange(count), np.arange(count))
    options = TrainingOptions(batch_size=batch)
    objective = InfoNce(Temperature(options.temperature))
    run = _Run((towers[0], towers[1]), examples, objective, options, None, Processes())
    run.model.train()
    return run


def our_step(run: _Run, batch: int) -> Callable[[], object]:
    random = np.random.default_rng(0)
    return lambda: run._update(random.permutation(len(run.examples))[:batch], random, "in the benchmark")


def plain_step(run: _Run, batch: int) -> Callable[[], object]:
    """The same with open_clip's loss: logits whole, a cross-entropy over rows and one over columns."""
    random, labels = np.random.default_rng(0), torch.arange(batch)

    def step() -> float:
        rows = random.permutation(len(run.examples))[:batch]
        codes = run.examples.query, run.examples.document
        a, b = (tower.vectors(code[rows]) for tower, code in zip(run.towers, codes, strict=True))
        logits = a @ b.T / run.objective.temperature()
        loss = (
            torch.nn.functional.cross_entropy(logits, labels) + torch.nn.functional.cross_entropy(logits.T, labels)
        ) / 2
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        run.optimizer.step()
        run.objective.clamp_()
        return float(loss.detach())

    return step


def products(batch: int) -> Callable[[], object]:
    """The useful matrix products of a step and nothing else, into buffers that are there already."""
    x, weight = torch.randn(batch, DIMENSION), torch.randn(WIDTH, DIMENSION)
    a, b = torch.randn(batch, WIDTH), torch.randn(batch, WIDTH)
    rows = min(batch, 2048)
    logits, out, gradient = torch.empty(rows, batch), torch.empty(batch, WIDTH), torch.empty(WIDTH, DIMENSION)

    def run() -> None:
        for _ in range(2):
            torch.mm(x, weight.T, out=out)
            torch.mm(a.T, x, out=gradient)
        for start in range(0, batch, rows):
            torch.mm(a[start : start + rows], b.T, out=logits)
            torch.mm(logits, b, out=out[start : start + rows])
            torch.mm(logits.T, a[start : start + rows], out=out)

    return run


def useful(batch: int) -> float:
    """Operations that a step cannot do without."""
    return 8.0 * batch * DIMENSION * WIDTH + 6.0 * batch * batch * WIDTH


def measure_speed(batch: int, repeats: int) -> dict[str, float]:
    """Medians of interleaved measurements, as rates in useful GFLOP/s, and their ratios."""
    run = make_run(batch)
    work = {"products": products(batch), "step": our_step(run, batch), "plain": plain_step(run, batch)}
    clock: dict[str, list[float]] = {name: [] for name in work}
    processor: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(repeats + 1):
        for name, call in work.items():
            began, began_processor = time.perf_counter(), time.process_time()
            call()
            if turn:  # the first one warms up
                clock[name].append(time.perf_counter() - began)
                processor[name].append(time.process_time() - began_processor)
    medians = {name: statistics.median(values) for name, values in clock.items()}
    medians_processor = {name: statistics.median(values) for name, values in processor.items()}
    return {
        "batch": batch,
        "step_ms": medians["step"] * 1e3,
        "pairs_per_second": batch / medians["step"],
        "products_gflops": useful(batch) / medians["products"] / 1e9,
        "step_gflops": useful(batch) / medians["step"] / 1e9,
        "share": medians["products"] / medians["step"],
        "share_processor": medians_processor["products"] / medians_processor["step"],
        "times_plain": medians["plain"] / medians["step"],
    }


def peak() -> float:
    """Highest resident memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (30 if sys.platform == "darwin" else 20))


def step_memory(batch: int) -> float:
    """GiB that one step adds to the peak; to be called in a fresh process."""
    step = our_step(make_run(batch), batch)
    before = peak()
    step()
    return peak() - before


def measure_memory(batch: int) -> float:
    """`step_memory` in a fresh process."""
    command = [sys.executable, __file__, "--memory-of", str(batch)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="speed and memory of a training step")
    parser.add_argument("--batch", type=int, nargs="*", default=[2048, 4096, 8192])
    parser.add_argument("--large", type=int, default=32_768, help="batch whose memory is measured; 0 for none")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory-of", type=int, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print(step_memory(arguments.memory_of))
        return
    memory = measure_memory(arguments.large) if arguments.large else None  # first: a child inherits its parent's peak
    rows = [measure_speed(batch, arguments.repeats) for batch in arguments.batch]
    if arguments.json:
        print(json.dumps({"threads": torch.get_num_threads(), "speed": rows, "memory_gib": memory}))
        return
    print(f"{torch.get_num_threads()} threads, medians of {arguments.repeats} interleaved measurements")
    print("batch   step ms   pairs/s   products GFLOP/s   step GFLOP/s   share   (processor)   times plain torch")
    for r in rows:
        print(
            f"{r['batch']:5}   {r['step_ms']:7.0f}   {r['pairs_per_second']:7,.0f}   {r['products_gflops']:16.1f}   "
            f"{r['step_gflops']:12.1f}   {r['share']:5.0%}   {r['share_processor']:11.0%}   {r['times_plain']:17.2f}"
        )
    if memory is not None:
        print(f"a step of {arguments.large:,} pairs adds {memory:.2f} GiB to the peak memory")


if __name__ == "__main__":
    main()
