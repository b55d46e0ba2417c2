"""`pairspace classify`: one class an item, named in words, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.common import Device, Json, NoCache, Root, SkipBad, TrustCode, print_json
from pairspace.cli.items import Items, read_items, stoppable
from pairspace.cli.tagging import Template, print_tags, templates_of
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    import numpy as np

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
    from pairspace.tagging import ZeroShot, open_space, read_classes, write_tags
    from pairspace.tagging.writing import check_form

    if top < 1:
        raise PairspaceError(f"--top {top}: at least 1")
    if output is not None:
        check_form(output)
        check_place(output)
    classes = read_classes(labels)
    space = open_space(model, device=device, cache=not no_cache, trust_remote_code=trust_remote_code)
    found = ZeroShot(
        space, classes, side=side, temperature=temperature, templates=templates_of(template, _usual(space, side))
    )
    own: dict[str, Any] = {"column": column, "id": id, "skip_bad": skip_bad, "root": root}
    read = read_items(items, found.side, **own, payload=[truth] if truth else None, pictures=found.of_pictures)
    right = None if truth is None else _right(read, truth, classes, f"{items}: column {truth!r}")
    with stoppable():
        scores = found.scores(read.items)
    order = np.argsort(-scores, axis=1, kind="stable")
    named = [
        [(classes[place], float(row[place])) for place in places[:top]]
        for row, places in zip(scores, order, strict=True)
    ]
    result: dict[str, Any] = {"items": len(named), "skipped": read.skipped, "classes": len(classes)}
    if right is not None:
        result |= _accuracy(order[right[0]], right[1])
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
    if right is not None:
        print(
            f"\naccuracy {result['accuracy']:.3f}, among the first five {result['top5']:.3f}, mean over classes "
            f"{result['class_accuracy']:.3f}, over {result['judged']:,} items"
        )


def _usual(space: Any, side: str | None) -> str:
    """Of pictures a sentence on a photo, of texts the class name alone."""
    from pairspace.space.pictures import picture_sides

    shown = picture_sides(space)
    return "photo" if side in shown or (side is None and shown) else "plain"


def _right(read: Items, truth: str, classes: list[str], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the items whose right class is in the list, and the class's number there.

    Raises:
        PairspaceError: no item has a class of the list.
    """
    import numpy as np

    from pairspace.data.source import text_column

    place = {name: number for number, name in enumerate(classes)}
    assert read.payload is not None
    names = [(name or "").strip() for name in text_column(read.payload[truth], where).to_pylist()]
    rows = [row for row, name in enumerate(names) if name in place]
    if not rows:
        raise PairspaceError(f"{where}: no item has a class of the list, such as {classes[0]!r}; do the names agree?")
    return np.array(rows), np.array([place[names[row]] for row in rows])


def _accuracy(order: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Shares of items whose right class is first and among the first five, and the mean of the classes' shares.

    Args:
        order: numbers of the classes (items, classes), the first named first.
        right: number of the right one (items,).
    """
    import numpy as np

    ahead = (order == right[:, None]).argmax(1)
    by_class = [np.mean(ahead[right == one] < 1) for one in np.unique(right)]
    return {
        "judged": len(right),
        "accuracy": float(np.mean(ahead < 1)),
        "top5": float(np.mean(ahead < 5)),
        "class_accuracy": float(np.mean(by_class)),
    }
