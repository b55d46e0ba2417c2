"""`pairspace mine-negatives`: what it writes, says and refuses."""

from __future__ import annotations

import json

import pytest

from pairspace.data import read_pairs

SIDES = ("--side", "title=q", "--side", "body=d", "--device", "cpu")


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_writes_pairs_with_negatives(run, files, untrained, suffix):
    output = files / f"mined.{suffix}"
    mined = ("mine-negatives", files / "pairs.csv", *SIDES, "--space", untrained, "-o", output, "--id", "key")
    said = run(*mined, "--num-negatives", "2")
    assert "512 negatives for 256 queries of 256 pairs, 0 bad rows left out" in said
    assert "--side title --side body --negatives negatives" in said
    before = read_pairs(files / "pairs.csv", {"title": "q", "body": "d"}, id="key")
    after = read_pairs(output, ("title", "body"), negatives="negatives", id="id")
    assert after.table.drop_columns(["negatives"]).equals(before.table)
    bodies = set(before.table["body"].to_pylist())
    for own, lists in zip(after.table["body"].to_pylist(), after.table["negatives"].to_pylist(), strict=True):
        assert len(set(lists)) == 2 and set(lists) <= bodies - {own}


def test_the_hint_names_the_query_side_where_it_is_not_the_first(run, files, plain_folder):
    mined = ("mine-negatives", files / "pairs.csv", *SIDES, "--encoder", plain_folder, "-o", files / "m.jsonl")
    said = run(*mined, "--query-side", "body", "--num-negatives", "1")
    assert "--side title --side body --query-side body --negatives negatives" in said


def test_json_counts_what_the_filters_took(run, files, plain_folder):
    options = ("--encoder", plain_folder, "--max-score", "0.9", "--relative-margin", "0.05", "--sampling", "random")
    result = json.loads(run("mine-negatives", files / "pairs.csv", *SIDES, *options, "-o", files / "m.jsonl", "--json"))
    assert result["pairs"] == result["queries"] == 256 and result["skipped"] == 0
    assert list(result["removed"]) == ["max_score", "relative_margin"]
    counted = [len(json.loads(line)["negatives"]) for line in (files / "m.jsonl").read_text().splitlines()]
    assert sum(counted) == result["negatives"]
    assert sum(0 < count < 3 for count in counted) == result["queries_with_fewer"]
    assert counted.count(0) == result["queries_without"]


def test_says_when_nothing_is_left(run, files, untrained):
    said = run(
        "mine-negatives", files / "pairs.csv", *SIDES, "--space", untrained, "-o", files / "m.jsonl", "--max-score=-1"
    )
    assert "0 negatives for 256 queries" in said and "256 none" in said and "max_score took" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--space FOLDER, or --encoder NAME"),
        (("--encoder", "minilm", "--space", "x"), "one of the two"),
        (("--space", "x", "--prompt", "query: "), "--prompt and --query-side belong to --encoder"),
        (("--encoder", "minilm", "-o", "mined.csv"), "written as .parquet or .jsonl"),
        (("--encoder", "minilm", "-o", "none/mined.parquet"), "no such folder"),
        (("--encoder", "minilm", "-o", "pairs.jsonl"), "is what is read: choose another --output"),
        (("--encoder", "minilm", "--num-negatives", "0"), "num_negatives must be at least 1"),
        (("--encoder", "minilm", "--range-min", "5", "--range-max", "6"), "raise range_max"),
        (("--encoder", "no-such-encoder"), "unknown encoder 'no-such-encoder'"),
    ],
)
def test_bad_input_is_refused_before_any_work(files, refused, monkeypatch, options, message):
    monkeypatch.chdir(files)
    (files / "pairs.jsonl").write_text('{"title": "x", "body": "y"}\n{"title": "v", "body": "w"}\n')
    sides = ("--side", "title", "--side", "body", "--device", "cpu")
    assert message in refused("mine-negatives", "pairs.jsonl", *sides, "-o", "mined.parquet", *options)
    assert not (files / "mined.parquet").exists()
