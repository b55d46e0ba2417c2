"""A contact sheet: pictures, their tags, and where each tag was seen, in one HTML file that needs nothing else.

A heat map is a small PNG of one pixel a place, red with an opacity of its score scaled to the picture's highest; the
browser stretches it over the picture. Pointing at a tag or choosing it shows its map; that takes style sheets alone,
no script.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from pairspace.errors import DataError, ShapeError
from pairspace.tagging.writing import Tags

__all__ = ["Sheet", "contact_sheet", "heat_png"]

_KINDS = ((b"\xff\xd8\xff", "jpeg"), (b"\x89PNG", "png"), (b"GIF8", "gif"), (b"BM", "bmp"))
_STYLE = """body{font:14px/1.4 system-ui,sans-serif;margin:1.5rem;color:#222;background:#fafafa}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:1.2rem;align-items:start}
article{background:#fff;border:1px solid #ddd;border-radius:6px;padding:.6rem}
.stack{display:grid}.stack>*{grid-area:1/1;width:100%}.heat{height:100%;opacity:0}
input{position:absolute;opacity:0}label{display:inline-block;margin:.15rem .2rem;padding:0 .45rem;border-radius:9px;
background:#eef;cursor:pointer}input:checked+label{background:#c33;color:#fff}
input:focus-visible+label{outline:2px solid}
h2{font-size:.85rem;margin:.4rem 0 .2rem;overflow-wrap:anywhere}"""


@dataclass(frozen=True)
class Sheet:
    """One picture of a contact sheet.

    Attributes:
        name: shown below it.
        picture: the bytes of a JPEG, PNG, GIF, BMP or WebP file.
        tags: names and scores.
        heat: tag -> scores (height, width) of its places, for as many of the tags as there are.
    """

    name: str
    picture: bytes
    tags: Tags
    heat: dict[str, np.ndarray] = field(default_factory=dict)


def contact_sheet(sheets: Sequence[Sheet], *, title: str = "Tags") -> str:
    """The HTML of pictures with their tags.

    Raises:
        DataError: bytes that are no picture a browser shows; says which.
        ShapeError: a heat map that is not (height, width).
    """
    most = max((len(sheet.tags) for sheet in sheets), default=0)
    shown = "".join(_rule(number) for number in range(1, most + 1))
    hint = (
        "<p>Point at a tag to see where it was seen; choose it to keep that.</p>" if any(s.heat for s in sheets) else ""
    )
    body = "\n".join(_article(place, sheet) for place, sheet in enumerate(sheets))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{_STYLE}\n{shown}</style></head>\n<body><h1>{escape(title)}</h1>\n{hint}<main>\n{body}\n</main></body></html>\n"
    )


def _rule(number: int) -> str:
    """The map of the tag of this number is shown while it is pointed at or chosen, the others are not."""
    tag = f"nth-of-type({number})"
    return (
        f"article:has(input:{tag}:checked) .h{number},article:has(label:{tag}:hover) .h{number}{{opacity:1}}\n"
        f"article:has(label:{tag}:hover) .heat:not(.h{number}){{opacity:0}}\n"
    )


def heat_png(heat: np.ndarray) -> bytes:
    """A PNG of one pixel a place, red, its opacity the score scaled so that the highest is 3/4.

    Raises:
        ShapeError: not (height, width), or not finite.
    """
    heat = np.asarray(heat, np.float64)
    if heat.ndim != 2 or not heat.size or not np.isfinite(heat).all():
        raise ShapeError(f"a heat map must be finite scores (height, width), got {heat.shape}")
    low, high = heat.min(), heat.max()
    alpha = (heat - low) / (high - low) if high > low else np.zeros(heat.shape)
    pixels = np.zeros((*heat.shape, 4), np.uint8)
    pixels[..., 0], pixels[..., 3] = 220, np.round(alpha * 191)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)  # 0: no filter

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", heat.shape[1], heat.shape[0], 8, 6, 0, 0, 0)  # 8 bits of red, green, blue, alpha
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def _article(place: int, sheet: Sheet) -> str:
    layers, labels = [f'<img src="{_uri(sheet)}" alt="">'], []
    for number, (tag, score) in enumerate(sheet.tags, 1):
        name = f"p{place}t{number}"
        labels.append(
            f'<input type="radio" name="p{place}" id="{name}"><label for="{name}">{escape(tag)} {score:.2f}</label>'
        )
        if tag in sheet.heat:
            data = base64.b64encode(heat_png(sheet.heat[tag])).decode()
            layers.append(f'<img class="heat h{number}" src="data:image/png;base64,{data}" alt="">')
    return (
        f'<article><div class="stack">{"".join(layers)}</div><h2>{escape(sheet.name)}</h2>'
        f"{''.join(labels) or 'no tag'}</article>"
    )


def _uri(sheet: Sheet) -> str:
    kind = next((name for start, name in _KINDS if sheet.picture.startswith(start)), None)
    if kind is None and sheet.picture[:4] == b"RIFF" and sheet.picture[8:12] == b"WEBP":
        kind = "webp"
    if kind is None:
        raise DataError(f"{sheet.name}: these bytes are no JPEG, PNG, GIF, BMP or WebP picture")
    return f"data:image/{kind};base64,{base64.b64encode(sheet.picture).decode()}"
