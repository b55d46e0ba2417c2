"""Four languages in one space: English paired with Italian, German and French; and the three among themselves.

    PAIRSPACE_DATA=/path/to/data python -m benchmarks.languages

trains one bag of sub-words for all of them on Debian's descriptions, short and long ones, but 4 % of the rows (whole
groups, the same in all languages), and finds translations among those: also between languages that no pair joined.
Equal texts count as right answers.
"""

from __future__ import annotations

import time

import numpy as np

import pairspace as ps
from benchmarks.translation import DATA
from pairspace.evaluation.table import pipe_table, short

LANGUAGES = ("it", "de", "fr")
LENGTHS = ("short", "long")
FILE = DATA / "debian_descriptions/train.parquet"


def read(pivot: str, languages: tuple[str, ...]) -> dict[str, list[ps.Pairs]]:
    """The pairs of short texts and of long ones."""
    columns = {length: {one: f"{length}_{one}" for one in languages} for length in LENGTHS}
    return {length: ps.read_pairings(FILE, columns[length], pivot=pivot, group="group") for length in LENGTHS}


def main() -> None:
    """Train, measure, print."""
    sets = [pairs for found in read("en", ("en", *LANGUAGES)).values() for pairs in found]
    train, test = ps.split_together(sets, test=0.04, seed=0)
    held = np.unique([group for pairs in test for group in pairs.table["group"].to_pylist()])
    space = ps.Space.create(("en", *LANGUAGES), encoder="static", shared_encoder=True, device="cpu")
    began = time.process_time()
    space.fit(train, progress=False)
    print(f"trained on {sum(map(len, train)):,} pairs in {time.process_time() - began:.0f} s of processor time")
    among = [
        pairs.select(np.isin(pairs.table["group"].to_pylist(), held))
        for found in read("all", LANGUAGES).values()
        for pairs in found
    ]
    rows = []
    for length, some in (("short", test[:3]), ("short", among[:3]), ("long", test[3:]), ("long", among[3:])):
        for pairs in some:
            report = ps.evaluate_bitext(space, pairs, noise=(), resamples=1000)
            one, other = pairs.sides
            values = [
                f"{short(report.accuracy(f'{one} -> {other}', s))}, {short(report.accuracy(f'{other} -> {one}', s))}"
                for s in ("cosine", "csls")
            ]
            rows.append([length, f"{one}, {other}", f"{len(pairs):,}", *values])
    print(pipe_table(["texts", "languages", "pairs", "R@1 there, back", "CSLS"], rows))


if __name__ == "__main__":
    main()
