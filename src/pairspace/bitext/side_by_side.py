"""Two aligned documents side by side: one HTML file that needs nothing else, to read, to search and to print.

A bead is a row. Its bar is green where the two sides agree, yellow where they differ and red where they hardly have to
do with each other; what has no counterpart stands on grey beside a dash. The score is also there in figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from pairspace.bitext.alignment import Bead

__all__ = ["side_by_side"]

_RIGHT_TO_LEFT = {"ar", "fa", "he", "iw", "ur", "yi", "ps", "dv", "sd", "ug"}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222;
  background: #fff; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: start; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #ddd;
  overflow-wrap: anywhere; }
th { position: sticky; top: 0; background: #fff; border-bottom: 2px solid #888; }
th.n, td.n { width: 4rem; font-size: .75rem; color: #555; text-align: center; }
td.n { border-left: .5rem solid hsl(var(--hue) 65% 50%); font-variant-numeric: tabular-nums; }
tr.gone td { background: #f1f1f1; color: #666; }
tr.gone td.n { border-left-color: #bbb; }
td.none { text-align: center; }
p.key { font-size: .85rem; color: #555; }
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
    yield (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heads[0]} | {heads[1]}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<p class="key">{len(rows) - gone:,} aligned, {gone:,} without counterpart. The bar goes from red (score 0) '
        f"to green (1); grey has no counterpart.</p>\n<table>\n<thead><tr>"
        f'<th class="n" scope="col">score</th><th scope="col">{heads[0]}</th><th scope="col">{heads[1]}</th>'
        f"</tr></thead>\n<tbody>\n"
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
