import pytest

from pairspace.data import read_pairs, read_table
from pairspace.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("10.png", "2.png", "b/1.JPG", ".hidden/3.png", ".4.png", "notes.md"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "pictures"


def test_a_folder_is_read_in_natural_order_with_paths_as_ids(folder):
    table = read_table(folder)
    assert table.column_names == ["image", "id", "folder"]
    assert table["id"].to_pylist() == ["2.png", "10.png", "b/1.JPG"]
    assert table["image"][2].as_py() == str(folder / "b" / "1.JPG")
    assert table["folder"].to_pylist() == ["", "", "b"]


def test_texts_of_the_same_name_are_captions(folder):
    (folder / "2.txt").write_text("two\n")
    assert read_table(folder, ["text"])["text"].to_pylist() == ["two", None, None]
    assert len(read_pairs(folder, {"image": "image", "caption": "text"}, skip_bad=True)) == 1
    (folder / "2.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match="2.txt: not UTF-8"):
        read_table(folder)


def test_a_folder_without_pictures_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="without state.json, and without pictures"):
        read_table(tmp_path)
