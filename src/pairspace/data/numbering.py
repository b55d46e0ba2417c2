"""Distinct values of Arrow columns, numbered by first appearance, as encoding, duplicates and splits need them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

__all__ = ["number_values"]


def number_values(chunks: Sequence[pa.Array]) -> tuple[pa.Array, np.ndarray]:
    """The distinct values of some arrays of one type, and the number of each entry's (int64).

    Args:
        chunks: one after the other; at least one, which may be empty.
    """
    whole = pa.chunked_array(chunks)
    if not len(whole):
        return pa.array([], whole.type), np.empty(0, np.int64)
    encoded = whole.dictionary_encode().unify_dictionaries()
    codes = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    return encoded.chunk(0).dictionary, np.concatenate(codes).astype(np.int64)
