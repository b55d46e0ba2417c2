"""Quality against time: every way to a space of Debian titles and descriptions, in one table.

The pairs of `benchmarks.titles`: --train rows to learn from, 6,000 of other groups to test on. Each system is run once
and its line appended to --output, so a broken-off run goes on where it was; --print shows the table of all lines.
Encoding is timed with an empty feature cache, then training; the peer's line comes from `benchmarks.peer`.

    python -m benchmarks.ladder --train 3000 --output ladder.jsonl [--only layered joined] [--threads 1]
    python -m benchmarks.ladder --print --output ladder.jsonl
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import pairspace as ps
from benchmarks.peer import read, scores
from pairspace.evaluation.table import pipe_table
from pairspace.neighbours import Bm25

BOTH = ("title", "body")
SYSTEMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # how the space is made, how it is trained
    "MiniLM as it is": ({"projector": "identity"}, {}),
    "linear, last layer": ({"layers": "last"}, {}),
    "linear, layered": ({}, {}),
    "linear, layered, and bag": ({"encoder": "minilm+static", "shared_encoder": True}, {}),
    "linear, layered, and bag, 7 epochs": ({"encoder": "minilm+static", "shared_encoder": True}, {"epochs": 7}),
    "static from nothing": ({"encoder": "static", "shared_encoder": True}, {}),
    "transformer from nothing": (
        {"encoder": "transformer:128", "shared_encoder": True, "max_length": 64},
        {"epochs": 10, "batch_size": 1024},
    ),
    "last blocks, and linear and bag": ({"encoder": "minilm+static", "shared_encoder": True}, {}),
    "MiniLM fine-tuned": ({"shared_encoder": True, "layers": "last"}, {"train_encoders": BOTH, "epochs": 1}),
}


TUNE_ON = 6_000  # pairs, for "last blocks": one epoch in small batches over them
TUNE = {"train_encoders": BOTH, "train_blocks": 2, "epochs": 1, "batch_size": 64, "encoder_learning_rate": 2e-4}


def tune(train: ps.Pairs, cache: ps.FeatureCache) -> tuple[ps.Space, float, float, float]:
    """MiniLM with its last two blocks trained over token states; seconds of encoding, of training, of its processor."""
    space = ps.Space.create(
        BOTH, encoder="minilm", projector="identity", precision="auto", shared_encoder=True, cache=cache
    )
    some, encoder = train.select(range(min(TUNE_ON, len(train)))), space.part("title").encoder
    began = time.perf_counter()
    for side in BOTH:
        items = some.unique(side)[0]
        layer = encoder.states_layer(TUNE["train_blocks"], ("last",), items.slice(0, 8).to_pylist())
        cache.token_states(encoder, items, layer, progress=False)
    middle, processor = time.perf_counter(), time.process_time()
    space.fit(some, validation=0.05, progress=False, **TUNE)
    return space, middle - began, time.perf_counter() - middle, time.process_time() - processor


def run(name: str, train: ps.Pairs, test: ps.Pairs) -> dict[str, Any]:
    kind, options = SYSTEMS[name]
    options = dict(options)
    if "train_encoders" in options and len(train) < 10_000:
        options["epochs"] = 3
    with tempfile.TemporaryDirectory() as folder:
        cache, before = ps.FeatureCache(folder), (0.0, 0.0, 0.0)
        if name.startswith("last blocks"):
            tuned, *before = tune(train, cache)
        space = ps.Space.create(BOTH, **{"encoder": "minilm"} | kind, cache=cache)
        began = time.perf_counter()
        if "train_encoders" not in options:
            for side in BOTH:
                for branch in space.part(side).branches:
                    if branch.origin is not None and name != "MiniLM as it is":
                        space.cache.features(branch.encoder, train.unique(side)[0], branch.layers, progress=False)
        encoding, began, processor = time.perf_counter() - began, time.perf_counter(), time.process_time()
        history = space.fit(train, validation=0.05, progress=False, **options)
        training = time.perf_counter() - began if len(history.records) > 1 else 0.0
        if name.startswith("last blocks"):
            space = ps.join_spaces([space, tuned])
        sides = iter(BOTH)
        found = scores(lambda texts: space.encode(texts, side=next(sides), progress=False), test)
    seconds = {"encoding": round(before[0] + encoding, 1), "training": round(before[1] + training, 1)}
    seconds["processor"] = round(before[2] + time.process_time() - processor, 1)
    return seconds | found | {"epochs": history.records[-1]["epoch"], "notes": history.notes}


def bm25(test: ps.Pairs) -> dict[str, Any]:
    import numpy as np

    found = {}
    for query, document in (BOTH, BOTH[::-1]):
        (queries, left), (documents, right) = test.unique(query), test.unique(document)
        best = Bm25(language="english").fit(documents.to_pylist()).search(queries.to_pylist(), 1).indices[:, 0]
        pairs = left * len(documents) + right
        found[f"{query} -> {document}"] = float(np.isin(np.arange(len(queries)) * len(documents) + best, pairs).mean())
    return {"encoding": 0.0, "training": 0.0, **found}


def show(lines: list[dict[str, Any]]) -> str:
    rows = [
        [
            one["system"],
            f"{one['pairs']:,}",
            *(f"{one[direction]:.3f}" for direction in ("title -> body", "body -> title")),
            f"{one['encoding']:,.0f}",
            f"{one['training']:,.0f}",
        ]
        for one in sorted(lines, key=lambda one: (one["pairs"], one["title -> body"]))
    ]
    return pipe_table(["system", "pairs", "title -> body", "body -> title", "encoding s", "training s"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=3_000)
    parser.add_argument("--test", type=int, default=6_000)
    parser.add_argument("--only", nargs="*", choices=["BM25", *SYSTEMS])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=Path("ladder.jsonl"))
    parser.add_argument("--print", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    lines = (
        [json.loads(line) for line in arguments.output.read_text().splitlines()] if arguments.output.exists() else []
    )
    if not arguments.print:
        train, test = read(arguments.train, arguments.test)
        done = {one["system"] for one in lines if one["pairs"] == arguments.train}
        for name in arguments.only or ["BM25", *SYSTEMS]:
            if name in done:
                continue
            found = bm25(test) if name == "BM25" else run(name, train, test)
            lines.append({"system": name, "pairs": arguments.train} | found)
            with arguments.output.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
            print(json.dumps(lines[-1]), flush=True)
    print(show(lines))


if __name__ == "__main__":
    main()
