"""Effectiveness against sparsity: spaces of words on Debian titles and descriptions, in one table.

The pairs of `benchmarks.ladder`. Each setting is trained once on the same cached features and its line appended to
--output; --print shows the table of all lines: R@1 both ways, terms a query and a document, the measures of
co-activation (share of the vocabulary used, Jaccard, overlap FLOPs) and of semantic deviation (Exact@20, Semantic@20).
The dense space and BM25 stand beside them.

    python -m benchmarks.sparse --train 24000 --output sparse.jsonl [--only "features, 100 terms"]
    python -m benchmarks.sparse --print --output sparse.jsonl
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

import pairspace as ps
from benchmarks.ladder import BOTH
from benchmarks.peer import read
from pairspace.encoders.lexicon import Lexicon
from pairspace.evaluation import evaluate
from pairspace.evaluation.table import pipe_table

PLAIN: dict[str, Any] = {"projector": "lexical", "echo": False}
OWN: dict[str, Any] = {"projector": "lexical"}


def taught(terms: int, **more: Any) -> dict[str, Any]:
    return {"teacher": "dense", "terms": (terms, terms)} | more


ALONE: dict[str, Any] = {"terms": (100, 100)}
NO_FLOPS: dict[str, Any] = {"sparsity": (0, 0)}
CONTROL: dict[str, dict[str, Any]] = {
    "texts": {"expansion": "texts"},
    "words": {"expansion": "words"},
    "texts, half of them": {"expansion": "texts", "expansion_rate": 0.5},
    "texts, a quarter of them": {"expansion": "texts", "expansion_rate": 0.25},
}
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # how the space is made, how it is trained
    "dense": ({}, {}),
    **{f"features, {terms} terms": (PLAIN, taught(terms)) for terms in (32, 64, 100, 300)},
    **{f"features, {terms} terms, sparsity 0": (PLAIN, taught(terms, sparsity=(0, 0))) for terms in (100, 300)},
    "features, 100 terms, sparsity 0.4": (PLAIN, taught(100, sparsity=(0.4, 0.4))),
    "own words and 65 terms": (OWN, taught(65)),
    "features, 100 terms, teacher of pairs only": (PLAIN, taught(100, teacher_within=False)),
    "features, 100 terms, no mixtures": (PLAIN, taught(100, mix=0.0, batch_size=1024, epochs=8)),
    "features, 100 terms, fixed head": (PLAIN | {"head": "fixed"}, taught(100)),
    "features, 100 terms, of all words": (PLAIN | {"most": 30_000}, taught(100)),
    "features, 100 terms, no teacher": (PLAIN, ALONE),
    "features, 100 terms, no teacher, sparsity 0": (PLAIN, ALONE | {"sparsity": (0, 0)}),
    **{
        f"features, 100 terms, no teacher, sparsity 0, expansion by {name}": (PLAIN, ALONE | NO_FLOPS | control)
        for name, control in CONTROL.items()
    },
    "free head, 100 terms, sparsity 0": (PLAIN | {"head": "free"}, ALONE | NO_FLOPS),
    **{
        f"free head, 100 terms, sparsity 0, expansion by {name}": (PLAIN | {"head": "free"}, ALONE | NO_FLOPS | control)
        for name, control in CONTROL.items()
    },
}
DIRECTIONS = ("title -> body", "body -> title")


def path_of(name: str, folder: Path) -> Path:
    return folder / name.replace(",", "").replace(" ", "-")


def new_space(name: str, train: ps.Pairs) -> tuple[ps.Space, dict[str, Any]]:
    """A setting's space, untrained, and how it is trained."""
    kind, options = SETTINGS[name]
    kind = dict(kind)
    if most := kind.pop("most", None):
        texts = pa.concat_arrays([train.unique(side)[0] for side in BOTH])
        kind["lexicon"] = Lexicon.from_texts(texts, most=most)
    return ps.Space.create(BOTH, **({"encoder": "minilm"} | kind)), options


def run(name: str, train: ps.Pairs, test: ps.Pairs, folder: Path) -> dict[str, Any]:
    space, options = new_space(name, train)
    for side in BOTH:  # encoded before the clock starts
        space.features(train.unique(side)[0], side, progress=False)
    began = time.perf_counter()
    history = space.fit(train, validation=0.05, progress=False, **options)
    seconds = time.perf_counter() - began
    space.save_pretrained(path_of(name, folder))
    report = evaluate(space, test, start=False, resamples=1000, progress=False)
    found: dict[str, Any] = {"training": round(seconds, 1), "epochs": history.records[-1]["epoch"]}
    for system in report.systems:
        found[system] = {direction: report.value(system, "R@1", direction) for direction in DIRECTIONS}
    if space.sparse:
        found |= {"vocabulary size": len(space.lexicon), "flops": report.flops}
        found["words"] = [one.to_dict() for one in report.words]
    return found


def show(lines: list[dict[str, Any]]) -> str:
    rows = []
    for one in lines:
        query, document = one.get("words", ({}, {}))
        measures = [document.get(name) for name in ("vocabulary", "jaccard", "exact", "semantic")]
        rows.append(
            [
                one["setting"],
                *(f"{one['space'][direction]:.3f}" for direction in DIRECTIONS),
                f"{one['space + bm25'][DIRECTIONS[0]]:.3f}",
                *(f"{side['terms']:.0f}" if side else "" for side in (query, document)),
                f"{one['flops']:.1f}" if "flops" in one else "",
                *("" if value is None else f"{value:.3f}" for value in measures),
                f"{one['training']:.0f}",
            ]
        )
    names = ["setting", *DIRECTIONS, "with BM25", "terms, query", "document", "FLOPs", "vocabulary", "Jaccard"]
    return pipe_table([*names, "Exact@20", "Semantic@20", "s"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=24_000)
    parser.add_argument("--test", type=int, default=6_000)
    parser.add_argument("--only", nargs="*", choices=list(SETTINGS))
    parser.add_argument("--output", type=Path, default=Path("sparse.jsonl"))
    parser.add_argument("--spaces", type=Path, default=Path("spaces"), help="where the trained spaces go")
    parser.add_argument("--print", action="store_true")
    arguments = parser.parse_args()
    lines: list[dict[str, Any]] = []
    if arguments.output.exists():
        lines = [json.loads(line) for line in arguments.output.read_text().splitlines()]
    if not arguments.print:
        train, test = read(arguments.train, arguments.test)
        for name in arguments.only or SETTINGS:
            if name in {one["setting"] for one in lines}:
                continue
            lines.append({"setting": name, "pairs": arguments.train} | run(name, train, test, arguments.spaces))
            with arguments.output.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
            print(json.dumps(lines[-1]), flush=True)
    print(show(lines))


if __name__ == "__main__":
    main()
