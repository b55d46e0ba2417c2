"""Several categories an application, from its icon and its description together.

    python recipes/classify_apps.py /path/to/data --output app-categories/

The folder holds `appstream/applications.parquet`: desktop applications with icon, name, summary, description, and the
categories that their makers chose. Both encoders stay frozen; what is trained takes seconds and is a few MB. Some
packages are held out, and on them the recipe compares a classifier of icons, one of texts, and one of both, which also
serves where one of the two is missing.

An icon says little about what a program is for, and a text says nearly all of it, so icons must weigh less: with as
much weight, they spoil what the text says (`--image-weight 1` shows it). Last, a page: `categories.html`
shows held-out icons with the categories found, right, wrong or missed.
"""

from __future__ import annotations

import argparse
import base64
import sys
import time
from collections import Counter
from collections.abc import Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np

import pairspace as ps
from pairspace.data import read_table
from pairspace.tagging import JointOptions, TagClassifier, label_matrix

SHORT = 90  # characters of a summary on the page
METRICS = ("mAP", "F1 micro per class", "F1 macro per class")
STYLE = """body{font:14px/1.4 system-ui,sans-serif;margin:1.5rem;color:#222;background:#fafafa}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(270px,1fr));gap:.8rem}
article{display:flex;gap:.7rem;background:#fff;border:1px solid #ddd;border-radius:6px;padding:.6rem}
img{width:64px;height:64px;flex:none}h2{font-size:.95rem;margin:0}p{margin:.1rem 0 .3rem;color:#555;font-size:.85rem}
span{display:inline-block;margin:.1rem .2rem .1rem 0;padding:0 .45rem;border-radius:9px;border:1px solid}
.right{background:#dff3e0;border-color:#5a5}.wrong{background:#fbe0e0;border-color:#c55}
.missed{border:1px dashed #888;color:#555}"""

Row = dict[str, Any]


def text_of(row: Row) -> str:
    """Name, summary and description."""
    return ". ".join(
        unescape(row[f"{part}_en"]).strip() for part in ("name", "summary", "description") if row[f"{part}_en"]
    )


def split(rows: Sequence[Row], test: float) -> tuple[list[Row], list[Row]]:
    """Rows to learn from, and rows of other packages to measure on."""
    packages = sorted({row["package"] for row in rows})
    order = np.random.default_rng(0).permutation(len(packages))
    held = {packages[n] for n in order[: round(test * len(packages))]}
    return [row for row in rows if row["package"] not in held], [row for row in rows if row["package"] in held]


def frequent(rows: Sequence[Row], least: int) -> list[str]:
    """Categories that enough applications have."""
    counts = Counter(name for row in rows for name in set(row["categories"]))
    return sorted(name for name, count in counts.items() if count >= least)


def page(rows: Sequence[Row], classes: Sequence[str], said: np.ndarray, probabilities: np.ndarray) -> str:
    """HTML: icons with the categories that were found, and those that were not."""
    articles = []
    for row, given, own in zip(rows, said, probabilities, strict=True):
        marks = []
        for c in np.argsort(-own):
            true = classes[c] in row["categories"]
            if given[c] or true:
                kind = ("right" if true else "wrong") if given[c] else "missed"
                marks.append(f'<span class="{kind}" title="{kind}">{escape(classes[c])} {own[c]:.2f}</span>')
        name, icon = escape(unescape(row["name_en"] or "")), base64.b64encode(row["icon"]).decode()
        summary = unescape(row["summary_en"] or "")
        summary = summary if len(summary) <= SHORT else f"{summary[:SHORT]}…"
        articles.append(
            f'<article><img src="data:image/png;base64,{icon}" alt=""><div><h2>{name}</h2>'
            f"<p>{escape(summary)}</p>{''.join(marks) or 'none'}</div></article>"
        )
    legend = "".join(f'<span class="{kind}">{kind}</span>' for kind in ("right", "wrong", "missed"))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Categories of applications</title>\n'
        f"<style>{STYLE}</style></head>\n<body><h1>Categories of applications</h1><p>From icon and text; packages that "
        f"were not learnt from. {legend}</p>\n<main>\n" + "\n".join(articles) + "\n</main></body></html>\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, train three classifiers, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, help="folder that holds appstream/")
    parser.add_argument("--least", type=int, default=20, help="applications a category must have (default: 20)")
    parser.add_argument("--test", type=float, default=0.3, help="share of the packages to measure on (default: 0.3)")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--image-weight", type=float, default=0.03, help="of icons beside texts (default: 0.03)")
    parser.add_argument("--image-encoder", default="efficientnet-lite0")
    parser.add_argument("--text-encoder", default="minilm")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--show", type=int, default=90, help="applications on the page")
    parser.add_argument("--output", type=Path, default=Path("app-categories"), help="folder for all that is made")
    chosen = parser.parse_args(arguments)
    path = chosen.data / "appstream/applications.parquet"
    if not path.is_file():
        sys.exit(f"{path}: no such file; give the folder that holds appstream/")
    columns = ["id", "package", "icon", "categories", "name_en", "summary_en", "description_en"]
    parts = split(read_table(path, columns).to_pylist(), chosen.test)
    classes = frequent(parts[0], chosen.least)
    if len(classes) < 2:
        sys.exit(f"{path}: {len(classes)} categories stand at {chosen.least} applications or more; lower --least")
    print(f"{len(parts[0]):,} applications to learn from, {len(parts[1]):,} to measure on, {len(classes)} categories")
    encoders = {"image": ps.load_encoder(chosen.image_encoder), "text": ps.load_encoder(chosen.text_encoder)}
    cache = ps.FeatureCache()
    train, test = (
        {
            "image": cache.features(encoders["image"], [row["icon"] for row in rows], ("last",)).rows(),
            "text": cache.features(encoders["text"], [text_of(row) for row in rows], ("last",)).rows(),
        }
        for rows in parts
    )
    labels, truth = (label_matrix([row["categories"] for row in rows], classes) for rows in parts)
    options = JointOptions(epochs=chosen.epochs, image_weight=chosen.image_weight, validation=0.2)
    models: dict[str, TagClassifier] = {}
    for name, kinds in (("icon", ("image",)), ("text", ("text",)), ("icon and text", ("image", "text"))):
        began = time.perf_counter()
        models[name] = ps.fit_classifier(labels, classes, **{kind: train[kind] for kind in kinds}, options=options)
        print(f"  {name}: trained in {time.perf_counter() - began:.1f} s")
    both = models["icon and text"]
    systems = {
        "icon": models["icon"].predict(test["image"]),
        "text": models["text"].predict(None, test["text"]),
        "icon and text": both.predict(test["image"], test["text"]),
        "... where the text is missing": both.predict(test["image"]),
        "... where the icon is missing": both.predict(None, test["text"]),
    }
    limits = {name: models.get(name, both).thresholds.numpy() for name in systems}
    compare = [("icon and text", "icon"), ("icon and text", "text")]
    report = ps.evaluate_multilabel(
        systems, truth, classes, thresholds=limits, compare=compare, resamples=chosen.resamples
    )
    print(f"\n{'':32}{''.join(f'{metric:>20}' for metric in METRICS)}")
    for name in systems:
        print(f"{name:32}{''.join(f'{report.value(name, metric):20.3f}' for metric in METRICS)}")
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "evaluation.txt").write_text(f"{report}\n", encoding="utf-8")
    both.save_pretrained(chosen.output / "classifier")
    some = np.random.default_rng(1).permutation(len(truth))[: chosen.show]
    found = systems["icon and text"][some]
    html = page([parts[1][n] for n in some], classes, found >= limits["icon and text"], found)
    (chosen.output / "categories.html").write_text(html, encoding="utf-8")
    size = sum(file.stat().st_size for file in (chosen.output / "classifier").iterdir())
    print(f"\n{size / 1e6:.1f} MB in {chosen.output / 'classifier'}; look at {chosen.output / 'categories.html'}")


if __name__ == "__main__":
    main()
