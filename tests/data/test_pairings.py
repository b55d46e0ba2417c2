from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.data import read_pairings, split_together
from pairspace.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "pairs.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def shown(sets):
    return [
        (pairs.sides, list(zip(*(pairs.items(side).to_pylist() for side in pairs.sides), strict=True)))
        for pairs in sets
    ]


def rows_of(sets):
    return [pairs.table["row"].to_pylist() for pairs in sets]


WIDE = "en,it,de,source\nhouse,casa,Haus,a\nbread,,Brot,b\ntree,albero,,b\nsea,,,c\n"


def test_every_side_is_paired_with_the_first_where_both_are_there(write):
    sets = read_pairings(write(WIDE), {"en": "en", "it": "it", "de": "de"})
    assert shown(sets) == [
        (("en", "it"), [("house", "casa"), ("tree", "albero")]),
        (("en", "de"), [("house", "Haus"), ("bread", "Brot")]),
    ]
    assert rows_of(sets) == [[0, 2], [0, 1]]
    assert [pairs.total for pairs in sets] == [4, 4] and [pairs.skipped for pairs in sets] == [0, 0]


def test_another_pivot_or_every_two(write):
    path, sides = write(WIDE), {"en": "en", "it": "it", "de": "de"}
    assert [pairs.sides for pairs in read_pairings(path, sides, pivot="de")] == [("de", "en"), ("de", "it")]
    every = read_pairings(path, sides, pivot="all")
    assert [pairs.sides for pairs in every] == [("en", "it"), ("en", "de"), ("it", "de")]
    assert shown(every)[2][1] == [("casa", "Haus")]


def test_a_language_column_is_a_side_a_language_most_frequent_first(write):
    path = write("english,text,lang\nhouse,casa,it\nhouse,Haus,de\nbread,Brot, de \ntree,,it\n")
    sets = read_pairings(path, {"en": "english", "@lang": "text"})
    assert shown(sets) == [
        (("en", "de"), [("house", "Haus"), ("bread", "Brot")]),
        (("en", "it"), [("house", "casa")]),
    ]


def test_spellings_of_one_language_are_one_side_called_as_most_are(write):
    path = write("english,text,lang\nhouse,casa,it\nbread,pane,IT\ntree,albero,it\ncar,carro,pt_BR\nsun,sol,pt-br\n")
    sets = read_pairings(path, {"en": "english", "@lang": "text"})
    assert shown(sets) == [
        (("en", "it"), [("house", "casa"), ("bread", "pane"), ("tree", "albero")]),
        (("en", "pt-br"), [("car", "carro"), ("sun", "sol")]),
    ]


def test_a_language_column_adds_to_a_side_of_that_language_however_it_is_spelt(write):
    path = write("english,italian,text,lang\nhouse,casa,Haus,de\n,albero,tree,en\n")
    sets = read_pairings(path, {"EN": "english", "it": "italian", "@lang": "text"})
    assert shown(sets) == [
        (("EN", "it"), [("house", "casa"), ("tree", "albero")]),
        (("EN", "de"), [("house", "Haus")]),
    ]


def test_two_language_columns(write):
    path = write("a,la,b,lb\nhouse,en,casa,it\nHaus,de,house,en\nBrot,de,pane,it\n")
    sets = read_pairings(path, {"@la": "a", "@lb": "b"}, pivot="all")
    assert shown(sets) == [
        (("de", "en"), [("Haus", "house")]),
        (("de", "it"), [("Brot", "pane")]),
        (("en", "it"), [("house", "casa")]),
    ]


def test_two_items_of_one_language_are_refused(write):
    path = write("a,la,b,lb\nhouse,en,casa,it\nhome,en,house,en\n")
    with pytest.raises(DataError, match=r"pairs.csv, line 3: two items of side 'en'"):
        read_pairings(path, {"@la": "a", "@lb": "b"})


def test_groups_and_ids_come_along_also_where_a_side_is_called_like_their_column(write):
    (pairs,) = read_pairings(
        write("en,it,source\nhouse,casa,a\nbread,pane,b\n"), {"source": "en", "it": "it"}, group="source"
    )
    assert pairs.table["group"].to_pylist() == ["a", "b"]
    assert pairs.items("source").to_pylist() == ["house", "bread"]


def test_several_files_count_their_rows_on(write):
    one, two = write("en,it\nhouse,casa\nbread,\n"), write("en,it\ntree,albero\n", "more.csv")
    (pairs,) = read_pairings([one, two], {"en": "en", "it": "it"})
    assert rows_of([pairs]) == [[0, 2]] and pairs.total == 3


def test_lists_are_several_positives(tmp_path):
    table = pa.table({"en": ["house", "sea"], "it": [["casa", "abitazione"], []], "de": ["Haus", "Meer"]})
    pq.write_table(table, tmp_path / "p.parquet")
    sets = read_pairings(tmp_path / "p.parquet", {"en": "en", "it": "it", "de": "de"})
    assert shown(sets)[0][1] == [("house", "casa"), ("house", "abitazione")]
    assert len(sets[1]) == 2


def test_a_row_without_a_language_is_refused_or_counted(write):
    path = write("english,text,lang\nhouse,casa,it\nbread,Brot,\nsea,mare,it\n")
    with pytest.raises(DataError, match=r"pairs.csv, line 3: no language \(column 'lang'\), 1 such rows"):
        read_pairings(path, {"en": "english", "@lang": "text"})
    (pairs,) = read_pairings(path, {"en": "english", "@lang": "text"}, skip_bad=True)
    assert len(pairs) == 2 and pairs.skipped == 1 and rows_of([pairs]) == [[0, 2]]


@pytest.mark.parametrize(
    ("sides", "pivot", "message"),
    [
        ({"en": "en", "it": "it", "de": "de"}, "fr", "no side 'fr' to pair the others with"),
        ({"en": "en", "it": "it", "none": "empty"}, None, "no row has side 'none' beside side 'en'"),
        ({"en": "en", "row": "it"}, None, "cannot be called 'row'"),
        ({"en": "en"}, None, "at least two sides"),
        ({"en": "en", "it": "nowhere"}, None, "no column 'nowhere'"),
    ],
)
def test_sides_that_cannot_be_paired(write, sides, pivot, message):
    path = write("en,it,de,empty\nhouse,casa,Haus,\n")
    with pytest.raises(DataError, match=message):
        read_pairings(path, sides, pivot=pivot)


def test_what_belongs_together_is_on_one_side_of_a_split_in_all_data_sets(write):
    lines = [f"e{i},i{i},d{i},g{i // 2}" for i in range(20)]
    sides = {"en": "en", "it": "it", "de": "de"}
    path = write("\n".join(["en,it,de,source", *lines]))
    for group in (None, "source"):
        sets = read_pairings(path, sides, group=group)
        train, test = split_together(sets, test=0.3, seed=1)
        assert [pairs.sides for pairs in train] == [pairs.sides for pairs in test] == [("en", "it"), ("en", "de")]
        left, out = ({row for pairs in part for row in pairs.table["row"].to_pylist()} for part in (train, test))
        assert len(out) == 6 and not left & out
        assert [len(pairs) for pairs in test] == [6, 6]
    odd = {row // 2 for row in out}
    assert len(odd) == 3  # whole groups


def test_items_of_one_side_hold_data_sets_together_without_groups(write):
    one = read_pairings(write("en,it\na,1\nb,2\nc,3\nd,4\n"), {"en": "en", "it": "it"})
    other = read_pairings(write("en,de\nd,5\nc,6\nb,7\na,8\n", "other.csv"), {"en": "en", "de": "de"})
    _, (first, second) = split_together([*one, *other], test=2, seed=0)
    assert first.items("en").to_pylist() == second.items("en").to_pylist() and len(first) == 1


def test_nothing_cannot_be_split():
    with pytest.raises(DataError, match="no data sets"):
        split_together([], test=0.5)
