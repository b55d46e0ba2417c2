"""The contact sheet: one file, with pictures and heat maps a reader can decode."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pairspace.errors import DataError, ShapeError
from pairspace.tagging import Sheet, contact_sheet
from pairspace.tagging.contact_sheet import heat_png

Image = pytest.importorskip("PIL.Image")


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 6), (10, 200, 30)).save(out, kind)
    return out.getvalue()


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.sources, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.sources += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


def test_a_heat_map_is_a_png_of_one_pixel_a_place():
    heat = np.random.default_rng(0).random((3, 5))
    pixels = np.asarray(Image.open(io.BytesIO(heat_png(heat))))
    assert pixels.shape == (3, 5, 4) and (pixels[..., 0] == 220).all() and not pixels[..., 1:3].any()
    scaled = (heat - heat.min()) / (heat.max() - heat.min())
    np.testing.assert_allclose(pixels[..., 3], scaled * 191, atol=0.5)
    assert not np.asarray(Image.open(io.BytesIO(heat_png(np.ones((2, 2))))))[..., 3].any()


def test_everything_is_inside_the_file():
    heat = {"cat & <dog>": np.arange(6.0).reshape(2, 3)}
    sheets = [
        Sheet("a<b>.jpg", picture("JPEG"), [("cat & <dog>", 0.91), ("sky", 0.4)], heat),
        Sheet("b", picture("PNG"), []),
        Sheet("c", picture("WEBP"), [("sky", 0.5)]),
    ]
    html = contact_sheet(sheets, title="My <pictures>")
    reader = Reader()
    reader.feed(html)
    assert len(reader.sources) == 4 and all(source.startswith("data:image/") for source in reader.sources)
    sizes = [Image.open(io.BytesIO(base64.b64decode(s.split(",")[1]))).size for s in reader.sources]
    assert sizes == [(8, 6), (3, 2), (8, 6), (8, 6)]
    text = "".join(reader.text)
    assert "a<b>.jpg" in text and "cat & <dog> 0.91" in text and "My <pictures>" in text and "no tag" in text
    assert "script" not in {tag for tag, _ in reader.tags} and "http" not in re.sub(r"base64,\S+", "", html)
    names = [attributes["id"] for tag, attributes in reader.tags if tag == "input"]
    assert names == [attributes["for"] for tag, attributes in reader.tags if tag == "label"]
    assert len(set(names)) == 3 and ".h2" in html and ".h3" not in html


def test_bad_input_is_named():
    with pytest.raises(DataError, match=r"notes.txt: these bytes are no"):
        contact_sheet([Sheet("notes.txt", b"hello", [])])
    with pytest.raises(ShapeError, match="height, width"):
        heat_png(np.ones(3))
