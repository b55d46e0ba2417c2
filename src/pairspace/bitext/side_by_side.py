"""Two aligned documents side by side: one HTML file that needs nothing else, to read, to search and to print.

A bead is a row. Its bar is green where the two sides agree, yellow where they differ and red where they hardly have to
do with each other; what has no counterpart stands on grey beside a dash. The score is also there in figures. On a
narrow screen the two sides stand below each other; the page is dark where the reader's system is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from pairspace.bitext.alignment import Bead

__all__ = ["side_by_side"]

_RIGHT_TO_LEFT = {"ar", "fa", "he", "iw", "ur", "yi", "ps", "dv", "sd", "ug"}
_STYLE = """
:root { color-scheme: light dark; --text: #222; --faint: #555; --page: #fff; --gone: #f1f1f1; --line: #ddd;
  --none: #bbb; --strong: #888; --light: 50%; }
@media screen and (prefers-color-scheme: dark) {
  :root { --text: #ddd; --faint: #aaa; --page: #181818; --gone: #262626; --line: #3a3a3a; --none: #666; --light: 40%; }
}
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem;
  color: var(--text); background: var(--page); }
table { border-collapse: separate; border-spacing: 0; width: 100%; table-layout: fixed; }
th, td { text-align: start; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; hyphens: auto; }
th { position: sticky; top: 0; background: var(--page); border-bottom: 2px solid var(--strong); hyphens: manual; }
th[dir=rtl] { text-align: right; unicode-bidi: plaintext; }
.n { width: 3rem; padding-inline: .3rem; font-size: .75rem; line-height: 2; color: var(--faint); text-align: center;
  border-left: .5rem solid transparent; font-variant-numeric: tabular-nums; hyphens: manual; }
tr[style] .n { border-left-color: hsl(var(--hue) 65% var(--light)); }
.gone td { background: var(--gone); color: var(--faint); }
.gone .n { border-left-color: var(--none); }
.none { text-align: center; }
.key { font-size: .85rem; color: var(--faint); }
@media screen and (max-width: 40rem) {
  body { margin: 1rem auto; padding: 0 .5rem; }
  table, thead, tbody { display: block; }
  tr { display: grid; grid-template-columns: 3.5rem 1fr; border-bottom: 1px solid var(--line); }
  th { position: static; border: 0; }
  td { border-bottom: 0; }
  .n { grid-row: 1 / span 2; width: auto; }
  .none { text-align: start; }
  .n + * + * { padding-top: 0; }
}
@media print {
  body { font-size: 10pt; margin: 0; max-width: none; }
  th { position: static; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  td { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""


def side_by_side(
    rows: Sequence[tuple[Bead, str, str]], languages: tuple[str, str], titles: tuple[str, str]
) -> Iterator[str]:
    """The page, a piece at a time.

    Args:
        rows: beads with their texts.
        languages: codes of the two, for hyphenation, fonts, speech and the direction of writing.
        titles: heads of the two columns.
    """
    gone = sum(not (bead.left and bead.right) for bead, *_ in rows)
    heads = [escape(title) for title in titles]
    columns = "".join(
        f'<th scope="col"{_direction(language)}>{head}</th>' for head, language in zip(heads, languages, strict=True)
    )
    yield (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heads[0]} | {heads[1]}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<p class="key">{len(rows) - gone:,} aligned, {gone:,} without counterpart. The bar goes from red (score 0) '
        f"to green (1); grey has no counterpart.</p>\n<table>\n<thead><tr>"
        f'<th class="n" scope="col">score</th>{columns}</tr></thead>\n<tbody>\n'
    )
    for bead, *texts in rows:
        both = bool(bead.left and bead.right)
        score = min(max(bead.score, 0.0), 1.0)
        yield f'<tr style="--hue: {120 * score:.0f}">' if both else '<tr class="gone">'
        shown = f"{score:.2f}" if both else "&ndash;"
        yield f'<td class="n" title="{_where(bead)}">{shown}</td>'
        for indices, text, language in zip((bead.left, bead.right), texts, languages, strict=True):
            if indices:
                yield f'<td lang="{escape(language)}"{_direction(language)}>{escape(text)}</td>'
            else:
                yield '<td class="none">&mdash;</td>'
        yield "</tr>\n"
    yield "</tbody>\n</table>\n</body>\n</html>\n"


def _where(bead: Bead) -> str:
    """Numbers of sentences, from 1."""
    return " | ".join(", ".join(str(index + 1) for index in side) or "none" for side in (bead.left, bead.right))


def _direction(language: str) -> str:
    return ' dir="rtl"' if language.lower().replace("_", "-").split("-")[0] in _RIGHT_TO_LEFT else ' dir="auto"'
