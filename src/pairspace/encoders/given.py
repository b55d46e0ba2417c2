"""Features that the user already has: a `.npy` in row order of the pairs file, or a Parquet file keyed by id.

An item of such a side is a row number (modality "row") or an id (modality "id"), so features follow their rows through
every split and selection. There is one layer, "last", and no file is ever copied: a saved space keeps the reference and
the fingerprint, and still takes vectors handed to it when the file is gone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairspace.data.files import atomic_folder
from pairspace.encoders.fingerprint import fingerprint
from pairspace.encoders.protocol import SAVED, Encoded
from pairspace.errors import EncoderError, FeatureError

__all__ = ["GivenEncoder", "read_given"]

_ID_NAMES = ("id", "_id", "doc_id", "query_id", "key")


class GivenEncoder:
    """Looks vectors up instead of computing them; made by `load_encoder("features.npy")`.

    Args:
        path: the file they are from.
        table: float (rows, dimension), memory-mapped or not; None when the file is gone.
        ids: the id of each row (modality "id"); None for modality "row".
        known: fingerprint, dimension and modality, where `table` is None.
    """

    layers: tuple[str, ...] = ("last",)
    max_length: int | None = None
    prompt = ""
    precision = "fp32"
    dtype = "float32"

    def __init__(
        self, path: Path, table: np.ndarray | None, *, ids: pa.Array | None = None, known: dict[str, Any] | None = None
    ) -> None:
        self.path, self.table, self._known = path, table, known or {}
        self.name = path.name
        self._ids = None if ids is None else pa.array(ids).cast(pa.large_string())
        self.modality = self._known.get("modality") or ("row" if ids is None else "id")
        dimension = self._known["dimension"] if table is None else table.shape[1]
        self.dimensions = {"last": int(dimension)}
        if self._ids is not None:
            counts = self._ids.value_counts()
            often = (
                [entry["values"].as_py() for entry in counts if entry["counts"].as_py() > 1]
                if len(counts) < len(self._ids)
                else []
            )
            if often:
                raise FeatureError(f"{path}: the id {often[0]!r} occurs more than once; one row an id is needed")

    @property
    def rows(self) -> int | None:
        """How many vectors the file holds; None where it is gone."""
        return None if self.table is None else len(self.table)

    @cached_property
    def fingerprint(self) -> str:
        """Over the file's content."""
        return str(self._known["fingerprint"]) if self.table is None else fingerprint({"features": self.path}, {})

    def encode(self, items: Sequence[Any], layers: Sequence[str], *, progress: bool | None = None) -> Encoded:
        """The vectors of these rows or ids; a float array (n, dimension) is taken as the vectors themselves.

        Raises:
            EncoderError: a row or id that the file does not have, or the file is gone.
            FeatureError: a vector with NaN or infinity, or the wrong dimension; names the row.
        """
        if isinstance(items, np.ndarray) and items.ndim == 2:
            vectors, where = np.asarray(items, np.float32), "vectors given"
        else:
            rows = self._rows(items)
            assert self.table is not None
            vectors, where = np.asarray(self.table[rows], np.float32), str(self.path)
        if vectors.shape[1] != self.dimensions["last"]:
            raise FeatureError(f"{where}: dimension {vectors.shape[1]}, but {self.name} has {self.dimensions['last']}")
        if len(bad := np.flatnonzero(~np.isfinite(vectors).all(1))):
            item = bad[0] if where == "vectors given" else _plain(items)[bad[0]]
            raise FeatureError(f"{where}: {self._word} {item} has NaN or infinite values ({len(bad):,} such in all)")
        return Encoded(dict.fromkeys(layers, vectors), np.ones(len(vectors), np.int32))

    @property
    def _word(self) -> str:
        return "id" if self.modality == "id" else "row"

    def _rows(self, items: Sequence[Any]) -> np.ndarray:
        if self.table is None:
            raise EncoderError(
                f"{self.path}: this feature file is gone, so its rows cannot be looked up; give vectors instead"
            )
        if self.modality == "id":
            import pyarrow.compute as pc

            wanted = pa.chunked_array(items) if isinstance(items, pa.ChunkedArray) else pa.array(_plain(items))
            rows = pc.index_in(wanted.cast(pa.large_string()), value_set=self._ids)
            if rows.null_count:
                missing = _plain(items)[pc.is_null(rows).to_pylist().index(True)]
                raise EncoderError(
                    f"{self.path}: no vector for id {missing!r} ({rows.null_count:,} ids are missing in all)"
                )
            return np.asarray(rows.to_numpy(), np.int64) if isinstance(rows, pa.ChunkedArray) else rows.to_numpy()
        rows = np.asarray(_plain(items))
        if rows.dtype.kind not in "iu" and len(rows):
            raise EncoderError(f"{self.path}: items are row numbers of the pairs file, not {rows.dtype}")
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self.table):
            worst = rows.max() if rows.max() >= len(self.table) else rows.min()
            raise EncoderError(
                f"{self.path}: has {len(self.table):,} rows, but row {worst} was asked for; it must have one row for "
                "each row of the pairs file, in the same order"
            )
        return rows.astype(np.int64)

    def settings(self) -> dict[str, Any]:
        """See protocol.Encoder."""
        return {"name_or_path": str(self.path.absolute())}

    def save(self, folder: str | Path) -> None:
        """Write the reference, fingerprint and dimension; the features stay where they are."""
        known = {"modality": self.modality, "dimension": self.dimensions["last"], "fingerprint": self.fingerprint}
        with atomic_folder(folder, True, marker=SAVED) as target:
            own = {"format": 1, "family": "given", "path": str(self.path.absolute()), **known}
            (target / SAVED).write_text(json.dumps(own, indent=2), "utf-8")

    @classmethod
    def restore(cls, known: dict[str, Any]) -> GivenEncoder:
        """From what `save` wrote.

        Raises:
            EncoderError: the file is there but has other content.
        """
        path = Path(known["path"])
        if not path.is_file():
            return cls(path, None, known=known)
        found = read_given(path)
        if found.fingerprint != known["fingerprint"]:
            raise EncoderError(f"{path}: the features in this file are not those the space was made with")
        return found


def read_given(path: Path) -> GivenEncoder:
    """Open a `.npy` (memory-mapped) or a Parquet file with an id column and a column of vectors.

    Raises:
        EncoderError: the file is broken, or its columns cannot be told apart.
        FeatureError: not one vector a row, or vectors of several dimensions.
    """
    return _npy(path) if path.suffix == ".npy" else _parquet(path)


def _npy(path: Path) -> GivenEncoder:
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header makes numpy raise almost anything
        raise EncoderError(f"{path}: no readable .npy file ({error})") from None
    if table.ndim != 2 or table.dtype.kind not in "fiu" or 0 in table.shape:
        raise FeatureError(f"{path}: {table.dtype} {table.shape} found; floats (rows, dimension) are needed")
    return GivenEncoder(path, table)


def _parquet(path: Path) -> GivenEncoder:
    try:
        schema = pq.read_schema(path)
        vectors = [f.name for f in schema if _is_vector(f.type)]
        others = [f.name for f in schema if not _is_vector(f.type)]
        ids = [name for name in _ID_NAMES if name in others] or others
        if len(vectors) != 1 or not ids or (len(ids) > 1 and ids[0] not in _ID_NAMES):
            raise EncoderError(
                f"{path}: one column of vectors (a list of floats) and one of ids are needed, named for example 'id' "
                f"and 'vector'; it has {', '.join(schema.names)}"
            )
        table = pq.read_table(path, columns=[ids[0], vectors[0]])
    except (OSError, pa.ArrowException) as error:
        raise EncoderError(f"{path}: no readable Parquet file ({error})") from None
    column, keys = table[vectors[0]].combine_chunks(), table[ids[0]].combine_chunks()
    for name, values in ((vectors[0], column), (ids[0], keys)):
        if values.null_count:
            raise FeatureError(f"{path}: row {values.is_null().to_pylist().index(True)} has no {name}")
    if not len(column):
        raise FeatureError(f"{path}: the file has no rows")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    if not pa.types.is_fixed_size_list(column.type):
        sizes = column.value_lengths().to_numpy(zero_copy_only=False)
        if len(odd := np.flatnonzero(sizes != sizes[0])):
            raise FeatureError(f"{path}: row {odd[0]} has {sizes[odd[0]]} numbers where row 0 has {sizes[0]}")
    return GivenEncoder(path, flat.reshape(len(column), -1).astype(np.float32, copy=False), ids=keys)


def _is_vector(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))


def _plain(items: Sequence[Any]) -> Any:
    return items.to_pylist() if hasattr(items, "to_pylist") else items
