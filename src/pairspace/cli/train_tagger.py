"""`pairspace train-tagger`: from labelled pictures and texts, or without any label from a space and class names."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.classes import Template, known_labels, templates_of
from pairspace.cli.common import Device, Json, NoCache, Root, SkipBad, TrustCode, print_json
from pairspace.cli.items import Items, read_items, stoppable
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
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
    loss: Annotated[str, typer.Option(help="bce, focal or asymmetric.")] = "bce",
    depth: Annotated[int, typer.Option(help="Layers of the classifier, 1 or 2.")] = 2,
    epochs: Annotated[int | None, typer.Option(help="Passes over the rows; by default 30, without labels 15.")] = None,
    method: Annotated[str, typer.Option(help="Of the teacher: global, or local as TagCLIP.")] = "global",
    template: Template = None,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
    id: Annotated[str | None, typer.Option(help="The ids' column, for labels in a file of their own.")] = None,
    root: Root = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Train a small classifier on cached features; `pairspace tag` uses it."""
    from pairspace.data.files import check_place
    from pairspace.features import FeatureCache

    if (labels is None) == (teacher is None):
        raise PairspaceError("give --labels to learn from, or a --teacher to learn from without labels")
    if teacher is not None and (classes is None or no_pictures):
        raise PairspaceError("a teacher needs pictures, and class names: --classes FILE, one a line")
    check_place(output)
    kinds = [kind for kind, there in (("image", not no_pictures), ("text", text_column or no_pictures)) if there]
    more: dict[str, Any] = {"device": device, "trust_remote_code": trust_remote_code}
    encoders = _encoders(kinds, encoder, {**more, "frame": frame})
    own: dict[str, Any] = {"id": id, "skip_bad": skip_bad, "root": root}
    read = _read(items, column, text_column, labels, no_pictures, own)
    began = time.perf_counter()
    how: dict[str, Any] = {"cache": None if no_cache else FeatureCache()}
    steps: dict[str, Any] = {"seed": seed, "layers": depth} | ({} if epochs is None else {"epochs": epochs})
    with stoppable():
        if teacher is None:
            from pairspace.tagging import JointOptions

            how["layers"] = _layers(kinds, layers)
            options = JointOptions(fusion=fusion, loss=loss, **steps)
            beside = read.payload[text_column] if text_column and not no_pictures and read.payload is not None else None
            tagger = _from_labels(read, str(labels), classes, least, no_pictures, beside, encoders, options, how)
        else:
            from pairspace.tagging import CdulOptions

            how |= {"layers": _layers(kinds, layers).get("image", "last"), "encoder": encoders["image"]}
            own = {"cache": not no_cache, **more}
            tagger = _from_teacher(
                read, teacher, classes, method, template, own, how | {"options": CdulOptions(**steps)}
            )
        tagger.save_pretrained(output)
    size = sum(path.stat().st_size for path in (output / "classifier").iterdir())
    result: dict[str, Any] = {"rows": len(read.ids), "skipped": read.skipped, "classes": len(tagger.classes)}
    never = [
        name for name, limit in zip(tagger.classes, tagger.classifier.thresholds.tolist(), strict=True) if limit > 1
    ]
    result |= {
        "never_given": never,
        "classifier_bytes": size,
        "seconds": round(time.perf_counter() - began, 1),
        "output": str(output),
    }
    if as_json:
        print_json(result)
    else:
        print(
            f"{len(tagger.classes):,} classes learnt from {len(read.ids):,} rows in {result['seconds']} s; {output} "
            f"holds a classifier of {size / 1e6:.1f} MB and its encoders"
        )
        if never:
            print(f"note: without an example, so never given: {', '.join(never)}")


def _encoders(kinds: Sequence[str], values: Sequence[str] | None, more: dict[str, Any]) -> dict[str, Any]:
    from pairspace.encoders import load_encoder

    usual = {"image": "efficientnet-lite0", "text": "minilm"}
    named = _by_kind(kinds, values, "--encoder")
    found = {kind: load_encoder(named.get(kind, usual[kind]), modality=kind, **more) for kind in kinds}
    for kind, one in found.items():
        if one.modality != kind:
            raise PairspaceError(f"--encoder {kind}={one.name}: that reads {one.modality}s")
    return found


def _layers(kinds: Sequence[str], values: Sequence[str] | None) -> dict[str, str]:
    return _by_kind(kinds, values, "--layers")


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


def _read(
    path: Path, column: str | None, text: str | None, labels: str | None, no_pictures: bool, how: dict[str, Any]
) -> Items:
    from pairspace.data.tables import column_names

    there = column_names(path)
    if text is not None and text not in there:
        from pairspace.data.source import missing_column

        raise missing_column(path, text, there)
    wanted = {None if no_pictures else text, labels}
    main, kind = (text, "text") if no_pictures else (column, "image")
    payload = sorted(name for name in wanted if name in there)
    beside = None if no_pictures else text
    return read_items(path, kind, column=main, payload=payload, pictures=not no_pictures, beside=beside, **how)


def _from_labels(
    read: Items,
    labels: str,
    classes: Path | None,
    least: int,
    no_pictures: bool,
    beside: Any,
    encoders: dict[str, Any],
    options: Any,
    how: dict[str, Any],
) -> Tagger:
    from pairspace.tagging import Tagger, frequent_classes, lists_of, read_classes, read_labels

    if classes is not None:
        names = read_classes(classes)
    elif read.payload is not None and labels in read.payload.column_names:
        names = frequent_classes(lists_of(read.payload[labels], f"column {labels!r}"), least)
    else:
        own = read_labels(labels) if Path(labels).is_file() else {}
        names = frequent_classes([own[key] for key in read.ids if key in own], least)
    rows, matrix = known_labels(labels, "--labels", read.ids, read.payload, names)
    items = read.items.take(rows)
    texts = items if no_pictures else None if beside is None else beside.take(rows)
    return Tagger.fit(
        matrix, names, images=None if no_pictures else items, texts=texts, encoders=encoders, options=options, **how
    )


def _from_teacher(
    read: Items,
    teacher: str,
    classes: Path | None,
    method: str,
    template: Sequence[str] | None,
    own: dict[str, Any],
    how: dict[str, Any],
) -> Tagger:
    from pairspace.tagging import Tagger, ZeroShot, open_space, read_classes

    if method not in ("global", "local"):
        raise PairspaceError(f"--method {method}: choose one of global, local")
    assert classes is not None
    names = read_classes(classes)
    source = ZeroShot(open_space(teacher, **own), names, templates=templates_of(template, "photo"))
    scores = source.local(read.items) if method == "local" else source.scores(read.items)
    return Tagger.distil(scores, names, images=read.items, **how)
