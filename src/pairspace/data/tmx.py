"""TMX 1.4, the format of translation memories: read, and changed in place, as a stream.

A `<tu>` holds a `<tuv>` for each language, and that a `<seg>`. Of the inline tags, `<bpt>`, `<ept>`, `<ph>`, `<it>` and
`<ut>` hold code of the document the text came from and are taken out whole; `<hi>` holds text. A unit's key is its
number in the file, because `tuid` need not be unique and a memory may be too large to remember all of them.

Which languages there are is found by looking through the file for `<tuv xml:lang=...>` before it is read. Each unit is
searched for those asked for by itself, so `en` reads a memory of which some units have `en-US` and others `en-GB`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pairspace.data.elements import Node, content, element_tree, escape, indentation, patched, tagged
from pairspace.data.markup import Element, Markup
from pairspace.data.units import Change, Tag, Unit, language_among, matching_languages, same_language
from pairspace.errors import DataError

__all__ = ["rewrite_tmx", "scan_tmx", "tmx_languages", "tmx_properties"]

_CODES = ("bpt", "ept", "ph", "it", "ut")
_LANGUAGE = re.compile(rb"<(?:\w+:)?tuv\s[^>]*?\blang\s*=\s*[\"']([^\"']+)[\"']")
_PROPERTY = re.compile(rb"<(?:\w+:)?prop\s[^>]*?\btype\s*=\s*[\"']([^\"']+)[\"']")
_HIDDEN = re.compile(  # or not closed yet: then its beginning stays, and the last two bytes, which may be of its end
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|(<!--|<!\[CDATA\[|<\?).*?(.{0,2})\Z", re.S
)
_STILL_HIDDEN = re.compile(rb"(?:<!--|<!\[CDATA\[|<\?).{0,2}\Z", re.S)
_LONGEST_TAG = 4096


def tmx_languages(path: Path | str) -> list[str]:
    """The codes of the languages that occur, in the order of the file."""
    return _spelt_once(_names(Path(path), _LANGUAGE)[0])


def tmx_properties(path: Path | str) -> tuple[list[str], list[str]]:
    """The languages, and the types of `<prop>` that occur."""
    languages, types = _names(Path(path), _LANGUAGE, _PROPERTY)
    return _spelt_once(languages), types


def scan_tmx(path: Path, source: str | None, target: str | None) -> Iterator[Unit | DataError]:
    """The units of a memory; a broken one comes as the error that says so.

    Args:
        path: the file.
        source: a language; None for the one that the header or the `<tu>` names, or else the first.
        target: a language; None for the other one, if there are but two.

    Raises:
        DataError: invalid XML, or a language that the file lacks or that may be several.
    """
    markup, pick = Markup(path, "tmx", ("header", "tu")), _Pick(path, source, target)
    number = 0
    for piece in markup.pieces():
        if not isinstance(piece, Element):
            continue
        if piece.name == "header":
            pick.read_header(piece)
            continue
        number += 1
        try:
            unit = _unit(piece, number, pick)
        except DataError as error:
            yield DataError(f"{path}, line {piece.line}: {error}")
        else:
            if unit is not None:
                yield unit


def rewrite_tmx(
    path: Path, changes: Mapping[str, Change], source: str | None, target: str | None, left: set[str]
) -> Iterator[bytes]:
    """The file with other targets in the units named; keys that were found are taken out of `left`."""
    markup, pick = Markup(path, "tmx", ("header", "tu")), _Pick(path, source, target)
    number = 0
    for piece in markup.pieces():
        raw = piece.raw if isinstance(piece, Element) else piece
        if isinstance(piece, Element) and piece.name == "header":
            pick.read_header(piece)
        elif isinstance(piece, Element):
            number += 1
            if change := changes.get(str(number)):
                left.discard(str(number))
                try:
                    raw = _changed(piece, change, pick)
                except DataError as error:
                    raise DataError(f"{path}, line {piece.line}: {error}") from error
        yield markup.encode(raw)


class _Pick:
    """Which of the languages are source and target.

    Raises:
        DataError: the file has no such language (lists those that it has), or both are one.
    """

    def __init__(self, path: Path, source: str | None, target: str | None) -> None:
        self.languages = tmx_languages(path)
        self._source, self._target = source, target
        for wanted in (source, target):
            if wanted is not None and not matching_languages(wanted, self.languages):
                there = ", ".join(self.languages) or "none"
                raise DataError(f"{path}: no language {wanted!r}; its languages are: {there}")
        self._sources, self._targets = (_meant(one, self.languages) for one in (source or "", target or ""))
        if self._sources and self._sources == self._targets:
            both = ", ".join(self._sources)
            raise DataError(f"{path}: {source!r} and {target!r} are both {both}: name two languages")
        self._header = ""
        self._known: dict[tuple[str, ...], tuple[str, str]] = {}

    def read_header(self, element: Element) -> None:
        self._header = element_tree(element.raw).attributes.get("srclang", "")

    def sides(self, tu: Node, there: Iterable[str]) -> tuple[str, str]:
        """The codes of source and target in a unit that has these languages; "" for none.

        A target that the unit lacks has the code that it is to get.

        Raises:
            DataError: several of its languages may be meant.
        """
        key = (tu.attributes.get("srclang", self._header), *there)
        if key not in self._known:
            self._known[key] = self._sides(*key)
        return self._known[key]

    def _sides(self, said: str, *there: str) -> tuple[str, str]:
        others = _without(there, self._targets)
        if self._source is None:
            source = next(iter([*matching_languages(said, others), *others]), "")
        else:
            source = language_among(self._source, tuple(others))
        own = self._sources or _meant(said, self.languages)
        targets = self._targets or _without(self.languages, [source] if _without([source], own) else own)
        found = "" if self._target is None else language_among(self._target, tuple(_without(there, [source])))
        return source, found or (targets[0] if len(targets) == 1 else "")


def _unit(element: Element, number: int, pick: _Pick) -> Unit | None:
    """The unit of a `<tu>`; None if it lacks the source language."""
    tu = element_tree(element.raw)
    read: dict[str, tuple[str, tuple[Tag, ...]]] = {}
    for code, tuv in _variants(tu):
        seg = tuv.first("seg")
        if code not in read and seg is not None:
            read[code] = content(seg, _CODES)
    source, target = pick.sides(tu, read)
    if not source:
        return None
    (text, tags), (translation, target_tags) = read[source], _like(read, target)
    properties = {node.attributes.get("type", ""): content(node)[0] for node in tu.all("prop")}
    return Unit(
        key=str(number),
        source=text,
        target=translation,
        line=element.line,
        source_language=source,
        target_language=target,
        state="translated" if text.strip() and translation.strip() else "untranslated",
        id=tu.attributes.get("tuid", ""),
        context=properties.get("x-context", properties.get("context", "")),
        notes=tuple(content(node)[0] for node in tu.all("note")),
        tags_source=tags,
        tags_target=target_tags,
        texts={code: text for code, (text, _) in read.items()},
        tags={code: tags for code, (_, tags) in read.items() if tags},
        properties=properties,
    )


def _changed(element: Element, change: Change, pick: _Pick) -> bytes:
    tu = element_tree(element.raw)
    variants = _variants(tu)
    _, target = pick.sides(tu, [code for code, _ in variants])
    if not target:
        there = ", ".join(pick.languages)
        if len(pick.languages) < 2:
            raise DataError(f"{there} is its only language, so which one a translation is in is not known")
        raise DataError(f"more than two languages ({there}): name the target")
    new = tagged(change.text, change.tags)
    name = tu.name.removesuffix("tu").encode()
    seg = b"<" + name + b"seg>" + new + b"</" + name + b"seg>"
    tuv = next((node for code, node in variants if same_language(code, target)), None)
    if tuv is None:
        if not variants:
            raise DataError("a <tu> without any <tuv>")
        last = variants[-1][1]
        language = escape(target, attribute=True)
        whole = b"<" + name + b'tuv xml:lang="' + language + b'">' + seg + b"</" + name + b"tuv>"
        return patched(element.raw, [(last.end, last.end, indentation(last) + whole)])
    old = tuv.first("seg")
    if old is None:
        raise DataError("a <tuv> without <seg>")
    if old.tag.endswith(b"/>"):
        return patched(element.raw, [(old.start, old.end, seg)])
    return patched(element.raw, [(old.inner, old.close, new)])


def _variants(tu: Node) -> list[tuple[str, Node]]:
    found = []
    for tuv in tu.all("tuv"):
        code = tuv.attributes.get("xml:lang") or tuv.attributes.get("lang")
        if not code:
            raise DataError("a <tuv> without xml:lang")
        found.append((code, tuv))
    return found


def _like(read: Mapping[str, tuple[str, tuple[Tag, ...]]], code: str) -> tuple[str, tuple[Tag, ...]]:
    return next((read[other] for other in read if same_language(other, code)), ("", ()))


def _meant(wanted: str, languages: list[str]) -> list[str]:
    """The languages of a file that may be meant by a code: the one written alike, else all that are near."""
    near = matching_languages(wanted, languages)
    return near[:1] if near and same_language(near[0], wanted) else near


def _without(codes: Iterable[str], others: list[str]) -> list[str]:
    return [code for code in codes if not any(same_language(code, other) for other in others)]


def _names(path: Path, *patterns: re.Pattern[bytes]) -> list[list[str]]:
    """What each pattern finds in the file outside of comments and the like, without parsing it."""
    found: list[dict[bytes, None]] = [{} for _ in patterns]
    rest = b""
    for block in Markup(path, "tmx", ()).blocks():
        block = rest + block
        if b"<!" in block or b"<?" in block:
            block = _HIDDEN.sub(rb"\1\2", block)
        for names, pattern in zip(found, patterns, strict=True):
            names.update(dict.fromkeys(pattern.findall(block)))
        hidden = _STILL_HIDDEN.search(block, max(0, len(block) - _LONGEST_TAG))
        start = block.rfind(b"<") if hidden is None else hidden.start()
        rest = block[max(start, len(block) - _LONGEST_TAG) :]
    return [[name.decode() for name in names] for names in found]


def _spelt_once(codes: list[str]) -> list[str]:
    """The codes without those that are only written in another way."""
    return [code for place, code in enumerate(codes) if not any(same_language(code, other) for other in codes[:place])]
