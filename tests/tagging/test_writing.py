"""Tags as files: read again by independent readers."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree

import pytest

from pairspace.errors import DataError, ShapeError
from pairspace.tagging import write_tags, write_xmp, xmp

IDS, TAGS = ['a, "b".jpg', "c.jpg", "ü.jpg"], [[("cat", 0.9), ("dining table", 0.25)], [], [('чай, \n"x"', 0.5)]]
SPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
}


def test_csv_and_jsonl_read_back(tmp_path):
    write_tags(tmp_path / "t.csv", IDS, TAGS)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    flat = [(name, tag, score) for name, own in zip(IDS, TAGS, strict=True) for tag, score in own]
    assert [(r["id"], r["tag"], float(r["score"])) for r in rows] == flat
    write_tags(tmp_path / "t.jsonl", IDS, TAGS)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(one["id"], [(t["tag"], t["score"]) for t in one["tags"]]) for one in lines] == list(
        zip(IDS, TAGS, strict=True)
    )


def subjects(text: str) -> list[str]:
    root = ElementTree.fromstring(text.encode())
    assert root.tag == f"{{{SPACES['x']}}}xmpmeta"
    assert root.find("rdf:RDF/rdf:Description", SPACES).get(f"{{{SPACES['rdf']}}}about") == ""
    return [item.text for item in root.findall("rdf:RDF/rdf:Description/dc:subject/rdf:Bag/rdf:li", SPACES)]


def test_xmp_is_an_rdf_bag_of_subjects(tmp_path):
    names = ["cat", "a < b & c", "]]>", "чай", "two\r\nlines", "cat"]
    path = write_xmp(tmp_path / "picture.jpg", names)
    assert path.name == "picture.jpg.xmp"
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<?xpacket begin=") and text.rstrip().endswith('<?xpacket end="w"?>')
    assert subjects(text) == names[:-1] and subjects(xmp([])) == []


def test_a_side_car_that_is_there_is_kept(tmp_path):
    first = write_xmp(tmp_path / "p.jpg", ["cat"])
    with pytest.raises(DataError, match="is there already"):
        write_xmp(tmp_path / "p.jpg", ["dog"])
    assert subjects(first.read_text(encoding="utf-8")) == ["cat"]
    write_xmp(tmp_path / "p.jpg", ["dog"], overwrite=True)
    assert subjects(first.read_text(encoding="utf-8")) == ["dog"]


def test_bad_input_is_named(tmp_path):
    for tag, character in (("bell\a", "0007"), ("half \ud800", "D800"), ("never \uffff", "FFFF")):
        with pytest.raises(DataError, match=f"holds the character U.{character}, which XML cannot hold"):
            xmp([tag])
    with pytest.raises(DataError, match=r"the suffix is '.xls'"):
        write_tags(tmp_path / "t.xls", IDS, TAGS)
    with pytest.raises(ShapeError, match="3 ids and tags of 2"):
        write_tags(tmp_path / "t.csv", IDS, TAGS[1:])
    assert not list(tmp_path.iterdir())
