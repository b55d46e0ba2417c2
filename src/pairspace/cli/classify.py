"""`pairspace classify`: one class an item, named in words, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pairspace.cli.classes import Template, print_tags, templates_of
from pairspace.cli.common import Device, Json, NoCache, Root, SkipBad, TrustCode, print_json
from pairspace.cli.items import read_items, stoppable
from pairspace.errors import PairspaceError

__all__ = ["classify"]


def classify(
    model: Annotated[str, typer.Argument(help="Folder of a space, or a model of pictures and texts, such as CLIP.")],
    items: Annotated[Path, typer.Argument(help="File of items; a folder or tar archive of pictures.")],
    labels: Annotated[
        Path,
        typer.Option(help="File of class names, one a line, in any language that the space's texts may have."),
    ],
    side: Annotated[str | None, typer.Option(help="The items' side; by default that of pictures.")] = None,
    template: Template = None,
    top: Annotated[int, typer.Option(help="Classes an item to name.")] = 1,
    temperature: Annotated[float | None, typer.Option(help="Of the cosines; by default the space's own.")] = None,
    truth: Annotated[str | None, typer.Option(help="Column of the right class, to measure accuracy.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write, .csv or .jsonl.")] = None,
    column: Annotated[str | None, typer.Option(help="The items' column.")] = None,
    id: Annotated[str | None, typer.Option(help="The ids' column; by default names, or the rows' numbers.")] = None,
    root: Root = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Name the class of each item, zero-shot: that whose words lie nearest."""
    import numpy as np

    from pairspace.data.files import check_place
    from pairspace.data.source import text_column
    from pairspace.tagging import ZeroShot, open_space, read_classes, write_tags

    if top < 1:
        raise PairspaceError(f"--top {top}: at least 1")
    if output is not None:
        check_place(output)
    classes = read_classes(labels)
    space = open_space(model, device=device, cache=not no_cache, trust_remote_code=trust_remote_code)
    found = ZeroShot(
        space, classes, side=side, temperature=temperature, templates=templates_of(template, _usual(space, side))
    )
    own: dict[str, Any] = {"column": column, "id": id, "skip_bad": skip_bad, "root": root}
    read = read_items(items, found.side, **own, payload=[truth] if truth else None, pictures=found.of_pictures)
    with stoppable():
        scores = found.scores(read.items)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    named = [
        [(classes[place], float(row[place])) for place in places] for row, places in zip(scores, order, strict=True)
    ]
    result: dict[str, Any] = {"items": len(named), "skipped": read.skipped, "classes": len(classes)}
    if truth is not None and read.payload is not None:
        right = text_column(read.payload[truth], f"{items}: column {truth!r}").to_pylist()
        result |= _accuracy(right, scores, classes, f"{items}: column {truth!r}")
    if output is not None:
        write_tags(output, read.ids, named)
        result["output"] = str(output)
    if as_json:
        listed = [{"id": key, "classes": dict(own)} for key, own in zip(read.ids, named, strict=True)]
        print_json(result | ({"found": listed} if output is None else {}))
        return
    if output is None:
        print_tags(read.ids, named)
    else:
        left_out = f"; {read.skipped:,} bad rows left out" if read.skipped else ""
        print(f"{len(named):,} items classified, written to {output}{left_out}")
    if truth is not None:
        print(
            f"\naccuracy {result['accuracy']:.3f}, among the first five {result['top5']:.3f}, mean over classes "
            f"{result['class_accuracy']:.3f}, over {result['judged']:,} items"
        )


def _usual(space: Any, side: str | None) -> str:
    """Of pictures a sentence on a photo, of texts the class name alone."""
    from pairspace.space.pictures import picture_sides

    shown = picture_sides(space)
    return "photo" if side in shown or (side is None and shown) else "plain"


def _accuracy(right: list[str | None], scores: Any, classes: list[str], where: str) -> dict[str, Any]:
    """Shares of items whose right class is first and among the first five, and the mean of the classes' shares.

    Raises:
        PairspaceError: no item has a class of the list.
    """
    import numpy as np

    place = {name: number for number, name in enumerate(classes)}
    rows = [row for row, name in enumerate(right) if name in place]
    if not rows:
        raise PairspaceError(f"{where}: no item has a class of the list, such as {classes[0]!r}; do the names agree?")
    wanted = np.array([place[str(right[row])] for row in rows])
    own = scores[rows]
    ahead = (own > own[np.arange(len(own)), wanted][:, None]).sum(1)
    by_class = [np.mean(ahead[wanted == one] < 1) for one in np.unique(wanted)]
    return {
        "judged": len(rows),
        "accuracy": float(np.mean(ahead < 1)),
        "top5": float(np.mean(ahead < 5)),
        "class_accuracy": float(np.mean(by_class)),
    }
