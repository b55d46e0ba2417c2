"""The list of verbs, and what becomes of errors: one or two lines on standard error and code 2, never a traceback.

Verbs import what they need when they run, so that `pairspace --help` answers at once.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import typer

from pairspace.cli.align import align
from pairspace.cli.cache import cache_app
from pairspace.cli.classify import classify
from pairspace.cli.compare import compare
from pairspace.cli.compare_encoders import compare_encoders
from pairspace.cli.demo import demo
from pairspace.cli.encode import encode
from pairspace.cli.evaluate import evaluate
from pairspace.cli.explain import explain
from pairspace.cli.index import index
from pairspace.cli.info import info
from pairspace.cli.join import join
from pairspace.cli.mine import mine
from pairspace.cli.mine_negatives import mine_negatives
from pairspace.cli.score import score
from pairspace.cli.search import search
from pairspace.cli.sweep import sweep
from pairspace.cli.tag import tag
from pairspace.cli.tm import tm_app
from pairspace.cli.train import train
from pairspace.cli.train_tagger import train_tagger
from pairspace.errors import PairspaceError, PairspaceWarning

__all__ = ["app", "main"]

app = typer.Typer(
    help="Pairs in, one space out: train projectors on cached features, measure, index and search.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    train,
    sweep,
    evaluate,
    compare,
    compare_encoders,
    join,
    mine_negatives,
    mine,
    score,
    align,
    index,
    search,
    explain,
    encode,
    classify,
    tag,
    train_tagger,
    info,
    demo,
):
    app.command()(verb)
app.add_typer(cache_app, name="cache")
app.add_typer(tm_app, name="tm")


def main() -> None:
    """Run the command line; the package's console script."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            app()
    except PairspaceError as error:
        print(f"pairspace: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a folder that may not be made, a file in the place of a folder
        print(f"pairspace: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)


def _show_warning(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
    """Of our own warnings the words alone: the line that they point at is none of the user's."""
    if issubclass(category, PairspaceWarning):
        print(f"warning: {message}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, *place[:2]), file=sys.stderr, end="")
