"""`pairspace tag`: pictures in, tags out, by a space and class names alone or by a tagger that was trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.common import Device, Json, NoCache, Root, SkipBad, TrustCode, print_json
from pairspace.cli.items import Items, stoppable
from pairspace.cli.tagging import Template, known_labels, print_tags, read_kinds, templates_of
from pairspace.errors import DataError, PairspaceError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["tag"]


def tag(
    model: Annotated[
        str,
        typer.Argument(
            help="Folder of a space or a tagger, or a model of pictures and texts, such as CLIP; left out, "
            "efficientnet-lite0 and the names of its classes."
        ),
    ],
    pictures: Annotated[
        Path | None, typer.Argument(help="Folder or tar archive of pictures, or a file with a column of them.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="File of class names, one a line; a tagger has its own.")] = None,
    method: Annotated[
        str, typer.Option(help="global: whole pictures; local: their parts too, as TagCLIP does.")
    ] = "global",
    mix: Annotated[float, typer.Option(help="Of local scores, the share of the whole picture.")] = 0.5,
    kind: Annotated[str, typer.Option(help="softmax over the classes, or sigmoid of each.")] = "softmax",
    temperature: Annotated[float | None, typer.Option(help="Of the cosines; by default the space's own.")] = None,
    template: Template = None,
    background: Annotated[
        Path | None, typer.Option(help="File of words for what is no object; by default such as sky and road.")
    ] = None,
    calibrate: Annotated[
        str | None, typer.Option(help="Make classes comparable over these pictures: zscore or rank.")
    ] = None,
    examples: Annotated[
        str | None,
        typer.Option(help="Labels of some of the pictures (a column, or a file: id, tags), to learn thresholds from."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            help="Tags a picture, however low their scores; with --threshold, at most so many. 3 where nothing limits "
            "them."
        ),
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Least score of a tag.")] = None,
    truth: Annotated[
        str | None, typer.Option(help="The right labels (a column, or a file: id, tags), to measure the scores by.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write, .csv or .jsonl.")] = None,
    page: Annotated[Path | None, typer.Option(help="HTML file of the pictures with their tags and heat maps.")] = None,
    page_pictures: Annotated[int, typer.Option(help="Most pictures on the page.")] = 200,
    xmp: Annotated[bool, typer.Option("--xmp", help="Write tags beside each picture, as name.jpg.xmp.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace .xmp files that are there.")] = False,
    column: Annotated[str | None, typer.Option(help="The pictures' column.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of texts beside them, for a tagger of both.")] = None,
    id: Annotated[str | None, typer.Option(help="The ids' column; by default names, or the rows' numbers.")] = None,
    root: Root = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Tag pictures, several tags each."""
    from pairspace.tagging import Tagger
    from pairspace.tagging.zero_shot import CLASSIFIER

    if pictures is None:
        if (Path(model) / "config.json").is_file():
            raise PairspaceError(f"{model} is a model: name the pictures after it")
        model, pictures = CLASSIFIER, Path(model)
    _check(method=method, kind=kind, calibrate=calibrate, examples=examples, top=top, threshold=threshold)
    target = _Target(output, page, page_pictures, xmp, overwrite)
    target.check()
    more: dict[str, Any] = {"device": device, "cache": not no_cache, "trust_remote_code": trust_remote_code}
    if Tagger.is_at(model):
        idle = {"--labels": labels, "--template": template, "--background": background, "--temperature": temperature}
        tagger: Any = _tagger(model, idle | {"--method local": method == "local" or None}, more)
    else:
        how = {"kind": kind, "temperature": temperature, "template": template, "background": background}
        tagger = _zero_shot(model, labels, how, more)
    kinds = _kinds(tagger)
    if text_column is not None and "text" not in kinds:
        raise PairspaceError("--text-column is for a tagger of pictures and texts, and this reads pictures alone")
    own: dict[str, Any] = {"id": id, "root": root, "skip_bad": skip_bad}
    read = read_kinds(pictures, kinds, column, text_column, [examples, truth], **own)
    target.check_items(read, tagger.of_pictures)
    known, right = (
        None if what is None else known_labels(what, option, read, tagger.classes)
        for option, what in (("--examples", examples), ("--truth", truth))
    )
    with stoppable():
        scores = _scores(tagger, read, method, mix, text_column)
    scores, limits = _made_comparable(scores, tagger, calibrate, known)
    tags = _chosen(scores, tagger.classes, limits if threshold is None and top is None else threshold, top)
    report = None
    if right is not None:
        from pairspace.evaluation import evaluate_multilabel

        report = evaluate_multilabel({"tags": scores[right[0]]}, right[1], tagger.classes)
    written = target.write(tagger, read, tags, right)
    if as_json:
        result: dict[str, Any] = {"pictures": len(read.ids), "skipped": read.skipped, "written": written}
        if output is None:
            result["tags"] = [{"id": name, "tags": dict(own)} for name, own in zip(read.ids, tags, strict=True)]
        print_json(result | ({} if report is None else {"report": report.to_dict()}))
        return
    if written:
        left_out = f"; {read.skipped:,} bad rows left out" if read.skipped else ""
        print(f"{sum(map(len, tags)):,} tags for {len(tags):,} pictures written to {', '.join(written)}{left_out}")
    else:
        print_tags(read.ids, tags)
    if report is not None:
        print(f"\n{report}")


def _check(**given: Any) -> None:
    choices = {"method": ("global", "local"), "kind": ("softmax", "sigmoid"), "calibrate": (None, "zscore", "rank")}
    for name, known in choices.items():
        if given[name] not in known:
            raise PairspaceError(f"--{name} {given[name]}: choose one of {', '.join(filter(None, known))}")
    if given["calibrate"] and given["examples"]:
        raise PairspaceError("--calibrate is for pictures without labels, --examples for some with: give one of them")
    if given["top"] is not None and given["top"] < 1:
        raise PairspaceError(f"--top {given['top']}: at least 1")
    if given["threshold"] is not None and math.isnan(given["threshold"]):
        raise PairspaceError("--threshold nan: give a number")


def _tagger(model: str, idle: dict[str, Any], more: dict[str, Any]) -> Any:
    from pairspace.tagging import Tagger

    if given := [option for option, value in idle.items() if value is not None]:
        raise PairspaceError(f"{model} is a tagger and knows its classes and its way: leave out {' '.join(given)}")
    return Tagger.from_pretrained(model, **more)


def _zero_shot(model: str, labels: Path | None, how: dict[str, Any], more: dict[str, Any]) -> Any:
    from pairspace.tagging import ZeroShot, open_space, read_classes

    if labels is None:
        raise PairspaceError("name the classes: --labels FILE, one a line")
    classes, chosen = read_classes(labels), templates_of(how["template"], "photo")
    words = {} if how["background"] is None else {"background": read_classes(how["background"])}
    own = {"kind": how["kind"], "temperature": how["temperature"], "templates": chosen, **words}
    return ZeroShot(open_space(model, **more), classes, **own)


def _kinds(tagger: Any) -> tuple[str, ...]:
    """Of items that are read: "image", "text", or both in this order."""
    from pairspace.tagging import Tagger

    if isinstance(tagger, Tagger):
        return tuple(tagger.classifier.dimensions)
    return ("image",) if tagger.of_pictures else ("text",)


def _scores(tagger: Any, read: Items, method: str, mix: float, text: str | None) -> np.ndarray:
    from pairspace.tagging import Tagger

    found: np.ndarray
    if isinstance(tagger, Tagger):
        beside = None if text is None or read.payload is None else read.payload[text]
        found = tagger.scores(read.items, beside) if tagger.of_pictures else tagger.scores(None, read.items)
    else:
        found = tagger.local(read.items, mix=mix) if method == "local" else tagger.scores(read.items)
    return found


def _made_comparable(
    scores: np.ndarray, tagger: Any, calibrate: str | None, known: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, Any]:
    """Scores that are comparable between classes, and the least ones of a tag; None where that is not known."""
    import numpy as np

    from pairspace.tagging import Platt, Ranks, Tagger, ZScores, best_thresholds

    if known is not None:
        rows, labels = known
        found = Platt.fit(scores[rows], labels)(scores)
        limits = best_thresholds(found[rows], labels)
        return found, np.where(np.isfinite(limits), limits, 0.5)
    if calibrate is not None:
        return (ZScores if calibrate == "zscore" else Ranks).fit(scores)(scores), None
    return scores, tagger.classifier.thresholds.cpu().numpy() if isinstance(tagger, Tagger) else None


def _chosen(
    scores: np.ndarray, classes: tuple[str, ...], limits: Any, top: int | None
) -> list[list[tuple[str, float]]]:
    """Names and scores at or above the limits, the highest first, at most so many a picture."""
    import numpy as np

    most = top or (3 if limits is None else len(classes))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :most]
    keep = np.ones(scores.shape, bool) if limits is None else scores >= limits
    return [
        [(classes[place], float(scores[row, place])) for place in order[row] if keep[row, place]]
        for row in range(len(scores))
    ]


@dataclass(frozen=True)
class _Target:
    """What is to be written, and where; see the options of `tag`."""

    table: Path | None
    page: Path | None
    page_pictures: int
    xmp: bool
    overwrite: bool

    def check(self) -> None:
        """See that it can be written, before anything is read."""
        from pairspace.data.files import check_place
        from pairspace.tagging.writing import check_form

        if self.page_pictures < 1:
            raise PairspaceError(f"--page-pictures {self.page_pictures}: at least 1")
        if self.table is not None:
            check_form(self.table)
        for place in (self.table, self.page):
            if place is not None:
                check_place(place)

    def check_items(self, read: Items, of_pictures: bool) -> None:
        """See that it can be written for these items, before any is scored."""
        if self.page is not None and not of_pictures:
            raise PairspaceError("--page shows pictures, and these are texts")
        if not self.xmp:
            return
        pictures = [read.items[row].as_py() for row in _there(read)] if of_pictures else [None]
        if not all(isinstance(item, str) and Path(item).is_file() for item in pictures):
            raise PairspaceError("--xmp writes beside picture files, and these are no files: use --output")
        there = [path for path in (Path(f"{item}.xmp") for item in pictures) if path.exists()]
        if there and not self.overwrite:
            raise DataError(
                f"{there[0]} is there already and may hold what other programs wrote ({len(there):,} such in all): "
                "move it, or --overwrite it"
            )

    def write(self, tagger: Any, read: Items, tags: list[list[tuple[str, float]]], right: Any) -> list[str]:
        """Write what is asked for; says what was written.

        Args:
            tagger: that gave the tags.
            read: the items.
            tags: of each.
            right: rows and labels that are known to be right, or None.
        """
        from pairspace.tagging import write_tags, write_xmp

        if self.table is not None:
            write_tags(self.table, read.ids, tags)
        if self.page is not None:
            self._write_page(self.page, tagger, read, tags, right)
        written = [str(place) for place in (self.table, self.page) if place is not None]
        if self.xmp:
            own = {read.items[row].as_py(): [name for name, _ in tags[row]] for row in _there(read)}
            for path, names in own.items():
                write_xmp(path, names, overwrite=True)  # `check_items` has seen to those that were there
            written.append(f"{len(own):,} .xmp files")
        return written

    def _write_page(
        self, page: Path, tagger: Any, read: Items, tags: list[list[tuple[str, float]]], right: Any
    ) -> None:
        from pairspace.data.files import atomic_file
        from pairspace.tagging import tag_page

        there = _there(read)
        rows = there[: self.page_pictures]
        own: dict[str, Any] = {"title": f"{len(rows):,} of {len(there):,} pictures"}
        if right is not None:
            classes = tagger.classes
            known = {int(row): [classes[place] for place in one.nonzero()[0]] for row, one in zip(*right, strict=True)}
            own["truth"] = [known.get(row) for row in rows]
        pictures, names = read.items.take(rows).to_pylist(), [read.ids[row] for row in rows]
        text = tag_page(tagger, tagger.encoder, pictures, names, [tags[row] for row in rows], **own)
        with atomic_file(page) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _there(read: Items) -> list[int]:
    """The rows that have a picture."""
    return [row for row, here in enumerate(read.items.is_valid().to_pylist()) if here]
