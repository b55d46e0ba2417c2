"""Qdrant Edge as an engine: an index embedded in this process, in one directory.

It keeps dense, sparse and multi-vectors, payloads, an HNSW graph and a write-ahead log. What was seen of it, and is
handled here:

- It writes through memory maps. On a full disk the process dies of SIGBUS with no error to catch, so room is checked
  before each write; what was acknowledged before is whole when there is room again.
- It has no graph until `optimise` builds it: until then a search looks at every point, exact but slower.
- A filter on a field without a payload index reads every payload: 11 queries a second on 54,000 points, against some
  2,100 with one (processor time), which takes half a second to make. The first filtered search of more than a few
  points makes it.
- Its idf counts documents that were deleted or replaced until `optimise` clears them out, as Lucene's does, and it
  does not count documents without a single term: those are given one that no query asks for.
- A process that it turns away because another one holds the folder has damaged the other's journal by then: our own
  lock comes first.
- It raises bare exceptions, or panics: they are said in plain words here.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from pairspace.errors import IndexingError, StorageError
from pairspace.index.engine import Field, Found, Point, Sparse, Vector, best_first
from pairspace.index.filters import Condition, Scalar
from pairspace.index.lock import Lock

__all__ = ["NO_WORDS", "EdgeEngine", "bytes_below", "lock_file"]

# On 54,000 x 384 (30,000 package descriptions through MiniLM, 24,000 perturbed copies; recall over 300 queries) an ef
# of 64, 80, 96, 128 gave recall@10 .972, .981, .984, .986 at 2,959, 3,010, 2,490, 2,168 queries a second of processor
# time, on a busy machine and without payloads. benchmarks/search.py measures it again.
_M, _EF_CONSTRUCT, _EF = 16, 100, 80
_INDEXED_FROM = 10_000  # KiB of vectors: below, looking at every point is as fast as a graph
_VACUUM_FROM = 0.05  # share of deleted points from which `optimise` rewrites a segment
_MARGIN = 96 << 20  # the log and the stores grow in steps of 32 MiB
_PER_POINT = 512
_QUERIES = 256
_SCAN = 1000
_FIELDS_FROM = 1000  # points from which a filtered field gets a payload index

NO_WORDS = Sparse(np.full(1, 2**32 - 1), np.ones(1, np.float32))
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EdgeEngine:
    """Qdrant Edge in a directory. Make one with `create` or `open`."""

    def __init__(self, path: Path, shard: Any, lock: Lock) -> None:
        self.path, self._shard, self._lock = path, shard, lock
        self._fields = set(shard.info().payload_schema)

    @classmethod
    def create(cls, path: Path, fields: Mapping[str, Field]) -> Self:
        """A new engine in a folder that does not exist or is empty."""
        best = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
        dense = {
            name: edge.EdgeVectorParams(
                field.dimension, edge.Distance.Cosine, multivector_config=best if field.kind == "multi" else None
            )
            for name, field in fields.items()
            if field.kind in ("dense", "multi")
        }
        terms = {
            name: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf if field.kind == "terms" else None)
            for name, field in fields.items()
            if field.kind in ("sparse", "terms")
        }
        config = edge.EdgeConfig(
            vectors=dense,
            sparse_vectors=terms,
            hnsw_config=edge.HnswIndexConfig(_M, _EF_CONSTRUCT, _INDEXED_FROM),
            optimizers=edge.EdgeOptimizersConfig(
                deleted_threshold=_VACUUM_FROM,
                vacuum_min_vector_number=1,
                default_segment_number=1,
                indexing_threshold=_INDEXED_FROM,
            ),
        )
        _check_room(path, 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(lock_file(path))
        with _plain_errors(path, "be created"):
            return cls(path, edge.EdgeShard.create(str(path), config), lock)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The engine in a folder that `create` made.

        Raises:
            IndexingError: there is none, it is damaged, or another process holds it.
        """
        if not (path / "edge_config.json").is_file():
            raise IndexingError(f"{path} is missing or incomplete: the index is damaged; make it again")
        _check_room(path, 0)  # opening maps files and may write the log
        lock = Lock(lock_file(path))
        try:
            with _plain_errors(path, "be opened"):
                return cls(path, edge.EdgeShard.load(str(path)), lock)
        except BaseException:
            lock.release()
            raise

    def upsert(self, points: Sequence[Point]) -> None:  # noqa: D102 (documented once, in Engine)
        _check_room(self.path, sum(_size(point) for point in points))
        with _plain_errors(self.path, "store points"):
            made = [
                edge.Point(key, {name: _native(_counted(v)) for name, v in vectors.items()}, payload)
                for key, vectors, payload in points
            ]
            self._shard.update(edge.UpdateOperation.upsert_points(made))
            self._shard.flush()

    def replace(self, field: str, vectors: Mapping[UUID, Vector]) -> None:  # noqa: D102
        _check_room(self.path, sum(_size(Point(key, {field: v}, {})) for key, v in vectors.items()))
        with _plain_errors(self.path, "replace vectors"):
            made = [edge.PointVectors(key, {field: _native(_counted(vector))}) for key, vector in vectors.items()]
            self._shard.update(edge.UpdateOperation.update_vectors(made))
            self._shard.flush()

    def delete(self, keys: Sequence[UUID]) -> int:  # noqa: D102
        there = list(self.get(keys, payload=False))
        if there:
            _check_room(self.path, 0)
            with _plain_errors(self.path, "delete points"):
                self._shard.update(edge.UpdateOperation.delete_points([*there]))
                self._shard.flush()
        return len(there)

    def get(self, keys: Sequence[UUID], *, payload: bool = True) -> dict[UUID, dict[str, Any]]:  # noqa: D102
        with _plain_errors(self.path, "be read"):
            records = self._shard.retrieve(list(keys), with_payload=payload, with_vector=False)
            return {record.id: record.payload or {} for record in records}

    def search(  # noqa: D102
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
        self._index_fields(conditions)
        filter = _filter(conditions)
        params = edge.SearchParams(exact=exact, hnsw_ef=max(_EF, 2 * k))
        found: list[list[Found]] = []
        with _plain_errors(self.path, "be searched"):
            stages: list[Any] = [None] * len(queries)
            if first is not None:
                nearest = [edge.Query.Nearest(_native(q), using=field) for q in first]
                stages = [[edge.Prefetch(max(depth, k), query=q, params=params, filter=filter)] for q in nearest]
            requests = [
                edge.QueryRequest(
                    k,
                    query=edge.Query.Nearest(_native(q), using=field),
                    prefetches=stage,
                    filter=filter,
                    params=params,
                    with_payload=True,
                )
                for q, stage in zip(queries, stages, strict=True)
            ]
            for start in range(0, len(requests), _QUERIES):
                batch = requests[start : start + _QUERIES]
                several = (
                    [self._shard.query(batch[0])]
                    if len(batch) == 1
                    else self._shard.query_batch(edge.QueryBatchRequest(batch))
                )
                found += [
                    sorted((Found(p.id, p.score, p.payload) for p in points), key=best_first) for points in several
                ]
        return found

    def scan(self, fields: Sequence[str] = ()) -> Iterator[list[tuple[UUID, dict[str, Any]]]]:  # noqa: D102
        offset, wanted = None, list(fields) or False
        while True:
            with _plain_errors(self.path, "be read"):
                records, offset = self._shard.scroll(
                    edge.ScrollRequest(offset=offset, limit=_SCAN, with_payload=wanted, with_vector=False)
                )
            yield [(record.id, record.payload or {}) for record in records]
            if offset is None:
                return

    def vectors(self, field: str) -> Iterator[list[tuple[UUID, Sparse]]]:
        """The vectors of a sparse field in batches, in the order of their keys."""
        offset = None
        while True:
            with _plain_errors(self.path, "be read"):
                request = edge.ScrollRequest(offset=offset, limit=_SCAN, with_payload=False, with_vector=[field])
                records, offset = self._shard.scroll(request)
                found = [(record.id, record.vector[field]) for record in records if field in (record.vector or {})]
            yield [(key, Sparse(np.asarray(v.indices, np.int64), np.asarray(v.values, np.float32))) for key, v in found]
            if offset is None:
                return

    def sparse_fields(self) -> list[str]:
        """The names of the fields of kind "sparse"."""
        known = json.loads((self.path / "edge_config.json").read_text(encoding="utf-8")).get("sparse_vectors") or {}
        return [name for name, one in known.items() if not one.get("modifier")]

    def count(self, conditions: Sequence[Condition] = ()) -> int:  # noqa: D102
        self._index_fields(conditions)
        with _plain_errors(self.path, "be counted"):
            return int(self._shard.count(edge.CountRequest(exact=True, filter=_filter(conditions))))

    def optimise(self) -> None:  # noqa: D102
        _check_room(self.path, bytes_below(self.path / "segments"))  # a segment is rewritten before the old one goes
        with _plain_errors(self.path, "be optimised"):
            self._shard.optimize()
            self._shard.flush()

    def info(self) -> dict[str, int]:  # noqa: D102
        with _plain_errors(self.path, "be read"):
            info = self._shard.info()
        return {
            "points": self.count(),
            "indexed": info.indexed_vectors_count,
            "segments": info.segments_count,
            "bytes": bytes_below(self.path),
        }

    def _index_fields(self, conditions: Sequence[Condition]) -> None:
        """Make payload indexes for the fields that are filtered by, of the type that is asked for."""
        for condition in conditions:
            key, kind = _key(condition.field), _schema(condition)
            if kind is None or key in self._fields or self._shard.info().points_count < _FIELDS_FROM:
                continue
            _check_room(self.path, 0)
            with _plain_errors(self.path, f"index the field {key}"):
                self._shard.update(edge.UpdateOperation.create_field_index(key, kind))
                self._shard.flush()
            self._fields.add(key)

    def close(self) -> None:  # noqa: D102
        try:
            with _plain_errors(self.path, "be closed"):
                self._shard.close()
        finally:
            self._lock.release()


def lock_file(path: Path) -> Path:
    """The file that is locked while an engine is open at `path`."""
    return path.with_name(path.name + ".lock")


def _counted(vector: Vector) -> Vector:
    """A vector to store: one without a term gets one that no query asks for, so that the idf counts the document."""
    return NO_WORDS if isinstance(vector, Sparse) and not len(vector.ids) else vector


def _native(vector: Vector) -> Any:
    if isinstance(vector, Sparse):
        ids, weights = vector
        return edge.SparseVector(ids, weights)  # type: ignore[arg-type]  # arrays are taken too
    return vector


def _filter(conditions: Sequence[Condition]) -> Any:
    if not conditions:
        return None
    must = [_holds(c) for c in conditions if not c.negated]
    must_not = [_holds(c) for c in conditions if c.negated]
    return edge.Filter(must=must or None, must_not=must_not or None)


def _holds(condition: Condition) -> Any:
    key = _key(condition.field)
    if condition.values is None:
        bounds: dict[str, Any] = dict(condition.bounds)
        dates = any(isinstance(value, str) for value in bounds.values())
        return edge.FieldCondition(key, range=(edge.RangeDateTime if dates else edge.RangeFloat)(**bounds))
    if len(condition.values) == 1:
        return _equals(key, condition.values[0])
    if all(isinstance(value, str) for value in condition.values):  # of no values too: nothing is any of none
        return edge.FieldCondition(key, match=edge.MatchAny([str(value) for value in condition.values]))
    return edge.Filter(should=[_equals(key, value) for value in condition.values])


def _key(field: tuple[str, ...]) -> str:
    """The engine's path of a field: names that are no plain words in double quotes, which it cannot escape."""
    for name in field:
        if '"' in name or "\\" in name:
            raise IndexingError(f"the field {name!r} cannot be filtered by: its name holds a quote or a backslash")
    return ".".join(name if _PLAIN.fullmatch(name) else f'"{name}"' for name in field)


def _schema(condition: Condition) -> Any:
    """The type of payload index that answers a condition; None where none does."""
    values = condition.values if condition.values is not None else [bound for _, bound in condition.bounds]
    value = next((value for value in values if value is not None), None)
    kinds = edge.PayloadSchemaType
    if isinstance(value, str):
        return kinds.Keyword if condition.values is not None else kinds.Datetime
    return None if value is None else kinds.Bool if isinstance(value, bool) else kinds.Float


def _equals(key: str, value: Scalar) -> Any:
    if value is None:
        return edge.IsEmptyCondition(key)
    if isinstance(value, float) or (not isinstance(value, str | bool) and abs(value) <= 2**53):
        return edge.FieldCondition(key, range=edge.RangeFloat(gte=value, lte=value))  # a match knows no 2 == 2.0
    if isinstance(value, bool):  # Python's True would be taken for the number 1
        return edge.FieldCondition(key, match=edge.MatchValue(np.bool_(value)))  # type: ignore[arg-type]
    return edge.FieldCondition(key, match=edge.MatchValue(value))


def _size(point: Point) -> int:
    """About how many bytes the point takes on disk: its vectors, twice (log and store), its texts, and some."""
    vectors = sum(v.nbytes if isinstance(v, np.ndarray) else 8 * len(v.ids) for v in point.vectors.values())
    texts = sum(len(value) for value in point.payload.values() if isinstance(value, str))
    return 2 * (vectors + 2 * texts + _PER_POINT)


def bytes_below(path: Path) -> int:
    """What lies on disk below `path`: blocks, since logs and maps are files with holes."""
    stats = (file.stat() for file in path.rglob("*") if file.is_file())
    return sum(int(getattr(status, "st_blocks", -(-status.st_size // 512))) * 512 for status in stats)


def _check_room(path: Path, needed: int) -> None:
    place = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < needed + _MARGIN:
        raise StorageError(
            f"{path}: {(needed + _MARGIN) >> 20} MiB of free disk are needed for this step, {free >> 20} MiB are left; "
            "what was stored before is safe, make room and go on"
        )


@contextmanager
def _plain_errors(path: Path, what: str) -> Iterator[None]:
    """The engine's exceptions, panics included, as ours."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:  # a Rust panic is no Exception
        said = str(error)
        if "No space left" in said or "StorageFull" in said:
            raise StorageError(f"{path}: no space left on the disk; what was stored before is safe") from error
        if "not initialized" in said:
            raise IndexingError(f"{path.parent} is closed: open it again with Index.open") from error
        raise IndexingError(f"{path} could not {what}: {said or type(error).__name__}") from error
