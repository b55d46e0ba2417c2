"""What the README and the pages under docs/ tell people to type works, block after block, page by page."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import pairspace as ps
from pairspace.data import sample_path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- not run[^>]*-->\n+)?```(python|bash)\n(.*?)```", re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(kind, code) for skipped, kind, code in BLOCK.findall(page.read_text(encoding="utf-8")) if not skipped]


@pytest.fixture(scope="session")
def cache(tmp_path_factory, pytestconfig):
    """One for all pages, so that a text is encoded once: also in the processes of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if hasattr(pytestconfig, "workerinput") else base) / "cache-of-all-pages"
    cache.mkdir(exist_ok=True)
    return cache


@pytest.fixture
def folder(tmp_path, write_drawings):
    write_drawings(tmp_path)
    table = pq.read_table(sample_path())
    table = table.filter(pc.less(pc.utf8_length(table["long_en"]), 200))  # to be encoded quickly
    pq.write_table(table.slice(0, 120), tmp_path / "packages.parquet")
    test = table.slice(120, 60)
    pq.write_table(test, tmp_path / "test.parquet")
    rows = test.to_pylist()
    dump = json.dumps
    (tmp_path / "corpus.jsonl").write_text(
        "".join(dump({"_id": r["md5"], "title": r["package"], "text": r["long_en"]}) + "\n" for r in rows)
    )
    (tmp_path / "queries.jsonl").write_text(
        "".join(dump({"_id": f"q{i}", "text": r["short_en"]}) + "\n" for i, r in enumerate(rows))
    )
    (tmp_path / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join(f"q{i}\t{r['md5']}\t1\n" for i, r in enumerate(rows))
    )
    (tmp_path / "texts.txt").write_text("".join(r["short_en"] + "\n" for r in rows))
    both = [(r["short_en"], r["short_de"]) for r in rows if r["short_de"]]
    for name, texts in zip(("english", "german"), zip(*both, strict=True), strict=True):
        (tmp_path / f"{name}.txt").write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    small = pa.table({"question": test["short_en"], "answer": test["long_en"]})
    pq.write_table(small, tmp_path / "your.parquet")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_page_says_works(page, folder, cache, warm, tmp_path_factory):
    programs = tmp_path_factory.mktemp("programs")
    warm.write_command(programs)
    if "pairspace cache clear" in page.read_text(encoding="utf-8"):
        cache = tmp_path_factory.mktemp("cache")
    environment = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PAIRSPACE_CACHE": str(cache)}
    for kind, code in blocks(page):
        if kind == "python":
            assert set(re.findall(r"\bps\.(\w+)", code)) <= set(ps.__all__)  # and no room that is imported here alone
            returned, out, err = warm.run(code, folder=programs, cwd=folder, **environment)
        else:
            options = {"cwd": folder, "env": os.environ | environment, "text": True, "timeout": 300}
            done = subprocess.run(["bash", "-euc", code], capture_output=True, **options)
            returned, out, err = done.returncode, done.stdout, done.stderr
        assert returned == 0, f"{page.name}:\n{code}\n{out}\n{err}"


def test_no_page_names_a_verb_that_does_not_exist():
    from typer.main import get_command

    from pairspace.cli import app

    verbs = set(get_command(app).commands)
    for page in PAGES:
        for verb in re.findall(r"^\s*pairspace ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert verb in verbs, f"{page.name} names 'pairspace {verb}'"


def test_the_tree_names_every_file():
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("```text\nsrc/pairspace/")[1].split("```")[0]
    room, listed = "", set()
    for line in tree.splitlines():
        name = line.split()[0] if line.split() else ""
        if line.startswith("    ") and name.endswith(".py"):
            listed.add(f"{room}{name}")
        elif line.startswith("  "):
            room = name if name.endswith("/") else ""
            listed |= {name} if name.endswith(".py") else set()
    source = ROOT / "src" / "pairspace"
    files = {str(path.relative_to(source)) for path in source.rglob("*.py") if path.name != "__init__.py"}
    assert listed == files
