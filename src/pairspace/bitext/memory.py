"""A translation memory: what was translated before, found again by the same, a similar or a synonymous text.

    TranslationMemory.build("tm/", ["memory.tmx", "it.po"], space)
    memory = TranslationMemory.open("tm/")
    memory.search("Save the file", target="it")

Exact matches come from a table of keys, fuzzy ones from the letters (of all texts, or in a large memory of those that
share words), semantic ones from the vectors of every language that the space has a side for. So a text of any of these
languages finds units in all of them. A memory is not read when it is opened: its tables are mapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz import fuzz, process

from pairspace.bitext.inline_tags import carried_tags, same_tags, wrapped_tags
from pairspace.bitext.matching import MOST, Match, Origin, Question, best_first, differences, key_of
from pairspace.bitext.memory_folder import (
    MANIFEST,
    MemoryManifest,
    complete_memory,
    index_folder,
    read_memory,
    words_folder,
)
from pairspace.bitext.memory_tables import MemoryTables
from pairspace.bitext.remembered import Remembered
from pairspace.bitext.word_index import WordIndex
from pairspace.data import Tag, atomic_folder
from pairspace.data.files import Closing
from pairspace.data.units import matching_languages
from pairspace.errors import DataError, IndexingError, PairspaceError
from pairspace.index import Index
from pairspace.neighbours import normalise

__all__ = ["TranslationMemory"]

# Half of the fuzzy matches of .7 to .8 have 70 % of the letters of the true translation, and hardly any of the semantic
# ones below .7, whichever the space (`benchmarks/minima.py`).
MINIMUM, SEMANTIC_MINIMUM = 0.7, 0.7
_CANDIDATES = 1000  # by words, of a large memory: holds 98 % of the near ones of 118,500 texts; 100 would hold 91 %
_FOUND = 20  # texts of each kind that become matches
_UNITS = 1000  # of one text that are looked at: beyond, counts are lower than they are


class TranslationMemory(Closing):
    """Units in a folder. Made by `build` and `open`; to be closed, or used in a `with` block.

    Attributes:
        path: the folder.
        manifest: its languages, files and counts.
    """

    def __init__(self, path: Path, manifest: MemoryManifest, tables: MemoryTables, space: Any) -> None:
        self.path, self.manifest, self._tables, self._space = path, manifest, tables, space
        self._keys: dict[int, tuple[list[int], list[str]]] = {}
        self._words: dict[int, WordIndex] = {}
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
        paths = [Path(one) for one in ([files] if isinstance(files, str | Path) else files)]
        with atomic_folder(path, overwrite, marker=MANIFEST) as temporary, Remembered(temporary) as units:
            for one in paths:
                units.add_file(one, source, target, skip_bad=skip_bad, progress=progress)
            if not units.counts:
                raise DataError(f"{', '.join(map(str, paths)) or 'no files'}: no unit that is translated")
            complete_memory(temporary, units, space, progress=progress)
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
        minimum: float = MINIMUM,
        semantic_minimum: float = SEMANTIC_MINIMUM,
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
        minimum: float = MINIMUM,
        semantic_minimum: float = SEMANTIC_MINIMUM,
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
        return len(self._tables)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"TranslationMemory({str(self.path)!r}, {len(self):,} units, {', '.join(self.manifest.languages)})"

    def _sides(self, source: str | None, target: str | None) -> tuple[list[int], str | None, list[int]]:
        """Numbers of the languages asked in, the side of the space for them, and numbers of the languages wanted."""
        codes, usual = self.manifest.languages, (self.manifest.source, self.manifest.target)
        if source is None:
            source = usual[0] if target is None or usual[0] not in matching_languages(target, codes) else usual[1]
        if target is None:
            target = usual[1] if usual[1] not in matching_languages(source, codes) else usual[0]
        asked, wanted = ([codes.index(code) for code in matching_languages(one, codes)] for one in (source, target))
        side = next((self.manifest.sides[str(n)] for n in asked if str(n) in self.manifest.sides), None)
        if side is None and self.manifest.space is not None:
            side = next(iter(matching_languages(source, self._loaded().sides)), None)
        if not asked and side is None:
            raise PairspaceError(f"{self.path} has no language {source!r}; it has: {', '.join(codes)}")
        if not wanted:
            raise PairspaceError(f"{self.path} has no language {target!r}; it has: {', '.join(codes)}")
        if set(asked) & set(wanted):
            raise PairspaceError(f"source and target are both {source!r}: name two of {', '.join(codes)}")
        return asked, side, wanted

    def _by_key(self, question: Question, asked: list[int], wanted: list[int]) -> list[Match]:
        rows = self._tables.texts_with(key_of(question.text), asked)
        return [match for row in rows for match in self._matches(row, 1.0, "exact", question, wanted)]

    def _by_letters(self, question: Question, asked: list[int], wanted: list[int], minimum: float) -> list[Match]:
        key, matches = key_of(question.text), list[Match]()
        for language in asked:
            rows, keys = self._like(language, key)
            found = process.extract(key, keys, scorer=fuzz.ratio, score_cutoff=100 * minimum, limit=_FOUND)
            for other, score, place in found:
                if other != key:
                    near = min(score / 100, MOST)
                    if near >= minimum:
                        matches += self._matches(rows[place], near, "fuzzy", question, wanted)
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
        tables, text = self._tables, self._tables.text(row)
        differs = differences(question.text, text) if kind != "exact" else ()
        groups: dict[tuple[int, tuple[str, ...], tuple[Tag, ...] | None], list[Any]] = {}
        for variant in tables.variants_of(row)[:_UNITS]:
            unit = tables.unit_of(variant)
            other = tables.variant_in(unit, wanted)
            if other is None:
                continue
            target = tables.text_of(other)
            same, tags = self._tags_in(target, question, text, tables.tags_of(variant), tables.tags_of(other))
            more = differs if same else (*differs, "tags")
            if tables.value(unit, "plural") != question.plural:
                more += ("plural",)
            context = question.context != "" and tables.value(unit, "context") == question.context
            group = groups.setdefault((target, more, tags), [unit, 0, False])
            group[1] += 1
            group[2] |= context
        for (target, more, tags), (unit, count, context) in groups.items():
            exact = kind == "exact" and not more
            yield Match(
                source=text,
                target=tables.text(target),
                score=1.0 if exact else min(score, MOST) if kind == "exact" else score,
                kind="fuzzy" if kind == "exact" and more else kind,
                language=self.manifest.languages[tables.language(row)],
                target_language=self.manifest.languages[tables.language(target)],
                origin=self._origin(unit),
                count=count,
                in_context=context,
                differs=more,
                tags=tags,
            )

    def _tags_in(
        self, target: int, question: Question, text: str, kept: str, target_kept: str
    ) -> tuple[bool, tuple[Tag, ...] | None]:
        """Whether a text has the tags of the question, and these tags in its translation, if their places are known."""
        if same_tags(question.text, question.tags, text, kept):
            return True, carried_tags(question.tags, kept, target_kept)
        if kept or target_kept:
            return False, None
        return False, wrapped_tags(question.text, question.tags, self._tables.text(target))

    def _origin(self, unit: int) -> Origin:
        number, name, line, context = (self._tables.value(unit, column) for column in ("file", "id", "line", "context"))
        return Origin(self.manifest.files[number], name, line, context)

    def _like(self, language: int, key: str) -> tuple[list[int], list[str]]:
        """The texts of a language to compare with a key, and their keys: all, or of many those that share words."""
        if language in self.manifest.words:
            if language not in self._words:
                folder = words_folder(self.path, language)
                self._words[language] = WordIndex(folder, self.manifest.languages[language])
            rows = self._words[language].search(key, _CANDIDATES)
            return rows, [key_of(self._tables.text(row)) for row in rows]
        if language not in self._keys:
            batches = list(self._tables.keys(language))
            self._keys[language] = (
                [row for rows, _ in batches for row in rows.tolist()],
                [one for _, keys in batches for one in keys],
            )
        return self._keys[language]

    def _index(self, language: int) -> Index:
        if language not in self._indices:
            self._indices[language] = Index.open(index_folder(self.path, language), self._space)
        return self._indices[language]

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
