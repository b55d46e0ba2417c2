"""A translation memory: what was translated before, found again by the same, a similar or a synonymous text.

    TranslationMemory.build("tm/", ["memory.tmx", "it.po"], space)
    memory = TranslationMemory.open("tm/")
    memory.search("Save the file", target="it")

Exact matches come from a table of keys, fuzzy ones from the letters (of all texts, or in a large memory of those that
share words), semantic ones from the vectors of every language that the space has a side for. So a text of any of these
languages finds units in all of them. `pretranslation.py` fills files from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from rapidfuzz import fuzz, process

from pairspace.bitext.inline_tags import carried_tags, same_tags, wrapped_tags
from pairspace.bitext.matching import MOST, Match, Origin, Question, best_first, differences, key_of
from pairspace.bitext.memory_folder import (
    WHOLE,
    MemoryManifest,
    code_matches,
    index_folder,
    read_memory,
    write_memory,
)
from pairspace.bitext.remembered import Remembered
from pairspace.data import Tag
from pairspace.errors import DataError, IndexingError, PairspaceError
from pairspace.index import Index
from pairspace.neighbours import normalise

__all__ = ["TranslationMemory"]

_CANDIDATES = 100  # by words, of a large memory
_FOUND = 20  # texts of each kind that become matches
_UNITS = 1000  # of one text that are looked at: beyond, counts are lower than they are


class TranslationMemory:
    """Units in a folder. Made by `build` and `open`; to be closed, or used in a `with` block.

    Attributes:
        path: the folder.
        manifest: its languages, files and counts.
    """

    def __init__(self, path: Path, manifest: MemoryManifest, tables: dict[str, pa.Table], space: Any) -> None:
        self.path, self.manifest, self._space = path, manifest, space
        self._texts = tables["texts"].combine_chunks()
        self._units = tables["units"].combine_chunks()
        variants = tables["variants"].combine_chunks()
        self._languages = self._texts["language"].to_numpy()
        self._unit_of, self._text_of = variants["unit"].to_numpy(), variants["text"].to_numpy()
        self._tags = variants["tags"]
        self._by_text = np.argsort(self._text_of, kind="stable")
        self._starts = np.searchsorted(self._text_of, np.arange(len(self._texts) + 1), sorter=self._by_text)
        self._keys: dict[int, tuple[list[str], np.ndarray]] = {}
        self._exact: dict[int, dict[str, list[int]]] = {}
        self._indices: dict[int, Index] = {}

    @classmethod
    def build(
        cls,
        path: str | Path,
        files: str | Path | Iterable[str | Path],
        space: Any = None,
        *,
        source: str | None = None,
        target: str | None = None,
        overwrite: bool = False,
        skip_bad: bool = False,
        progress: bool | None = None,
    ) -> TranslationMemory:
        """Make a memory.

        Args:
            path: the folder to make.
            files: TMX, XLIFF and PO files, and files of pairs whose columns are called as the languages are.
            space: a `Space` whose sides are languages; without one there are no semantic matches.
            source: the language translated from, for files that do not say so.
            target: the language translated into, likewise.
            overwrite: replace a memory that is there.
            skip_bad: leave out units that cannot be read.
            progress: show bars.

        Raises:
            DataError: a file that cannot be read, a language that is not known, or no unit that is translated.
            PairspaceError: the space has no side for any language of the memory.
            StorageError: the folder is there already, or cannot be written.
        """
        path, units = Path(path), Remembered()
        paths = [Path(one) for one in ([files] if isinstance(files, str | Path) else files)]
        for one in paths:
            units.add_file(one, source, target, skip_bad=skip_bad)
        if not units.counts:
            raise DataError(f"{', '.join(map(str, paths)) or 'no files'}: no unit that is translated")
        write_memory(path, units, space, overwrite=overwrite, progress=progress)
        memory = cls.open(path, space)
        memory.left, memory.skipped = units.left, units.skipped
        return memory

    left, skipped = 0, 0  # of the files, when it was built: units without a translation, and bad ones

    @classmethod
    def open(cls, path: str | Path, space: Any = None) -> TranslationMemory:
        """The memory in a folder.

        Args:
            path: where it is.
            space: the space it was made with; None finds it where it was saved, once it is needed.

        Raises:
            IndexingError: no memory there, it is damaged, or it is of another space.
        """
        path = Path(path)
        manifest, tables = read_memory(path)
        if space is not None:
            if manifest.space is None:
                raise IndexingError(f"{path} was made without a space: build it again with one")
            if space.fingerprint != manifest.space["fingerprint"]:
                raise IndexingError(
                    f"{path} was made with the space {manifest.space['name']!r} ({manifest.space['fingerprint']}), "
                    f"not with {space.name!r} ({space.fingerprint})"
                )
        return cls(path, manifest, tables, space)

    def search(
        self,
        text: str,
        *,
        source: str | None = None,
        target: str | None = None,
        k: int = 5,
        minimum: float = 0.7,
        semantic_minimum: float = 0.5,
        context: str = "",
    ) -> list[Match]:
        """The k best matches for a text.

        Args:
            text: what is to be translated.
            source: its language, one of the memory's or a side of the space; None for the one that most units are
                translated from.
            target: the language wanted, likewise.
            k: how many.
            minimum: the least score of fuzzy matches.
            semantic_minimum: the least score of semantic matches; above 1 for none.
            context: where the text stands, as its file says it.

        Raises:
            PairspaceError: an unknown language, or both the same.
        """
        if k < 1:
            raise PairspaceError(f"k must be 1 or more, got {k}")
        how: dict[str, Any] = {"source": source, "target": target, "k": k}
        how |= {"minimum": minimum, "semantic_minimum": semantic_minimum}
        return self.find([Question(text, context)], **how)[0]

    def find(
        self,
        questions: Sequence[Question],
        *,
        source: str | None = None,
        target: str | None = None,
        k: int | None = 5,
        minimum: float = 0.7,
        semantic_minimum: float = 0.5,
    ) -> list[list[Match]]:
        """The matches for several texts with all that is known of them; arguments as in `search`."""
        asked, side, wanted = self._sides(source, target)
        found = [
            [*self._by_key(one, asked, wanted), *self._by_letters(one, asked, wanted, minimum)] for one in questions
        ]
        if side is not None and semantic_minimum <= 1:
            for matches, more in zip(found, self._by_sense(questions, side, wanted, semantic_minimum), strict=True):
                matches.extend(more)
        return [best_first(matches, k) for matches in found]

    def close(self) -> None:
        """Release the folder for others; closing twice does no harm."""
        for index in self._indices.values():
            index.close()
        self._indices.clear()

    def __len__(self) -> int:
        return len(self._units)

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"TranslationMemory({str(self.path)!r}, {len(self):,} units, {', '.join(self.manifest.languages)})"

    def _sides(self, source: str | None, target: str | None) -> tuple[list[int], str | None, list[int]]:
        """Numbers of the languages asked in, the side of the space for them, and numbers of the languages wanted."""
        codes, usual = self.manifest.languages, (self.manifest.source, self.manifest.target)
        if source is None:
            source = usual[0] if target is None or usual[0] not in code_matches(target, codes) else usual[1]
        if target is None:
            target = usual[1] if usual[1] not in code_matches(source, codes) else usual[0]
        asked, wanted = ([codes.index(code) for code in code_matches(one, codes)] for one in (source, target))
        side = next((self.manifest.sides[str(n)] for n in asked if str(n) in self.manifest.sides), None)
        if side is None and self.manifest.space is not None:
            side = next(iter(code_matches(source, list(self._loaded().sides))), None)
        if not asked and side is None:
            raise PairspaceError(f"{self.path} has no language {source!r}; it has: {', '.join(codes)}")
        if not wanted:
            raise PairspaceError(f"{self.path} has no language {target!r}; it has: {', '.join(codes)}")
        if set(asked) & set(wanted):
            raise PairspaceError(f"source and target are both {source!r}: name two of {', '.join(codes)}")
        return asked, side, wanted

    def _by_key(self, question: Question, asked: list[int], wanted: list[int]) -> list[Match]:
        rows = [row for language in asked for row in self._lookup(language).get(key_of(question.text), ())]
        return [match for row in rows for match in self._matches(row, 1.0, "exact", question, wanted)]

    def _by_letters(self, question: Question, asked: list[int], wanted: list[int], minimum: float) -> list[Match]:
        key, matches = key_of(question.text), list[Match]()
        for language in asked:
            keys, rows = self._keys_of(language)
            if len(keys) > WHOLE:
                hits = self._index(language).search(key, k=_CANDIDATES, mode="bm25")
                rows = np.array(sorted(int(hit.id) for hit in hits), np.int64)
                keys = self._texts["key"].take(pa.array(rows)).to_pylist()
            found = process.extract(key, keys, scorer=fuzz.ratio, score_cutoff=100 * minimum, limit=_FOUND)
            for other, score, place in found:
                if other != key:
                    near = min(score / 100, MOST)
                    if near >= minimum:
                        matches += self._matches(int(rows[place]), near, "fuzzy", question, wanted)
        return matches

    def _by_sense(
        self, questions: Sequence[Question], side: str, wanted: list[int], minimum: float
    ) -> list[list[Match]]:
        found: list[list[Match]] = [[] for _ in questions]
        texts = {place: key for place, one in enumerate(questions) if (key := key_of(one.text))}
        if not texts:
            return found
        vectors = normalise(self._loaded().encode(list(texts.values()), side=side, cache=False, progress=False))
        for language in map(int, self.manifest.sides):
            index = self._index(language)
            lists = index.search(vectors, k=_FOUND, mode=next(iter(index.manifest.spaces)))
            for place, hits in zip(texts, lists, strict=True):
                for hit in hits:
                    score = float(np.clip(hit.score, 0, 1))
                    if score >= minimum:
                        found[place] += self._matches(int(hit.id), score, "semantic", questions[place], wanted)
        return found

    def _matches(self, row: int, score: float, kind: str, question: Question, wanted: Sequence[int]) -> Iterable[Match]:
        """What the units that hold a text say in the languages wanted: a match for each translation.

        Tags and plural form must agree too, or an exact match becomes a fuzzy one.
        """
        text, language = self._texts["text"][row].as_py(), int(self._languages[row])
        differs = differences(question.text, text) if kind != "exact" else ()
        groups: dict[tuple[int, tuple[str, ...], tuple[Tag, ...] | None], list[Any]] = {}
        for place in self._by_text[self._starts[row] : self._starts[row + 1]][:_UNITS].tolist():
            unit = int(self._unit_of[place])
            other = self._variant(unit, wanted)
            if other is None:
                continue
            target = int(self._text_of[other])
            same, tags = self._tags_in(target, question, text, place, other)
            more = differs if same else (*differs, "tags")
            if self._units["plural"][unit].as_py() != question.plural:
                more += ("plural",)
            context = question.context != "" and self._units["context"][unit].as_py() == question.context
            group = groups.setdefault((target, more, tags), [unit, 0, False])
            group[1] += 1
            group[2] |= context
        for (target, more, tags), (unit, count, context) in groups.items():
            exact = kind == "exact" and not more
            yield Match(
                source=text,
                target=self._texts["text"][target].as_py(),
                score=1.0 if exact else min(score, MOST) if kind == "exact" else score,
                kind="fuzzy" if kind == "exact" and more else kind,
                language=self.manifest.languages[language],
                target_language=self.manifest.languages[int(self._languages[target])],
                origin=self._origin(unit),
                count=count,
                in_context=context,
                differs=more,
                tags=tags,
            )

    def _tags_in(
        self, target: int, question: Question, text: str, place: int, other: int
    ) -> tuple[bool, tuple[Tag, ...] | None]:
        """Whether a variant has the tags of the question, and these tags in the target, if their places are known."""
        kept, target_kept = (self._tags[variant].as_py() or "" for variant in (place, other))
        if same_tags(question.text, question.tags, text, kept):
            return True, carried_tags(question.tags, kept, target_kept)
        if kept or target_kept:
            return False, None
        return False, wrapped_tags(question.text, question.tags, self._texts["text"][target].as_py())

    def _variant(self, unit: int, wanted: Sequence[int]) -> int | None:
        """The place among the variants of a unit's text in the first of some languages that it has."""
        first, last = np.searchsorted(self._unit_of, [unit, unit + 1])
        there = {int(self._languages[self._text_of[place]]): place for place in range(int(first), int(last))}
        return next((there[language] for language in wanted if language in there), None)

    def _origin(self, unit: int) -> Origin:
        row = {name: self._units[name][unit].as_py() for name in ("file", "id", "line", "context")}
        return Origin(self.manifest.files[row["file"]], row["id"], row["line"], row["context"])

    def _keys_of(self, language: int) -> tuple[list[str], np.ndarray]:
        """The keys of a language's texts, and their rows; only the rows are needed of a large one."""
        if language not in self._keys:
            rows = np.flatnonzero(self._languages == language)
            self._keys[language] = self._texts["key"].take(pa.array(rows)).to_pylist(), rows
        return self._keys[language]

    def _lookup(self, language: int) -> dict[str, list[int]]:
        if language not in self._exact:
            keys, rows = self._keys_of(language)
            found: dict[str, list[int]] = {}
            for key, row in zip(keys, rows.tolist(), strict=True):
                found.setdefault(key, []).append(row)
            self._exact[language] = found
        return self._exact[language]

    def _index(self, language: int) -> Index:
        if language not in self._indices:
            self._indices[language] = Index.open(index_folder(self.path, language), self._given(language))
        return self._indices[language]

    def _given(self, language: int) -> Any:
        return self._space if str(language) in self.manifest.sides else None

    def _loaded(self) -> Any:
        """The space; loaded at the first call.

        Raises:
            IndexingError: it is not where it was saved, or it is another one now.
        """
        if self._space is None:
            language = int(next(iter(self.manifest.sides)))
            note = next(iter(self._index(language).manifest.spaces.values()))
            folder = note.folder(index_folder(self.path, language))
            if folder is None or not folder.is_dir():
                where = "was never saved" if folder is None else f"is no longer at {folder}"
                raise IndexingError(f"{self.path} was made with the space {note.name!r}, which {where}: name it")
            from pairspace.space import Space

            space = Space.from_pretrained(folder)
            note.check(space, self.path)
            self._space = space
        return self._space
