"""One progress bar for all long work: what, how far, at which rate, how long still.

Drawn on standard error, so that standard output stays clean for results, and only where a person can see it. The code
that works calls `advance`; it never knows whether anything is drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Bar", "progress_bar"]


class Bar:
    """What a running piece of work reports to."""

    def __init__(self, progress: Any = None, task: Any = None) -> None:
        self._progress, self._task = progress, task

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Report `count` more units done, and optionally a short note (loss, score) to show beside the bar."""
        if self._progress is not None:
            fields = {} if note is None else {"note": note}
            self._progress.update(self._task, advance=count, **fields)


@contextmanager
def progress_bar(what: str, total: int, *, unit: str = "items", show: bool | None = None) -> Iterator[Bar]:
    """A progress bar with rate and time left.

    Args:
        what: a word or two on what is being done ("encoding title").
        total: units of work in all.
        unit: what is counted, for the rate ("texts", "steps").
        show: True or False to force it; None shows it when standard error is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} {unit}/s", style="cyan")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bar(progress, progress.add_task(what, total=total, note=""))
