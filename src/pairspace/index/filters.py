"""Filters on payload fields: what the user writes, read into plain conditions that any engine can translate.

    {"section": "games"}                      the field equals the value (an array field: holds it)
    {"section": ["games", "science"]}         any of the values
    {"year": {"gte": 2000, "lt": 2010}}       a range: gt, gte, lt, lte over numbers, or over dates as ISO 8601 text
    {"!section": "games"}                     not; an item without the field passes
    {"origin": None}                          the field is null, empty or missing; {"!origin": None}: it is there

Several fields must all hold. A dot steps into a nested object (`{"author.name": "Ada"}`); a field whose own name holds
a dot is written in double quotes (`{'"a.b"': 1}`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from pairspace.errors import IndexingError

__all__ = ["Condition", "Scalar", "parse_filter"]

Scalar = str | int | float | bool | None

_BOUNDS = ("gt", "gte", "lt", "lte")
_SEGMENT = re.compile(r'"((?:[^"\\]|\\.)+)"|([^."]+)')


@dataclass(frozen=True, slots=True)
class Condition:
    """One field's condition.

    Attributes:
        field: path of the field, one name a nesting level.
        values: the field equals (or holds) any of these; None where `bounds` say it.
        bounds: "gt", "gte", "lt", "lte" -> all numbers or all ISO dates; empty where `values` say it.
        negated: the item passes when the condition does not hold.
    """

    field: tuple[str, ...]
    values: tuple[Scalar, ...] | None = None
    bounds: tuple[tuple[str, float | str], ...] = ()
    negated: bool = False


def parse_filter(filter: Mapping[str, Any] | None) -> tuple[Condition, ...]:
    """The conditions of a filter, all of which must hold; () for none.

    Raises:
        IndexingError: not a mapping, an unknown bound, or a value that a payload field cannot hold; names the field.
    """
    if filter is None:
        return ()
    if not isinstance(filter, Mapping):
        raise IndexingError(
            f"a filter is a mapping of payload fields to values, such as {{'section': 'games'}}, got {filter!r}"
        )
    return tuple(_condition(key, wanted) for key, wanted in filter.items())


def _condition(key: Any, wanted: Any) -> Condition:
    if not isinstance(key, str) or not key.lstrip("!"):
        raise IndexingError(f"a filter's keys are names of payload fields, got {key!r}")
    negated = key.startswith("!")
    field = _path(key[1:] if negated else key)
    if isinstance(wanted, Mapping):
        return Condition(field, bounds=_bounds(key, wanted), negated=negated)
    several = isinstance(wanted, list | tuple | set | frozenset | np.ndarray)
    return Condition(
        field, values=tuple(_scalar(key, one) for one in (wanted if several else [wanted])), negated=negated
    )


def _path(key: str) -> tuple[str, ...]:
    names, at = [], 0
    while True:
        match = _SEGMENT.match(key, at)
        if match is None:
            raise IndexingError(
                f"filter field {key!r}: write nested fields as a.b, and a name with a dot in double quotes"
            )
        quoted, plain = match.groups()
        names.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
        at = match.end()
        if at == len(key):
            return tuple(names)
        if key[at] != ".":
            raise IndexingError(
                f"filter field {key!r}: write nested fields as a.b, and a name with a dot in double quotes"
            )
        at += 1


def _bounds(key: str, wanted: Mapping[str, Any]) -> tuple[tuple[str, float | str], ...]:
    unknown = [name for name in wanted if name not in _BOUNDS]
    if unknown or not wanted:
        raise IndexingError(f"filter {key!r}: a range takes {', '.join(_BOUNDS)}, got {dict(wanted)!r}")
    if {"gt", "gte"} <= set(wanted) or {"lt", "lte"} <= set(wanted):  # the engine would heed one of the two alone
        raise IndexingError(f"filter {key!r}: a range has one lower and one upper bound, got {dict(wanted)!r}")
    bounds = tuple((name, _scalar(key, value)) for name, value in wanted.items())
    dates = [isinstance(value, str) for _, value in bounds]
    if any(value is None or isinstance(value, bool) for _, value in bounds) or any(dates) != all(dates):
        raise IndexingError(f"filter {key!r}: bounds are all numbers or all ISO 8601 dates, got {dict(wanted)!r}")
    for name, value in bounds:
        if isinstance(value, str):
            try:
                datetime.fromisoformat(value)
            except ValueError as error:
                raise IndexingError(
                    f"filter {key!r}: {name} is {value!r}, which is neither a number nor an ISO 8601 date"
                ) from error
    return bounds  # type: ignore[return-value]


def _scalar(key: str, value: Any) -> Scalar:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise IndexingError(f"filter {key!r}: a value must be text, a finite number, true, false or None, got {value!r}")
