from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pairspace.encoders.batching import batches, pad


@given(st.lists(st.integers(1, 300), max_size=200), st.integers(1, 2000), st.integers(1, 64))
def test_every_row_once_and_no_batch_over_its_budget(lengths, tokens, rows):
    found = list(batches(np.array(lengths, np.int64), tokens=tokens, rows=rows))
    assert sorted(int(i) for batch in found for i in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or (len(batch) * longest <= tokens and len(batch) <= rows)
    tops = [max(lengths[i] for i in batch) for batch in found]
    assert tops == sorted(tops, reverse=True)


def test_padding_on_either_side():
    ids, mask = pad([[5, 6], [7]], value=9)
    assert (ids.tolist(), mask.tolist()) == ([[5, 6], [7, 9]], [[1, 1], [1, 0]])
    ids, mask = pad([[5, 6], [7]], value=9, left=True)
    assert (ids.tolist(), mask.tolist()) == ([[5, 6], [9, 7]], [[1, 1], [0, 1]])
