"""Hubs where the queries are not known beforehand: what an index's reference queries are worth, and centring.

    python -m benchmarks.hubs tatoeba
    python -m benchmarks.hubs languages [--space FOLDER]
    python -m benchmarks.hubs titles

tatoeba: halves of the ten test sets of `benchmarks.translation`, each the test once, e5 as it is, mean of both
directions; r of documents from this very half's queries, from the other half's, or from sentences of other sets, with
vectors as they are and with each side's mean taken from them (that of documents from the index, of queries from the
reference). languages: English short descriptions search an index of all Italian ones with a bag of words for both,
3,000 rows that it was not trained on; references are the English of the others. titles: titles search descriptions
with linear projectors on MiniLM, 6,000 rows; references are titles trained on. Both by `Index.search`, R@1 and R@10.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pairspace as ps
from benchmarks.titles import split
from benchmarks.translation import DATA, E5, LANGUAGES, space_for, split_languages
from pairspace.evaluation.table import pipe_table
from pairspace.neighbours import Hubs, correct, find_hubs, normalise, top_k

FOUND = 100  # an index corrects the nearest hundred


class Half(NamedTuple):
    """One test: queries and documents, row by row partners, and references out of three places."""

    asked: list[str]
    texts: list[str]
    x: np.ndarray
    y: np.ndarray
    references: dict[str, np.ndarray]


def accuracy(half: Half, scores: np.ndarray) -> float:
    right = set(zip(half.asked, half.texts, strict=True))
    best = scores.argmax(1)
    return float(np.mean([(query, half.texts[row]) in right for query, row in zip(half.asked, best, strict=True)]))


def halves(encoded: dict[str, Any], english: bool) -> Iterator[Half]:
    """Both halves of each language; the queries are the English sentences, or those that are not."""
    rng = np.random.default_rng(0)
    for language, sides in encoded.items():
        (asked, x), (texts, y) = sides[::-1] if english else sides
        order = rng.permutation(len(asked))
        elsewhere = [sides[english] for name, sides in encoded.items() if name != language]
        for rows in (order[: len(order) // 2], order[len(order) // 2 :]):
            test = [asked[row] for row in rows], [texts[row] for row in rows]
            known = set(test[0]), set(test[1])
            rest = [row for row in range(len(asked)) if asked[row] not in known[0] and texts[row] not in known[1]]
            others = {text: vector for some, vectors in elsewhere for text, vector in zip(some, vectors, strict=True)}
            kept = np.array([vector for text, vector in others.items() if text not in known[0]])
            some = rng.permutation(len(kept))
            references = {"the other half": x[rest]}
            references |= {f"{n:,} of other sets": kept[some[:n]] for n in (500, 2000, 8000)}
            yield Half(*test, x[rows], y[rows], references)


def corrected(x: np.ndarray, y: np.ndarray, asked: np.ndarray, kind: str = "csls", nearest: int = 10) -> np.ndarray:
    hubs = Hubs(find_hubs(x, y).left, find_hubs(asked, y, nearest=nearest).right)
    return np.asarray(correct(x @ y.T, hubs.left[:, None], hubs.right[None], kind))


def variants(half: Half) -> dict[str, float]:
    x, y = half.x, half.y
    found = {"cosine": x @ y.T, "r of the test's queries": corrected(x, y, x)}
    alone = x @ y.T
    np.fill_diagonal(alone, -1)  # the same without the one query that the document answers
    nearest = np.sort(alone, 0)[-10:].mean(0)
    found["r of the test's queries, its own translation left out"] = 2 * x @ y.T - nearest
    for name, asked in half.references.items():
        found[f"r of {name}"] = corrected(x, y, asked)
    for nearest in (5, 20):
        found[f"r of the other half, nearest {nearest}"] = corrected(
            x, y, half.references["the other half"], nearest=nearest
        )
    found["margin, r of the other half"] = corrected(x, y, half.references["the other half"], kind="margin")
    among = y @ y.T
    np.fill_diagonal(among, -1)
    found["r of documents among themselves"] = 2 * x @ y.T - np.sort(among, 0)[-10:].mean(0)
    for name, asked in half.references.items():
        a, b, c = (normalise(one - mean) for one, mean in ((x, asked.mean(0)), (y, y.mean(0)), (asked, asked.mean(0))))
        if name == "the other half":
            found["centred: cosine"], found["centred: r of the test's queries"] = a @ b.T, corrected(a, b, a)
        found[f"centred: r of {name}"] = corrected(a, b, c)
    return {name: accuracy(half, scores) for name, scores in found.items()}


def tatoeba() -> None:
    table = pq.read_table(DATA / "tatoeba" / "tatoeba.parquet")
    space = ps.Space.create(("xx", "en"), projector="identity", language=None, **E5)
    encoded = {}
    for language in LANGUAGES:
        some = table.filter(pa.compute.equal(table["lang"], language))
        sides = (("xx", some["text"]), ("en", some["text_eng"]))
        encoded[language] = [
            (texts.to_pylist(), space.encode(texts, side=side, progress=False)) for side, texts in sides
        ]
    found = [[variants(half) for half in halves(encoded, english)] for english in (False, True)]
    names: dict[str, list[float]] = {}
    for name in found[0][0] | found[1][0]:
        # how many sentences other sets have differs by the direction
        names[name] = [float(np.mean([one[name] for one in way])) if name in way[0] else np.nan for way in found]
    rows = [[name, *(f"{value:.3f}" for value in (*values, np.mean(values)))] for name, values in names.items()]
    print(pipe_table(["", "xx -> en", "en -> xx", "mean"], rows))


def search(space: ps.Space, side: str, asked: list[str], right: list[str], items: list[str], reference: Any) -> None:
    """Search an index of `items` by each similarity; `right[i]` answers `asked[i]`, equal queries share theirs."""
    answers: dict[str, set[str]] = {}
    for query, text in zip(asked, right, strict=True):
        answers.setdefault(query, set()).add(text)
    queries, items = list(answers), list(dict.fromkeys([*right, *items]))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        index = ps.Index.create(Path(folder) / "index", space, side=side, reference=reference)
        index.add(list(range(len(items))), items, progress=False)
        for similarity in ("cosine", "csls", "margin"):
            hits = index.search(queries, k=10, exact=True, similarity=similarity)
            first = [
                [items[int(hit.id)] in answers[query] for hit in one] for query, one in zip(queries, hits, strict=True)
            ]
            rows.append([similarity, *(f"{np.mean([any(one[:k]) for one in first]):.3f}" for k in (1, 10))])
        index.close()
    print(f"{len(queries):,} queries, {len(items):,} items, {min(10_000, len(reference)):,} references")
    x, y = space.encode(queries, progress=False), space.encode(items, side=side, progress=False)
    best = top_k(x, y, 1).indices[:, 0]
    counts = np.bincount(best, minlength=len(items))
    print(f"the item found first most often: {counts.max()} times; never first: {np.mean(counts == 0):.2f}")
    print(pipe_table(["similarity", "R@1", "R@10"], rows))


def languages(folder: str | None) -> None:
    train, tests = split_languages("it", 3000)
    space = space_for("one bag of words for both", train)[0] if folder is None else ps.Space.from_pretrained(folder)
    table = pq.read_table(DATA / "debian_descriptions" / "train.parquet")
    items = table["short_it"].drop_null().to_pylist()
    asked, right = (tests["short"].table[side].to_pylist() for side in ("en", "it"))
    known = {*asked}
    reference = [text for text in table["short_en"].to_pylist() if text not in known]
    search(space, "it", asked, right, items, reference)


def titles() -> None:
    path = DATA / "debian_descriptions" / "train.parquet"
    pairs = ps.read_pairs(path, sides={"title": "short_en", "body": "long_en"}, group="group")
    train, test = split(pairs, train=24_000, test=6_000)
    space = ps.Space.create(pairs.sides, encoder="minilm")
    space.fit(train, validation=0.05, progress=False)
    asked, right = (test.table[side].to_pylist() for side in pairs.sides)
    search(space, "body", asked, right, [], train.unique("title")[0].to_pylist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["tatoeba", "languages", "titles"])
    parser.add_argument("--space", help="a trained bag of words for English and Italian, instead of training one")
    arguments = parser.parse_args()
    if arguments.data == "languages":
        languages(arguments.space)
    else:
        {"tatoeba": tatoeba, "titles": titles}[arguments.data]()


if __name__ == "__main__":
    main()
