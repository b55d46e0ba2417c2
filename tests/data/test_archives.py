import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from pairspace.data import read_pairs, read_table
from pairspace.data.pictures import open_picture
from pairspace.errors import DataError


def png(value):
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (value, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def write(path, members, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def shard(tmp_path):
    members = {}
    for i in range(3):
        members |= {f"./x/{i}.png": png(i), f"./x/{i}.txt": f"caption {i}\n".encode()}
        members[f"./x/{i}.json"] = b'{"width": 4, "tags": ["a", "b"]}'
    return write(tmp_path / "shard.tar", members)


def test_members_of_one_key_are_one_row(shard):
    table = read_table(shard)
    assert table.column_names == ["key", "image", "text", "json"]
    assert table["key"].to_pylist() == ["x/0", "x/1", "x/2"]
    assert table["text"].to_pylist() == ["caption 0", "caption 1", "caption 2"]
    assert read_table(shard, ["json.width"])["json.width"].to_pylist() == [4, 4, 4]
    for value, path in enumerate(table["image"].to_pylist()):
        assert np.asarray(open_picture(path))[0, 0, 0] == value


def test_archives_are_pairs(shard, tmp_path):
    other = write(tmp_path / "two.tar", {"9.png": png(9), "9.txt": b"nine"})
    pairs = read_pairs([shard, other])
    assert (pairs.sides, len(pairs)) == (("image", "text"), 4)
    tags = read_pairs(shard, {"image": "image", "tag": "json.tags"})
    assert tags.items("tag").to_pylist() == ["a", "b"] * 3


def test_several_pictures_a_key_have_their_own_columns(tmp_path):
    path = write(tmp_path / "a.tar", {"1.left.png": png(1), "1.right.png": png(2), "1.txt": b"both"})
    table = read_table(path)
    assert table.column_names == ["key", "left", "right", "text"]
    assert np.asarray(open_picture(table["right"][0].as_py()))[0, 0, 0] == 2


def test_a_changed_archive_is_read_anew(tmp_path):
    path = write(tmp_path / "a.tar", {"1.png": png(1)})
    open_picture(f"{path}/1.png")
    write(path, {"2.txt": b"x" * 5000, "1.png": png(7)})
    assert np.asarray(open_picture(f"{path}/1.png"))[0, 0, 0] == 7


def test_what_cannot_be_read_is_named(shard, tmp_path):
    with pytest.raises(DataError, match=r"shard.tar/x/7.png: the archive has no such member"):
        open_picture(f"{shard}/x/7.png")
    packed = write(tmp_path / "packed.tar", {"1.png": png(1)}, "w:gz")
    with pytest.raises(DataError, match="packed.tar: .*compressed archive; decompress it first"):
        read_table(packed)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(shard.read_bytes()[:1600])
    with pytest.raises(DataError, match="cut.tar: not a readable tar archive"):
        read_table(cut)
    with pytest.raises(DataError, match="no column 'caption'; its columns are: key, image, text, json"):
        read_table(shard, ["caption"])


def test_bad_members_are_refused_or_left_out_and_counted(tmp_path):
    path = write(tmp_path / "a.tar", {"1.png": png(1), "1.json": b"{", "2.png": png(2), "2.json": b"{}"})
    with pytest.raises(DataError, match=r"a.tar/1.json: not valid JSON"):
        read_table(path)
    from pairspace.data.tables import open_source

    source = open_source(path, skip_bad=True)
    assert (source.skipped, source.row_numbers.tolist()) == (1, [1])
