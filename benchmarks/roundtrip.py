"""Translators' files through a change and back: whether every unchanged unit is byte for byte as it was, and how fast.

    PAIRSPACE_DATA=folder python -m benchmarks.roundtrip [--tools folder] [--node folder] [--megabytes 100] [--each 20]

The files are Django's PO catalogues (`po/django_raw_po.tar.gz` in the data folder), and the TMX, XLIFF 1.2 and 2.0 that
other programs make of them (`other_programs.py`): translate-toolkit, on the PATH or in the folder that `--tools` names,
and npm's xliff, installed in the folder that `--node` names. polib and lxml, where installed, read the results again as
independent witnesses. From a memory of npm's 1.2, its 2.0 is filled after its translations were taken out: tags must go
where they were. The first lines are of one large memory, made for its size.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import tarfile
import tempfile
import time
from pathlib import Path

from benchmarks.other_programs import made
from pairspace.data import Change, read_units, update_units, write_tmx

NEW = 'Neu: „%(name)s“ <b>&amp;</b> \\ "x"\n\nEnde\n'
ENDS = {".po": (b"\n\n",), ".tmx": (b"</tu>",), ".xlf": (b"</trans-unit>", b"</segment>")}
TARGET = re.compile(rb"<target>.*?</target>", re.DOTALL)


def differing(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """What is left of both without their common start and end."""
    start = common(old, new)
    end = common(old[start:][::-1], new[start:][::-1])
    return old[start : len(old) - end], new[start : len(new) - end]


def common(old: bytes, new: bytes) -> int:
    """The length of the common start, by halving."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[low:middle] == new[low:middle] else (low, middle - 1)
    return low


def check(path: Path, each: int) -> tuple[int, int]:
    """Change one unit at a time, every so many, then several at once. Returns units and changes."""
    output = path.with_stem("changed")
    old = path.read_bytes()
    units = list(read_units(path))
    update_units(path, output, {})
    assert output.read_bytes() == old, f"{path}: a copy without changes differs"
    picked = units[:: max(1, len(units) // each)]
    for unit in picked:
        update_units(path, output, {unit.key: Change(NEW)})
        before, after = differing(old, output.read_bytes())
        assert not any(end in before for end in ENDS[path.suffix]), f"{path}: more than unit {unit.key!r} changed"
        assert after, f"{path}: unit {unit.key!r} did not change"
    update_units(path, output, {unit.key: Change(NEW, review=False) for unit in picked})
    keys = {unit.key for unit in picked}
    for was, now in zip(units, read_units(output), strict=True):
        assert now.target == (NEW if was.key in keys else was.target), f"{path}: {was.key!r}"
        assert (now.key, now.source, now.notes, now.context) == (was.key, was.source, was.notes, was.context)
    witness(output, len(picked))
    again = {unit.key: Change(unit.target, False, unit.tags_target) for unit in units if unit.target}
    update_units(path, output, again)
    for was, now in zip(units, read_units(output), strict=True):
        assert (now.target, now.tags_target) == (was.target, was.tags_target), f"{path}: {was.key!r}"
    return len(units), len(picked) + 2


def witness(path: Path, changed: int) -> None:
    """Another reader finds as many new texts as were written."""
    try:
        import lxml.etree
        import polib
    except ImportError:
        return
    if path.suffix == ".po":
        entries = [entry for entry in polib.pofile(str(path)) if not entry.obsolete]
        texts = [text for e in entries for text in ([*e.msgstr_plural.values()] if e.msgid_plural else [e.msgstr])]
    else:
        name = "seg" if path.suffix == ".tmx" else "target"
        tree = lxml.etree.parse(str(path), lxml.etree.XMLParser(resolve_entities=False, no_network=True))
        texts = ["".join(node.itertext()) for node in tree.iter(f"{{*}}{name}")]
    assert texts.count(NEW) == changed, f"{path}: {texts.count(NEW)} new texts for another reader, not {changed}"


def refilled(known: Path, path: Path) -> str:
    """Fill a file again from a memory of another file of the same texts, and count what is as it was, tags included."""
    from pairspace.bitext import TranslationMemory, pretranslate  # here, so that it is not in the peaks of `large`

    before = {unit.key: (unit.target, unit.tags_target) for unit in read_units(path) if unit.target}
    empty, output = path.with_stem("empty"), path.with_stem("filled")
    empty.write_bytes(TARGET.sub(b"<target/>", path.read_bytes()))
    with TranslationMemory.build(path.with_name("memory"), known, overwrite=True) as memory:
        found = pretranslate(memory, empty, output, minimum=1.0, progress=False)
    after = {unit.key: (unit.target, unit.tags_target) for unit in read_units(output) if unit.target}
    same, tagged = sum(before[key] == one for key, one in after.items()), sum(bool(tags) for _, tags in after.values())
    return (
        f"{len(after)} of {len(before)} filled again, {same} as they were, {tagged} with tags; "
        f"{found.tagged} left for their tags"
    )


def large(folder: Path, megabytes: int) -> None:
    """Time and memory of one large memory: written, read, and copied with one change."""
    path, output = folder / "large.tmx", folder / "copy.tmx"
    size = megabytes * 1_000_000 // 230
    texts = (
        (f"The file number {n} was not found.", f"Die Datei mit der Nummer {n} wurde nicht gefunden.")
        for n in range(size)
    )

    def read() -> int:
        return sum(1 for _ in read_units(path))

    def change() -> None:
        update_units(path, output, {str(size // 2): Change("Nichts")})

    def write() -> int:
        return write_tmx(path, texts, source_language="en", target_language="de")

    for name, work in (("written", write), ("read", read), ("one changed", change)):
        start = time.perf_counter()
        work()
        taken = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        real = path.stat().st_size / 1e6
        print(f"large.tmx, {real:,.0f} MB: {name:12} {taken:6.1f} s {real / taken:5.1f} MB/s {peak:,.0f} MiB")
    before, after = differing(path.read_bytes(), output.read_bytes())
    print(f"the copy differs in {before.decode()!r} -> {after.decode()!r} alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", default=None, help="folder of translate-toolkit's programs")
    parser.add_argument("--node", type=Path, default=None, help="folder with npm's xliff")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--each", type=int, default=20, help="changes a file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        large(folder, arguments.megabytes)
        with tarfile.open(Path(os.environ["PAIRSPACE_DATA"]) / "po" / "django_raw_po.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        for catalogue in sorted(folder.rglob("*.po")):
            language = catalogue.parent.parent.name
            files = {
                path.name: path for path in (catalogue, *made(catalogue, language, arguments.tools, arguments.node))
            }
            for path in files.values():
                start = time.perf_counter()
                units, changes = check(path, arguments.each)
                taken = time.perf_counter() - start
                name = str(path.relative_to(folder))
                print(f"{name:55} {units:5} units, {changes:3} changes, all else equal  {taken:5.1f} s", flush=True)
            if "npm-1.2.xlf" in files:
                print(refilled(files["npm-1.2.xlf"], files["npm-2.0.xlf"]), flush=True)


if __name__ == "__main__":
    main()
