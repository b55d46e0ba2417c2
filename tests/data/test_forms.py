from __future__ import annotations

import pytest

from pairspace.data.forms import recognise
from pairspace.errors import DataError


@pytest.mark.parametrize(
    ("columns", "sides", "negatives"),
    [
        (["anchor", "positive"], {"anchor": "anchor", "positive": "positive"}, []),
        (["positive", "anchor", "negative"], {"anchor": "anchor", "positive": "positive"}, ["negative"]),
        (
            ["query", "answer", "negative_10", "negative_2"],
            {"query": "query", "answer": "answer"},
            ["negative_2", "negative_10"],
        ),
        (["query", "pos", "neg"], {"query": "query", "positive": "pos"}, ["neg"]),
        (["filepath", "title"], {"image": "filepath", "caption": "title"}, []),
        (["id", "image", "caption"], {"image": "image", "caption": "caption"}, []),
    ],
)
def test_known_layouts(columns, sides, negatives):
    form = recognise(columns, "a.csv")
    assert (form.sides, form.negatives) == (sides, negatives)
    assert list(form.sides) == list(sides)


def test_an_unknown_layout_shows_how_to_name_the_sides():
    with pytest.raises(
        DataError, match=r"a\.csv: no known layout.*short, long.*--side query=short --side document=long"
    ):
        recognise(["short", "long"], "a.csv")
    with pytest.raises(DataError, match="is not clear"):
        recognise(["query", "positive", "answer"], "a.csv")
