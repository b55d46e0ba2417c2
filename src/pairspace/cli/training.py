"""What `pairspace train` sees to before a run, logs on the way and says at the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    from pairspace.data import Pairs
    from pairspace.space import Space
    from pairspace.training import History

__all__ = ["check_output", "open_log", "print_summary", "summarise"]


def check_output(output: Path, checkpoint: Path, *, overwrite: bool, resume: bool) -> None:
    """See that nothing is lost: neither a space at the output nor a run that was stopped."""
    if output.is_file():
        raise PairspaceError(f"{output} is a file: choose another --output")
    stopped = any(checkpoint.rglob("checkpoint.safetensors"))
    if output.is_dir() and any(output.iterdir()) and not overwrite and not (resume and stopped):
        raise PairspaceError(f"{output} exists: choose another --output, or --overwrite it")
    if stopped and not (resume or overwrite):
        raise PairspaceError(f"a run to {output} was stopped: --resume it, or --overwrite to start anew")
    if stopped and not resume:
        shutil.rmtree(checkpoint)


def open_log(
    kind: str | None, output: Path, settings: dict[str, Any], *, resume: bool
) -> tuple[Callable[[History], None] | None, Callable[[], None]]:
    """What is called after every epoch to log its record, and what at the end."""
    from pairspace.training.trackers import open_tracker

    if kind is None:
        return None, lambda: None
    tracker = open_tracker(kind, output.parent / f"{output.name}.log", settings, resume=resume)

    def log(history: History) -> None:
        for record in history.records[-2 if len(history.records) == 2 else -1 :]:  # with the first, the state before
            tracker.log(record)

    return log, tracker.close


def summarise(sets: Sequence[Pairs], space: Space, history: History, output: Path, seconds: float) -> dict[str, Any]:
    """What is to be said of a run, as plain values."""
    return {
        "pairs": sum(map(len, sets)),
        "duplicates": sum(pairs.duplicates for pairs in sets),
        "skipped": sum(pairs.skipped for pairs in sets),
        "space": repr(space),
        "output": str(output),
        "fingerprint": space.fingerprint,
        "seconds": round(seconds, 1),
        "epochs": max(record["epoch"] for record in history.records),
        "best_epoch": history.best_epoch,
        "truncated": space.record["truncated"],
        "validation_pairs": space.record["validation_pairs"],
        "before": space.record["before"],
        "after": space.record["after"],
        "fusion_weight": space.fusion_weight,
        "notes": history.notes,
    }


def print_summary(summary: dict[str, Any]) -> None:
    """Say it to a person."""
    print(
        f"{summary['pairs']:,} pairs, {summary['duplicates']:,} exact duplicates, "
        f"{summary['skipped']:,} bad rows left out"
    )
    print(summary["space"])
    cut = [f"{share:.1%} of {side}" for side, share in summary["truncated"].items() if share]
    if cut:
        print(f"longer than the encoder reads, and cut: {', '.join(cut)}")
    before, after = (summary[when].get("validation_R@1") for when in ("before", "after"))
    if before is not None:
        print(f"R@1 on {summary['validation_pairs']:,} held-out pairs: {before:.3f} before training, {after:.3f} after")
    print(
        f"{summary['epochs']} epochs in {summary['seconds']:.0f} s, encoding included; "
        f"kept epoch {summary['best_epoch']}"
    )
    for note in summary["notes"]:
        print(f"note: {note}")
    print(f"space written to {summary['output']} (history.png shows the run)")
