import io

import numpy as np
import pytest
from PIL import Image

from pairspace.data.pictures import open_picture, picture_key
from pairspace.errors import DataError, PairspaceError

GRADIENT = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(item, **options):
    return np.asarray(open_picture(item, **options))


def test_the_same_picture_in_every_form_gives_the_same_pixels(tmp_path):
    image = Image.fromarray(GRADIENT)
    image.save(tmp_path / "a.png")
    forms = [tmp_path / "a.png", str(tmp_path / "a.png"), encoded(image), image, GRADIENT, GRADIENT / 255]
    for form in [*forms, GRADIENT.astype(np.float32).transpose(2, 0, 1) / 255]:
        assert (pixels(form) == GRADIENT).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = {
        1: GRADIENT,
        2: GRADIENT[:, ::-1],
        3: GRADIENT[::-1, ::-1],
        4: GRADIENT[::-1],
        5: GRADIENT.transpose(1, 0, 2),
        6: np.rot90(GRADIENT, -1),
        7: GRADIENT[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(GRADIENT),
    }
    assert (pixels(encoded(Image.fromarray(GRADIENT), exif=exif)) == shown[orientation]).all()


def test_transparency_lies_on_white():
    rgba = np.dstack([GRADIENT, np.linspace(0, 255, 48).astype(np.uint8).reshape(6, 8)])
    share = rgba[:, :, 3:].astype(float) / 255
    wanted = GRADIENT * share + 255 * (1 - share)
    assert np.abs(pixels(encoded(Image.fromarray(rgba))) - wanted).max() <= 1
    assert np.abs(pixels(rgba) - wanted).max() <= 1
    grey = Image.fromarray(np.array([[0, 200]], np.uint8))
    assert (pixels(encoded(grey, transparency=0)) == [[[255] * 3, [200] * 3]]).all()
    palette = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)).quantize(2)
    first = palette.getpixel((0, 0))
    assert (pixels(encoded(palette, transparency=first)) == [[[255] * 3, [0, 0, 255]]]).all()


def test_every_mode_becomes_rgb():
    grey = GRADIENT[:, :, 0]
    assert (pixels(encoded(Image.fromarray(grey))) == grey[:, :, None]).all()
    assert (pixels(encoded(Image.fromarray(grey > 70))) == np.where(grey > 70, 255, 0)[:, :, None]).all()
    deep = (grey.astype(np.uint16)) * 257 + 100  # 16 bits a channel
    assert (pixels(encoded(Image.fromarray(deep))) == grey[:, :, None]).all()
    assert (pixels(deep) == grey[:, :, None]).all()
    cmyk = Image.fromarray(GRADIENT).convert("CMYK")
    assert np.abs(pixels(encoded(cmyk, "JPEG", quality=100, subsampling=0)).astype(int) - GRADIENT).mean() < 4
    floats = Image.fromarray((grey / 255).astype(np.float32))
    assert (pixels(encoded(floats, "TIFF")) == grey[:, :, None]).all()


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "PNG", "WEBP"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert (pixels(content) == [255, 0, 0]).all()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello, this is text", "begins with b'hello"),
        (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "SVG"),
        (b"<!doctype html><p>404", "web page"),
        (b"%PDF-1.7", "PDF"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "PostScript"),
        (encoded(Image.fromarray(GRADIENT).resize((99, 99)), "JPEG")[:600], "damaged"),
        (encoded(Image.fromarray(GRADIENT))[:45], "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_picture_is_named_with_its_reason(content, says, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"(?s)a.jpg: .*{says}"):
        open_picture(path)
    with pytest.raises(DataError, match=f"(?s)item 3: .*{says}"):
        open_picture(content, name="item 3")


def test_pictures_with_too_many_pixels_are_not_decoded():
    with pytest.raises(DataError, match="8 x 6 pixels, and at most 47"):
        open_picture(encoded(Image.fromarray(GRADIENT)), max_pixels=47)
    bomb = bytearray(encoded(Image.fromarray(GRADIENT)))
    bomb[16:24] = (60_000).to_bytes(4) * 2  # the header's width and height
    import zlib

    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4)
    with pytest.raises(DataError, match="bomb"):
        open_picture(bytes(bomb))


def test_things_that_are_no_pictures_are_refused(tmp_path):
    with pytest.raises(DataError, match="missing.png: no such file"):
        open_picture(tmp_path / "missing.png")
    with pytest.raises(DataError, match="int is no picture"):
        open_picture(7)
    with pytest.raises(DataError, match=r"float64 \(2, 3, 7\)"):
        open_picture(np.zeros((2, 3, 7)))


def test_a_picture_is_known_by_its_content(tmp_path):
    content = encoded(Image.fromarray(GRADIENT))
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(content)
    keys = {picture_key(item) for item in (tmp_path / "a.png", str(tmp_path / "b.png"), content)}
    assert len(keys) == 1
    assert picture_key(GRADIENT) == picture_key(Image.fromarray(GRADIENT)) not in keys
    assert picture_key(GRADIENT) != picture_key(GRADIENT[:, ::-1])


def test_without_pillow_the_message_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(PairspaceError, match=r"pip install 'pairspace\[image\]'"):
        open_picture(GRADIENT)
