"""Pictures on their way to an encoder: opened and prepared in threads, a little ahead of it, never all at once.

Decoding takes about as long as a small network does; Pillow lets go of Python's lock while it decodes and resizes, so
threads are enough. Twice a batch is in work or waiting at any time, whatever the number of pictures.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.data.pictures import open_picture, picture_key, read_bytes
from pairspace.encoders.augmentation import augment
from pairspace.encoders.preprocessing import Preprocessing
from pairspace.errors import DataError

__all__ = ["BadPicture", "numbered", "pixel_batches"]


class BadPicture(DataError):
    """A picture that cannot be decoded.

    Attributes:
        position: which of the items it is.
        reason: what is wrong with it, and its path where it has one.
    """

    def __init__(self, position: int, reason: str, *, named: bool) -> None:
        super().__init__(reason if named else f"item {position}: {reason}")
        self.position, self.reason, self.named = position, reason, named


@contextmanager
def numbered(rows: np.ndarray | None) -> Iterator[None]:
    """Where a bad picture is met inside, its position is that in the caller's own items.

    Args:
        rows: the caller's number of each item that is worked on inside; None to leave it.
    """
    try:
        yield
    except BadPicture as error:
        if rows is None:
            raise
        raise BadPicture(int(rows[error.position]), error.reason, named=error.named) from None


def pixel_batches(
    items: Sequence[Any], preprocessing: Preprocessing, *, size: int, view: int = 0, workers: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Decode and prepare pictures.

    Args:
        items: paths, bytes, PIL images or arrays.
        preprocessing: how they become pixels.
        size: pictures in a batch.
        view: which view; 0 for the picture as it is.
        workers: threads; None for one a processor, at most 8.

    Yields:
        int64 positions (n,), ascending; float32 (n, 3, height, width).

    Raises:
        BadPicture: one cannot be decoded.
    """
    workers = workers or min(8, os.cpu_count() or 1)
    waiting: deque[Future[np.ndarray]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="pictures") as pool:
        jobs = (pool.submit(_prepare, position, item, preprocessing, view) for position, item in enumerate(items))
        try:
            for start in range(0, len(items), size):
                count = min(size, len(items) - start)
                waiting.extend(islice(jobs, max(0, count + size - len(waiting))))
                done = [waiting.popleft().result() for _ in range(count)]
                yield np.arange(start, start + count), preprocessing.normalise(done)
        finally:
            for job in waiting:
                job.cancel()


def _prepare(position: int, item: Any, preprocessing: Preprocessing, view: int) -> np.ndarray:
    named = isinstance(item, str | Path)
    try:
        content = read_bytes(item) if named else item
        image = open_picture(content, name=str(item) if named else "a picture")
        if view:
            image = augment(image, picture_key(content), view)
        return preprocessing.shape(image)
    except DataError as error:
        raise BadPicture(position, str(error), named=named) from None
