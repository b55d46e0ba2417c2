"""The manifest: the file that ties an index to the space it was made with.

`manifest.json` beside the engine's folder says which spaces the vectors came from (name, fingerprint, folder), which
side was indexed, how texts are cut into words, and with which versions. It holds no counts: those are asked of the
engine, which alone knows them after a kill. A search with another space is refused, because its vectors mean something
else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pairspace.data.files import atomic_file
from pairspace.errors import IndexingError

__all__ = ["MANIFEST", "Manifest", "SpaceLike", "SpaceNote", "is_sparse", "read_values"]

MANIFEST = "manifest.json"
_FORMAT = "pairspace index"
_VERSION = 1
_MEND = "restore it, or make the index again"


class SpaceLike(Protocol):
    """What an index needs of a space."""

    name: str
    query_side: str
    fusion_weight: float | None
    language: str | None

    @property
    def fingerprint(self) -> str:
        """Hex digits over all that decides the vectors."""
        ...

    @property
    def sides(self) -> Sequence[str]:
        """The names of the sides."""
        ...

    @property
    def document_side(self) -> str:
        """The side that is searched for by default."""
        ...

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        ...

    def encode(self, items: Any, *, side: str | None = None, cache: bool = True, progress: bool | None = None) -> Any:
        """Vectors (n, dimension) of items of a side: unit vectors, or CSR weights of terms from a sparse space."""
        ...

    def split_passages(self, texts: Any, side: str | None = None) -> tuple[list[str], np.ndarray]:
        """The texts cut into passages that the side's encoder can read whole, and which text each belongs to."""
        ...


@dataclass(frozen=True)
class SpaceNote:
    """What the manifest remembers of a space: enough to recognise it and to find it again."""

    name: str
    fingerprint: str
    side: str
    dimension: int
    path: str | None
    sparse: bool = False

    def check(self, space: SpaceLike, index: Path) -> None:
        """Refuse any space but the one noted.

        Raises:
            IndexingError: the fingerprints differ; names both.
        """
        if space.fingerprint != self.fingerprint:
            raise IndexingError(
                f"{index} was made with the space {self.name!r} ({self.fingerprint}), not with {space.name!r} "
                f"({space.fingerprint}): open it with that space, or index the items again with this one"
            )

    def folder(self, index: Path) -> Path | None:
        """Where the space was saved, as far as it is known."""
        return None if self.path is None else (index / self.path).resolve()


@dataclass
class Manifest:
    """The settings of an index.

    Attributes:
        spaces: vector name -> the space that made it. text: None, or BM25's settings: language, k1, b, and "count" and
        "tokens" whose ratio is the average length that the stored weights were computed with.
        passages: documents are stored as the vectors of their passages; the best one counts.
        store_text: the payload keeps the item's text.
        reference: vector name -> the "file" of the reference queries' vectors and how many "queries" they are.
        engine: what stores and finds the points, "edge" or "seismic".
        pruning: "mass" and "count" of the terms that sparse vectors keep, see `pairspace.neighbours.prune`.
        created: UTC time, ISO 8601.
        versions: package -> version that created the index.
    """

    spaces: dict[str, SpaceNote]
    text: dict[str, Any] | None = None
    passages: bool = False
    store_text: bool = True
    pruning: dict[str, Any] = field(default_factory=dict)
    engine: str = "edge"
    reference: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: dict[str, str] = field(default_factory=lambda: {n: _version(n) for n in ("pairspace", "qdrant-edge-py")})

    @classmethod
    def note(cls, space: SpaceLike, side: str, index: Path) -> SpaceNote:
        """The note on a space whose items of `side` are indexed at `index`.

        The space's folder is remembered relative to the index where the two lie in one tree, so that both can move.
        """
        path = getattr(space, "path", None)
        where = path and _relative(Path(path), index)
        return SpaceNote(space.name, space.fingerprint, side, int(space.dimension), where, is_sparse(space))

    def write(self, index: Path) -> None:
        """Write the manifest into the index's folder, whole or not at all."""
        content = {"format": _FORMAT, "version": _VERSION, **asdict(self)}
        with atomic_file(index / MANIFEST) as temporary:
            temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, index: Path) -> Manifest:
        """The manifest of the index at `index`.

        Raises:
            IndexingError: no index there, or its manifest is damaged or of a later version; says which.
        """
        path = index / MANIFEST
        if not index.is_dir():
            raise IndexingError(f"{index}: no such folder; make an index there with Index.create or `pairspace index`")
        values = read_values(path, _FORMAT, version=_VERSION, what="an index", mend=_MEND)
        try:
            values["spaces"] = {name: SpaceNote(**note) for name, note in values["spaces"].items()}
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise IndexingError(f"{path} is damaged ({error}): {_MEND}") from error


def read_values(path: Path, form: str, *, version: int, what: str, mend: str) -> dict[str, Any]:
    """What a manifest says, but for its own format and version.

    Args:
        path: of the manifest.
        form: the format that it must be of.
        version: likewise.
        what: the folder is if it has such a manifest, for messages ("an index").
        mend: what to do where it is damaged or of another version, for messages.

    Raises:
        IndexingError: it is not there, damaged, or of another format or version; says which.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise IndexingError(f"{path.parent} is not {what}: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise IndexingError(f"{path} cannot be read ({error}): {mend}") from error
    if not isinstance(content, dict) or content.pop("format", None) != form:
        raise IndexingError(f"{path} is not the manifest of a {form}")
    if (said := content.pop("version", None)) != version:
        raise IndexingError(f"{path} has version {said}; this pairspace reads version {version}: {mend}")
    return content


def is_sparse(space: SpaceLike) -> bool:
    """Its vectors are weights of terms."""
    return bool(getattr(space, "sparse", False))


def _relative(path: Path, index: Path) -> str:
    path, index = path.resolve(), index.resolve()
    common = Path(os.path.commonpath([path, index])) if path.anchor == index.anchor else Path(path.anchor)
    return str(path) if common == Path(common.anchor) else Path(os.path.relpath(path, index)).as_posix()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
