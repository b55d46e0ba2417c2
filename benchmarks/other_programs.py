"""TMX and XLIFF of a PO catalogue as other programs write them, for the round trip: each is called, none imported.

translate-toolkit (GPL): po2tmx, po2xliff (1.2), and its library for 2.0, run by the Python beside these
xliff, of npm (MIT): 1.2 and 2.0 with inline tags, for which placeholders such as %(name)s are made <x/> and <ph/>
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from pairspace.data import read_units

TOOLKIT_2 = """
import sys
from translate.storage import factory, xliff2
store = xliff2.Xliff2File()
store.setsourcelanguage("en")
store.settargetlanguage(sys.argv[2])
for number, unit in enumerate(factory.getobject(sys.argv[1]).units):
    if unit.istranslatable() and not unit.isheader():
        new = store.addsourceunit(str(unit.source))
        new.setid(f"u{number}")
        if str(unit.target):
            new.target = str(unit.target)
store.savefile(sys.argv[3])
"""
NPM = """
const {js2xliff, jsToXliff12} = require("xliff"), fs = require("fs");
const [input, first, second] = process.argv.slice(1), texts = JSON.parse(fs.readFileSync(input));
for (const [write, path] of [[jsToXliff12, first], [js2xliff, second]])
  write(texts, (error, text) => { if (error) throw error; fs.writeFileSync(path, text); });
"""
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}|%[sd]")


def made(catalogue: Path, language: str, tools: str | None, node: Path | None) -> list[Path]:
    """Files of a catalogue, by each program that is there; says which is not.

    Args:
        catalogue: a PO file, beside which they are written.
        language: its language; the source is English.
        tools: folder of translate-toolkit's programs; None for those on the PATH.
        node: folder in which npm has installed xliff.
    """
    files = []
    if program := shutil.which("po2tmx", path=tools):
        files += by_toolkit(catalogue, language, Path(program).parent)
    else:
        print(f"translate-toolkit is not there: no TMX and XLIFF by it of {catalogue}")
    if node and (program := shutil.which("node")):
        files += by_npm(catalogue, language, program, node)
    else:
        print(f"npm's xliff is not there: no XLIFF by it of {catalogue}")
    return files


def by_toolkit(catalogue: Path, language: str, tools: Path) -> list[Path]:
    files = [catalogue.with_name(f"toolkit{end}") for end in (".tmx", "-1.2.xlf", "-2.0.xlf")]
    for command, file in zip(
        (
            [tools / "po2tmx", "--progress=none", "-l", language, catalogue],
            [tools / "po2xliff", "--progress=none", catalogue],
            [tools / "python", "-c", TOOLKIT_2, catalogue, language],
        ),
        files,
        strict=True,
    ):
        subprocess.run([*command, file], check=True)
    return files


def by_npm(catalogue: Path, language: str, program: str, folder: Path) -> list[Path]:
    files = [catalogue.with_name(name) for name in ("npm.json", "npm-1.2.xlf", "npm-2.0.xlf")]
    units = {
        f"u{number}": {"source": pieces(unit.source)} | ({"target": pieces(unit.target)} if unit.target else {})
        for number, unit in enumerate(read_units(catalogue))
    }
    texts = {"sourceLanguage": "en", "targetLanguage": language, "resources": {"django": units}}
    files[0].write_text(json.dumps(texts), encoding="utf-8")
    subprocess.run([program, "-e", NPM, *files], check=True, cwd=folder)
    return files[1:]


def pieces(text: str) -> list[str | dict[str, dict[str, str]]]:
    """The text with its placeholders as inline elements, named alike in both languages."""
    names = [re.sub(r"\W", "", name) for name in PLACEHOLDER.findall(text)]
    found: list[str | dict[str, dict[str, str]]] = []
    for place, piece in enumerate(PLACEHOLDER.split(text)):
        if place:
            name = names[place - 1]
            found.append({"Standalone": {"id": f"{name}{names[: place - 1].count(name) or ''}"}})
        if piece:
            found.append(piece)
    return found
