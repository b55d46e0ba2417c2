"""Tags written down: CSV, JSON lines, and XMP side-cars that picture managers read.

CSV      id,tag,score             a line a tag, highest first
JSONL    {"id": ..., "tags": [{"tag": ..., "score": ...}, ...]}      a line a picture, also one without tags
XMP      dc:subject as an rdf:Bag (XMP specification part 1, ISO 16684-1): the keywords of a picture, no scores
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from pairspace.data import atomic_file
from pairspace.data.elements import escape
from pairspace.errors import DataError, ShapeError

__all__ = ["Tags", "check_form", "write_tags", "write_xmp", "xmp"]

Tags = Sequence[tuple[str, float]]  # names and scores, highest first

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:subject>
    <rdf:Bag>
{items}    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def write_tags(path: Path | str, ids: Sequence[str], tags: Sequence[Tags]) -> None:
    """Write the tags of pictures; an existing file is replaced at once or not at all.

    Args:
        path: ends in `.csv` or `.jsonl`.
        ids: of the pictures.
        tags: of each picture.

    Raises:
        DataError: another suffix.
        ShapeError: not one list of tags an id.
        StorageError: the file could not be written.
    """
    path = Path(path)
    check_form(path)
    if len(ids) != len(tags):
        raise ShapeError(f"{len(ids):,} ids and tags of {len(tags):,} pictures")
    rows = list(zip(ids, tags, strict=True))
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".csv":
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(["id", "tag", "score"])
            lines.writerows([name, tag, f"{score:.6g}"] for name, own in rows for tag, score in own)
        else:
            for name, own in rows:
                found = [{"tag": tag, "score": round(float(score), 6)} for tag, score in own]
                file.write(json.dumps({"id": name, "tags": found}, ensure_ascii=False) + "\n")


def check_form(path: Path | str) -> None:
    """See that tags can be written to a file of this name, before the work that makes them.

    Raises:
        DataError: another suffix than `.csv` and `.jsonl`.
    """
    suffix = Path(path).suffix
    if suffix.lower() not in (".csv", ".jsonl"):
        raise DataError(f"{path}: tags are written as .csv or .jsonl, and the suffix is {suffix or 'missing'!r}")


def xmp(tags: Sequence[str]) -> str:
    """An XMP packet whose dc:subject is the tags, each once, in their order.

    Raises:
        DataError: a tag holds a control character, which no XML can carry.
    """
    items = "".join(f"     <rdf:li>{escape(tag).decode()}</rdf:li>\n" for tag in dict.fromkeys(tags))
    return _XMP.replace("{items}", items)


def write_xmp(picture: Path | str, tags: Sequence[str], *, overwrite: bool = False) -> Path:
    """Write the side-car of a picture, `name.jpg.xmp` beside `name.jpg`, as darktable and digiKam do.

    Args:
        picture: its path; the picture itself is neither read nor changed.
        tags: its keywords.
        overwrite: replace a side-car that is there, with all that other programs wrote into it.

    Returns:
        The path of the side-car.

    Raises:
        DataError: a side-car is there and is not to be replaced, or a tag cannot be carried.
        StorageError: the file could not be written.
    """
    target = Path(f"{picture}.xmp")
    text = xmp(tags)
    if target.exists() and not overwrite:
        raise DataError(f"{target} is there already and may hold what other programs wrote: move it, or overwrite it")
    with atomic_file(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target
