"""Logits a block of rows at a time: what keeps every objective's memory from growing with the square of the batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pairspace.errors import ShapeError
from pairspace.objectives.masks import Mask

__all__ = ["block_rows", "blocks", "check_pairs", "with_negatives"]

BLOCK = 1 << 21  # logits held at once (8 MiB): a block stays in the processor's cache between its few passes
ROWS = 256  # but never fewer rows than this: thinner products run at two thirds of the speed


def block_rows(width: int) -> int:
    """How many rows of logits to compute at once where each has `width` columns."""
    return max(ROWS, BLOCK // max(1, width))


def blocks(
    a: Tensor, columns: Tensor, scale: Tensor | float, masks: tuple[Mask, ...], chunk: int, first: int = 0
) -> Iterator[tuple[slice, Tensor]]:
    """Logits scale * a @ columns.T of the rows from `first` on, `chunk` at a time, -inf where a mask says so."""
    for start in range(first, len(a), chunk):
        logits = (a[start : start + chunk] * scale) @ columns.T
        for mask in masks:
            mask.mask_(logits, start)
        yield slice(start, start + len(logits)), logits


def check_pairs(name: str, a: Tensor, b: Tensor) -> None:
    """See that two batches are aligned.

    Raises:
        ShapeError: they differ in length or dimension; `name` says whose they are.
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise ShapeError(f"{name} needs two batches of equal shape (n, dim), got {tuple(a.shape)} and {tuple(b.shape)}")


def with_negatives(b: Tensor, negatives: Tensor | None) -> Tensor:
    """The columns of the logits: partners first, then the negatives (m, dim).

    Raises:
        ShapeError: they differ in dimension.
    """
    if negatives is None or not len(negatives):
        return b
    if negatives.ndim != 2 or negatives.shape[1] != b.shape[1]:
        raise ShapeError(f"hard negatives must have the shape (m, {b.shape[1]}), got {tuple(negatives.shape)}")
    return torch.cat([b, negatives])
