"""A picture, whatever form it comes in, as plain RGB: a path, encoded bytes, a PIL image or an array.

What a person would see decides: EXIF orientation is applied, transparency lies on white, palettes, greys, CMYK and 16
bits a channel become 8-bit RGB, and of an animation the first frame counts. A path may lead through a tar archive
(`shard.tar/0001.jpg`). Pictures come from anywhere, so only plain raster formats are tried (Pillow would start
Ghostscript for EPS), and none with more pixels than `MAX_PIXELS` is decoded.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pairspace.data.archives import find_member, read_member
from pairspace.errors import DataError, PairspaceError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "is_picture",
    "need_pillow",
    "open_picture",
    "picture_key",
    "read_bytes",
    "thumbnail",
]

MAX_PIXELS = 89_478_485  # Pillow's own measure: 256 MiB of RGB
PICTURE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib"),
        *("tif", "tiff", "ppm", "pgm", "pbm", "pnm", "avif", "jp2", "ico"),
    )
)
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO")
_BEGINNINGS = {  # what is no picture for Pillow, by its first bytes
    b"%PDF": "a PDF file",
    b"%!PS": "a PostScript file",
    b"<!DOCTYPE html": "a web page (a download that failed?)",
    b"<html": "a web page (a download that failed?)",
    b"version https://git-lfs": "a Git LFS pointer; 'git lfs pull' fetches the picture itself",
}


def need_pillow() -> Any:
    """The module `PIL.Image`.

    Raises:
        PairspaceError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise PairspaceError("pictures need Pillow: pip install 'pairspace[image]'") from None
    return Image


def is_picture(item: Any) -> bool:
    """Whether an object in memory is one picture: a PIL image, or an array of the shape of one."""
    if isinstance(item, np.ndarray):
        return (item.ndim == 2 and item.dtype.kind in "ub") or item.ndim == 3
    return type(item).__module__.partition(".")[0] == "PIL" and hasattr(item, "size")


def read_bytes(path: str | Path) -> bytes:
    """The content of a file, or of a member of a tar archive.

    Raises:
        DataError: there is no such file, or it may not be read.
    """
    try:
        if (found := find_member(path)) is not None:
            return read_member(*found)
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def picture_key(item: Any) -> bytes:
    """What a picture is known by, 16 bytes: of encoded pictures their bytes', of decoded ones their pixels' digest.

    Raises:
        DataError: there is no such file, or the item is no picture.
    """
    if isinstance(item, str | Path):
        item = read_bytes(item)
    if isinstance(item, bytes | bytearray | memoryview):
        return hashlib.blake2b(item, digest_size=16).digest()
    image = open_picture(item)
    return hashlib.blake2b(f"RGB {image.size}".encode() + image.tobytes(), digest_size=16).digest()


def thumbnail(item: Any, side: int = 96) -> str:
    """A small copy, no side longer than `side`, as a data URL that a page or a JSON file can hold: a JPEG in base64.

    Args:
        item: as in `open_picture`, which says what is raised.
        side: pixels.
    """
    image, stream = open_picture(item), io.BytesIO()
    image.thumbnail((side, side), need_pillow().Resampling.BICUBIC)
    image.save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def open_picture(item: Any, *, name: str = "", max_pixels: int = MAX_PIXELS) -> Image:
    """Decode a picture.

    Args:
        item: a path, encoded bytes, a PIL image, or an array (height, width[, channels]) of uint8, uint16, bool, or
            floats from 0 to 1; channels are one (grey), three (RGB) or four (RGBA), and may come first.
        name: what to call bytes and objects in a message; a path names itself.
        max_pixels: most that are decoded.

    Returns:
        A PIL image of mode RGB.

    Raises:
        DataError: no such file, not a picture, damaged, too large, or of a kind that cannot become RGB.
        PairspaceError: Pillow is not installed.
    """
    pillow = need_pillow()
    where = str(item) if isinstance(item, str | Path) else name or "picture"
    if isinstance(item, str | Path):
        item = read_bytes(item)
    if isinstance(item, bytes | bytearray | memoryview):
        return _decode(pillow, bytes(item), where, max_pixels)
    if isinstance(item, pillow.Image):
        _check_size(item, where, max_pixels)
        return _as_seen(item, where)
    if hasattr(item, "__array__"):
        return _of_array(pillow, np.asarray(item), where)
    raise DataError(f"{where}: {type(item).__name__} is no picture; give a path, bytes, a PIL image or an array")


def _decode(pillow: Any, content: bytes, where: str, max_pixels: int) -> Image:
    try:
        pillow.init()
        known = [kind for kind in _FORMATS if kind in pillow.OPEN]  # some need libraries that a build may lack
        image = pillow.open(io.BytesIO(content), formats=known)
        _check_size(image, where, max_pixels)
        return _as_seen(image, where)
    except DataError:
        raise
    except pillow.DecompressionBombError:
        raise DataError(f"{where}: far more pixels than {max_pixels:,}: not decoded (a decompression bomb?)") from None
    except pillow.UnidentifiedImageError:
        raise DataError(f"{where}: {_what(content)}") from None
    except Exception as error:  # damaged files make Pillow raise almost anything
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{where}: a damaged picture ({reason})") from None


def _what(content: bytes) -> str:
    """In words what a file is that is no picture."""
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not content:
        return "an empty file"
    if b"<svg" in start[:1024].lower():
        return "an SVG drawing, which Pillow does not read: convert it to PNG first (rsvg-convert, Inkscape)"
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "a HEIC picture, which Pillow does not read: convert it to JPEG or PNG first"
    for beginning, what in _BEGINNINGS.items():
        if start[: len(beginning)].lower() == beginning.lower():
            return f"not a picture but {what}"
    return f"not a picture in a format that is read here (it begins with {content[:12]!r})"


def _check_size(image: Image, where: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise DataError(
            f"{where}: {width:,} x {height:,} pixels, and at most {max_pixels:,} are decoded; make it smaller first"
        )
    if not width or not height:
        raise DataError(f"{where}: a picture of {width} x {height} pixels")


def _as_seen(image: Image, where: str) -> Image:
    """Upright, on white, in RGB."""
    from PIL import ImageOps

    image.load()
    with contextlib.suppress(Exception):  # metadata that cannot be read says nothing
        image = ImageOps.exif_transpose(image)
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return _of_array(need_pillow(), _to_bytes(np.asarray(image)), where)
    try:
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            return _on_white(image.convert("RGBA"))
        return image.convert("RGB")
    except ValueError as error:
        raise DataError(f"{where}: colours of mode {image.mode} cannot become RGB ({error})") from None


def _on_white(image: Image) -> Image:
    white = need_pillow().new("RGBA", image.size, (255, 255, 255, 255))
    white.alpha_composite(image)
    return white.convert("RGB")  # type: ignore[no-any-return]


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Any numbers as 0 to 255: 16 bits by their high byte's scale, floats from 0 to 1 (or to 255)."""
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind in "ui":
        top = 65535 if int(values.max(initial=0)) > 255 or values.dtype == np.uint16 else 255
    else:
        values = np.nan_to_num(values.astype(np.float64))
        top = 1 if float(values.max(initial=0)) <= 1 else 255
    return np.clip(np.rint(values.astype(np.float64) * (255 / top)), 0, 255).astype(np.uint8)


def _of_array(pillow: Any, values: np.ndarray, where: str) -> Image:
    if values.ndim == 3 and values.shape[0] in (1, 3, 4) and values.shape[2] not in (1, 3, 4):
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    fits = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))
    if not fits or values.dtype.kind not in "buif" or 0 in values.shape:
        raise DataError(f"{where}: an array {values.dtype} {values.shape} is no picture; (height, width, 3) is needed")
    image = pillow.fromarray(np.ascontiguousarray(_to_bytes(values)))
    return _on_white(image) if image.mode == "RGBA" else image.convert("RGB")
