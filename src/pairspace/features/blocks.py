"""One layer of one encoder on disk: a folder of blocks, each one `.npy` file that appears whole or not at all.

A block is a single record of four arrays (keys, lengths, vectors, checksum), so the keys lie together and are read
without touching the vectors, which stay memory-mapped. A layer of token states has a vector a token, not one an item,
those of an item one after the other. Blocks have unique names and are never changed: two processes may write at once,
and what both wrote is merely there twice. A block that is cut short or altered is noticed by its
size when it is opened or by its checksum at first use; it is removed, and its items are encoded again.
"""

from __future__ import annotations

import logging
import os
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.data.files import atomic_file
from pairspace.features.keys import KeyTable

__all__ = ["Layer", "sweep"]

_log = logging.getLogger(__name__)
_STALE = 3600.0  # seconds after which a temporary file belongs to a process that was killed


class Layer:
    """The blocks of one layer, opened.

    Args:
        folder: made at the first write.
        dimension, dtype: of a vector, as they are stored.
        tokens: a layer of token states: an item has as many vectors as it has tokens.
        max_tokens: but at most so many; None for no limit.

    Attributes:
        vectors: one memory-mapped array (rows, dimension) a block; of token states (tokens, dimension).
        starts: int64 (blocks + 1,), where each block's items begin among all.
    """

    def __init__(
        self, folder: Path, *, dimension: int, dtype: str, tokens: bool = False, max_tokens: int | None = None
    ) -> None:
        self.folder, self.dimension, self.dtype = folder, dimension, np.dtype(dtype)
        self.tokens, self.max_tokens = tokens, max_tokens
        self._blocks: dict[str, Any] = {}
        self._sound: set[str] = set()
        self._broken: set[str] = set()
        self._index()

    def refresh(self) -> None:
        """See the blocks that were written since, by this or another process."""
        names = sorted(path.name for path in self.folder.glob("block-*.npy"))
        new = [name for name in names if name not in self._blocks and name not in self._broken]
        for name in new:
            self._open(name)
        if new:
            self._index()

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The row of each key among all rows of all blocks, or -1; every block that is used has been verified."""
        while True:
            places = self._table.find(keys)
            used = np.unique(np.searchsorted(self.starts, places[places >= 0], "right") - 1)
            names = list(self._blocks)
            if all(self._verify(names[block]) for block in used):
                return places
            self._index()

    def lengths(self, places: np.ndarray) -> np.ndarray:
        """The stored lengths of these rows."""
        return np.asarray(self._lengths[places])

    def counts(self, lengths: np.ndarray) -> np.ndarray:
        """How many vectors items of these lengths have: int64 (n,)."""
        if not self.tokens:
            return np.ones(len(lengths), np.int64)
        lengths = np.asarray(lengths, np.int64)
        return lengths if self.max_tokens is None else np.minimum(lengths, self.max_tokens)

    def write(self, keys: np.ndarray, lengths: np.ndarray, vectors: np.ndarray) -> None:
        """Add a block.

        Args:
            keys: uint64 (n, 2).
            lengths: (n,).
            vectors: (n, dimension); of token states (sum of what `counts` says of the lengths, dimension).

        Raises:
            StorageError: the disk is full or the folder may not be written; the blocks there stay as they are.
        """
        vectors = np.ascontiguousarray(vectors, self.dtype)
        record = np.zeros((), self._kind(np.asarray(lengths)))
        record["keys"], record["lengths"], record["vectors"] = keys, lengths, vectors
        record["checksum"] = zlib.crc32(vectors.tobytes())
        name = f"block-{time.time_ns():020d}-{os.getpid()}-{os.urandom(4).hex()}.npy"
        with atomic_file(self.folder / name) as temporary, temporary.open("wb") as stream:
            np.save(stream, record)
        self._open(name)
        self._sound.add(name)
        self._index()

    def _kind(self, lengths: np.ndarray) -> np.dtype:
        rows, vectors = len(lengths), int(self.counts(lengths).sum())
        return np.dtype(
            [
                ("keys", "<u8", (rows, 2)),
                ("lengths", "<u4", (rows,)),
                ("vectors", self.dtype.str, (vectors, self.dimension)),
                ("checksum", "<u4"),
            ]
        )

    def _open(self, name: str) -> None:
        path = self.folder / name
        try:
            record = np.load(path, mmap_mode="r", allow_pickle=False)
            if record.dtype != self._kind(record["lengths"]):
                raise ValueError(f"holds {record.dtype}")
            self._blocks[name] = record
        except FileNotFoundError:
            return  # removed by another process between listing and opening
        except Exception as error:  # a damaged header makes numpy raise almost anything
            self._remove(name, str(error) or type(error).__name__)

    def _verify(self, name: str) -> bool:
        if name not in self._sound:
            record = self._blocks[name]
            if zlib.crc32(np.ascontiguousarray(record["vectors"]).tobytes()) != int(record["checksum"]):
                del self._blocks[name]
                self._remove(name, "its checksum does not fit")
                return False
            self._sound.add(name)
        return True

    def _remove(self, name: str, reason: str) -> None:
        _log.warning("%s: damaged block removed (%s); its items will be encoded again", self.folder / name, reason)
        self._broken.add(name)
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s: could not be removed (%s)", self.folder / name, error.strerror)

    def _index(self) -> None:
        records = list(self._blocks.values())
        self.vectors = [record["vectors"] for record in records]
        self.starts = np.cumsum([0, *(len(record["keys"]) for record in records)], dtype=np.int64)
        keys = [np.asarray(record["keys"]) for record in records]
        self._table = KeyTable(np.concatenate(keys) if keys else np.empty((0, 2), np.uint64))
        lengths = [np.asarray(record["lengths"]) for record in records]
        self._lengths = np.concatenate(lengths) if lengths else np.empty(0, np.uint32)


def sweep(folder: Path) -> None:
    """Remove temporary files that a killed process left behind."""
    for path in folder.glob(".*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()
        except OSError:
            continue
