"""`pairspace sweep`: how values are read, what is printed, and what is refused."""

from __future__ import annotations

import json

import pytest

from pairspace.cli.sweep import _parse
from pairspace.errors import PairspaceError
from pairspace.space import Space

SIDES = ("--side", "title=q", "--side", "body=d", "--device", "cpu", "--epochs", "1", "--batch-size", "64")


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("learning-rate=1e-3,.03,2", "learning_rate", [1e-3, 0.03, 2.0]),
        ("batch_size=64, 128", "batch_size", [64, 128]),
        ("patience=3,null", "patience", [3, None]),
        ("learn_temperature=true,false", "learn_temperature", [True, False]),
        ("layers=0", "layers", ["0"]),
        ("layers=2,last;spread", "layers", ["2,last", "spread"]),
        ("matryoshka=8,16", "matryoshka", [(8, 16)]),
        ("matryoshka=8,16;32;null", "matryoshka", [(8, 16), (32,), ()]),
        ("encoder=minilm,384", "encoder", ["minilm", "384"]),
        ("dimension=8", "dimension", [8]),
    ],
)
def test_values_are_of_the_type_that_the_setting_has(text, name, values):
    found = _parse(text)
    assert found == (name, values) and [type(one) for one in found[1]] == [type(one) for one in values]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate", "write it as learning_rate=1e-3,3e-3"),
        ("=3", "write it as learning_rate=1e-3,3e-3"),
        ("learning_rate=fast", "--try learning_rate: 'fast' is not a number"),
        ("batch_size=64,", "--try batch_size: '' is not a whole number"),
        ("batch_size=1.5", "'1.5' is not a whole number"),
        ("patience=soon", "'soon' is not a whole number, or null for none,"),
        ("learn_temperature=1", "'1' is not true or false"),
        ("epochs=null", "'null' is not a whole number"),
        ("matryoshka=8,last", "--try matryoshka 8,last: write it as 64,128,256"),
    ],
)
def test_values_of_another_type_are_refused(text, message):
    with pytest.raises(PairspaceError) as error:
        _parse(text)
    assert message in str(error.value)


def test_sizes_and_layers_are_tried_and_the_best_is_written(run, files, plain_folder):
    tries = ("--try", "matryoshka=8,16;32", "--try", "layers=2,last;9")
    said = run("sweep", files / "pairs.csv", *SIDES, "--encoder", plain_folder, *tries, "-o", files / "best")
    table = [line for line in said.splitlines() if line.startswith("|")]
    assert len(table) == 6 and "R@1 before" in table[0]
    tried = sorted([cell.strip() for cell in line.split("|")[1:3]] for line in table[2:])
    assert tried == [["32", "2,last"], ["32", "9"], ["8,16", "2,last"], ["8,16", "9"]]
    assert said.count(" failed: ") == 2 and "matryoshka=32, layers=9 failed: " in said and "no layer '9'" in said
    assert Space.from_pretrained(files / "best", device="cpu").record["options"]["matryoshka"] in ([8, 16], [32])


def test_json_has_null_where_there_is_no_number(run, files, plain_folder, cache):
    options = ("--encoder", plain_folder, "--try", "layers=last;9", "--json", "--no-cache")
    said = run("sweep", files / "pairs.csv", *SIDES, *options)
    good, bad = json.loads(said, parse_constant=pytest.fail)["trials"]
    assert good["settings"] == {"layers": "last"} and 0 <= good["start"] <= 1 and good["error"] is None
    assert (bad["recall"], bad["reciprocal_rank"], bad["start"]) == (None, None, None) and "'9'" in bad["error"]
    assert not cache.exists()


def test_ids_negatives_and_prompts_are_taken_along(run, files, untrained, monkeypatch):
    seen = {}

    def spy(pairs, tries, *, space, **settings):
        seen.update(pairs=pairs, space=space)
        raise PairspaceError("seen")

    monkeypatch.setattr("pairspace.space.sweeping.sweep", spy)
    mined = files / "mined.jsonl"
    rows = [{"q": f"q{n}", "d": f"d{n}", "key": f"k{n}", "wrong": [f"q{n + 1}"]} for n in range(4)]
    mined.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--id", "key", "--negatives", "wrong", "--query-side", "body", "--try", "seed=0")
    with pytest.raises(PairspaceError, match="seen"):
        run("sweep", mined, *SIDES, *options, "--prompt", "title=find: ", "--prompt", "body=text: ")
    assert seen["pairs"].table["id"].to_pylist() == ["k0", "k1", "k2", "k3"]
    assert seen["pairs"].table["negatives"].to_pylist()[0] == ["q1"] and seen["pairs"].query_side == "body"
    assert seen["space"]["prompt"] == {"title": "find: ", "body": "text: "}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--try", "rate=1"), "'rate' cannot be tried: choose among"),
        (("--try", "seed=0", "--try", "seed=1"), "--try seed is given twice"),
        (("--try", "seed=0", "-o", "."), ". exists: choose another --output"),
        (("--try", "seed=0", "--validation", "0"), "no pairs are held out"),
    ],
)
def test_bad_input_is_refused(files, refused, options, message):
    assert message in refused("sweep", files / "pairs.csv", *SIDES, *options)
