"""The peer: MiniLM fine-tuned whole by sentence-transformers' own trainer on the pairs of `benchmarks.titles`.

Symmetric multiple-negatives loss, no duplicates in a batch, AdamW, linear schedule with 10 % warm-up: what its own
guide recommends; dropout off, because torch's attention is twice as fast without it. Checkpoints are written, so a run
that was stopped goes on with the same command; the seconds of training and R@1 end up in the output folder.

    python -m benchmarks.peer --train 24000 --epochs 1 --output peer-24000 [--threads 1]

Needs `pip install accelerate datasets` beside pairspace.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

import pairspace as ps
from benchmarks.titles import split
from pairspace.neighbours import top_k


def read(train: int, test: int) -> tuple[ps.Pairs, ps.Pairs]:
    path = Path(os.environ["PAIRSPACE_DATA"]) / "debian_descriptions" / "train.parquet"
    pairs = ps.read_pairs(path, sides={"title": "short_en", "body": "long_en"}, group="group")
    return split(pairs, train=train, test=test)


def success_at_one(queries: np.ndarray, documents: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    """Share of distinct queries whose best document is paired with them."""
    best = top_k(queries, documents, 1).indices[:, 0]
    right_ones = np.unique(left * len(documents) + right)
    return float(np.isin(np.arange(len(queries)) * len(documents) + best, right_ones).mean())


def scores(encode, test: ps.Pairs) -> dict[str, float]:
    (titles, left), (bodies, right) = test.unique("title"), test.unique("body")
    a, b = encode(titles.to_pylist()), encode(bodies.to_pylist())
    return {"title -> body": success_at_one(a, b, left, right), "body -> title": success_at_one(b, a, right, left)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=24_000)
    parser.add_argument("--test", type=int, default=6_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--dropout", action="store_true", help="the model's own, .1; it halves the speed on a CPU")
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--steps", type=int, default=-1, help="stop after so many steps, to measure the rate only")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesSymmetricRankingLoss
    from sentence_transformers.training_args import BatchSamplers
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """Seconds of training by the clock and of the processor, kept over stops."""

        def __init__(self) -> None:
            self.file = arguments.output / "clock.json"
            self.before = json.loads(self.file.read_text()) if self.file.exists() else {"wall": 0.0, "processor": 0.0}

        def on_train_begin(self, *_, **__):
            self.began = time.perf_counter(), time.process_time()

        def on_save(self, *_, **__):
            self.file.write_text(json.dumps(self.now()))

        def on_step_end(self, args, state, control, **__):
            if state.global_step % 5 == 0:
                print(state.global_step, self.now(), flush=True)

        def now(self) -> dict[str, float]:
            wall, processor = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
            return {"wall": self.before["wall"] + wall, "processor": self.before["processor"] + processor}

    train, test = read(arguments.train, arguments.test)
    model = SentenceTransformer(str(ps.load_encoder("minilm").folder), device="cpu")
    if not arguments.dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    arguments.output.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(arguments.output),
            num_train_epochs=arguments.epochs,
            max_steps=arguments.steps,
            per_device_train_batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            warmup_ratio=0.1,
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            save_steps=10,
            save_total_limit=1,
            logging_steps=10,
            report_to=[],
            seed=0,
            use_cpu=True,
        ),
        train_dataset=Dataset.from_dict(
            {"anchor": train.items("title").to_pylist(), "positive": train.items("body").to_pylist()}
        ),
        loss=MultipleNegativesSymmetricRankingLoss(model),
        callbacks=[clock],
    )
    resumable = any(arguments.output.glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=resumable)
    result = {"pairs": arguments.train, "epochs": arguments.epochs} | clock.now()
    if arguments.steps < 0:
        result |= scores(lambda texts: model.encode(texts, show_progress_bar=False), test)
    (arguments.output / "result.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
