"""Files of 256 pairs, a space of them, and two ways to run a verb: inside this process, and as `main` does it."""

from __future__ import annotations

import json
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest
import typer.main
import typer.testing
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pairspace.cli import app, main
from pairspace.errors import PairspaceError
from pairspace.space import Space

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
