"""From tags to a contact sheet: pictures as the encoder saw them, and where it saw each tag if it can say."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from pairspace.data.pictures import open_picture
from pairspace.errors import EncoderError
from pairspace.tagging.contact_sheet import Sheet, contact_sheet
from pairspace.tagging.writing import Tags

__all__ = ["Shows", "tag_page"]

_log = logging.getLogger(__name__)


class Shows(Protocol):
    """What says where a class is seen: `ZeroShot`, `Tagger`."""

    def heat(self, items: Any, names: Sequence[Sequence[str]]) -> list[dict[str, np.ndarray]]:
        """A map (height, width) a name, for each picture."""
        ...


def tag_page(
    model: Shows,
    encoder: Any,
    items: Sequence[Any],
    names: Sequence[str],
    tags: Sequence[Tags],
    *,
    truth: Sequence[Sequence[str] | None] | None = None,
    title: str = "Tags",
) -> str:
    """The HTML of pictures with their tags and heat maps.

    Args:
        model: that gave the tags.
        encoder: of pictures, whose preparation crops and resizes them.
        items: pictures.
        names: what stands below each.
        tags: of each.
        truth: the tags that are right, shown beside; None for a picture of which that is not known.
        title: of the page.
    """
    heat: Sequence[Mapping[str, np.ndarray]]
    try:
        heat = model.heat(items, [[name for name, _ in own] for own in tags])
    except EncoderError as error:
        _log.warning("the page has no heat maps: %s", error)
        heat = [{} for _ in items]
    sheets = []
    for number, item in enumerate(items):
        right = None if truth is None else truth[number]
        name = names[number] if right is None else f"{names[number]} (right: {', '.join(right) or 'none'})"
        sheets.append(Sheet(name, _as_seen(item, encoder), tags[number], dict(heat[number])))
    return contact_sheet(sheets, title=title)


def _as_seen(item: Any, encoder: Any) -> bytes:
    from PIL import Image

    stream, seen = io.BytesIO(), Image.fromarray(encoder.preprocessing.shape(open_picture(item)))
    if max(seen.size) < 160:
        seen = seen.resize((160, round(160 * seen.height / seen.width)), Image.Resampling.NEAREST)
    seen.save(stream, "JPEG", quality=85)
    return stream.getvalue()
