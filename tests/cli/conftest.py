"""Files of 256 pairs, a space of them, and two ways to run a verb: inside this process, and as `main` does it."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer.main
import typer.testing
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pairspace.cli import app, main
from pairspace.data import Pairs
from pairspace.errors import PairspaceError
from pairspace.space import Space
from pairspace.tagging import Tagger, ZeroShot

LETTERS = "abcdefghijklmnop"


@pytest.fixture(autouse=True, name="cache")
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PAIRSPACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True, scope="session")
def read_once():
    """Typer reads the options of every verb anew in each call, which takes 0.1 s."""
    read = cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", read)
        patch.setattr("typer.testing._get_command", read)
        yield


@pytest.fixture(autouse=True)
def unpainted(request, monkeypatch):
    """Pictures of runs are put together and not painted, which would take longer than the runs; but see `painted`."""
    if "painted" not in request.fixturenames:
        monkeypatch.setattr(FigureCanvasAgg, "print_png", lambda self, path: Path(path).write_bytes(b""))


@pytest.fixture
def painted():
    """For a test that looks at pictures of runs."""


@pytest.fixture(scope="session")
def pair_files(tmp_path_factory):
    """The folder that `files` is a copy of."""
    folder = tmp_path_factory.mktemp("files")
    rows = [(f"{a} {b}", f"{b} game {a} play", f"id-{a}{b}") for a in LETTERS for b in LETTERS]
    (folder / "pairs.csv").write_text("q,d,key\n" + "".join(f"{q},{d},{k}\n" for q, d, k in rows))
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": k, "title": "", "text": d}) + "\n" for _, d, k in rows)
    )
    (folder / "queries.jsonl").write_text("".join(json.dumps({"_id": f"q{k}", "text": q}) + "\n" for q, _, k in rows))
    (folder / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(f"q{k}\t{k}\t1\n" for *_, k in rows))
    (folder / "texts.txt").write_text("".join(q + "\n" for q, *_ in rows))
    return folder


@pytest.fixture
def files(pair_files, tmp_path):
    return shutil.copytree(pair_files, tmp_path, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def untrained(plain_folder, tmp_path_factory):
    """The folder of a space that needs no training; not to be altered."""
    folder = tmp_path_factory.mktemp("untrained") / "space"
    space = Space.create(
        ("title", "body"), encoder=str(plain_folder), projector="identity", name="plain", device="cpu", cache=False
    )
    space.save_pretrained(folder)
    return folder


@pytest.fixture
def run():
    """`run("train", ...)`: what it printed; errors of ours are raised."""

    def run(*arguments, code=0):
        result = typer.testing.CliRunner().invoke(app, [str(a) for a in arguments])
        if isinstance(result.exception, PairspaceError):
            raise result.exception
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return result.stdout

    return run


@pytest.fixture
def refused(monkeypatch, capsys):
    """`refused("train", ...)`: the message of a run that must end with code 2, one or two lines and nothing else."""

    def refused(*arguments):
        monkeypatch.setattr(sys, "argv", ["pairspace", *(str(a) for a in arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert (end.value.code, out) == (2, "")
        assert err.startswith("pairspace: ") and err.count("\n") <= 2 and "Traceback" not in err
        return err

    return refused


@pytest.fixture(scope="session")
def drawn(tmp_path_factory, network, write_drawings):
    """Drawings, a table of them with labels, class names, and a space."""
    folder = tmp_path_factory.mktemp("tagging")
    with write_drawings(folder, 48).open() as file:
        rows = [(row["path"], row["text"]) for row in csv.DictReader(file)]
    with (folder / "drawn.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "image", "text", "labels", "colour"))
        for name, text in rows:
            _, colour, shape = text.split()
            table.writerow((name, name, f"the drawing of a {shape}", f"{colour};{shape}", colour))
    (folder / "colours.txt").write_text("\n".join(("red", "green", "blue", "black")) + "\n")
    (folder / "labels.txt").write_text(
        "\n".join((*("red", "green", "blue", "black"), *("circle", "square", "cross"))) + "\n"
    )
    sides = {"image": "image", "caption": "text"}
    encoders = {"image": str(network), "caption": "static:16"}
    space = Space.create(sides, encoder=encoders, dimension=16, layers="last", cache=False)
    pictures = [str(folder / "drawings" / name) for name, _ in rows]
    pairs = Pairs.from_columns({"image": pictures, "caption": [text for _, text in rows]})
    space.fit(pairs, validation=None, epochs=10, learning_rate=0.02, progress=False)
    space.save_pretrained(folder / "space")
    return folder


@pytest.fixture
def table(drawn):
    """Arguments that name the table of drawings."""
    return (drawn / "drawn.csv", "--id", "id", "--root", drawn / "drawings")


@pytest.fixture
def idle(monkeypatch):
    """No work is done: what is wrong is said before."""

    def work(*args, **more):
        raise AssertionError("this was to be refused before any work")

    monkeypatch.setattr(ZeroShot, "scores", work)
    monkeypatch.setattr(Tagger, "fit", work)


@pytest.fixture(scope="session")
def parquet(drawn):
    """Bytes of the first pictures, and the labels of the first two: the third has none, of the others none is known."""
    rows = [(drawn / "drawings" / f"{n}.png").read_bytes() for n in range(8)]
    labels = [["red", "circle"], ["green", "circle"], [], *[None] * 5]
    path = drawn / "bytes.parquet"
    pq.write_table(pa.table({"image": rows, "labels": labels, "id": [f"ü,{n}" for n in range(8)]}), path)
    return path
