"""`pairspace demo`: the whole way from pairs to answers, on the package descriptions that come along."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pairspace.cli.common import Json, print_json
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    from pairspace.data import Pairs
    from pairspace.space import Space

__all__ = ["demo"]

QUESTIONS = (
    "play chess against the computer",
    "recover deleted photos from a camera card",
    "draw diagrams of networks",
)
TERMS = (20, 100)  # of a title and of a description
SHOWN = 6  # words that carry a match
BUDGET = 120.0  # seconds that encoding may take
STEP = 500


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the space, the index and the picture.")
    ] = Path("demo"),
    rows: Annotated[
        int | None, typer.Option(help="Rows of the sample to use; by default as many as fit the time.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train, measure, index and search the bundled sample, in under three minutes."""
    from pairspace.data import read_pairs, sample_path
    from pairspace.evaluation import evaluate
    from pairspace.index import Index
    from pairspace.space import Space

    say = (lambda *_: None) if as_json else print
    if output.exists() and any(output.iterdir()) and not (output / "space" / "config.json").exists():
        raise PairspaceError(f"{output} exists and is no earlier demo: choose another --output")
    began = time.perf_counter()
    pairs = read_pairs(sample_path(), sides={"title": "short_en", "body": "long_en"}, group="source", id="md5")
    space = Space.create(pairs.sides, encoder="minilm", projector="linear", name="demo")
    pairs = _as_many_as_fit(pairs, space, rows)
    train, test = pairs.split(test=0.2, seed=0)
    say(f"1. pairs      {len(train):,} to train on, {len(test):,} to test on, of other source packages")
    history = space.fit(train, validation=0.1)
    say(f"2. space      {space!r}")
    say(f"              trained for {len(history.records) - 1} epochs, {sum(history.column('seconds')):.1f} s")
    words = Space.create(pairs.sides, encoder="minilm", projector="lexical", name="demo words")
    learnt = words.fit(train, validation=0.1, teacher=space, terms=TERMS)
    say(f"              and the same features to words, {sum(learnt.column('seconds')):.1f} s\n")
    report = evaluate(space, test)
    say(report)
    output.mkdir(parents=True, exist_ok=True)
    space.save_pretrained(output / "space")
    words.save_pretrained(output / "words")
    history.save(output / "history.jsonl")
    history.plot(output / "history.png")
    report.save_runs(output / "runs")
    answers = {}
    spaces = {"dense": space, "words": words}
    with Index.create(output / "index", spaces, side="body", text=True, overwrite=True) as index:
        index.add(
            pairs.table["id"].to_pylist(),
            pairs.items("body"),
            payload=[{"title": t} for t in pairs.items("title").to_pylist()],
        )
        say(f"\n3. index      {len(index):,} descriptions")
        for question in QUESTIONS:
            hits = index.search(question, k=3, mode="hybrid")
            why = words.explain(question, hits[0].payload["text"])
            carried = [match.term for match in why.matches[:SHOWN]]
            answers[question] = {"hits": [{"id": h.id, "score": h.score, **h.payload} for h in hits], "words": carried}
            say(f"\n   {question}")
            for hit in hits:
                text = textwrap.shorten(hit.payload["text"].replace("\n", " "), 60, placeholder=" ...")
                say(
                    f"   {hit.score:6.2f}  {textwrap.shorten(hit.payload['title'], 44, placeholder=' ...'):<44}  {text}"
                )
            say(f"           words that the first one shares: {', '.join(carried)}")
    seconds = time.perf_counter() - began
    if as_json:
        print_json(
            {"seconds": round(seconds, 1), "report": report.to_dict(), "answers": answers, "output": str(output)}
        )
        return
    print(
        f"\ndone in {seconds:.0f} s; {output}/ holds both spaces, the index, the TREC runs and history.png. Try next:\n"
    )
    print(f'   pairspace search {output}/index "edit audio files" --mode hybrid')
    print(f'   pairspace explain {output}/words "edit audio files" "A sound editor for the desktop."')
    print(f"   pairspace info {output}/space")
    print("   pairspace train your.csv --side query=question --side document=answer --output your-space/")


def _as_many_as_fit(pairs: Pairs, space: Space, rows: int | None) -> Pairs:
    """The first rows of the sample, as many as this machine encodes in the time, in steps of 500 and at least 2,000."""
    if rows is None:
        probe = pairs.select(range(0, len(pairs), max(1, len(pairs) // 64)))
        for side in pairs.sides:  # the first call also loads and checks what the encoder needs
            space.encode(probe.items(side)[:8], side=side, cache=False)
        began = time.perf_counter()
        for side in pairs.sides:
            space.encode(probe.items(side), side=side, cache=False)
        rows = int(BUDGET * len(probe) / (time.perf_counter() - began)) // STEP * STEP
    return pairs.select(range(min(len(pairs), max(4 * STEP, rows))))
