from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.errors import DataError
from pairspace.tagging import frequent_classes, label_matrix, lists_of, read_classes, read_labels, write_tags


def test_classes_are_a_name_a_line(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("\ufeffcat\n\n  dog \r\nHündin\n", encoding="utf-8")
    assert read_classes(path) == ["cat", "dog", "Hündin"]
    path.write_text("cat\ndog\n\ncat \n")
    with pytest.raises(DataError, match=r"labels\.txt, line 4: class 'cat' stands in line 1 already"):
        read_classes(path)
    path.write_text("\n \n")
    with pytest.raises(DataError, match="no class; one name a line"):
        read_classes(path)
    pq.write_table(pa.table({"text": ["cat", None, "dog"]}), tmp_path / "classes.parquet")
    assert read_classes(tmp_path / "classes.parquet") == ["cat", "dog"]


def test_labels_are_read_from_lists_texts_and_a_line_a_tag(tmp_path):
    labels = [["x", " y ", " ", ""], [], None]
    pq.write_table(pa.table({"id": ["a", "b", "c"], "labels": labels}), tmp_path / "a.parquet")
    assert read_labels(tmp_path / "a.parquet") == {"a": ["x", "y"], "b": [], "c": []}
    (tmp_path / "b.csv").write_text("id,tags\n1,x; y z;\n2,\n")
    assert read_labels(tmp_path / "b.csv") == {"1": ["x", "y z"], "2": []}
    write_tags(tmp_path / "c.csv", ["p", "q"], [[("x", 0.5), ("y", 0.1)], []])
    with (tmp_path / "c.csv").open("a") as file:
        file.write("q,,\np, z ,\n")
    assert read_labels(tmp_path / "c.csv") == {"p": ["x", "y", "z"], "q": []}


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_tags_that_were_written_are_read_as_labels(tmp_path, name):
    write_tags(tmp_path / name, ["p, ü", "q"], [[("x", 0.5), ("y, z", 0.1)], []])
    found = {"p, ü": ["x", "y, z"], "q": []}
    assert read_labels(tmp_path / name) == {key: found[key] for key in found if name == "a.jsonl" or found[key]}


def test_what_is_no_table_of_labels_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("name,tags\n1,x\n")
    with pytest.raises(DataError, match="no column 'id'"):
        read_labels(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("id,x\n1,x\n")
    with pytest.raises(DataError, match="no column 'tags'"):
        read_labels(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("id,tags\n1,x\n2,x\n1,y\n")
    with pytest.raises(DataError, match=r"row 2 \(from 0\): the id '1' stands in an earlier row"):
        read_labels(tmp_path / "c.csv")
    with pytest.raises(DataError, match="column 'n' holds double"):
        lists_of(pa.chunked_array([[0.5]]), "column 'n'")
    with pytest.raises(DataError, match="column 'n' holds double"):
        lists_of(pa.chunked_array([[[0.5]]]), "column 'n'")


def test_lists_become_a_matrix_and_frequent_labels_classes():
    lists = [["b", "a"], ["a", "a"], [], ["c", "b", "?"], ["a"]]
    assert frequent_classes(lists, 1) == ["a", "b", "?", "c"] and frequent_classes(lists, 2) == ["a", "b"]
    assert label_matrix(lists, ["b", "a"]).tolist() == [[1, 1], [0, 1], [0, 0], [1, 0], [0, 1]]
    with pytest.raises(DataError, match="no label stands in 4 rows or more; the most frequent one in 3"):
        frequent_classes(lists, 4)
