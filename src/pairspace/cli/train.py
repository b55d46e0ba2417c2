"""`pairspace train`: a file of pairs in, a space out."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pairspace.cli.common import (
    Device,
    Json,
    NoCache,
    Root,
    Sides,
    SkipBad,
    TrustCode,
    numbers,
    one_or_per_side,
    print_json,
    read_sets,
    sizes,
)
from pairspace.cli.pictures import what_sides_hold, with_pictures
from pairspace.cli.training import check_output, open_log, print_summary, summarise
from pairspace.errors import PairspaceError

__all__ = ["train"]

DATA, SPACE, WORDS, ENCODERS, TRAINING, OBJECTIVE = (
    "Data",
    "Encoders and projectors",
    "Words (projector lexical)",
    "Encoders that train",
    "Training",
    "Objective",
)
_SETTINGS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "temperature",
    "patience",
    "group_batches",
    "mixing",
    "objective",
    "margin",
    "debias",
    "structure",
    "mix",
    "teacher_weight",
    "train_blocks",
    "lora",
    "projector_epochs",
    "encoder_learning_rate",
    "chunk_size",
    "warmup",
    "precision",
    "teacher_temperature",
    "score_scale",
    "regulariser",
    "expansion",
    "expansion_rate",
)
_FIXED = (
    "encoder",
    "projector",
    "layers",
    "prompt",
    "max_length",
    "dimension",
    "query_side",
    "precision",
    "shared_encoder",
    "shared_projector",
    "lexicon",
    "head",
    "no_echo",
    "views",
    "frame",
)


def train(
    pairs: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of pairs of one data set: CSV, TSV, JSONL, Parquet, or a datasets folder."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the space to.")] = ...,  # type: ignore[assignment]
    data_set: Annotated[
        list[Path] | None,
        typer.Option("--pairs", help="A data set of its own, once for each; see --mixing.", rich_help_panel=DATA),
    ] = None,
    side: Sides = None,
    query_side: Annotated[
        str | None, typer.Option(help="The side searched with; by default the first.", rich_help_panel=DATA)
    ] = None,
    pivot: Annotated[
        str | None,
        typer.Option(
            help="Of more than two sides, the one that all others are paired with, or all. (the query side)",
            rich_help_panel=DATA,
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column whose equal values never straddle a split.", rich_help_panel=DATA)
    ] = None,
    id: Annotated[
        str | None, typer.Option(help="Column of ids, for features filed by id.", rich_help_panel=DATA)
    ] = None,
    negatives: Annotated[
        list[str] | None, typer.Option(help="Column of items known to be wrong.", rich_help_panel=DATA)
    ] = None,
    score: Annotated[str | None, typer.Option(help="Column of a teacher's scores.", rich_help_panel=DATA)] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the pairs held out to watch training; 0 for none.", rich_help_panel=DATA)
    ] = 0.05,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            help="minilm, static, transformer, a folder, hub name, features; minilm+static; or side=NAME. (minilm)",
            rich_help_panel=SPACE,
        ),
    ] = None,
    projector: Annotated[
        list[str] | None,
        typer.Option(
            help="linear, residual, identity, lexical; or side=NAME. (default: linear)", rich_help_panel=SPACE
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            help="spread, last or names as 0,2,last; or side=LAYERS. (default: spread)", rich_help_panel=SPACE
        ),
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="Text before every item; or side=TEXT.", rich_help_panel=SPACE)
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens an item is cut at.", rich_help_panel=SPACE)] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, fp32 or bf16. (default: auto; fp32 for identity)", rich_help_panel=SPACE)
    ] = None,
    dimension: Annotated[
        int | None, typer.Option(help="Of the space; by default the smaller last layer.", rich_help_panel=SPACE)
    ] = None,
    shared_encoder: Annotated[
        bool,
        typer.Option(
            "--shared-encoder", help="One encoder for both sides, also where it trains.", rich_help_panel=SPACE
        ),
    ] = False,
    shared_projector: Annotated[
        bool, typer.Option("--shared-projector", help="One projector for both sides.", rich_help_panel=SPACE)
    ] = False,
    views: Annotated[
        int | None,
        typer.Option(help="Augmented views of each picture, one drawn a step.", rich_help_panel=SPACE),
    ] = None,
    frame: Annotated[
        str | None,
        typer.Option(help="How pictures become square: own (mostly a crop), stretch, pad.", rich_help_panel=SPACE),
    ] = None,
    lexicon: Annotated[
        str | None,
        typer.Option(help="Word list, a term a line, or 'pieces'. (default: the texts' words)", rich_help_panel=WORDS),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(help="What terms begin with: anchored, fixed, mlm or free. (anchored)", rich_help_panel=WORDS),
    ] = None,
    no_echo: Annotated[
        bool, typer.Option("--no-echo", help="A text's own words do not count by themselves.", rich_help_panel=WORDS)
    ] = False,
    terms: Annotated[
        str | None,
        typer.Option(help="Terms kept beside own words: 20,100 (query, document).", rich_help_panel=WORDS),
    ] = None,
    sparsity: Annotated[
        str | None, typer.Option(help="Weights of the regulariser: 1,1.", rich_help_panel=WORDS)
    ] = None,
    regulariser: Annotated[
        str | None, typer.Option(help="l1 or flops. (default: flops)", rich_help_panel=WORDS)
    ] = None,
    expansion: Annotated[
        str | None,
        typer.Option(help="free, or controlled in training by texts or words. (default: free)", rich_help_panel=WORDS),
    ] = None,
    expansion_rate: Annotated[
        float | None, typer.Option(help="Probability of a mask; it falls by default.", rich_help_panel=WORDS)
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="Go on from a saved space with these pairs.", rich_help_panel=SPACE)
    ] = None,
    language: Annotated[
        str, typer.Option(help="Of the texts, for BM25 ('none' for no stemming).", rich_help_panel=SPACE)
    ] = "english",
    train_encoder: Annotated[
        list[str] | None, typer.Option(help="A side whose pretrained encoder trains too.", rich_help_panel=ENCODERS)
    ] = None,
    train_blocks: Annotated[
        int | None, typer.Option(help="Only its last so many blocks.", rich_help_panel=ENCODERS)
    ] = None,
    lora: Annotated[
        int | None,
        typer.Option(help="Low-rank adapters of this rank instead of its own weights.", rich_help_panel=ENCODERS),
    ] = None,
    projector_epochs: Annotated[
        int | None, typer.Option(help="Epochs on the projectors alone before.", rich_help_panel=ENCODERS)
    ] = None,
    encoder_learning_rate: Annotated[
        float | None,
        typer.Option(help="Of encoders that train. (default: as suits each kind)", rich_help_panel=ENCODERS),
    ] = None,
    chunk_size: Annotated[
        int | None, typer.Option(help="Pairs in an encoder's memory at once. (default: 64)", rich_help_panel=ENCODERS)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the pairs.", rich_help_panel=TRAINING)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs a step.", rich_help_panel=TRAINING)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="AdamW's highest.", rich_help_panel=TRAINING)] = None,
    weight_decay: Annotated[float | None, typer.Option(help="AdamW's.", rich_help_panel=TRAINING)] = None,
    warmup: Annotated[
        float | None, typer.Option(help="Share of the steps in which the rate rises.", rich_help_panel=TRAINING)
    ] = None,
    fixed_temperature: Annotated[
        bool, typer.Option("--fixed-temperature", help="Do not learn it.", rich_help_panel=TRAINING)
    ] = False,
    temperature: Annotated[float | None, typer.Option(help="Its start.", rich_help_panel=TRAINING)] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without progress before stopping.", rich_help_panel=TRAINING)
    ] = None,
    group_batches: Annotated[
        bool, typer.Option("--group-batches", help="Batches of near topics.", rich_help_panel=TRAINING)
    ] = False,
    mixing: Annotated[
        float | None,
        typer.Option(help="Of several data sets: 1 by size, larger evens them out.", rich_help_panel=TRAINING),
    ] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds repeat a run exactly on a CPU.", rich_help_panel=TRAINING)] = 0,
    objective: Annotated[
        str | None,
        typer.Option(
            help="infonce, sigmoid, margin, distill or margin-mse. (default: infonce)", rich_help_panel=OBJECTIVE
        ),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="Of the objective margin, in cosine.", rich_help_panel=OBJECTIVE)
    ] = None,
    debias: Annotated[
        float | None, typer.Option(help="No negatives above this cosine of frozen features.", rich_help_panel=OBJECTIVE)
    ] = None,
    matryoshka: Annotated[
        str | None, typer.Option(help="Sizes trained too, such as 64,128,256.", rich_help_panel=OBJECTIVE)
    ] = None,
    structure: Annotated[
        float | None, typer.Option(help="Weight of keeping the features' neighbourhoods.", rich_help_panel=OBJECTIVE)
    ] = None,
    mix: Annotated[
        float | None, typer.Option(help="FuseMix's alpha: mix pairs of features.", rich_help_panel=OBJECTIVE)
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Learn similarities from this space; 'dense': linear projectors, trained first.",
            rich_help_panel=OBJECTIVE,
        ),
    ] = None,
    teacher_weight: Annotated[
        float | None, typer.Option(help="Of the teacher beside the objective.", rich_help_panel=OBJECTIVE)
    ] = None,
    teacher_within: Annotated[
        bool | None,
        typer.Option(help="Its similarities within a side too. (yes in spaces of words)", rich_help_panel=OBJECTIVE),
    ] = None,
    teacher_temperature: Annotated[
        float | None,
        typer.Option(
            help="Of a teacher's answers. (.05 on cosines, .03 of words, 1 on scores)", rich_help_panel=OBJECTIVE
        ),
    ] = None,
    score_scale: Annotated[
        float | None, typer.Option(help="What scores are divided by in margin-mse.", rich_help_panel=OBJECTIVE)
    ] = None,
    root: Root = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a space at the output.")] = False,
    track: Annotated[str | None, typer.Option(help="Log to tensorboard or wandb as well.")] = None,
    device: Device = None,
    trust_remote_code: TrustCode = False,
    no_cache: NoCache = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Train on pairs and write the space: projectors on frozen encoders, encoders too, or both from nothing."""
    given = locals()
    from pairspace.encoders.device import pick_device
    from pairspace.space import DENSE, Space
    from pairspace.training import Processes

    processes = Processes.join(pick_device(device))
    checkpoint = output.parent / f"{output.name}.checkpoint"
    if processes.first:
        check_output(output, checkpoint, overwrite=overwrite, resume=resume)
    settings = {name: given[name] for name in _SETTINGS if given[name] is not None and given[name] is not False}
    settings |= {"seed": seed} | ({} if teacher_within is None else {"teacher_within": teacher_within})
    settings |= {"learn_temperature": False} if fixed_temperature else {}
    lists = (("matryoshka", matryoshka, sizes), ("terms", terms, numbers), ("sparsity", sparsity, numbers))
    settings |= {name: read(value, f"--{name}") for name, value, read in lists if value}
    use: dict[str, Any] = {"device": device, "cache": not no_cache, "trust_remote_code": trust_remote_code}
    space: Any = None
    if start_from is not None:
        if fixed := [f"--{name.replace('_', '-')}" for name in _FIXED if given[name]]:
            raise PairspaceError(f"--from goes on with what {start_from} is: {', '.join(fixed)} cannot be changed")
        space = Space.from_pretrained(start_from, **use)
        space.name, query_side = output.name, space.query_side
    how: dict[str, Any] = {"group": group, "id": id, "skip_bad": skip_bad, "negatives": negatives, "score": score}
    how |= {"query_side": query_side, "root": root}
    files = ([pairs] if pairs else []) + [[one] for one in data_set or []]
    sets = [one for paths in files for one in read_sets(paths, side, pivot=pivot, **how)]
    if not sets:
        raise PairspaceError("name a file of pairs")
    if space is None:
        sides = tuple(dict.fromkeys(name for one in sets for name in one.sides))
        per_side = {
            name: one_or_per_side(given[name], sides, f"--{name}")
            for name in ("encoder", "projector", "layers", "prompt")
        }
        space = Space.create(
            what_sides_hold(sides, sets),
            **(per_side | {"encoder": per_side["encoder"] or "minilm"}),
            max_length=max_length,
            precision=precision,
            dimension=dimension,
            shared_encoder=shared_encoder,
            shared_projector=shared_projector,
            lexicon=lexicon,
            head=head,
            echo=False if no_echo else None,
            query_side=query_side,
            name=output.name,
            views=views,
            frame=frame,
            language=None if language == "none" else language,
            **use,
        )
    began = time.perf_counter()
    sets = with_pictures(space, sets, skip_bad=skip_bad)
    log, close = open_log(track if processes.first else None, output, settings, resume=resume)
    try:
        history = space.fit(
            sets[0] if len(sets) == 1 else sets,
            train_encoders=train_encoder,
            validation=validation or None,
            teacher=teacher if teacher in (None, DENSE) else Space.from_pretrained(teacher, **use),
            checkpoint=checkpoint,
            resume=resume,
            after_epoch=log,
            **settings,
        )
    except KeyboardInterrupt:
        print("\nstopped; the same command with --resume goes on", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        close()
    processes.leave()
    if not processes.first:
        return
    space.save_pretrained(output)
    history.save(output / "history.jsonl")
    history.plot(output / "history.png")
    shutil.rmtree(checkpoint, ignore_errors=True)
    summary = summarise(sets, space, history, output, time.perf_counter() - began)
    if as_json:
        print_json(summary)
    else:
        print_summary(summary)
