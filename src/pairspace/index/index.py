"""Index: the items of one side of a space, stored to be searched.

    index = Index.create("index/", space, text=True)          # dense and BM25, in one directory
    index.add(ids, texts, payload=[{"section": "games"}, ...])
    index.search("play chess", k=10, filter={"section": "games"}, mode="hybrid")

The directory holds the engine's files and `manifest.json`, which ties them to the space. Adding works in batches:
encode, store, make durable, next; so a kill loses the batch in work and nothing before it, and the same call made
again goes over the same ids without harm. Nothing is half-made: a new index appears under its name only when it is
whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from pairspace.data.files import Closing, atomic_folder
from pairspace.errors import IndexingError
from pairspace.index.edge import lock_file
from pairspace.index.engine import Engine, Found, Point
from pairspace.index.filters import parse_filter
from pairspace.index.hubs import Hubs, check_similarity, corrected, depth, of_length_one, write_reference
from pairspace.index.hybrid import DEPTH, fuse, fusion_weights
from pairspace.index.lock import Lock
from pairspace.index.manifest import MANIFEST, Manifest, SpaceLike
from pairspace.index.planning import ENGINES, fields_of, plan
from pairspace.index.records import (
    HUBS,
    ID,
    Hit,
    Payloads,
    as_id,
    check_ids,
    checked_items,
    open_payload,
    part,
    point_key,
)
from pairspace.index.vectors import BM25, Spaces, Vectors, as_queries, checked_pruning, checked_vectors, named_spaces
from pairspace.progress import progress_bar

__all__ = ["Index"]

EXPANSIONS = ("full", "none", "rescore")
_ENGINE = "engine"


class Index(Closing):
    """A searchable collection of items. Made by `create` or `open`; to be closed, or used in a `with` block.

    Ids are texts; whole numbers are accepted and become texts. One process at a time may hold an index; opening it once
    more in the same process closes the older object.
    """

    _open_here: ClassVar[WeakValueDictionary[Path, Index]] = WeakValueDictionary()

    def __init__(self, path: Path, manifest: Manifest, engine: Engine, spaces: Mapping[str, SpaceLike]) -> None:
        self.path, self.manifest, self._engine = path, manifest, engine
        self._vectors = Vectors(path, manifest, spaces)
        self._hubs = Hubs(path, manifest)
        self._closed = False
        self._open_here[path.resolve()] = self

    @classmethod
    def _close_older(cls, path: Path) -> None:
        """Let go of the index at `path` where this process holds it."""
        older = cls._open_here.pop(path.resolve(), None)
        if older is not None:
            older.close()

    @classmethod
    def create(
        cls,
        path: str | Path,
        space: Spaces | None = None,
        *,
        side: str | None = None,
        text: bool = False,
        language: str | None = None,
        passages: bool = False,
        store_text: bool = True,
        mass: float = 1.0,
        terms: int | None = None,
        engine: str = "edge",
        reference: Any = None,
        overwrite: bool = False,
    ) -> Index:
        """A new, empty index.

        Args:
            path: the folder to make.
            space: the space whose vectors are stored under the name "dense", or "sparse" where it is; or several by
                name; None for words only.
            side: whose items are stored; default: each space's document side.
            text: also index the words (BM25).
            language: of the words, name or ISO code; default: the first space's, or English.
            passages: cut long texts into passages and let the best one count.
            store_text: keep each item's text in its payload, under "text". Without it `optimise` cannot adapt BM25 to a
                changed average length.
            mass: of sparse vectors, the share of their weight that is kept, in the fewest terms.
            terms: of sparse vectors, most terms kept.
            engine: "edge", or "seismic" for large sparse collections that are written once: quicker after `optimise`,
                which takes longer; finds nearly all of the best.
            reference: queries such as will be asked (of training, say), for searches that are corrected for hubs: items
                of the asking side or their vectors, or either by vector name. At most 10,000 are drawn and kept.
            overwrite: replace an index that is there; any other folder with content is left alone.

        Raises:
            IndexingError: nothing to index by, an unusable vector name or side, or the index there is in use.
            StorageError: the folder is there already, or cannot be written.
        """
        path = Path(path)
        spaces = named_spaces(space)
        manifest = plan(
            path,
            spaces,
            side=side,
            text=text,
            language=language,
            store_text=store_text,
            engine=engine,
            passages=passages,
            pruning=checked_pruning(mass, terms),
        )
        cls._close_older(path)
        if overwrite and (path / MANIFEST).is_file():
            Lock(lock_file(path / _ENGINE)).release()  # refuses where it is in use
        with atomic_folder(path, overwrite, marker=MANIFEST) as temporary:
            if reference is not None:
                write_reference(temporary, manifest, Vectors(path, manifest, spaces), reference)
            ENGINES[engine].create(temporary / _ENGINE, fields_of(manifest)).close()
            manifest.write(temporary)
        return cls(path, manifest, ENGINES[manifest.engine].open(path / _ENGINE), spaces)

    @classmethod
    def open(cls, path: str | Path, space: Spaces | None = None) -> Index:
        """The index in a folder.

        Args:
            path: where it is.
            space: the space (or spaces by name) it was made with; None finds it where it was saved, once it is needed.

        Raises:
            IndexingError: no index there, it is damaged, another process holds it, or it is of another space.
        """
        path = Path(path)
        manifest = Manifest.read(path)
        spaces = named_spaces(space)
        unknown = set(spaces) - set(manifest.spaces)
        if unknown:
            known = ", ".join(manifest.spaces) or "none"
            raise IndexingError(f"{path} has no vectors named {', '.join(sorted(unknown))}; it has: {known}")
        for name, one in spaces.items():
            manifest.spaces[name].check(one, path)
        cls._close_older(path)
        return cls(path, manifest, ENGINES[manifest.engine].open(path / _ENGINE), spaces)

    def add(
        self,
        ids: Any,
        items: Any = None,
        *,
        payload: Any = None,
        vectors: Any = None,
        batch_size: int = 2048,
        progress: bool | None = None,
    ) -> int:
        """Store items, replacing those whose ids are there already.

        Args:
            ids: texts or whole numbers, one an item, none twice.
            items: what the side's encoder reads (texts; row numbers or ids for given features), as a sequence or an
                Arrow array. May be None where `vectors` are given and no words are indexed.
            payload: a sequence of dicts or a `pa.Table`, one row an item: JSON values; dates become ISO 8601 texts.
            vectors: float array (n, dimension) to store instead of encoding, or one by vector name.
            batch_size: items that are encoded and made durable together.
            progress: show a bar; None where there is a terminal.

        Returns:
            How many items were stored; new and replaced ones count alike.

        Raises:
            ShapeError: lengths or dimensions do not fit. Nothing was written then.
            IndexingError: an id twice, an item or payload that cannot be stored (nothing was written then), or the
                engine failed.
            StorageError: not enough room on the disk; the batches before are stored.
        """
        self._check_open()
        keys = check_ids(ids)
        count = len(keys)
        words = self._vectors.words is not None
        if items is not None:
            items = checked_items(items, count, texts=words or self.manifest.passages)
        elif vectors is None or words:
            raise IndexingError("items are needed" + (": this index holds their words" if words else ", or vectors"))
        payloads = Payloads(payload, count, texts=items if self.manifest.store_text else None)
        if vectors is not None:
            names = {name: note.dimension for name, note in self.manifest.spaces.items()}
            sparse = [name for name, note in self.manifest.spaces.items() if note.sparse]
            how: dict[str, Any] = {"passages": self.manifest.passages, "sparse_names": sparse}
            how["pruning"] = self.manifest.pruning
            vectors = checked_vectors(vectors, names, count, **how)
        if words:
            self._vectors.measure(items)
        with progress_bar("indexing", total=count, show=progress) as bar:
            for start in range(0, count, batch_size):
                stop = min(start + batch_size, count)
                texts = None if items is None else part(items, start, stop)
                given = None if vectors is None else {name: rows[start:stop] for name, rows in vectors.items()}
                columns = self._vectors.documents(texts, given)
                points, hubs = [], self._hubs.of(columns)
                for at, (id, row) in enumerate(zip(keys[start:stop], payloads.rows(start, stop), strict=True)):
                    row |= {ID: id} if hubs is None else {ID: id, HUBS: hubs[at]}
                    points.append(Point(point_key(id), {name: column[at] for name, column in columns.items()}, row))
                self._engine.upsert(points)
                bar.advance(stop - start)
        return count

    update = add

    def delete(self, ids: Any) -> int:
        """Remove items; how many of them were there."""
        self._check_open()
        ids = [ids] if isinstance(ids, str | int) else ids
        return self._engine.delete([point_key(id) for id in dict.fromkeys(as_id(id) for id in ids)])

    def search(
        self,
        query: Any,
        *,
        k: int = 10,
        filter: Mapping[str, Any] | None = None,
        mode: str | None = None,
        exact: bool = False,
        expansion: str = "full",
        similarity: str = "cosine",
        side: str | None = None,
    ) -> Any:  # list[Hit] or list[list[Hit]], as the query is one or several
        """The k best items for one query, or for each of several.

        Args:
            query: a text (one list comes back), a list of texts (a list of lists), or a float array: (dimension,) or
                (n, dimension).
            k: how many.
            filter: conditions on payload fields, see `pairspace.index.filters`.
            mode: a vector name ("dense", "sparse"), "bm25", several of them ("dense+bm25"), or "hybrid" (all there are,
                fused); default: the first space, or BM25 where there is none.
            exact: look at every item instead of following the graph.
            expansion: of sparse queries: "full"; "none" asks with their own words alone, which looks at fewer items;
                "rescore" finds the first hundred so and then scores these with all terms.
            similarity: "cosine", or corrected for hubs "csls" or "margin", see `pairspace.index.hubs`: for one vector
                name of an index that has reference queries. Corrects the 100 best, or 10 k, and orders these anew.
            side: what the queries are; default: the query side (the document side where the query side is indexed).

        Raises:
            IndexingError: a mode that the index does not have, a filter or query that cannot be understood.
            ShapeError: the vectors' dimension is not the space's.
        """
        self._check_open()
        if k < 1:
            raise IndexingError(f"k must be 1 or more, got {k}")
        if expansion not in EXPANSIONS:
            raise IndexingError(f"expansion must be one of {', '.join(EXPANSIONS)}, got {expansion!r}")
        single, queries = as_queries(query)
        names = self._vectors.modes(mode or next(iter(self.manifest.spaces), BM25))
        check_similarity(self.manifest, similarity, names, expansion)
        conditions, plain = parse_filter(filter), similarity == "cosine"

        def asked(name: str, k: int) -> list[list[Found]]:
            vectors, own = self._vectors.queries(name, queries, side), None
            if expansion != "full" and name in self.manifest.spaces and self.manifest.spaces[name].sparse:
                own = self._vectors.own_terms(name, queries, vectors)
            if own is not None and expansion == "none":
                vectors, own = own, None
            vectors = vectors if plain else of_length_one(vectors)
            return self._engine.search(name, vectors, k, conditions, exact=exact, first=own, depth=max(DEPTH, k))

        if (queries.shape[0] if hasattr(queries, "shape") else len(queries)) == 0:
            return []
        if len(names) > 1:
            lists = [asked(name, max(DEPTH, k)) for name in names]
            found = fuse(lists, k, fusion_weights([self._vectors.fusion_weight(name) for name in names]))
        elif plain:
            found = asked(names[0], k)
        else:
            candidates = asked(names[0], depth(k))
            found = corrected(candidates, k, names[0], similarity, lambda: self._engine.count(conditions))
        hits = [[Hit(id, f.score, rest) for f in one for id, rest in [open_payload(f.payload)]] for one in found]
        return hits[0] if single else hits

    def space(self, name: str) -> SpaceLike:
        """The space of a vector name; loaded from where it was saved if need be."""
        return self._vectors.space(name)

    def get(self, ids: Any) -> Any:
        """What is stored with an id: its payload, or None where the id is not there. For several ids a list."""
        self._check_open()
        single = isinstance(ids, str | int)
        keys = [point_key(as_id(id)) for id in ([ids] if single else ids)]
        there = self._engine.get(keys)
        payloads = [open_payload(there[key])[1] if key in there else None for key in keys]
        return payloads[0] if single else payloads

    def count(self, filter: Mapping[str, Any] | None = None) -> int:
        """How many items there are, or how many pass the filter."""
        self._check_open()
        return self._engine.count(parse_filter(filter))

    def optimise(self, *, progress: bool | None = None) -> None:
        """Make searches fast and scores right after many changes.

        Builds the HNSW graph, clears out deleted items, and computes the BM25 weights anew where the average document
        length has moved by more than 3 % since they were made. To be called after the last of many additions; until
        then a search is right, but looks at every new item.
        """
        self._check_open()
        self._vectors.refresh(self._engine, progress)
        self._engine.optimise()

    def info(self) -> dict[str, Any]:
        """What this index is: path, created, items, segments, bytes, spaces, text, passages, reference, and so on."""
        self._check_open()
        numbers = self._engine.info()
        return {
            "path": str(self.path),
            "created": self.manifest.created,
            "items": numbers.pop("points"),
            **numbers,
            "spaces": {
                name: {
                    "name": note.name,
                    "fingerprint": note.fingerprint,
                    "side": note.side,
                    "dimension": note.dimension,
                }
                for name, note in self.manifest.spaces.items()
            },
            "text": self.manifest.text,
            "passages": self.manifest.passages,
            "engine": self.manifest.engine,
            "reference": {name: one["queries"] for name, one in self.manifest.reference.items()},
            "versions": self.manifest.versions,
        }

    def close(self) -> None:
        """Release the directory for others; closing twice does no harm."""
        if not self._closed:
            self._closed = True
            self._engine.close()

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # an empty index is still an index

    def __iter__(self) -> Iterator[str]:
        """The ids, in no order that means anything."""
        self._check_open()
        for batch in self._engine.scan([ID]):
            for _, payload in batch:
                yield payload[ID]

    def __contains__(self, id: object) -> bool:
        self._check_open()
        return isinstance(id, str | int) and bool(self._engine.get([point_key(as_id(id))], payload=False))

    def __repr__(self) -> str:
        spaces = ", ".join(note.name for note in self.manifest.spaces.values())
        return f"Index({str(self.path)!r}, spaces=[{spaces}], text={self._vectors.words is not None})"

    def _check_open(self) -> None:
        if self._closed:
            raise IndexingError(f"{self.path} is closed: open it again with Index.open")
