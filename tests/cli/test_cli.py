"""The command line: every verb on small data, its JSON, and its errors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from pairspace.cli import app, main
from pairspace.errors import PairspaceError, warn
from pairspace.index import Index


def train_arguments(files, encoder, output="space", *more):
    sides = ("--side", "title=q", "--side", "body=d", "--encoder", encoder, "--device", "cpu")
    return (
        "train",
        files / "pairs.csv",
        *sides,
        "--output",
        files / output,
        "--epochs",
        "3",
        "--batch-size",
        "32",
        *more,
    )


@pytest.fixture(scope="module")
def trained(pair_files, plain_folder, tmp_path_factory):
    """A folder with a space that was trained, and with the cache as that left it; not to be altered."""
    folder = shutil.copytree(pair_files, tmp_path_factory.mktemp("trained"), dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAIRSPACE_CACHE", str(folder / "cache"))
        done = CliRunner().invoke(app, [str(one) for one in train_arguments(folder, plain_folder)])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def space(trained, files, cache):
    shutil.copytree(trained / "cache", cache)
    return shutil.copytree(trained / "space", files / "space")


def test_train_says_the_score_before_and_after(run, files, plain_folder, painted):
    said = run(*train_arguments(files, plain_folder))
    assert "256 pairs, 0 exact duplicates" in said and "before training" in said
    assert (files / "space" / "history.png").read_bytes().startswith(b"\x89PNG")
    assert len((files / "space" / "history.jsonl").read_text().splitlines()) == 4
    assert not (files / "space.checkpoint").exists()


def test_train_gives_json(run, files, plain_folder):
    result = json.loads(run(*train_arguments(files, plain_folder, "space", "--json")))
    assert result["pairs"] == 256 and result["epochs"] == 3 and "validation_R@1" in result["before"]


def test_train_does_not_overwrite_unless_told(run, files, plain_folder, space):
    with pytest.raises(PairspaceError, match="--overwrite"):
        run(*train_arguments(files, plain_folder))
    run(*train_arguments(files, plain_folder, "space", "--overwrite"))


def test_train_goes_on_from_a_space(run, files, plain_folder, space):
    sides = ("--side", "title=q", "--side", "body=d", "--epochs", "3", "--batch-size", "32", "--device", "cpu")
    result = json.loads(run("train", files / "pairs.csv", *sides, "-o", files / "more", "--from", space, "--json"))
    first = json.loads((space / "config.json").read_text())["record"]["after"]["validation_R@1"]
    assert result["before"]["validation_R@1"] == first
    with pytest.raises(PairspaceError, match="--encoder cannot be changed"):
        run(*train_arguments(files, plain_folder, "other", "--from", space))


def test_identity_trains_nothing(run, files, plain_folder):
    said = run(*train_arguments(files, plain_folder, "space", "--projector", "identity"))
    assert "nothing to train" in said


def test_evaluate_on_pairs_and_on_a_collection(run, files, space):
    pairs = ("evaluate", space, "--pairs", files / "pairs.csv", "--side", "title=q", "--side", "body=d")
    assert "title -> body" in run(*pairs)
    three = ("--corpus", files / "corpus.jsonl", "--queries", files / "queries.jsonl", "--qrels", files / "test.tsv")
    report = json.loads(
        run("evaluate", space, *three, "--json", "--runs", files / "runs", "--output", files / "r.json")
    )
    assert json.loads((files / "r.json").read_text()) == report
    runs = sorted((files / "runs").glob("*.run"))
    assert len(runs) >= 3
    qrels = next(p for p in (files / "runs").iterdir() if "qrels" in p.name)
    assert "R@1" in run("compare", runs[0], runs[1], "--qrels", qrels)
    with pytest.raises(PairspaceError, match="give either --pairs"):
        run("evaluate", space)


def test_index_and_search(run, files, space):
    index = (
        "index",
        space,
        files / "pairs.csv",
        "--column",
        "d",
        "--id",
        "key",
        "--payload",
        "q",
        "-o",
        files / "index",
    )
    assert json.loads(run(*index, "--json"))["items"] == 256
    assert json.loads(run(*index, "--json"))["items"] == 256  # again: the same ids, nothing new
    for mode in ("dense", "bm25", "hybrid"):
        [found] = json.loads(run("search", files / "index", "game play", "-k", "3", "--mode", mode, "--json"))
        assert found["query"] == "game play" and len(found["hits"]) == 3
    [found] = json.loads(run("search", files / "index", "a b", "--filter", "q=c d", "--json"))
    assert [hit["id"] for hit in found["hits"]] == ["id-cd"]
    assert "id-" in run("search", files / "index", "a b", "-k", "2")
    assert "256" in run("info", files / "index")
    with pytest.raises(PairspaceError, match="holds whole items of side 'body'"):
        run("index", space, files / "pairs.csv", "--side", "title", "--column", "q", "-o", files / "index")


def test_search_corrected_for_hubs(run, files, space):
    index = ("index", space, files / "pairs.csv", "--column", "d", "--id", "key", "-o", files / "index")
    run(*index)
    with pytest.raises(PairspaceError, match="needs reference queries"):
        run("search", files / "index", "a b", "--similarity", "csls")
    with pytest.raises(PairspaceError, match="made without reference queries, and none can join later"):
        run(*index, "--reference", files / "texts.txt")
    with pytest.raises(PairspaceError, match="--column; there are q, d, key"):
        run(*index, "--reference", files / "pairs.csv", "--overwrite")
    for reference in ([files / "texts.txt"], [files / "pairs.csv", "--reference-column", "q"]):
        run(*index, "--reference", *reference, "--overwrite")
        assert json.loads(run("info", files / "index", "--json"))["reference"] == {"dense": 256}
    run(*index, "--reference", *reference)  # again: nothing new
    ask = ("search", files / "index", "a b", "game play", "--json")
    plain, csls, margin = (json.loads(run(*ask, "--similarity", one)) for one in ("cosine", "csls", "margin"))
    with Index.open(files / "index") as opened:
        expected = opened.search(["a b", "game play"], similarity="csls")
    assert [[hit["id"] for hit in one["hits"]] for one in csls] == [[hit.id for hit in hits] for hits in expected]
    assert csls != plain != margin
    assert all(set(hit["payload"]) == {"text"} for one in csls for hit in one["hits"])
    with pytest.raises(PairspaceError, match="one of cosine, csls, margin"):
        run("search", files / "index", "a b", "--similarity", "dot")


def test_encode_writes_unit_rows(run, files, space):
    run("encode", space, files / "texts.txt", "--side", "title", "--output", files / "v.npy")
    vectors = np.load(files / "v.npy")
    assert vectors.shape == (256, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_info_and_cache(run, files, space):
    assert json.loads(run("info", space, "--json"))["kind"] == "space"
    assert "linear" in run("info", space)
    assert json.loads(run("info", "cache", "--json"))["bytes"] > 0
    assert json.loads(run("cache", "limit", "20GB", "--json"))["limit"] == 20 * 10**9
    assert "limit 20.00 GB" in run("cache")
    with pytest.raises(PairspaceError, match="no features of an encoder beef"):
        run("cache", "clear", "beef")
    assert json.loads(run("cache", "clear", "--json"))["freed"] > 0
    assert json.loads(run("cache", "--json"))["entries"] == []
    with pytest.raises(PairspaceError, match="'lots' is not a size"):
        run("cache", "limit", "lots")
    with pytest.raises(PairspaceError, match="neither a space, an index nor a tagger"):
        run("info", files)


def test_options_a_side_at_a_time(run, files, plain_folder):
    with pytest.raises(PairspaceError, match="not for body"):
        run(*train_arguments(files, f"title={plain_folder}"))


def test_a_users_mistake_is_two_lines_and_code_2(files, warm):
    code = "from pairspace.cli import main; main()"
    done = warm.run(code, *train_arguments(files, "no-such-encoder"), folder=files)
    assert done.code == 2 and "Traceback" not in done.err and done.out == ""
    assert done.err.startswith("pairspace: unknown encoder 'no-such-encoder'") and done.err.count("\n") <= 3


def test_a_warning_is_one_line_of_words(monkeypatch, capsys):
    def doubts():
        warn("is that so?")
        warnings.warn("of another package", RuntimeWarning, stacklevel=1)

    monkeypatch.setattr(sys.modules["pairspace.cli.app"], "app", doubts)
    main()
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == "warning: is that so?" and "test_cli.py:" in rest[0] and "RuntimeWarning: of another" in rest[0]


def test_python_runs_the_package_too():
    command = [sys.executable, "-m", "pairspace", "--help"]
    assert "mine-negatives" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_help_loads_neither_torch_nor_transformers():
    heavy = "('torch', 'transformers', 'pyarrow', 'numpy')"
    code = f"import sys, pairspace.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
