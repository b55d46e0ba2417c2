import io
import threading
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from pairspace.encoders import pictures
from pairspace.encoders.augmentation import augment
from pairspace.encoders.pictures import BadPicture, numbered, pixel_batches
from pairspace.encoders.preprocessing import Preprocessing
from pairspace.errors import DataError

SMALL = Preprocessing(8, (8, 8), mean=(0, 0, 0), std=(1, 1, 1))


def png(value, size=(9, 8)):
    stream = io.BytesIO()
    Image.new("RGB", size, (value, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def test_batches_come_in_order_whatever_form_the_pictures_have(tmp_path):
    (tmp_path / "a.png").write_bytes(png(10))
    items = [str(tmp_path / "a.png"), png(20), Image.new("RGB", (8, 8), (30, 0, 0)), np.full((8, 8, 3), 40, np.uint8)]
    items += [png(value) for value in range(50, 150, 10)]
    found = list(pixel_batches(items, SMALL, size=3))
    assert [rows.tolist() for rows, _ in found] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], [12, 13]]
    assert np.allclose(np.concatenate([p[:, 0, 0, 0] for _, p in found]) * 255, range(10, 150, 10))


def test_only_two_batches_are_ever_open(monkeypatch):
    opened, lock = [], threading.Lock()
    plain = pictures.open_picture

    def counted(item, **options):
        with lock:
            opened.append(1)
        return plain(item, **options)

    monkeypatch.setattr(pictures, "open_picture", counted)
    for number, _ in enumerate(pixel_batches([png(1)] * 40, SMALL, size=4), 1):
        assert len(opened) <= 4 * (number + 1)
    assert len(opened) == 40


def test_memory_does_not_grow_with_the_number_of_pictures():
    def peak(count):
        tracemalloc.start()
        for _ in pixel_batches([png(1, (256, 256))] * count, SMALL, size=4):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(400) < peak(40) + 300_000  # 360 pictures of 256 x 256 x 3 would be 70 MB


def test_a_bad_picture_is_named_and_work_stops(tmp_path):
    (tmp_path / "bad.jpg").write_text("text")
    items = [png(1), png(2), str(tmp_path / "bad.jpg"), png(3)]
    with pytest.raises(BadPicture, match="bad.jpg: not a picture") as caught:
        list(pixel_batches(items, SMALL, size=2))
    assert caught.value.position == 2 and isinstance(caught.value, DataError)
    with pytest.raises(BadPicture, match="item 1: a picture: an empty file"):
        list(pixel_batches([png(1), b""], SMALL, size=2))
    with pytest.raises(BadPicture, match="item 70: "), numbered(np.array([60, 70])):
        list(pixel_batches([png(1), b""], SMALL, size=2))


def test_a_view_hangs_on_content_and_number_alone(tmp_path):
    chance = np.random.default_rng(0)
    image = Image.fromarray(chance.integers(0, 256, (40, 50, 3), np.uint8))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    (tmp_path / "a.png").write_bytes(stream.getvalue())

    def view(item, number):
        return next(iter(pixel_batches([item], SMALL, size=1, view=number)))[1]

    assert (view(stream.getvalue(), 1) == view(str(tmp_path / "a.png"), 1)).all()
    assert (view(stream.getvalue(), 1) != view(stream.getvalue(), 2)).any()
    assert (view(stream.getvalue(), 1) != view(stream.getvalue(), 0)).any()


def test_views_are_parts_of_the_picture_often_mirrored_and_never_far_from_its_colours():
    ramp = np.zeros((60, 80, 3), np.uint8)
    ramp[:, :, 0] = np.arange(80) * 3
    ramp[:, :, 1] = 100
    areas, mirrored = [], 0
    for number in range(1, 101):
        found = augment(Image.fromarray(ramp), bytes(16), number)
        areas.append(found.size[0] * found.size[1] / 4800)
        values = np.asarray(found).astype(int)
        mirrored += values[0, 0, 0] > values[0, -1, 0]
        assert 40 <= values[:, :, 1].mean() <= 170
        assert (values[0] == values[-1]).all()  # rows of the ramp are alike, and stay so
    assert 0.48 <= min(areas) < 0.6 and 0.9 < max(areas) <= 1
    assert 30 < mirrored < 70
