"""What an index holds beside vectors: ids, payloads, and the hits that a search gives back.

Ids are texts; whole numbers are accepted and become texts ("7"), because an id that was a number in a Parquet file is
a text in the CSV beside it. An engine wants UUIDs: an id's is its BLAKE2b-128 digest, so that adding an id again finds
the same point with no table to look it up in (two ids meet by chance once in 2^64). The id itself lies in the payload
under a name of our own that users never see. Everything is checked before anything is written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from pairspace.errors import IndexingError, ShapeError

__all__ = [
    "HUBS",
    "ID",
    "TEXT",
    "Hit",
    "Payload",
    "Payloads",
    "as_id",
    "check_ids",
    "checked_items",
    "open_payload",
    "part",
    "point_key",
]

ID = "__id__"  # the payload field of the original id
HUBS = "__hubs__"  # the payload field of how near the reference queries the item is, by vector name
TEXT = "text"  # the payload field of the item's text
_BATCH = 8192

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hit:
    """One item found: its id, its score (a cosine, corrected or not, a BM25 or a fused score) and what was stored."""

    id: str
    score: float
    payload: Payload


def point_key(id: str) -> UUID:
    """The engine's name of an id: the UUID made of its 128-bit BLAKE2b digest."""
    return UUID(bytes=blake2b(id.encode(), digest_size=16).digest())


def as_id(value: Any, row: int | None = None) -> str:
    """The id as text.

    Raises:
        IndexingError: neither a text nor a whole number, or empty, or not valid Unicode; names the row.
    """
    where = "" if row is None else f"row {row}: "
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise IndexingError(f"{where}an id must be a text that is not empty, or a whole number, got {value!r}")
    return _unicode(value, f"{where}id")


def check_ids(ids: Any) -> list[str]:
    """The ids as texts, none twice.

    Raises:
        IndexingError: an id that is none, or the same id twice; names both rows (counted from 0).
    """
    if isinstance(ids, str | int):
        raise IndexingError(f"ids are a list, one for each item, got {ids!r}")
    values = _listed(ids)
    texts = [as_id(value, row) for row, value in enumerate(values)]
    if len(set(texts)) < len(texts):
        seen: dict[str, int] = {}
        for row, text in enumerate(texts):
            if text in seen:
                raise IndexingError(f"id {text!r} twice: in row {seen[text]} and in row {row}; ids must be distinct")
            seen[text] = row
    return texts


def _length(items: Any, what: str, wanted: int) -> None:
    """Check that there is one of `what` for each id.

    Raises:
        ShapeError: there is not.
    """
    if len(items) != wanted:
        raise ShapeError(f"{wanted} ids, but {len(items)} {what}: one for each id is needed; nothing was written")


def part(items: Any, start: int, stop: int) -> list[Any]:
    """Rows `start` to `stop` of a sequence or an Arrow array, as a list."""
    return _listed(items[start:stop])


def checked_items(items: Any, count: int, *, texts: bool) -> Any:
    """The items as a list or an Arrow array, checked.

    Args:
        items: a sequence, or an Arrow array.
        count: how many there must be.
        texts: whether each must be a text.

    Raises:
        ShapeError: there are more or fewer.
        IndexingError: one is missing, or not a text where one is needed; names its row.
    """
    if isinstance(items, str):
        raise IndexingError(f"items are a list, one for each id, got the text {items!r}")
    if not isinstance(items, list | pa.Array | pa.ChunkedArray):
        items = list(items)
    _length(items, "items", count)
    for start in range(0, count, _BATCH):
        for row, item in enumerate(part(items, start, start + _BATCH), start):
            if isinstance(item, str):
                _unicode(item, f"row {row}: the text")
            elif item is None or texts:
                raise IndexingError(f"row {row}: {'a text' if texts else 'an item'} is needed here, got {item!r}")
    return items


class Payloads:
    """One payload an item, from dicts or from an Arrow table, checked and made plain JSON values.

    Args:
        payload: a sequence of dicts, a `pa.Table`, or None for empty ones.
        count: how many items there are.
        texts: the items; those that are texts join their payload under "text". None to leave them out.

    Raises:
        ShapeError: there are more or fewer rows than items.
        IndexingError: a reserved or unusable name, or a value that JSON cannot hold; names row and field.
    """

    def __init__(
        self, payload: Sequence[Mapping[str, Any]] | pa.Table | None, count: int, *, texts: Any = None
    ) -> None:
        self._rows, self._texts = payload, texts
        if payload is None:
            return
        _length(payload, "payload rows", count)
        for start in range(0, count, _BATCH):
            self.rows(start, min(start + _BATCH, count))

    def rows(self, start: int, stop: int) -> list[Payload]:
        """New dicts for rows `start` to `stop`."""
        if self._rows is None:
            rows: list[Payload] = [{} for _ in range(start, stop)]
        else:
            rows = [_payload(one, row) for row, one in enumerate(_listed(self._rows[start:stop]), start)]
        for at, text in enumerate([] if self._texts is None else part(self._texts, start, stop)):
            if isinstance(text, str) and rows[at].setdefault(TEXT, text) != text:
                raise IndexingError(
                    f"payload of row {start + at}: its field {TEXT!r} is not the item's text, which is stored under "
                    "this name; rename the field, or create the index with store_text=False"
                )
        return rows


def open_payload(payload: Payload) -> tuple[str, Payload]:
    """The id, and what the user stored with it."""
    return payload[ID], {name: value for name, value in payload.items() if name not in (ID, HUBS)}


def _payload(values: Any, row: int) -> Payload:
    if not isinstance(values, Mapping):
        raise IndexingError(f"payload of row {row}: a mapping of names to values is needed, got {values!r}")
    for name in (ID, HUBS):
        if name in values:
            what = "the id" if name == ID else "the index's own numbers"
            raise IndexingError(f"payload of row {row}: the name {name!r} is reserved for {what}; rename the field")
    plain: Payload = _plain(values, f"payload of row {row}")
    return plain


def _plain(value: Any, where: str) -> Any:  # noqa: C901 (one case a type)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _unicode(value, where)
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal) and value.is_finite():
        return float(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str) or not name:
                raise IndexingError(f"{where}: names must be texts that are not empty, got {name!r}")
        return {_unicode(name, where): _plain(one, f"{where}, field {name!r}") for name, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(one, where) for one in value]
    hint = "; use None for a missing number" if isinstance(value, float | Decimal) else ""
    raise IndexingError(f"{where}: {type(value).__name__} {value!r} cannot be stored{hint}")


def _unicode(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise IndexingError(f"{where} {text!r} is not valid Unicode (a lone surrogate at {error.start})") from error
    return text


def _listed(items: Any) -> list[Any]:
    if isinstance(items, pa.Array | pa.ChunkedArray | pa.Table):
        listed: list[Any] = items.to_pylist()
        return listed
    return list(items)
