"""Content to content: two texts about the same thing, one encoder and one projector for both.

    PAIRSPACE_DATA=/path/to/data python recipes/content_to_content.py --output content-space/

A desktop application is described twice: by its makers in AppStream, and by its packager in Debian. The recipe joins
`appstream/applications.parquet` with `debian_descriptions/train.parquet` by package name, trains on some of the pairs,
and asks of the others, in either direction: given one description, is the other one found among all of its kind? BM25
and the encoder as it is stand beside the space.

The two sides are of one kind, so nothing tells them apart: encoder and projector are shared, and a text has the same
vector whichever side it is on. More than half of the AppStream descriptions were copied from Debian's; such pairs teach
and prove nothing, so those that share more than `--overlap` of their words are left out, and their texts only stand
among the candidates. Near-duplicate packages are one group, which is on one side of the split and in one role.

A pretrained encoder is near the ceiling here, and a few hundred pairs teach its projector nothing more. What helps is
the words: the fusion with BM25, or `--encoder minilm+static`, a bag of words beside the encoder in the space.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

import pairspace as ps
from pairspace.data import Corpus, read_table

SIDES = ("appstream", "debian")


@dataclass(frozen=True)
class Data:
    """What the two files give: pairs, how many were copies, and texts of either side from packages in no pair."""

    pairs: ps.Pairs
    copies: int
    others: dict[str, list[str]]


def overlap(one: str, two: str) -> float:
    """The share of all their words that two texts have in common (Jaccard): |A and B| / |A or B|."""
    a, b = (set(re.findall(r"\w+", text.lower())) for text in (one, two))
    return len(a & b) / max(1, len(a | b))


def read(folder: Path, *, most: float, limit: int | None, candidates: int) -> Data:
    """Join the descriptions of the same package.

    Args:
        folder: holds `appstream/` and `debian_descriptions/`.
        most: pairs whose texts overlap more than this are copies.
        limit: at most so many pairs.
        candidates: at most so many other texts of either side.
    """
    debian = read_table(folder / "debian_descriptions/train.parquet", ["package", "group", "long_en"])
    appstream = read_table(folder / "appstream/applications.parquet", ["package", "description_en"])
    joined = appstream.join(debian, "package", join_type="inner").to_pylist()
    joined = [row | {"app": html.unescape(row["description_en"] or "").strip()} for row in joined]  # escaped twice
    joined = sorted((row["package"], row["app"], row["long_en"], row["group"]) for row in joined if row["app"])
    rows = [row for row in joined if overlap(row[1], row[2]) <= most]
    copies, rows = len(joined) - len(rows), rows[:limit]
    if not rows:
        sys.exit(f"{folder}: no package has two descriptions that overlap by {most:.2f} or less")
    _, first, second, groups = (list(column) for column in zip(*rows, strict=True))
    taken = set(groups)
    others = {
        "appstream": [text for _, text, _, group in joined if group not in taken],
        "debian": [row["long_en"] for row in debian.to_pylist() if row["group"] not in taken],
    }
    random = np.random.default_rng(0)
    for side, texts in others.items():
        distinct = sorted(set(texts))
        others[side] = [distinct[i] for i in random.permutation(len(distinct))[:candidates]]
    pairs = ps.Pairs.from_columns(dict(zip(SIDES, (first, second), strict=True)), group=pa.array(groups))
    return Data(pairs, copies, others)


def collection(test: ps.Pairs, asked: str, answered: str, others: Sequence[str]) -> dict[str, object]:
    """Test pairs as a judged collection, with further texts among the documents: arguments of `ps.evaluate`."""
    questions, query = test.unique(asked)
    documents, document = test.unique(answered)
    texts = documents.to_pylist()
    texts += sorted(set(others) - set(texts))
    qrels: dict[str, dict[str, int]] = {}
    for left, right in zip(query.tolist(), document.tolist(), strict=True):
        qrels.setdefault(f"q{left}", {})[f"d{right}"] = 1
    return {
        "queries": Corpus(pa.table({"id": [f"q{n}" for n in range(len(questions))], "text": questions}), asked),
        "corpus": Corpus(pa.table({"id": [f"d{n}" for n in range(len(texts))], "text": texts}), answered),
        "qrels": qrels,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Join, train, measure both ways, save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--encoder", default="minilm", help="name or folder (default: minilm)")
    parser.add_argument("--overlap", type=float, default=0.9, help="words in common beyond which a pair is a copy")
    parser.add_argument("--limit", type=int, help="use so many pairs at most")
    parser.add_argument("--candidates", type=int, default=5000, help="other descriptions to search among")
    parser.add_argument("--test", type=float, default=0.3, help="share of the pairs to test on (default: 0.3)")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--train-encoder", action="store_true", help="train the shared encoder too")
    parser.add_argument("--output", type=Path, help="folder for the space")
    chosen = parser.parse_args(arguments)
    if "PAIRSPACE_DATA" not in os.environ:
        sys.exit("set PAIRSPACE_DATA to the folder that holds appstream/ and debian_descriptions/")
    folder = Path(os.environ["PAIRSPACE_DATA"])
    data = read(folder, most=chosen.overlap, limit=chosen.limit, candidates=chosen.candidates)
    train, test = data.pairs.split(test=chosen.test, seed=0)
    print(f"{len(data.pairs):,} pairs, {data.copies:,} copies left out: {len(train):,} to train, {len(test):,} to test")
    space = ps.Space.create(
        SIDES, encoder=chosen.encoder, shared_encoder=True, shared_projector=True, name="content-to-content"
    )
    history = space.fit(
        train,
        validation=0.1,
        train_encoders=SIDES if chosen.train_encoder else None,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
    )
    print(f"trained for {len(history.records) - 1} epochs; the best was {history.best_epoch}")
    for asked, answered in (SIDES, SIDES[::-1]):
        print(f"\n{asked} asks, {answered} answers\n")
        print(ps.evaluate(space, **collection(test, asked, answered, data.others[answered])))
    if chosen.output:
        space.save_pretrained(chosen.output)
        print(f"\n{chosen.output}: the space")


if __name__ == "__main__":
    main()
