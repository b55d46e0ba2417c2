"""XLIFF 1.2 and 2.x: texts on their way to a translator and back; read, and changed in place, as a stream.

| | 1.2 | 2.0, 2.1, 2.2 |
|---|---|---|
| a unit is | a `<trans-unit>` | a `<segment>` of a `<unit>` |
| its key | `original` of the file / `id` | `id` of the file / `id` of the unit / `id` of the segment, or `#n` |
| needs review | target with state `new` or `needs-...` | state `initial` |
| translated | any other target | any other target, one without a state too |

The default of `state` in 2.0 is `initial`, but a file whose tool keeps no states would then hold nothing translated; so
only one that says `initial` counts as such. 2.0 has no state for "filled, please look": `initial` is the one that no
tool takes for finished, so that is what is written (and `subState`, which would no longer be true, is taken away).

`<mrk mtype="seg">` of 1.2 says where the sentences of a unit are; it is left out of its tags.

What says `translate="no"` is no unit. `<alt-trans>` and matches are left alone, as is all that the tables do not name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pairspace.data.elements import Node, Patch, content, element_tree, indentation, patched, set_attributes, tagged
from pairspace.data.markup import Element, Markup
from pairspace.data.units import Change, Tag, Unit, check_language, unique_key
from pairspace.errors import DataError

__all__ = ["rewrite_xliff", "scan_xliff"]

_CODES = ("bpt", "ept", "ph", "it", "x", "bx", "ex")  # of 1.2; no text in them
_SECOND_CODES = ("ph", "sc", "ec", "sm", "em", "cp")  # of 2.0; empty
_NO_CONTEXT = ("sourcefile", "linenumber", "x-po-trancomment", "x-po-autocomment")
_MARKER = re.compile(r"<(/?)(?:[^\s/>:]+:)?mrk\b")
_SENTENCE = re.compile(r"\smtype\s*=\s*[\"']seg[\"']")
_WANTED = ("trans-unit", "unit")


def scan_xliff(path: Path, source: str | None, target: str | None) -> Iterator[Unit | DataError]:
    """The units of a file; a broken one comes as the error that says so.

    Args:
        path: the file.
        source: the language that it must be from, where it says so; None for whichever.
        target: the language that it must be into, likewise.

    Raises:
        DataError: invalid XML, no XLIFF, another version, or another language.
    """
    seen: set[str] = set()
    for piece in Markup(path, "xliff", _WANTED).pieces():
        if isinstance(piece, Element):
            _check_head(piece, path, source, target)
            try:
                units = [_unit(piece, part, key) for key, part in _parts(piece, seen)]
            except DataError as error:
                yield DataError(f"{path}, line {piece.line}: {error}")
            else:
                yield from units


def rewrite_xliff(
    path: Path, changes: Mapping[str, Change], source: str | None, target: str | None, left: set[str]
) -> Iterator[bytes]:
    """The file with other targets in the units named; keys that were found are taken out of `left`."""
    seen: set[str] = set()
    markup = Markup(path, "xliff", _WANTED)
    for piece in markup.pieces():
        if not isinstance(piece, Element):
            yield markup.encode(piece)
            continue
        _check_head(piece, path, source, target)
        try:
            patches: list[Patch] = []
            for key, part in _parts(piece, seen):
                if change := changes.get(key):
                    left.discard(key)
                    patches += _patches(piece, part, change)
        except DataError as error:
            raise DataError(f"{path}, line {piece.line}: {error}") from error
        yield markup.encode(patched(piece.raw, patches) if patches else piece.raw)


def _check_head(element: Element, path: Path, source: str | None, target: str | None) -> None:
    place = f"{path}, line {element.line}"
    version = element.parents[0].attributes.get("version", "")
    if version[:2] not in ("1.", "2."):
        raise DataError(f"{place}: XLIFF {version or 'without a version'}; 1.2 and 2.0 are read")
    said = _languages(element)
    check_language(source, said[0], place)
    check_language(target, said[1], place)


def _is_second(element: Element) -> bool:
    return element.parents[0].attributes["version"].startswith("2")


def _languages(element: Element) -> tuple[str, str]:
    if _is_second(element):
        head = element.parents[0].attributes
        return head.get("srcLang", ""), head.get("trgLang", "")
    head = _file(element)
    return head.get("source-language", ""), head.get("target-language", "")


def _file(element: Element) -> Mapping[str, str]:
    return next((parent.attributes for parent in reversed(element.parents) if parent.name == "file"), {})


def _parts(element: Element, seen: set[str]) -> list[tuple[str, Node]]:
    """The units within an element with their keys: itself in 1.2, its segments in 2.0."""
    node = element_tree(element.raw)
    second = _is_second(element)
    if (element.name == "unit") != second:
        return []
    said = [parent.attributes.get("translate") for parent in element.parents] + [node.attributes.get("translate")]
    if next((value for value in reversed(said) if value), "yes") == "no":
        return []
    name = _file(element).get("id" if second else "original", "")
    key = f"{name}/{node.attributes.get('id', '#')}"
    if not second:
        return [(unique_key(key, seen), node)]
    segments = node.all("segment")
    if len(segments) == 1 and "id" not in segments[0].attributes:
        return [(unique_key(key, seen), segments[0])]
    keys = [f"{key}/{part.attributes.get('id', f'#{number}')}" for number, part in enumerate(segments, start=1)]
    return [(unique_key(key, seen), part) for key, part in zip(keys, segments, strict=True)]


def _unit(element: Element, part: Node, key: str) -> Unit:
    whole = element_tree(element.raw)
    second = _is_second(element)
    source, target = part.first("source"), part.first("target")
    if source is None:
        raise DataError(f"<{part.name}> without <source>")
    codes = _SECOND_CODES if second else _CODES
    text, tags = content(source, codes)
    translation, target_tags = ("", ()) if target is None else content(target, codes)
    state = (part if second or target is None else target).attributes.get("state", "")
    source_language, target_language = _languages(element)
    return Unit(
        key=key,
        source=text,
        target=translation,
        line=element.line + element.raw[: part.start].count(b"\n"),
        source_language=source_language,
        target_language=target_language,
        state=_state(state, translation, second),
        id=key.partition("/")[2] if second else whole.attributes.get("id", ""),
        context=_context(whole, second),
        notes=tuple(content(note)[0] for note in _notes(whole, second)),
        tags_source=_without_sentences(tags),
        tags_target=_without_sentences(target_tags),
    )


def _without_sentences(tags: Sequence[Tag]) -> tuple[Tag, ...]:
    kept, sentences = list[Tag](), list[bool]()
    for tag in tags:
        marker = _MARKER.match(tag.raw)
        if marker and not marker[1]:
            sentences.append(_SENTENCE.search(tag.raw) is not None)
        if not (marker and sentences[-1]):
            kept.append(tag)
        if marker and (marker[1] or tag.raw.endswith("/>")):
            sentences.pop()
    return tuple(kept)


def _state(said: str, target: str, second: bool) -> str:
    if not target.strip():
        return "untranslated"
    if second:
        return "review" if said == "initial" else "translated"
    return "review" if said == "new" or said.startswith("needs-") else "translated"


def _context(whole: Node, second: bool) -> str:
    if second:
        return whole.attributes.get("name", "")
    nodes = [node for group in whole.all("context-group") for node in group.all("context")]
    found = [content(node)[0] for node in nodes if node.attributes.get("context-type") not in _NO_CONTEXT]
    return "\n".join(found) or whole.attributes.get("resname", "")


def _notes(whole: Node, second: bool) -> Sequence[Node]:
    if not second:
        return whole.all("note")
    return [note for notes in whole.all("notes") for note in notes.all("note")]


def _patches(element: Element, part: Node, change: Change) -> list[Patch]:
    """What to replace so that a unit gets its new target and state."""
    second = _is_second(element)
    new = tagged(change.text, change.tags)
    prefix = part.name.removesuffix("segment" if second else "trans-unit").encode()
    opening, closing = b"<" + prefix + b"target>", b"</" + prefix + b"target>"
    patches: list[Patch] = []
    if second:
        states = {"state": "initial" if change.review else "translated", "subState": None}
    else:
        states = {"state": "needs-review-translation" if change.review else "translated", "state-qualifier": None}
        if change.review and part.attributes.get("approved") == "yes":
            patches.append((part.start, part.inner, set_attributes(part.tag, {"approved": "no"})))
    if second:
        patches.append((part.start, part.inner, set_attributes(part.tag, states)))
    target = part.first("target")
    if target is not None:
        opening = target.tag.removesuffix(b"/>").rstrip() + b">" if target.tag.endswith(b"/>") else target.tag
    if not second:
        opening = set_attributes(opening, states)
    if target is not None:
        patches.append((target.start, target.end, opening + new + closing))
        return patches
    if not part.all("source"):
        raise DataError(f"<{part.name}> without <source>")
    before = part.all("source", "seg-source")[-1]
    patches.append((before.end, before.end, indentation(before) + opening + new + closing))
    return patches
