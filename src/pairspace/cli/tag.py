"""`pairspace tag`: pictures in, tags out, by a space and class names alone or by a tagger that was trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.classes import Template, known_labels, print_tags, templates_of
from pairspace.cli.common import Device, Json, NoCache, Root, SkipBad, TrustCode, print_json
from pairspace.cli.items import Items, read_items, stoppable
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["tag"]


def tag(
    model: Annotated[
        str, typer.Argument(help="Folder of a space or a tagger, or a model of pictures and texts, such as CLIP.")
    ],
    pictures: Annotated[
        Path, typer.Argument(help="Folder or tar archive of pictures, or a file with a column of them.")
    ],
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
    top: Annotated[int | None, typer.Option(help="Most tags a picture; 3 where nothing else limits them.")] = None,
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

    _check(method=method, kind=kind, calibrate=calibrate, examples=examples, top=top, output=output, page=page)
    more: dict[str, Any] = {"device": device, "cache": not no_cache, "trust_remote_code": trust_remote_code}
    if Tagger.is_at(model):
        tagger = _tagger(model, labels, method, more)
    else:
        how = {"kind": kind, "temperature": temperature, "template": template, "background": background}
        tagger = _zero_shot(model, labels, how, more)
    beside = text_column if isinstance(tagger, Tagger) and len(tagger.encoders) == 2 else None
    columns: dict[str, Any] = {"column": column if tagger.of_pictures else column or text_column, "id": id}
    columns |= {"root": root, "skip_bad": skip_bad, "beside": beside}
    read = _read(pictures, tagger.of_pictures, [beside, examples, truth], columns)
    with stoppable():
        scores = _scores(tagger, read, method, mix, beside)
    scores, limits = _made_comparable(scores, tagger, read, calibrate, examples)
    tags = _chosen(scores, tagger.classes, limits if threshold is None and top is None else threshold, top)
    report, right = (None, None) if truth is None else _measured(scores, truth, read, tagger.classes)
    written = _write(tagger, read, tags, right, output, page, page_pictures, xmp, overwrite)
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
    from pairspace.data.files import check_place

    choices = {"method": ("global", "local"), "kind": ("softmax", "sigmoid"), "calibrate": (None, "zscore", "rank")}
    for name, known in choices.items():
        if given[name] not in known:
            raise PairspaceError(f"--{name} {given[name]}: choose one of {', '.join(filter(None, known))}")
    if given["calibrate"] and given["examples"]:
        raise PairspaceError("--calibrate is for pictures without labels, --examples for some with: give one of them")
    if given["top"] is not None and given["top"] < 1:
        raise PairspaceError(f"--top {given['top']}: at least 1")
    if given["output"] is not None and given["output"].suffix.lower() not in (".csv", ".jsonl"):
        raise PairspaceError(f"--output {given['output']}: tags are written as .csv or .jsonl")
    for place in (given["output"], given["page"]):
        if place is not None:
            check_place(place)


def _tagger(model: str, labels: Path | None, method: str, more: dict[str, Any]) -> Any:
    from pairspace.tagging import Tagger

    if labels is not None or method == "local":
        idle = "--method local" if labels is None else "--labels"
        raise PairspaceError(f"{model} is a tagger and knows its classes and its way: leave out {idle}")
    return Tagger.from_pretrained(model, **more)


def _zero_shot(model: str, labels: Path | None, how: dict[str, Any], more: dict[str, Any]) -> Any:
    from pairspace.tagging import ZeroShot, open_space, read_classes

    if labels is None:
        raise PairspaceError("name the classes: --labels FILE, one a line")
    classes, chosen = read_classes(labels), templates_of(how["template"], "photo")
    words = {} if how["background"] is None else {"background": read_classes(how["background"])}
    own = {"kind": how["kind"], "temperature": how["temperature"], "templates": chosen, **words}
    return ZeroShot(open_space(model, **more), classes, **own)


def _read(path: Path, shown: bool, wanted: list[str | None], how: dict[str, Any]) -> Items:
    """The items, and those of the wanted columns that the file has."""
    from pairspace.data.tables import column_names

    there = column_names(path)
    payload = sorted({name for name in wanted if name in there})
    return read_items(path, "image" if shown else "text", **how, payload=payload, pictures=shown)


def _scores(tagger: Any, read: Items, method: str, mix: float, beside: str | None) -> np.ndarray:
    found: np.ndarray
    if method == "local":
        found = tagger.local(read.items, mix=mix)
    elif not tagger.of_pictures:
        found = tagger.scores(None, read.items)
    elif beside is not None:
        found = tagger.scores(read.items, None if read.payload is None else read.payload[beside])
    else:
        found = tagger.scores(read.items)
    return found


def _made_comparable(
    scores: np.ndarray, tagger: Any, read: Items, calibrate: str | None, examples: str | None
) -> tuple[np.ndarray, Any]:
    """Scores that are comparable between classes, and the least ones of a tag; None where that is not known."""
    import numpy as np

    from pairspace.tagging import Platt, Ranks, Tagger, ZScores, best_thresholds

    if examples is not None:
        rows, labels = known_labels(examples, "--examples", read.ids, read.payload, tagger.classes)
        found = Platt.fit(scores[rows], labels)(scores)
        limits = best_thresholds(found[rows], labels)
        return found, np.where(np.isfinite(limits), limits, 0.5)
    if calibrate is not None:
        return (ZScores if calibrate == "zscore" else Ranks).fit(scores)(scores), None
    return scores, tagger.classifier.thresholds.cpu().numpy() if isinstance(tagger, Tagger) else None


def _measured(
    scores: np.ndarray, truth: str, read: Items, classes: tuple[str, ...]
) -> tuple[Any, dict[int, list[str]]]:
    """A report, and the right classes of each item that has any said of it."""
    from pairspace.evaluation import evaluate_multilabel

    rows, labels = known_labels(truth, "--truth", read.ids, read.payload, classes)
    right = {int(row): [classes[place] for place in own.nonzero()[0]] for row, own in zip(rows, labels, strict=True)}
    return evaluate_multilabel({"tags": scores[rows]}, labels, classes), right


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


def _write(
    tagger: Any,
    read: Items,
    tags: list[list[tuple[str, float]]],
    right: dict[int, list[str]] | None,
    output: Path | None,
    page: Path | None,
    most: int,
    xmp: bool,
    overwrite: bool,
) -> list[str]:
    """Write what is asked for; says what was written."""
    from pairspace.data.files import atomic_file
    from pairspace.tagging import tag_page, write_tags, write_xmp

    rows = [row for row, here in enumerate(read.items.is_valid().to_pylist()) if here]
    files = {row: read.items[row].as_py() for row in rows} if xmp else {}
    if not all(isinstance(item, str) and Path(item).is_file() for item in files.values()):
        raise PairspaceError("--xmp writes beside picture files, and these are no files: use --output")
    if output is not None:
        write_tags(output, read.ids, tags)
    if page is not None:
        if not tagger.of_pictures:
            raise PairspaceError("--page shows pictures, and these are texts")
        some = rows[:most]
        own: dict[str, Any] = {"title": f"{len(some):,} of {len(rows):,} pictures"}
        own["truth"] = None if right is None else [right.get(row, []) for row in some]
        pictures, names = read.items.take(some).to_pylist(), [read.ids[row] for row in some]
        text = tag_page(tagger, tagger.encoder, pictures, names, [tags[row] for row in some], **own)
        with atomic_file(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for row, path in files.items():
        write_xmp(path, [name for name, _ in tags[row]], overwrite=overwrite)
    places = [str(place) for place in (output, page) if place is not None]
    return [*places, f"{len(files):,} .xmp files"] if xmp else places
