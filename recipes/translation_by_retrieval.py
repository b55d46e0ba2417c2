"""Translation by retrieval: from pairs of texts to a filled file, without a machine that writes a word of its own.

    python recipes/translation_by_retrieval.py --output english-italian/                            (the bundled sample)
    PAIRSPACE_DATA=/path/to/data python recipes/translation_by_retrieval.py --full --output english-italian/

Debian's packages are described in English, and volunteers have translated many descriptions into Italian. A space
learns from these pairs alone, from nothing, in minutes. Some packages are held out, and on them the recipe shows what
a translator has of such a space:

1. Does an English text find its Italian one, among all that are held out? Untranslated BM25 stands beside it.
2. Two shuffled piles of texts, some without a partner, become a translation memory (TMX). Somebody judges 200 of the
   pairs found (here the truth does), and that sets the threshold.
3. A memory with planted errors is cleaned: which entries are doubtful, and why.
4. The pairs that were trained on, paragraph by paragraph, become a memory; a PO file of held-out descriptions, partly
   translated, is filled from it. `%s` stands for the name of the package, as in a program's messages.

One bag of sub-words serves both languages: names, numbers and loan-words are the same token in both, and it finds more
than a bag a language (R@1 of short texts of the sample, English to Italian: .983 against .948).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz import fuzz

import pairspace as ps
from pairspace.bitext import TranslationMemory, mine, pretranslate, score_pairs
from pairspace.data import Unit, read_units, write_tmx

SIDES, OTHERS = ("en", "it"), ("de", "fr")  # the languages, and those of errors
LENGTHS = ("short", "long")
LANGUAGES = {"source_language": "en", "target_language": "it"}
JUDGED, PRECISION = 200, 0.95
IN_FILE = 600  # descriptions that the PO file is made of
SHOWN, SHORT = 10, 100  # examples, and the characters they have at most
HEAD = r"""msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\nLanguage: it\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
"""
PLURALS = [  # what an older file holds: no description has plural forms
    ("%d package", "%d packages", "%d pacchetto", "%d pacchetti"),
    ("%d file copied", "%d files copied", "%d file copiato", "%d file copiati"),
]

Row = dict[str, Any]


def read(full: bool, held: int | None, rng: np.random.Generator) -> tuple[list[Row], list[Row]]:
    """Rows to train on, and random ones held out, whose groups of near-duplicate packages are out of training."""
    if full and "PAIRSPACE_DATA" not in os.environ:
        sys.exit("set PAIRSPACE_DATA to the folder that holds debian_descriptions/train.parquet, or leave out --full")
    path = Path(os.environ["PAIRSPACE_DATA"]) / "debian_descriptions/train.parquet" if full else ps.sample_path()
    names = ["package", "group", *(f"{length}_{code}" for length in LENGTHS for code in SIDES + OTHERS)]
    rows = [row for row in ps.read_table(path, names).to_pylist() if row["short_it"]]
    order = rng.permutation(len(rows))[: held or (3000 if full else 600)].tolist()
    groups = {rows[n]["group"] for n in order}
    return [row for row in rows if row["group"] not in groups], [rows[n] for n in order]


def pairs_of(rows: Iterable[Row], *lengths: str) -> ps.Pairs:
    """Short or long descriptions, or both, as pairs of their own."""
    some = [(row, length) for length in lengths for row in rows]
    columns = {side: [row[f"{length}_{side}"] for row, length in some] for side in SIDES}
    return ps.Pairs.from_columns(columns, group=[row["group"] for row, _ in some])


def segments(row: Row) -> Iterator[tuple[str, str]]:
    """The short description, then the paragraphs of the long one if both languages have as many."""
    long = [row[f"long_{side}"].split("\n") for side in SIDES]
    paragraphs = zip(*long, strict=True) if len(long[0]) == len(long[1]) else ()
    own_name = re.compile(rf"(?<![\w.+-]){re.escape(row['package'])}(?![\w+-])")
    for texts in ((row["short_en"], row["short_it"]), *paragraphs):
        named = [own_name.subn("%s", text) for text in texts]
        once = all(count == 1 for _, count in named)
        if all(text.strip() for text in texts):
            yield (named[0][0], named[1][0]) if once else texts


def measure(space: ps.Space, held: Sequence[Row], output: Path) -> None:
    """Print R@1 both ways beside BM25's; the whole reports go to evaluation.txt."""
    print(f"{'':18}{'BM25':>8}{'cosine':>8}{'margin':>8}")
    with (output / "evaluation.txt").open("w", encoding="utf-8") as file:
        for length in LENGTHS:
            test = pairs_of(held, length)
            report, bitext = ps.evaluate(space, test), ps.evaluate_bitext(space, test)
            print(f"{length} descriptions\n\n{report}\n\n{bitext}\n", file=file)
            for way in bitext.xsim:
                found = report.value("bm25", "R@1", way), bitext.accuracy(way), bitext.accuracy(way, "margin")
                print(f"{length:8}{way:10}" + "".join(f"{value:8.3f}" for value in found))


def mine_piles(space: ps.Space, held: Sequence[Row], output: Path, rng: np.random.Generator) -> None:
    """Mine two piles, each of which lacks a quarter of the texts, judge some pairs, and mine again with a threshold."""
    true = list(dict.fromkeys((row[f"{length}_en"], row[f"{length}_it"]) for row in held for length in LENGTHS))
    order, lost = rng.permutation(len(true)).tolist(), len(true) // 4
    english, italian = [true[n][0] for n in order[lost:]], [true[n][1] for n in order[: len(true) - lost]]
    rng.shuffle(italian)
    there = set(english), set(italian)
    gold = {(one, other) for one, other in true if one in there[0] and other in there[1]}
    first = mine(space, english, italian)
    pairs = list(zip(first.left, first.right, strict=True))
    sample = [pairs[n] for n in rng.permutation(len(pairs))[:JUDGED].tolist()]
    judged = [one for one, _ in sample], [other for _, other in sample], [pair in gold for pair in sample]
    second = mine(space, english, italian, judged=judged, precision=PRECISION)
    print(f"{len(english):,} English and {len(italian):,} Italian texts, {len(gold):,} pairs of them true")
    for name, found in ("all", first), (f"margin {second.threshold:.2f} and more", second):
        right = sum(pair in gold for pair in zip(found.left, found.right, strict=True))
        print(f"  {name:22}{len(found):6,} found: ", end="")
        print(f"precision {right / len(found):.3f}, recall {right / len(gold):.3f}")
    print(f"filters removed {', '.join(f'{count} for {name}' for name, count in second.removed.items() if count)}")
    scored = zip(second.left, second.right, second.score.tolist(), strict=True)
    units = (Unit("", one, other, properties={"score": f"{score:.4f}"}) for one, other, score in scored)
    write_tmx(output / "mined.tmx", units, **LANGUAGES)


def planted(held: Sequence[Row], rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Held-out texts, their translations, and what is wrong: a twentieth each swapped, cut off, another language."""
    every = [{code: row[f"{length}_{code}"] for code in SIDES + OTHERS} for row in held for length in LENGTHS]
    texts, wrong = [one["it"] for one in every], [""] * len(every)
    order, count = rng.permutation(len(every)).tolist(), len(every) // 20
    for n, other in zip(order[:count], order[1:count] + order[:1], strict=True):
        texts[n], wrong[n] = every[other]["it"], "swapped"
    for n in order[count : 2 * count]:
        texts[n], wrong[n] = texts[n][: len(texts[n]) // 2], "cut off"
    for n in [n for n in order[2 * count :] if every[n]["de"] or every[n]["fr"]][:count]:
        texts[n], wrong[n] = every[n]["de"] or every[n]["fr"], "language"
    return [(one["en"], text, error) for one, text, error in zip(every, texts, wrong, strict=True)]


def clean(space: ps.Space, held: Sequence[Row], output: Path, rng: np.random.Generator) -> None:
    """Plant errors, and see which of them are doubted."""
    left, right, wrong = zip(*planted(held, rng), strict=True)
    write_tmx(output / "dirty.tmx", zip(left, right, strict=True), **LANGUAGES)
    scored, errors = score_pairs(space, left, right), np.array(wrong)
    said, bad = scored.doubtful, errors != ""
    hits = int((said & bad).sum())
    print(f"{len(left):,} entries, {bad.sum()} of them wrong; {said.sum()} are doubted: ", end="")
    print(f"precision {hits / said.sum():.3f}, recall {hits / bad.sum():.3f}")
    for error in ("swapped", "cut off", "language"):
        print(f"  {error:10}{said[errors == error].sum():4} of {(errors == error).sum()}")
    with (output / "doubts.tsv").open("w", encoding="utf-8") as file:
        print("margin", "doubts", "planted", *SIDES, sep="\t", file=file)
        for n in sorted(np.flatnonzero(said), key=lambda n: scored.score[n]):
            texts = (" ".join(text.split()) for text in (left[n], right[n]))
            print(f"{scored.score[n]:.3f}", ",".join(scored.doubts[n]), wrong[n], *texts, sep="\t", file=file)


def entry(*strings: str) -> str:
    """An entry of a PO file, with plural forms if there are four strings; JSON's strings are PO's too."""
    names = ("msgid", "msgstr") if len(strings) == 2 else ("msgid", "msgid_plural", "msgstr[0]", "msgstr[1]")
    lines = [f"{name} {json.dumps(text, ensure_ascii=False)}" for name, text in zip(names, strings, strict=True)]
    return "\n".join(["", *(["#, c-format"] if "%" in strings[0] else []), *lines, ""])


def fill(space: ps.Space, train: Sequence[Row], held: Sequence[Row], output: Path) -> None:
    """Build a memory of what was trained on, fill a file from it, and compare with the true translations."""
    units = (Unit("", *texts, id=row["package"]) for row in train for texts in segments(row))
    write_tmx(output / "train.tmx", units, **LANGUAGES)
    (output / "older.po").write_text(HEAD + "".join(entry(*forms) for forms in PLURALS), encoding="utf-8")
    true = {one: other for row in reversed(held) for one, other in segments(row)}
    entries = [entry(one, "" if n % 5 else true[one]) for n, one in enumerate(true)]
    entries += [entry(*PLURALS[0][:2], "", ""), entry(*PLURALS[1][:3], ""), entry("%d library", "%d libraries", "", "")]
    (output / "packages.po").write_text(HEAD + "".join(entries), encoding="utf-8")
    files = [output / "train.tmx", output / "older.po"]
    with TranslationMemory.build(output / "memory", files, space, source="en", target="it", overwrite=True) as memory:
        found = pretranslate(memory, output / "packages.po", output / "filled.po", source="en", semantic_minimum=0.9)
        print(f"{len(memory):,} units in the memory; {found.units:,} in packages.po, {found.translated:,} translated")
    filled = [unit for unit in read_units(output / "filled.po") if unit.key in found.matches]
    with_placeholders = sum(bool(re.search("%[sd]", unit.source)) for unit in filled)
    left = f"{found.below:,} without a match, {found.lost_placeholders} with other placeholders, {found.plural} plural"
    print(f"{len(filled):,} were filled, {with_placeholders} of them with placeholders; left: {left}")
    near = [(unit, found.matches[unit.key], true[unit.source]) for unit in filled if unit.source in true]
    print("\nfilled from   texts   like the true translation   the very same")
    for kind in found.filled:
        ratios = np.array([fuzz.ratio(unit.target, text) for unit, match, text in near if match.kind == kind])
        if len(ratios):
            print(f"{kind:11}{len(ratios):8,}{ratios.mean():26.0f} %{(ratios == 100).mean():15.0%}")
    some = [one for one in near if len(one[0].source) <= SHORT]
    for unit, match, text in some[:: max(1, len(some) // SHOWN)][:SHOWN]:
        print(f"\n{match.kind} {match.score:.0%}\n  English  {unit.source}")
        print(f"  memory   {match.source}\n  filled   {unit.target}\n  true     {text}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, mine, clean, fill."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--full", action="store_true", help="all descriptions under PAIRSPACE_DATA, not the sample")
    parser.add_argument("--held", type=int, help="rows to hold out (default: 600, with --full 3000)")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--output", type=Path, default=Path("english-italian"), help="folder for all that is made")
    chosen = parser.parse_args(arguments)
    began, rng, output = time.perf_counter(), np.random.default_rng(0), chosen.output
    train, held = read(chosen.full, chosen.held, rng)
    output.mkdir(parents=True, exist_ok=True)
    pairs = pairs_of(train, *LENGTHS)
    print(f"{len(pairs):,} pairs to train on; {len(held):,} descriptions of other packages held out")
    space = ps.Space.create(SIDES, encoder="static", shared_encoder=True, language=None, name="english-italian")
    history = space.fit(pairs, validation=0.02 if chosen.full else 0.05, epochs=chosen.epochs)
    space.save_pretrained(output / "space")
    history.save(output / "history.jsonl")
    print(f"trained in {sum(history.column('seconds')):.0f} s\n\n1. Does a text find its translation? (R@1)\n")
    measure(space, held, output)
    print("\n2. Translations out of two piles\n")
    mine_piles(space, held, output, rng)
    print("\n3. A memory with errors\n")
    clean(space, held, output, rng)
    print("\n4. A file filled from what was translated before\n")
    fill(space, train, held[:IN_FILE], output)
    print(f"\ndone in {time.perf_counter() - began:.0f} s; look into {output}/: ", end="")
    print("evaluation.txt, mined.tmx, doubts.tsv, and filled.po beside packages.po")


if __name__ == "__main__":
    main()
