"""The feature cache: an item is encoded once, whatever data set it turns up in next.

    <cache>/<fingerprint>-<precision>/<layer>/block-*.npy      one folder a layer; see blocks.py
    <cache>/<fingerprint>-<precision>/tokens-4/block-*.npy     the states of single tokens after block 4
    <cache>/<fingerprint>-<precision>/encoder.json             whose features these are; its date is the last use
    <cache>/settings.json                                      the size limit

Items are found by the hash of their content. What is missing is encoded in blocks of a few thousand and each block is
on disk before the next begins, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.data.files import atomic_file, default_cache_path
from pairspace.encoders import Encoder
from pairspace.encoders.pictures import numbered
from pairspace.encoders.protocol import Layered
from pairspace.errors import FeatureError, PairspaceError, StorageError
from pairspace.features.blocks import Layer, sweep
from pairspace.features.features import Features, Stored, compute_features, take, unit_rows
from pairspace.features.keys import distinct, item_keys
from pairspace.features.states import TokenStates
from pairspace.progress import progress_bar

__all__ = ["CacheEntry", "FeatureCache", "features_of"]

_BLOCK = 2048
_STATES = 1 << 29  # values of token states a block: numpy reads no record of 2 GiB
_CARD = "encoder.json"


@dataclass(frozen=True)
class CacheEntry:
    """One layer of one encoder in the cache: sizes in bytes, `used` in seconds since 1970."""

    name: str
    fingerprint: str
    precision: str
    layer: str
    dimension: int
    rows: int
    bytes: int
    used: float


class FeatureCache:
    """Features on disk, shared by all data sets and safe for several processes.

    Args:
        path: the cache's folder; None for `default_cache_path()`. Made at the first write.
        limit: most bytes to keep, for this object; None takes the limit set by `set_limit`, if any.
    """

    def __init__(self, path: str | Path | None = None, limit: int | None = None) -> None:
        self.path = default_cache_path() if path is None else Path(path).expanduser()
        self._limit = limit
        self._open: dict[tuple[str, str], Layer] = {}

    @property
    def limit(self) -> int | None:
        """Most bytes to keep, or None for no limit."""
        if self._limit is not None:
            return self._limit
        try:
            found = json.loads((self.path / "settings.json").read_text("utf-8"))["limit"]
            return None if found is None else int(found)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def set_limit(self, limit: int | None) -> int:
        """Keep the cache below this many bytes, now and later (None: no limit); returns the bytes freed."""
        _make(self.path)
        with atomic_file(self.path / "settings.json") as temporary:
            temporary.write_text(json.dumps({"limit": limit}), "utf-8")
        self._limit = None
        return self._shrink(keep=None)

    def features(
        self, encoder: Encoder, items: Any, layers: Sequence[str], *, progress: bool | None = None
    ) -> Features:
        """The features of these items, encoding only what the cache does not have.

        Args:
            encoder: any encoder; features given by row or id are not cached again.
            items: a sequence or Arrow array of texts or bytes; equal items are encoded once.
            layers: names, as `resolve_layers` gives them.
            progress: see `progress_bar`.

        Raises:
            FeatureError: an item is no text, or its vector has NaN; the cache is left without it.
            StorageError: the disk is full; all blocks written before stay.
        """
        if encoder.modality in ("row", "id"):
            return compute_features(encoder, items, layers, progress=progress)
        keys = item_keys(encoder, items)
        first, codes = distinct(keys)
        keys = keys[first]
        home = self.path / f"{encoder.fingerprint}-{encoder.precision}"
        stores = {layer: self._layer(home, encoder, layer) for layer in layers}
        missing = {layer: store.find(keys) < 0 for layer, store in stores.items()}
        need = np.flatnonzero(np.logical_or.reduce(list(missing.values()))) if missing else np.empty(0, np.int64)
        if len(need):
            self._encode(encoder, items, first, keys, need, missing, stores, home, progress)
        self._touch(home)
        return _joined(stores, keys, codes, encoder)

    def token_states(self, encoder: Layered, items: Any, layer: str, *, progress: bool | None = None) -> TokenStates:
        """The states of every token of these items after a block, computing only what the cache does not have.

        Args:
            encoder: one with blocks.
            items: a sequence or Arrow array of texts; equal items are encoded once.
            layer: the block's name among the encoder's layers.
            progress: see `progress_bar`.

        Raises:
            FeatureError: an item is no text, or a state is not finite; the cache is left without it.
            StorageError: the disk is full; all blocks written before stay.
        """
        keys = item_keys(encoder, items)
        first, codes = distinct(keys)
        keys = keys[first]
        home = self.path / f"{encoder.fingerprint}-{encoder.precision}"
        store = self._layer(home, encoder, layer, tokens=True)
        need = np.flatnonzero(store.find(keys) < 0)
        with progress_bar(f"token states of {encoder.name}", len(need), show=progress if len(need) else False) as bar:
            step = max(1, min(_BLOCK, _STATES // (encoder.width * (encoder.max_length or 8192))))
            for start in range(0, len(need), step):
                rows = need[start : start + step]
                with numbered(first[rows]):
                    states, lengths = encoder.token_states(take(items, first[rows]), layer)
                if not (finite := np.isfinite(states).all(1)).all():
                    item = np.repeat(first[rows], store.counts(lengths))[~finite][0]
                    raise FeatureError(
                        f"the token states of item {item} are not finite in float16: look at the item, or run the "
                        "whole encoder in every step (no cache)"
                    )
                _make(store.folder)
                self._card(home, encoder)
                _guarded(store, keys[rows], lengths, states)
                bar.advance(len(rows))
        if len(need):
            self._shrink(keep=home)
        self._touch(home)
        places = _found(store, keys)
        counts = [store.counts(store.lengths(np.arange(*bounds))) for bounds in pairwise(store.starts)]
        return TokenStates(store.vectors, store.starts, counts, places[codes])

    def _encode(
        self,
        encoder: Encoder,
        items: Any,
        first: np.ndarray,
        keys: np.ndarray,
        need: np.ndarray,
        missing: dict[str, np.ndarray],
        stores: dict[str, Layer],
        home: Path,
        progress: bool | None,
    ) -> None:
        with progress_bar(f"encoding with {encoder.name}", len(need), show=progress) as bar:
            for start in range(0, len(need), _BLOCK):
                rows = need[start : start + _BLOCK]
                wanted = [layer for layer in stores if missing[layer][rows].any()]
                with numbered(first[rows]):
                    encoded = encoder.encode(take(items, first[rows]), wanted, progress=False)
                for layer in wanted:
                    own = missing[layer][rows]
                    vectors = unit_rows(encoded.vectors[layer][own], names=first[rows[own]], layer=layer)
                    _make(stores[layer].folder)
                    self._card(home, encoder)
                    _guarded(stores[layer], keys[rows[own]], encoded.lengths[own], vectors)
                bar.advance(len(rows))
        self._shrink(keep=home)

    def _layer(self, home: Path, encoder: Encoder, layer: str, *, tokens: bool = False) -> Layer:
        name = f"tokens-{layer}" if tokens else layer
        found = self._open.get((home.name, name))
        if found is None or not found.folder.is_dir():
            folder = home / name
            sweep(folder)
            maps: dict[str, tuple[int, ...]] = getattr(encoder, "maps", {})
            width: Any = encoder.width if tokens else encoder.dimensions[layer]  # type: ignore[attr-defined]
            width = maps[layer][-1] if tokens and maps else width
            limit = encoder.max_length
            found = Layer(folder, dimension=width, dtype=encoder.dtype, tokens=tokens, max_tokens=limit)
            self._open[home.name, name] = found
        found.refresh()
        return found

    def _card(self, home: Path, encoder: Encoder) -> None:
        if not (home / _CARD).exists():
            own = {"name": encoder.name, "fingerprint": encoder.fingerprint, "precision": encoder.precision}
            with atomic_file(home / _CARD) as temporary:
                temporary.write_text(json.dumps(own), "utf-8")

    def _touch(self, home: Path) -> None:
        try:
            os.utime(home / _CARD)
        except OSError:
            return  # nothing there yet, or a cache that may only be read

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more fit below the limit and leave a tenth of the disk's free space free."""
        there = next(path for path in (self.path.absolute(), *self.path.absolute().parents) if path.exists())
        limit = self.limit
        return size < 0.9 * shutil.disk_usage(there).free and (limit is None or size <= limit)

    def info(self) -> list[CacheEntry]:
        """What is in the cache, the most recently used first."""
        found = []
        for home in self._homes():
            card = _read_card(home)
            for folder in sorted(path for path in home.iterdir() if path.is_dir()):
                rows, dimension = _shape(folder)
                fingerprint, precision = home.name.rsplit("-", 1)
                entry = CacheEntry(
                    name=card.get("name", "?"),
                    fingerprint=fingerprint,
                    precision=precision,
                    layer=folder.name,
                    dimension=dimension,
                    rows=rows,
                    bytes=_bytes(folder),
                    used=_used(home),
                )
                found.append(entry)
        return sorted(found, key=lambda entry: -entry.used)

    def clear(self, fingerprint: str | None = None) -> int:
        """Remove everything, or one encoder's features (its fingerprint, or the start of it); returns the bytes freed.

        Raises:
            StorageError: a folder cannot be removed.
        """
        return sum(self._drop(home) for home in self._homes() if home.name.startswith(fingerprint or ""))

    def _homes(self) -> list[Path]:
        return sorted(path.parent for path in self.path.glob(f"*-*/{_CARD}")) if self.path.is_dir() else []

    def _drop(self, home: Path) -> int:
        freed = _bytes(home)
        try:
            shutil.rmtree(home)
        except FileNotFoundError:
            pass  # another process was faster
        except OSError as error:
            raise StorageError(f"{home} could not be removed: {error.strerror}") from error
        self._open = {key: layer for key, layer in self._open.items() if key[0] != home.name}
        return freed

    def _shrink(self, keep: Path | None) -> int:
        """Remove least recently used encoders until the limit holds; never the one in use."""
        limit = self.limit
        if limit is None:
            return 0
        sizes = {home: _bytes(home) for home in self._homes()}
        excess, freed = sum(sizes.values()) - limit, 0
        for home in sorted(sizes, key=_used):
            if freed >= excess:
                break
            if home != keep:
                freed += self._drop(home)
        return freed


def features_of(
    encoder: Encoder, items: Any, layers: Sequence[str], *, cache: FeatureCache | None, progress: bool | None = None
) -> Features:
    """The features of items, from a cache where there is one and the encoder is not quicker than the disk.

    Args:
        encoder: any but one that gives weights of terms.
        items: what it takes.
        layers: names, as `resolve_layers` gives them.
        cache: None for none.
        progress: see `progress_bar`.
    """
    if cache is not None and getattr(encoder, "cached", True):
        return cache.features(encoder, items, layers, progress=progress)
    return compute_features(encoder, items, layers, progress=progress)


def _joined(stores: dict[str, Layer], keys: np.ndarray, codes: np.ndarray, encoder: Encoder) -> Features:
    found, lengths = {}, np.zeros(len(codes), np.int64)
    for layer, store in stores.items():
        places = _found(store, keys)
        found[layer] = Stored(store.vectors, store.starts, places[codes])
        lengths = store.lengths(places[codes]).astype(np.int64)
    return Features(found, encoder.dimensions, lengths, encoder.max_length)


def _found(store: Layer, keys: np.ndarray) -> np.ndarray:
    places = store.find(keys)
    if (places < 0).any():  # a block was altered between its writing and now
        raise StorageError(f"{store.folder}: features just written cannot be read back; is the disk sound?")
    return places


def _guarded(store: Layer, keys: np.ndarray, lengths: np.ndarray, vectors: np.ndarray) -> None:
    try:
        store.write(keys, lengths, vectors)
    except PairspaceError as error:
        raise StorageError(
            f"{error}. What was encoded before is kept; free some space (pairspace cache clear), set PAIRSPACE_CACHE "
            "to another disk, or use --no-cache"
        ) from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} could not be made: {error.strerror}") from error


def _read_card(home: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((home / _CARD).read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _shape(folder: Path) -> tuple[int, int]:
    rows = dimension = 0
    for path in folder.glob("block-*.npy"):
        try:
            record = np.load(path, mmap_mode="r", allow_pickle=False)
            rows, dimension = rows + len(record["keys"]), record["vectors"].shape[1]
        except Exception:
            continue  # damaged: noticed and removed when it is next used
    return rows, dimension


def _bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _used(home: Path) -> float:
    try:
        return (home / _CARD).stat().st_mtime
    except OSError:
        return 0.0
