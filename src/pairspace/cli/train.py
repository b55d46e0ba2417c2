"""`pairspace train`: a file of pairs in, a space out."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pairspace.cli.common import (
    Device,
    Json,
    NoCache,
    Sides,
    SkipBad,
    TrustCode,
    one_or_per_side,
    print_json,
    read_sides,
)
from pairspace.errors import PairspaceError

if TYPE_CHECKING:
    from pairspace.data import Pairs
    from pairspace.space import Space
    from pairspace.training import History

__all__ = ["train"]


def train(
    pairs: Annotated[
        list[Path], typer.Argument(help="Files of pairs: CSV, TSV, JSONL, Parquet, or a datasets folder.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the space to.")],
    side: Sides = None,
    encoder: Annotated[
        list[str] | None, typer.Option(help="Name, folder, hub name or file of features; or side=NAME. [minilm]")
    ] = None,
    projector: Annotated[
        list[str] | None, typer.Option(help="linear, residual, identity; or side=NAME. [linear]")
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option(help="spread, last or names as 0,2,last; or side=LAYERS. [spread]")
    ] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="Text before every item; or side=TEXT.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens an item is cut at.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16. [auto; fp32 for identity]")] = None,
    dimension: Annotated[int | None, typer.Option(help="Of the space; by default the smaller last layer.")] = None,
    shared_projector: Annotated[bool, typer.Option("--shared-projector", help="One projector for both sides.")] = False,
    query_side: Annotated[str | None, typer.Option(help="The side searched with; by default the first.")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose equal values never straddle a split.")] = None,
    id: Annotated[str | None, typer.Option(help="Column of ids, for features filed by id.")] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the pairs held out to watch training; 0 for none.")
    ] = 0.05,
    epochs: Annotated[int | None, typer.Option(help="Passes over the pairs.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="AdamW's highest.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="AdamW's.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Its start.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without progress before stopping.")] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds repeat a run exactly on a CPU.")] = 0,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="Go on from a saved space with these pairs.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a space at the output.")] = False,
    language: Annotated[str, typer.Option(help="Of the texts, for BM25 ('none' for no stemming).")] = "english",
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Train projectors on pairs and write the space."""
    from pairspace.space import Space
    from pairspace.training import TrainingOptions

    checkpoint = output.parent / f"{output.name}.checkpoint"
    _check_output(output, checkpoint, overwrite=overwrite, resume=resume)
    given: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
    }
    given |= {"temperature": temperature, "patience": patience}
    options = TrainingOptions(seed=seed, **{name: value for name, value in given.items() if value is not None})
    read = read_sides(pairs, side, group=group, id=id, skip_bad=skip_bad)
    if start_from is not None:
        fixed: dict[str, Any] = {"--encoder": encoder, "--projector": projector, "--layers": layers, "--prompt": prompt}
        fixed |= {"--max-length": max_length, "--dimension": dimension, "--query-side": query_side}
        fixed |= {"--precision": precision, "--temperature": temperature, "--shared-projector": shared_projector}
        if given_too := [name for name, value in fixed.items() if value]:
            raise PairspaceError(f"--from goes on with what {start_from} is: {', '.join(given_too)} cannot be changed")
        space = Space.from_pretrained(
            start_from, device=device, cache=not no_cache, trust_remote_code=trust_remote_code
        )
        space.name = output.name
    else:
        space = Space.create(
            read.sides,
            encoder=one_or_per_side(encoder, read.sides, "--encoder") or "minilm",
            projector=one_or_per_side(projector, read.sides, "--projector") or "linear",
            layers=one_or_per_side(layers, read.sides, "--layers"),
            prompt=one_or_per_side(prompt, read.sides, "--prompt"),
            max_length=max_length,
            precision=precision,
            dimension=dimension,
            shared_projector=shared_projector,
            query_side=query_side,
            name=output.name,
            language=None if language == "none" else language,
            device=device,
            cache=not no_cache,
            trust_remote_code=trust_remote_code,
        )
    began = time.perf_counter()
    try:
        history = space.fit(read, validation=validation or None, options=options, checkpoint=checkpoint, resume=resume)
    except KeyboardInterrupt:
        print("\nstopped; the same command with --resume goes on", file=sys.stderr)
        raise typer.Exit(130) from None
    space.save_pretrained(output)
    history.save(output / "history.jsonl")
    history.plot(output / "history.png")
    shutil.rmtree(checkpoint, ignore_errors=True)
    summary = _summary(read, space, history, output, time.perf_counter() - began)
    if as_json:
        print_json(summary)
    else:
        _print(summary)


def _check_output(output: Path, checkpoint: Path, *, overwrite: bool, resume: bool) -> None:
    """See that nothing is lost: neither a space at the output nor a run that was stopped."""
    if output.is_file():
        raise PairspaceError(f"{output} is a file: choose another --output")
    stopped = (checkpoint / "checkpoint.safetensors").exists()
    if output.is_dir() and any(output.iterdir()) and not overwrite and not (resume and stopped):
        raise PairspaceError(f"{output} exists: choose another --output, or --overwrite it")
    if stopped and not (resume or overwrite):
        raise PairspaceError(f"a run to {output} was stopped: --resume it, or --overwrite to start anew")
    if stopped and not resume:
        (checkpoint / "checkpoint.safetensors").unlink()


def _summary(pairs: Pairs, space: Space, history: History, output: Path, seconds: float) -> dict[str, Any]:
    return {
        "pairs": len(pairs),
        "duplicates": pairs.duplicates,
        "skipped": pairs.skipped,
        "space": repr(space),
        "output": str(output),
        "fingerprint": space.fingerprint,
        "seconds": round(seconds, 1),
        "epochs": len(history.records) - 1,
        "best_epoch": history.best_epoch,
        "truncated": space.record["truncated"],
        "validation_pairs": space.record["validation_pairs"],
        "before": space.record["before"],
        "after": space.record["after"],
        "fusion_weight": space.fusion_weight,
        "notes": history.notes,
    }


def _print(summary: dict[str, Any]) -> None:
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
