"""The engine: the one small interface through which an index stores and finds points.

An engine knows nothing of spaces, texts or users' ids: it holds points of named vectors and a payload, under UUIDs.
`edge.py` has the embedded one; another is one more class with these methods, and a line in the tests of the contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

import numpy as np

from pairspace.index.filters import Condition

__all__ = ["Engine", "Field", "Found", "Point", "Sparse", "Vector", "best_first"]


class Sparse(NamedTuple):
    """A sparse vector: term ids (distinct, in [0, 2^32)) and their weights."""

    ids: np.ndarray
    weights: np.ndarray


Vector = np.ndarray | Sparse  # (dim,) dense, (passages, dim) multi, or sparse


@dataclass(frozen=True)
class Field:
    """One named vector of a point.

    Its kind is "dense" (cosine), "multi" (cosine, the best of several), "sparse" (dot) or "terms" (dot, times the idf).
    """

    kind: Literal["dense", "multi", "sparse", "terms"]
    dimension: int = 0


class Point(NamedTuple):
    """What is stored of an item."""

    key: UUID
    vectors: Mapping[str, Vector]
    payload: dict[str, Any]


class Found(NamedTuple):
    """What a search or a scan finds."""

    key: UUID
    score: float
    payload: dict[str, Any]


def best_first(found: Found) -> tuple[float, int]:
    """Sorts what was found, best first; equal scores by key, since engines give them in any order."""
    return -found.score, found.key.int


class Engine(Protocol):
    """What an index asks of an engine. All raise IndexingError or StorageError, with the path in the message."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Store points, replacing those of the same key; once it returns they survive a kill and a power cut."""

    def replace(self, field: str, vectors: Mapping[UUID, Vector]) -> None:
        """Give points that are there another vector in one field; as durable as `upsert`."""

    def delete(self, keys: Sequence[UUID]) -> int:
        """Remove points; how many of them were there."""

    def get(self, keys: Sequence[UUID], *, payload: bool = True) -> dict[UUID, dict[str, Any]]:
        """Payloads of those keys that are there."""

    def search(
        self,
        field: str,
        queries: Sequence[Vector],
        k: int,
        conditions: Sequence[Condition] = (),
        *,
        exact: bool = False,
        first: Sequence[Vector] | None = None,
        depth: int = 100,
    ) -> list[list[Found]]:
        """The k best points of each query, best first.

        With `first`, a query for each, the `depth` best of those are found first and then scored by `queries`.
        """

    def scan(self, fields: Sequence[str] = ()) -> Iterator[list[tuple[UUID, dict[str, Any]]]]:
        """All points in batches, in the order of their keys, with the named payload fields."""

    def count(self, conditions: Sequence[Condition] = ()) -> int:
        """How many points fulfil the conditions."""

    def optimise(self) -> None:
        """Build what makes searches fast, and clear out what was deleted."""

    def info(self) -> dict[str, int]:
        """Numbers: "points", "indexed" (vectors that need no full scan), "segments", "bytes" on disk."""

    def close(self) -> None:
        """Release the directory."""
