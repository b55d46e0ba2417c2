from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.data import Pairs, read_pairs, sample_path
from pairspace.errors import DataError

SIDES = {"title": "t", "body": "b"}


def csv_file(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def jsonl_file(path, *objects):
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return path


def columns(pairs):
    return {name: pairs.table[name].to_pylist() for name in pairs.table.column_names}


def test_columns_become_sides(tmp_path):
    pairs = read_pairs(csv_file(tmp_path / "a.csv", "b,t,g,i", "B1,T1,x,7", "B2,T2,x,8"), SIDES, group="g", id="i")
    assert columns(pairs) == {
        "title": ["T1", "T2"],
        "body": ["B1", "B2"],
        "row": [0, 1],
        "id": ["7", "8"],
        "group": ["x", "x"],
    }
    assert (pairs.sides, pairs.query_side, pairs.document_side) == (("title", "body"), "title", "body")
    assert (len(pairs), pairs.skipped, pairs.duplicates, pairs.source) == (2, 0, 0, str(tmp_path / "a.csv"))
    assert "2 rows, sides title, body" in repr(pairs)


def test_the_query_side_can_be_chosen_and_sides_named_by_column(tmp_path):
    path = csv_file(tmp_path / "a.csv", "b,t", "B,T")
    pairs = read_pairs(path, ["b", "t"], query_side="t", root=tmp_path)
    assert (pairs.sides, pairs.query_side, pairs.document_side, pairs.root) == (("b", "t"), "t", "b", tmp_path)
    with pytest.raises(DataError, match="query side 'x' is none of the sides b, t"):
        read_pairs(path, ["b", "t"], query_side="x")


def test_one_row_is_read(tmp_path):
    assert len(read_pairs(csv_file(tmp_path / "a.csv", "t,b", "x,y"), SIDES)) == 1


@pytest.mark.parametrize(("line", "place"), [(",B2", "line 3"), ("T2,", "line 3"), ("T2, \u00a0", "line 3")])
def test_an_empty_side_is_named_by_line_and_counted(tmp_path, line, place):
    path = csv_file(tmp_path / "a.csv", "t,b", "T1,B1", line, "T3,B3", " ,B4")
    side = "title' (column 't')" if line.startswith(",") else "body' (column 'b')"
    with pytest.raises(DataError) as error:
        read_pairs(path, SIDES)
    assert f"a.csv, {place}: side '{side} is empty (2 such rows in all)" in str(error.value)
    assert "--skip-bad" in str(error.value)
    pairs = read_pairs(path, SIDES, skip_bad=True)
    assert (pairs.items("title").to_pylist(), pairs.skipped) == (["T1", "T3"], 2)
    assert pairs.table["row"].to_pylist() == [0, 2]


def test_an_empty_side_in_parquet_is_named_by_row(tmp_path):
    pq.write_table(pa.table({"t": ["x", "y", "z"], "b": ["x", "y", None]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet, row 2 \(from 0\): side 'body' .* \(the only such row\)"):
        read_pairs(tmp_path / "a.parquet", SIDES)


def test_broken_and_empty_rows_are_counted_together(tmp_path):
    path = csv_file(tmp_path / "a.csv", "t,b", "T1,B1", "T2", "T3,", "T4,B4")
    pairs = read_pairs(path, SIDES, skip_bad=True)
    assert (pairs.table["row"].to_pylist(), pairs.skipped) == ([0, 3], 2)
    with pytest.raises(DataError, match=r"no usable pairs \(2 rows, 2 of them bad\)"):
        read_pairs(csv_file(tmp_path / "b.csv", "t,b", "T", "T,"), SIDES, skip_bad=True)
    with pytest.raises(DataError, match="no usable pairs"):
        read_pairs(csv_file(tmp_path / "c.csv", "t,b"), SIDES)


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(DataError, match="no column 'b'; its columns are: t, c"):
        read_pairs(csv_file(tmp_path / "a.csv", "t,c", "x,y"), SIDES)


def test_a_side_of_the_wrong_type_is_named(tmp_path):
    pq.write_table(pa.table({"t": ["x"], "b": [1.5], "l": [[["x"]]]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'b' holds double, and text or whole numbers are needed"):
        read_pairs(tmp_path / "a.parquet", SIDES)
    with pytest.raises(DataError, match="column 'l' holds lists of lists"):
        read_pairs(tmp_path / "a.parquet", {"title": "t", "body": "l"})


def test_bad_sides_are_refused(tmp_path):
    path = csv_file(tmp_path / "a.csv", "t,b", "x,y")
    with pytest.raises(DataError, match="at least two sides"):
        read_pairs(path, {"title": "t"})
    with pytest.raises(DataError, match="cannot be called 'row'"):
        read_pairs(path, {"row": "t", "body": "b"})
    with pytest.raises(DataError, match="no files"):
        read_pairs([], SIDES)
    with pytest.raises(DataError, match="no side 'x'; the sides are title, body"):
        read_pairs(path, SIDES).items("x")


def test_lists_are_several_rows_of_the_same_source_row(tmp_path):
    path = jsonl_file(tmp_path / "a.jsonl", {"t": "x", "b": ["p", "q"]}, {"t": "y", "b": ["r"]})
    pairs = read_pairs(path, SIDES)
    assert columns(pairs) == {"title": ["x", "x", "y"], "body": ["p", "q", "r"], "row": [0, 0, 1]}


def test_an_empty_list_or_an_empty_item_in_one_is_a_bad_row(tmp_path):
    path = jsonl_file(tmp_path / "a.jsonl", {"t": "x", "b": ["p", ""]}, {"t": "y", "b": []}, {"t": "z", "b": None})
    with pytest.raises(DataError, match=r"a\.jsonl, line 1: side 'body' .* is empty \(3 such rows in all\)"):
        read_pairs(path, SIDES)
    pairs = read_pairs(path, SIDES, skip_bad=True)
    assert (columns(pairs), pairs.skipped) == ({"title": ["x"], "body": ["p"], "row": [0]}, 3)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("xyz"))), min_size=1),
    st.integers(1, 4),
)
def test_lists_on_both_sides_give_every_combination(rows, size):
    expected = [(a, b, i) for i, (left, right) in enumerate(rows) for a in left for b in right]
    kind = pa.list_(pa.string())
    chunked = [
        pa.chunked_array([pa.array(side[at : at + size], kind) for at in range(0, len(rows), size)])
        for side in zip(*rows, strict=True)
    ]
    if not expected:
        return
    pairs = Pairs.from_columns({"a": chunked[0], "b": chunked[1]}, skip_bad=True)
    assert list(zip(*(pairs.table[name].to_pylist() for name in ("a", "b", "row")), strict=True)) == expected


def test_binary_items_and_the_image_form_of_datasets(tmp_path):
    image = [{"bytes": b"\x89PNG", "path": "a.png"}]
    pq.write_table(pa.table({"image": image, "caption": ["x"]}), tmp_path / "a.parquet")
    pairs = read_pairs(tmp_path / "a.parquet")
    assert pairs.items("image").type == pa.large_binary()
    assert pairs.items("image").to_pylist() == [b"\x89PNG"]
    image[0]["bytes"] = None
    pq.write_table(pa.table({"image": image, "caption": ["x"]}), tmp_path / "b.parquet")
    assert read_pairs(tmp_path / "b.parquet").items("image").to_pylist() == ["a.png"]


def test_score_and_negatives(tmp_path):
    path = jsonl_file(
        tmp_path / "a.jsonl",
        {"t": "x", "b": "y", "s": 0.5, "n": ["p", "", "q"]},
        {"t": "z", "b": "w", "s": 1, "n": []},
    )
    pairs = read_pairs(path, SIDES, score="s", negatives="n")
    assert columns(pairs)["score"] == [0.5, 1.0]
    assert columns(pairs)["negatives"] == [["p", "q"], []]
    with pytest.raises(DataError, match=r"column 't' \(score\) must hold numbers"):
        read_pairs(path, SIDES, score="t")


def test_negatives_of_several_columns_are_put_together(tmp_path):
    path = csv_file(tmp_path / "a.csv", "anchor,positive,negative_2,negative_1", "a,p,n2,n1", "b,q,,m1")
    pairs = read_pairs(path)
    assert pairs.sides == ("anchor", "positive")
    assert columns(pairs)["negatives"] == [["n1", "n2"], ["m1"]]


def test_a_score_that_is_missing_is_a_bad_row(tmp_path):
    path = jsonl_file(tmp_path / "a.jsonl", {"t": "x", "b": "y", "s": None}, {"t": "z", "b": "w", "s": 1})
    with pytest.raises(DataError, match=r"line 1: the score \(column 's'\) is no number"):
        read_pairs(path, SIDES, score="s")
    assert read_pairs(path, SIDES, score="s", skip_bad=True).items("title").to_pylist() == ["z"]


def test_several_files_count_their_rows_on(tmp_path):
    a = csv_file(tmp_path / "a.csv", "t,b", "x,1", "y,")
    b = tmp_path / "b.csv.gz"
    b.write_bytes(gzip.compress(b"t,b\nz,3\n"))
    pairs = read_pairs([a, b], SIDES, skip_bad=True)
    assert columns(pairs) == {"title": ["x", "z"], "body": ["1", "3"], "row": [0, 2]}
    assert (pairs.skipped, pairs.source) == (1, f"{a}, {b}")


def test_unique_numbers_items_in_order_of_first_appearance():
    parts = [Pairs.from_columns({"a": a, "b": list("xyz")}) for a in (["q", "p", "q"], ["r", "p", "s"])]
    pairs = Pairs.concat(parts)
    items, codes = pairs.unique("a")
    assert items.to_pylist() == ["q", "p", "r", "s"]
    assert codes.dtype == np.int64
    assert codes.tolist() == [0, 1, 0, 2, 1, 3]
    assert pairs.duplicates == 1  # p with y
    assert Pairs.concat([parts[0], parts[0]]).duplicates == 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1), st.data())
def test_unique_and_duplicates_against_plain_python(rows, data):
    pairs = Pairs.from_columns({"a": [a for a, _ in rows], "b": [b for _, b in rows]})
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1))
    picked, kept = pairs.select(chosen), [rows[i] for i in chosen]
    items, codes = picked.unique("a")
    assert items.to_pylist() == list(dict.fromkeys(a for a, _ in kept))
    assert [items[int(code)].as_py() for code in codes] == [a for a, _ in kept]
    assert picked.duplicates == len(kept) - len(set(kept))


def test_select_takes_positions_and_masks_and_keeps_the_rest():
    pairs = Pairs.from_columns({"a": ["1", "2", "3"], "b": ["4", "5", "6"]}, query_side="b", root="/pictures")
    assert pairs.select([2, 0]).items("a").to_pylist() == ["3", "1"]
    masked = pairs.select(np.array([False, True, False]))
    assert masked.table["row"].to_pylist() == [1]
    assert (masked.query_side, str(masked.root)) == ("b", "/pictures")
    assert len(pairs.select([])) == 0
    assert pairs.select([]).duplicates == 0


def test_from_columns_checks_what_it_is_given():
    with pytest.raises(DataError, match="columns of different lengths: a 1, b 2"):
        Pairs.from_columns({"a": ["x"], "b": ["y", "z"]})
    with pytest.raises(DataError, match="items of different types"):
        Pairs.from_columns({"a": ["x", 1], "b": ["y", "z"]})
    with pytest.raises(DataError, match=r"memory, row 1 \(from 0\): side 'b'"):
        Pairs.from_columns({"a": ["x", "y"], "b": ["y", " "]})
    pairs = Pairs.from_columns({"a": ["x"], "b": ["y"]}, group=[3], id=["i"], score=[1], negatives=[["n"]])
    assert columns(pairs) == {
        "a": ["x"], "b": ["y"], "row": [0], "id": ["i"], "group": ["3"], "score": [1.0], "negatives": [["n"]],
    }  # fmt: skip


def test_concat_refuses_what_does_not_fit():
    a = Pairs.from_columns({"a": ["x"], "b": ["y"]})
    with pytest.raises(DataError, match="do not fit together"):
        Pairs.concat([a, Pairs.from_columns({"a": ["x"], "b": ["y"]}, group=["g"])])
    with pytest.raises(DataError, match="nothing"):
        Pairs.concat([])
    here, there = (Pairs(a.table, a.sides, source=name, root=root) for name, root in (("p", None), ("q", Path("x"))))
    with pytest.raises(DataError, match="paths of p start from here, those of q from x: read both with one root"):
        Pairs.concat([here, there])


def test_the_sample_is_read_and_split_by_its_groups():
    pairs = read_pairs(sample_path(), {"title": "short_en", "body": "long_en"}, group="group", id="md5")
    assert len(pairs) == 6000
    train, test = pairs.split(test=0.1, seed=0)
    assert len(test) == 600
    assert not set(train.table["group"].to_pylist()) & set(test.table["group"].to_pylist())
    german = read_pairs(sample_path(), {"de": "long_de", "en": "long_en"}, skip_bad=True)
    assert len(german) > 1000
    assert (sample_path().parent / "LICENSE.md").is_file()
    with pytest.raises(DataError, match="there are packages and emoji"):
        sample_path("flags")


def test_scores_may_be_a_list_of_the_pair_and_its_negatives():
    pairs = Pairs.from_columns(
        {"a": ["x", "y"], "b": ["u", "v"]}, negatives=[["w"], ["w", "z"]], score=[[1, 2], [3, 4, 5]]
    )
    assert pairs.table["score"].to_pylist() == [[1.0, 2.0], [3.0, 4.0, 5.0]]


@pytest.mark.parametrize("wrong", [[2.0, float("nan")], [], None])
def test_a_list_of_scores_with_a_gap_is_a_bad_row(wrong):
    columns = {"a": ["x", "y"], "b": ["u", "v"]}
    with pytest.raises(DataError, match="row 1.*score"):
        Pairs.from_columns(columns, negatives=[["w"], ["z"]], score=[[1.0, 2.0], wrong])
    assert len(Pairs.from_columns(columns, negatives=[["w"], ["z"]], score=[[1.0, 2.0], wrong], skip_bad=True)) == 1


@pytest.mark.parametrize("empty", ["", " ", None])
def test_a_negative_that_is_left_out_takes_its_score_along(empty):
    given = [["w", empty, "z"], [], [empty], None, [empty, "w"]]
    scores = [[1, 2, 3, 4], [5], [6, None], [7], [8, 9]]
    pairs = Pairs.from_columns({"a": list("pqrst"), "b": list("uvwxy")}, negatives=given, score=scores)
    assert pairs.table["negatives"].to_pylist() == [["w", "z"], [], [], [], ["w"]]
    # the last list is of the negatives that are not empty already
    assert pairs.table["score"].to_pylist() == [[1.0, 2.0, 4.0], [5.0], [6.0], [7.0], [8.0, 9.0]]


def test_scores_of_negatives_in_several_columns(tmp_path):
    rows = [{"a": "x", "b": "u", "n1": "w", "n2": "z", "s": [1, 2, 3]}, {"a": "y", "b": "v", "n2": "z", "s": [4, 5, 6]}]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = read_pairs(path, ("a", "b"), negatives=("n1", "n2"), score="s")
    assert pairs.table["negatives"].to_pylist() == [["w", "z"], ["z"]]
    assert pairs.table["score"].to_pylist() == [[1.0, 2.0, 3.0], [4.0, 6.0]]


def test_negatives_that_are_lists_of_lists():
    with pytest.raises(DataError, match=r"column 'negatives' \(negatives\) holds lists of lists"):
        Pairs.from_columns({"a": ["x"], "b": ["y"]}, negatives=[[["z"]]])
