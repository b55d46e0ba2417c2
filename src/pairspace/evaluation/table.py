"""Tables for people: aligned, and still tables when pasted into Markdown."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["p_text", "pipe_table", "short"]


def pipe_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is left-aligned, the others right-aligned, all padded."""
    widths = [max(len(line[column]) for line in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])
    return "\n".join([line(header), rule, *map(line, rows)])


def p_text(p: float) -> str:
    """A p-value in four decimals at most."""
    return "<0.0001" if p < 0.00005 else f"{p:.4f}"


def short(value: float, sign: str = "-") -> str:
    """A number in [-1, 1] in four characters (".714", "1.00"), and its sign; `sign="+"` shows a plus too."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:{sign}.2f}"
