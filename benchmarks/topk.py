"""Exact top-k in blocks against a plain product with torch.topk, and against the machine's own matrix products.

    python benchmarks/topk.py [--documents 54000] [--queries 6000] [--dimension 384] [-k 10]

All three run in the same process on the same random unit vectors; the median of the repeats is shown. The memory column
is how far each raises the peak resident size of a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from pairspace.neighbours import Bm25, normalise, top_k


def plain(queries: np.ndarray, documents: np.ndarray, k: int) -> np.ndarray:
    """All scores at once, then torch.topk."""
    return torch.topk(torch.from_numpy(queries) @ torch.from_numpy(documents).T, k).indices.numpy()


def blocked(queries: np.ndarray, documents: np.ndarray, k: int) -> np.ndarray:
    """This project's."""
    return top_k(queries, documents, k, similarity="dot").indices


def product(queries: np.ndarray, documents: np.ndarray, k: int) -> None:
    """The same products alone, a chunk of queries at a time, nothing kept."""
    turned = torch.from_numpy(documents).T
    for chunk in torch.from_numpy(queries).split(512):
        chunk @ turned


def peak(work, sizes: tuple[int, int, int], k: int, answer) -> None:
    """Send how many MiB the work adds to the peak of this process."""
    queries, documents = vectors(*sizes)
    work(queries[:8], documents[:2048], k)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before = high_water()
    work(queries, documents, k)
    answer.put(high_water() - before)


def high_water() -> float:
    """Peak resident size of this process in MiB (Linux; getrusage would carry over the parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def memory(work, sizes: tuple[int, int, int], k: int) -> float:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=peak, args=(work, sizes, k, answer))
    process.start()
    process.join()
    return answer.get(timeout=5)


def vectors(queries: int, documents: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return tuple(normalise(draw.normal(size=(n, dimension)).astype(np.float32)) for n in (queries, documents))


def seconds(work, *arguments, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work(*arguments)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=6_000)
    parser.add_argument("--documents", type=int, default=54_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("-k", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    sizes = (arguments.queries, arguments.documents, arguments.dimension)
    queries, documents = vectors(*sizes)
    flops = 2 * np.prod(np.asarray(sizes, np.float64))
    alone = seconds(product, queries, documents, 0, repeats=arguments.repeats)
    print(f"{sizes[0]:,} queries x {sizes[1]:,} documents x {sizes[2]}, {torch.get_num_threads()} threads")
    print(f"products alone             {alone:7.2f} s  {flops / alone / 1e9:7.1f} GFLOP/s")
    for k in arguments.k:
        for name, work in (("plain torch", plain), ("pairspace top_k", blocked)):
            taken = seconds(work, queries, documents, k, repeats=arguments.repeats)
            print(
                f"{name:16} k = {k:<4}  {taken:7.2f} s  {sizes[0] / taken:7,.0f} queries/s  "
                f"{alone / taken:5.0%} of the products' rate  {memory(work, sizes, k):7,.0f} MiB"
            )
        ours, theirs = blocked(queries, documents, k), plain(queries, documents, k)
        print(f"{'':16}           the same documents in {np.mean(ours == theirs):.4%} of the places")
    words(arguments.repeats)


def words(repeats: int) -> None:
    """BM25 against bm25s, on made-up texts with the word frequencies of language (Zipf)."""
    try:
        import bm25s
    except ImportError:
        print("bm25s is not installed: BM25 not compared")
        return
    draw = np.random.default_rng(0)
    documents, queries = (
        [" ".join(f"w{number}" for number in draw.zipf(1.25, size=length)) for _ in range(count)]
        for count, length in ((20_000, 60), (2_000, 6))
    )

    def ours() -> np.ndarray:
        return Bm25(None).fit(documents).search(queries, 100).scores

    def theirs() -> np.ndarray:
        options = {"stopwords": [], "token_pattern": r"\w+", "show_progress": False}
        peer = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
        peer.index(bm25s.tokenize(documents, **options), show_progress=False)
        return peer.retrieve(bm25s.tokenize(queries, **options), k=100, show_progress=False).scores

    close = np.allclose(np.where(np.isneginf(ours()), 0, ours()), theirs(), atol=1e-4)
    mine, peer = seconds(ours, repeats=repeats), seconds(theirs, repeats=repeats)
    print(
        f"BM25, 20,000 texts indexed and 2,000 queries, k = 100: {mine:.2f} s, bm25s {peer:.2f} s, same scores: {close}"
    )


if __name__ == "__main__":
    main()
