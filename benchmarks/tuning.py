"""Fine-tuning a whole encoder: pairs a second beside sentence-transformers' trainer, and what gradient caching holds.

Both train MiniLM on the same Debian titles and descriptions, in fp32, with the same batch and the model's 256 tokens;
steps are timed one by one, in turns, and medians compared. The peer is measured with its dropout (its default) and
without (as pairspace trains). Memory is the peak of a fresh process that makes one step; large blocks go straight back
to the system there (MALLOC_MMAP_THRESHOLD_), so that it is what the step holds, not what the allocator keeps.

    python -m benchmarks.tuning [--batch 64] [--steps 3] [--memory 64 256 1024 4096]
    python -m benchmarks.tuning --ways
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

import pairspace as ps
from benchmarks.peer import read
from benchmarks.training import peak
from pairspace.objectives import InfoNce, Temperature
from pairspace.training import Examples, LiveBranch, Processes, Tower, TrainingOptions
from pairspace.training.optimizer import make_optimizer
from pairspace.training.step import Step


def make_step(
    pairs: ps.Pairs,
    batch: int,
    chunk: int,
    *,
    blocks: int | None = None,
    cache: ps.FeatureCache | None = None,
    bf16: bool = False,
    compiled: bool = False,
):
    """A step of pairspace: both towers share one encoder, all of which trains unless `blocks` says how much.

    With a cache the blocks that do not train are read from it as token states.
    """
    encoder = ps.load_encoder("minilm", device="cpu")
    module = encoder.training_module(blocks=blocks)
    towers, codes = [], []
    for side in ("title", "body"):
        items, code = pairs.unique(side)
        states = None
        if cache is not None:
            layer = encoder.states_layer(blocks, ("last",), items.slice(0, 8).to_pylist())
            states = cache.token_states(encoder, items, layer, progress=False)
        texts, nothing = items.to_pylist(), torch.nn.Identity()
        branch = LiveBranch(encoder, ("last",), texts, nothing, module, states=states, bf16=bf16)
        if compiled:
            branch.encoder_module = torch.compile(module, dynamic=True)
        towers.append(Tower([branch]))
        codes.append(code)
    objective, options = InfoNce(Temperature(0.05)), TrainingOptions(batch_size=batch, chunk_size=chunk)
    step = Step((towers[0], towers[1]), objective, Examples(*codes), options, Processes())
    optimizer = make_optimizer(towers, objective, options)
    module.train()

    def run(number: int) -> None:
        rows = np.arange(number * batch, (number + 1) * batch) % len(pairs)
        optimizer.zero_grad(set_to_none=True)
        step(rows, np.random.default_rng(0))
        optimizer.step()

    return run


def peer_seconds(pairs: ps.Pairs, batch: int, steps: int, *, dropout: bool) -> list[float]:
    """Seconds of each step of sentence-transformers' trainer; the first is left out."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.losses import MultipleNegativesSymmetricRankingLoss
    from transformers import TrainerCallback

    model = SentenceTransformer(str(ps.load_encoder("minilm").folder), device="cpu")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) and not dropout:
            module.p = 0.0
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_, **__):
            ends.append(time.perf_counter())

    columns = {"anchor": pairs.items("title").to_pylist(), "positive": pairs.items("body").to_pylist()}
    with tempfile.TemporaryDirectory() as folder:
        arguments = Arguments(
            folder,
            max_steps=steps + 1,
            per_device_train_batch_size=batch,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
        )
        loss = MultipleNegativesSymmetricRankingLoss(model)
        SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_dict(columns), loss=loss, callbacks=[Clock()]
        ).train()
    return list(np.diff(ends))


def ways(pairs: ps.Pairs, batch: int, steps: int) -> dict[str, list[float]]:
    """Seconds of each step of other ways to train, in turns; the first step of each is left out."""
    few = pairs.select(np.arange(batch * (steps + 1)))
    with tempfile.TemporaryDirectory() as folder:
        kinds = {
            "whole, fp32": {},
            "whole, bf16 autocast": {"bf16": True},
            "whole, torch.compile": {"compiled": True},
            "last two blocks": {"blocks": 2},
            "last two blocks over token states": {"blocks": 2, "cache": ps.FeatureCache(folder)},
        }
        runs = {name: make_step(few, batch, batch, **kind) for name, kind in kinds.items()}
        seconds: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(steps + 1):
            for name, run in runs.items():
                began = time.perf_counter()
                run(number)
                seconds[name].append(time.perf_counter() - began)
    return {name: found[1:] for name, found in seconds.items()}


def step_memory(batch: int, chunk: int) -> float:
    """Peak GiB of a process that makes one step; to be called in a fresh one."""
    make_step(read(6000, 100)[0], batch, chunk)(0)
    return peak()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--memory", type=int, nargs="*", default=[64, 256, 1024, 4096])
    parser.add_argument("--ways", action="store_true", help="instead, compare ways to train, without the peer")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print(step_memory(arguments.memory_of, arguments.chunk))
        return
    pairs = read(6000, 100)[0]
    if arguments.ways:
        for name, seconds in ways(pairs, arguments.batch, arguments.steps).items():
            rate = arguments.batch / statistics.median(seconds)
            print(f"{name}: {rate:.2f} pairs/s, steps {[round(s, 2) for s in seconds]}")
        return
    if arguments.steps:
        run, ours = make_step(pairs, arguments.batch, arguments.batch), []
        theirs: dict[bool, list[float]] = {True: [], False: []}
        run(0)
        for turn in range(2):
            for number in range(arguments.steps):
                began = time.perf_counter()
                run(1 + turn * arguments.steps + number)
                ours.append(time.perf_counter() - began)
            for dropout, seconds in theirs.items():
                seconds += peer_seconds(pairs, arguments.batch, arguments.steps, dropout=dropout)
        mine = arguments.batch / statistics.median(ours)
        print(f"pairspace {mine:.2f} pairs/s, steps {[round(s, 1) for s in ours]}")
        for dropout, seconds in theirs.items():
            rate = arguments.batch / statistics.median(seconds)
            what = f"sentence-transformers with{'' if dropout else 'out'} dropout"
            print(f"{what} {rate:.2f} pairs/s, ratio {mine / rate:.2f}, steps {[round(s, 1) for s in seconds]}")
    environment = dict(os.environ, MALLOC_MMAP_THRESHOLD_=str(1 << 20))
    for batch in arguments.memory:
        command = [
            sys.executable,
            "-m",
            "benchmarks.tuning",
            "--memory-of",
            str(batch),
            "--chunk",
            str(arguments.chunk),
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        gib = float(done.stdout.split()[-1])
        print(f"a step of {batch:,} pairs in chunks of {arguments.chunk} peaks at {gib:.3f} GiB", flush=True)


if __name__ == "__main__":
    main()
