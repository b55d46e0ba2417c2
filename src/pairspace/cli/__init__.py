"""The command line: one file a verb, each thin: parse, call, print."""

from pairspace.cli.app import app, main

__all__ = ["app", "main"]
