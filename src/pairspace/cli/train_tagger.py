"""`pairspace train-tagger`: from labelled pictures and texts, or without any label from a space and class names."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.common import Device, Json, NoCache, Root, SkipBad, TrustCode, print_json
from pairspace.cli.items import Items, stoppable
from pairspace.cli.tagging import Template, known_labels, listed_labels, read_kinds, templates_of
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    import numpy as np

    from pairspace.tagging import Tagger

__all__ = ["train_tagger"]


def train_tagger(
    items: Annotated[Path, typer.Argument(help="File with columns of pictures, texts and labels, or a folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the tagger.")],
    labels: Annotated[
        str | None, typer.Option(help="Column of labels (lists, or names between semicolons), or a file: id, tags.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Without labels: a space, or a model such as CLIP, whose scores are learnt from.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="File of class names, one a line; by default the frequent labels.")
    ] = None,
    least: Annotated[int, typer.Option(help="Rows that a label must stand in to become a class.")] = 10,
    column: Annotated[str | None, typer.Option(help="The pictures' column.")] = None,
    text_column: Annotated[str | None, typer.Option(help="The texts' column.")] = None,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="Texts alone.")] = False,
    encoder: Annotated[
        list[str] | None, typer.Option(help="image=NAME or text=NAME; by default efficientnet-lite0 and minilm.")
    ] = None,
    layers: Annotated[list[str] | None, typer.Option(help="image=NAMES or text=NAMES; by default last.")] = None,
    frame: Annotated[
        str | None, typer.Option(help="How pictures become square: own (mostly a crop), stretch, pad.")
    ] = None,
    fusion: Annotated[str, typer.Option(help="Of picture and text: concat, sum, product or gate.")] = "concat",
    image_weight: Annotated[float, typer.Option(help="How much pictures weigh beside texts.")] = 1.0,
    loss: Annotated[str, typer.Option(help="bce, focal or asymmetric.")] = "bce",
    depth: Annotated[int, typer.Option(help="Layers of the classifier, 1 or 2.")] = 2,
    epochs: Annotated[int | None, typer.Option(help="Passes over the rows; by default 30, without labels 15.")] = None,
    method: Annotated[str, typer.Option(help="Of the teacher: global, or local as TagCLIP.")] = "global",
    template: Template = None,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
    id: Annotated[str | None, typer.Option(help="The ids' column, for labels in a file of their own.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a tagger at the output.")] = False,
    root: Root = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Train a small classifier on cached features; `pairspace tag` uses it."""
    import numpy as np

    from pairspace.encoders.pictures import numbered
    from pairspace.features import FeatureCache
    from pairspace.tagging import CdulOptions, JointOptions, Tagger, read_classes

    own: dict[str, Any] = {"no_pictures": no_pictures, "text_column": text_column, "frame": frame}
    _check(labels, teacher, **own, classes=classes, method=method, template=template)
    _check_output(output, overwrite)
    kinds = [kind for kind, there in (("image", not no_pictures), ("text", text_column or no_pictures)) if there]
    steps: dict[str, Any] = {"seed": seed, "layers": depth} | ({} if epochs is None else {"epochs": epochs})
    options: Any = (
        CdulOptions(**steps)
        if labels is None
        else JointOptions(fusion=fusion, loss=loss, image_weight=image_weight, **steps)
    )
    chosen, names = _by_kind(kinds, layers, "--layers"), None if classes is None else tuple(read_classes(classes))
    more: dict[str, Any] = {"device": device, "trust_remote_code": trust_remote_code}
    encoders = _encoders(kinds, encoder, {**more, "frame": frame})
    read = read_kinds(items, kinds, column, text_column, [labels], id=id, skip_bad=skip_bad, root=root)
    began = time.perf_counter()
    how: dict[str, Any] = {"options": options, "cache": None if no_cache else FeatureCache()}
    if labels is not None:
        rows, matrix, names = _labelled(read, labels, names, least)
        given = {name: one.take(rows) for name, one in _columns(read, kinds, text_column).items()}
        with stoppable(), numbered(rows):
            tagger = Tagger.fit(matrix, names, **given, encoders=encoders, layers=chosen, **how)
    else:
        rows = np.arange(len(read.ids))
        own = {"method": method, "templates": templates_of(template, "photo"), "cache": not no_cache, **more}
        with stoppable():
            scores = _taught(read, str(teacher), names or [], **own)
            how |= {"encoder": encoders["image"], "layers": chosen.get("image", "last")}
            tagger = Tagger.distil(scores, names or [], images=read.items, **how)
    tagger.save_pretrained(output)
    result = _result(tagger, output, rows=len(rows), skipped=read.skipped, seconds=time.perf_counter() - began)
    if as_json:
        print_json(result)
        return
    print(
        f"{len(tagger.classes):,} classes learnt from {len(rows):,} rows in {result['seconds']} s; {output} holds a "
        f"classifier of {result['classifier_bytes'] / 1e6:.1f} MB and its encoders"
    )
    if result["never_given"]:
        print(f"note: without an example, so never given: {', '.join(result['never_given'])}")


def _check(labels: str | None, teacher: str | None, **given: Any) -> None:
    """See that the options fit each other."""
    if (labels is None) == (teacher is None):
        raise PairspaceError("give --labels to learn from, or a --teacher to learn from without labels")
    if given["method"] not in ("global", "local"):
        raise PairspaceError(f"--method {given['method']}: choose one of global, local")
    if given["no_pictures"] and given["frame"]:
        raise PairspaceError("--frame is of pictures, and --no-pictures leaves none")
    if labels is not None and (given["template"] or given["method"] == "local"):
        raise PairspaceError("--template and --method are of a --teacher, and with --labels there is none")
    if teacher is not None and (given["classes"] is None or given["no_pictures"]):
        raise PairspaceError("a teacher needs pictures, and class names: --classes FILE, one a line")
    if teacher is not None and given["text_column"]:
        raise PairspaceError("a teacher scores pictures alone: leave out --text-column, or give --labels")


def _check_output(output: Path, overwrite: bool) -> None:
    from pairspace.data.files import check_place
    from pairspace.tagging import Tagger

    if not output.exists():
        check_place(output)
    elif output.is_dir() and not any(output.iterdir()):
        return
    elif not Tagger.is_at(output):
        raise PairspaceError(f"{output} is there and no tagger: choose another --output")
    elif not overwrite:
        raise PairspaceError(f"{output} exists: choose another --output, or --overwrite it")


def _result(tagger: Tagger, output: Path, *, rows: int, skipped: int, seconds: float) -> dict[str, Any]:
    limits = tagger.classifier.thresholds.tolist()
    return {
        "rows": rows,
        "skipped": skipped,
        "classes": len(tagger.classes),
        "never_given": [name for name, limit in zip(tagger.classes, limits, strict=True) if limit > 1],
        "classifier_bytes": sum(path.stat().st_size for path in (output / "classifier").iterdir()),
        "seconds": round(seconds, 1),
        "output": str(output),
    }


def _encoders(kinds: Sequence[str], values: Sequence[str] | None, more: dict[str, Any]) -> dict[str, Any]:
    from pairspace.encoders import load_encoder

    usual = {"image": "efficientnet-lite0", "text": "minilm"}
    named = _by_kind(kinds, values, "--encoder")
    found = {kind: load_encoder(named.get(kind, usual[kind]), modality=kind, **more) for kind in kinds}
    for kind, one in found.items():
        if one.modality != kind:
            raise PairspaceError(f"--encoder {kind}={one.name}: that reads {one.modality}s")
    return found


def _by_kind(kinds: Sequence[str], values: Sequence[str] | None, option: str) -> dict[str, str]:
    """`["image=NAME"]` to a mapping; a name alone where there is one kind only."""
    found = {}
    for value in values or ():
        kind, there, name = value.partition("=")
        if not there and len(kinds) == 1:
            kind, name = kinds[0], value
        if kind not in kinds or not name:
            raise PairspaceError(f"{option} {value}: write it as {kinds[0]}=NAME; read are {' and '.join(kinds)}")
        found[kind] = name
    return found


def _columns(read: Items, kinds: Sequence[str], text: str | None) -> dict[str, Any]:
    """What `Tagger.fit` takes."""
    if "image" not in kinds:
        return {"texts": read.items}
    beside = {} if text is None or read.payload is None else {"texts": read.payload[text]}
    return {"images": read.items, **beside}


def _labelled(
    read: Items, labels: str, names: tuple[str, ...] | None, least: int
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Numbers of the labelled items, their labels, and the classes: those named, else the frequent ones."""
    from pairspace.tagging import frequent_classes

    if names is None:
        names = tuple(frequent_classes(listed_labels(labels, "--labels", read)[1], least))
    return *known_labels(labels, "--labels", read, names), names


def _taught(
    read: Items, teacher: str, names: Sequence[str], *, method: str, templates: Sequence[str], **own: Any
) -> np.ndarray:
    """A teacher's scores of pictures."""
    from pairspace.tagging import ZeroShot, open_space

    source = ZeroShot(open_space(teacher, **own), names, templates=templates)
    return source.local(read.items) if method == "local" else source.scores(read.items)
