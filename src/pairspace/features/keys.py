"""Items by their content: a 128-bit hash each, and a sorted table to find millions of them without Python objects."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pairspace.data.pictures import picture_key
from pairspace.errors import FeatureError

__all__ = ["KeyTable", "content_keys", "distinct", "item_keys"]


def item_keys(encoder: Any, items: Any) -> np.ndarray:
    """The keys of items as an encoder understands them: a text is its letters, a picture what its file holds.

    Args:
        encoder: any encoder.
        items: what it takes.

    Raises:
        FeatureError: an item is no text.
        DataError: a picture's file is missing, or it is no picture.
    """
    if getattr(encoder, "modality", "text") != "image":
        return content_keys(items)
    digest = bytearray()
    for chunk in _chunks(items):
        for item in chunk:
            digest += picture_key(item)
    return np.frombuffer(bytes(digest), "<u8").reshape(-1, 2)


def content_keys(items: Any) -> np.ndarray:
    """blake2b-128 of every item's bytes (UTF-8 for texts): uint64 (n, 2).

    Args:
        items: a sequence of str or bytes, or an Arrow (chunked) array of strings or binary.

    Raises:
        FeatureError: an item is null or neither text nor bytes; names its row.
    """
    digest = bytearray()
    for chunk in _chunks(items):
        for row, item in enumerate(chunk, len(digest) // 16):
            try:
                content = item.encode() if isinstance(item, str) else item
                digest += hashlib.blake2b(content, digest_size=16).digest()
            except (TypeError, UnicodeEncodeError):
                raise FeatureError(f"item {row} is {item!r:.60}: only texts and bytes have features") from None
    return np.frombuffer(bytes(digest), "<u8").reshape(-1, 2)


def _chunks(items: Any) -> Sequence[Sequence[Any]]:
    if isinstance(items, pa.ChunkedArray):
        return [part for chunk in items.chunks for part in _chunks(chunk)]
    if isinstance(items, pa.Array):
        return [items.slice(start, 65536).to_pylist() for start in range(0, len(items), 65536)]
    return [items]


def distinct(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first row of each distinct key, and for each row which of these it equals.

    Args:
        keys: uint64 (n, 2).

    Returns:
        int64 rows (m,), in order of first appearance; int64 codes (n,) with `keys[rows[codes]] == keys`.
    """
    order = np.lexsort((np.arange(len(keys)), keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    new = np.ones(len(keys), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(1)
    first = order[new]
    group = np.cumsum(new) - 1
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    codes = np.empty(len(keys), np.int64)
    codes[order] = rank[group]
    return np.sort(first), codes


class KeyTable:
    """Sorted keys with the place of each.

    Args:
        keys: uint64 (n, 2); place i is row i. Of equal keys any one is found.
    """

    def __init__(self, keys: np.ndarray) -> None:
        self._order = np.lexsort((keys[:, 1], keys[:, 0]))
        self._high = np.ascontiguousarray(keys[self._order, 0])
        self._low = np.ascontiguousarray(keys[self._order, 1])

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The place of each key, or -1: int64 (m,)."""
        found = np.full(len(keys), -1, np.int64)
        if not len(self._high):
            return found
        at = np.searchsorted(self._high, keys[:, 0])
        waiting = np.arange(len(keys))
        while len(waiting):  # more than one step only where 64 bits of two keys coincide
            waiting = waiting[at[waiting] < len(self._high)]
            waiting = waiting[self._high[at[waiting]] == keys[waiting, 0]]
            hit = self._low[at[waiting]] == keys[waiting, 1]
            found[waiting[hit]] = self._order[at[waiting[hit]]]
            waiting = waiting[~hit]
            at[waiting] += 1
        return found
