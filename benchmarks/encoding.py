"""Encoding: pairspace against sentence-transformers, same texts, same weights, same machine, same run.

    PAIRSPACE_DATA=<folder with debian_descriptions/train.parquet> python benchmarks/encoding.py [--texts 400]

Short titles and long descriptions, in turns (ours, theirs, ours, theirs ...), so that other work on the machine hits
both; the median of the ratios is reported, and processor seconds beside them. Ours gives four layers in one pass,
theirs the last alone. Converting and checking the graph is reported apart: it costs the same for ten thousand texts or
a million. `--threads 1` compares processor time without threads that spin while they wait: on a busy machine, that
ratio is the fair one.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from pairspace.encoders import load_encoder, resolve_layers, transformer
from pairspace.features import FeatureCache


def timed(work):
    """What `work` gives, wall seconds, processor seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    start, used = time.perf_counter(), usage.ru_utime + usage.ru_stime
    result = work()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return result, time.perf_counter() - start, usage.ru_utime + usage.ru_stime - used


def cosine(a, b):
    """Row-wise."""
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def compare(name, texts, encoder, exact, peer, layers, rounds):
    """One table row a kind of text."""
    walls, processor = [], []
    for _ in range(rounds):
        ours, wall, cpu = timed(lambda: encoder.encode(texts, layers, progress=False))
        theirs, peer_wall, peer_cpu = timed(lambda: peer.encode(texts, show_progress_bar=False))
        walls.append(peer_wall / wall)
        processor.append(peer_cpu / cpu)
    reference = exact.encode(texts, layers, progress=False)
    worst = min(float(cosine(ours.vectors[layer], reference.vectors[layer]).mean()) for layer in layers)
    peers = float(cosine(ours.vectors["last"], theirs).mean())
    print(
        f"{name:6} {len(texts):6,} texts  {encoder.engine:14}  {len(texts) / wall:7.0f} texts/s  sentence-transformers "
        f"{len(texts) / peer_wall:6.0f}  ratio {statistics.median(walls):.2f} (processor time "
        f"{statistics.median(processor):.2f})  mean cosine to fp32, worst layer {worst:.6f}, to theirs {peers:.6f}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=400, help="long ones; three times as many short ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cached", type=int, default=1500, help="items for the comparison of first and second run")
    parser.add_argument("--threads", type=int, help="torch's threads (OpenVINO takes what there is)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    from sentence_transformers import SentenceTransformer

    path = Path(os.environ["PAIRSPACE_DATA"]) / "debian_descriptions" / "train.parquet"
    table = pq.read_table(path, columns=["short_en", "long_en"])
    rows = np.random.default_rng(0).permutation(len(table))
    short = table["short_en"].take(rows[: 3 * options.texts]).to_pylist()
    long = table["long_en"].take(rows[: options.texts]).to_pylist()

    transformer._WORTH = 0  # the quick engine from the first text on
    encoder, exact = load_encoder("minilm"), load_encoder("minilm", precision="fp32")
    peer = SentenceTransformer(str(encoder.folder), device="cpu")
    layers = resolve_layers(encoder, "spread")
    peer.encode(long[:8])
    exact.encode(long[:8], layers)
    _, wall, cpu = timed(lambda: encoder.encode(long[:16], layers))
    print(f"load, convert, compile, check: {wall:.1f} s ({cpu:.1f} s of processor time)", flush=True)
    compare("short", short, encoder, exact, peer, layers, options.rounds)
    compare("long", long, encoder, exact, peer, layers, options.rounds)

    with tempfile.TemporaryDirectory() as folder:
        items = table["short_en"].take(rows[: options.cached])
        first, once, _ = timed(lambda: FeatureCache(folder).features(encoder, items, layers).rows())
        second, again, _ = timed(lambda: FeatureCache(folder).features(encoder, items, layers).rows())
        assert np.array_equal(first, second)
        print(f"cache  {len(items):6,} short: first run {once:.2f} s, second {again:.3f} s, {once / again:.0f} times")


if __name__ == "__main__":
    main()
