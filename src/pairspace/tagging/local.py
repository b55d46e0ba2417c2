"""TagCLIP: tags from the patches of a CLIP vision transformer, without training.

    coarse        P_jc = softmax over classes and background words of scale * cos(patch j, class c)
    attention     A = mean of A_l over the blocks 8 to last but one;   M_jk = 1 if A_l,jk > mean(A_l) in >= 4 blocks
                  R = (A * M) P
    class box     R_c <- ((A * M) restricted to the columns in the boxes of class c) P_c
                  boxes: around the connected parts of R_c, scaled to 0..255, above its mean
    image         s_c = max_j R_jc
    once more     for classes with s_c above the middle of all of R: the box around R_c > 1/2 (scaled to [0, 1]) is cut
                  out and shown again, the class token attending to the patches of that mask only; q_c its softmax
                  s_c <- (s_c + q_c) / 2

DMAR and CWR of Lin et al. (AAAI 2024, arXiv 2312.12828), checked against their code. `released=True` keeps three
slips of that code: boxes never hold the last row and column of patches, a class whose box is thereby empty ends the
second look for all classes after it, and a flat column of scores has no box. Without it boxes are whole and a flat
column is all one box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from pairspace.errors import PairspaceError, ShapeError
from pairspace.tagging.attention import Patches, look, patches

__all__ = ["LocalOptions", "LocalScores", "class_boxes", "local_scores", "refine", "reidentify", "vote"]

_NEIGHBOURS = np.ones((3, 3), int)  # corners join too, as OpenCV's contours do


@dataclass(frozen=True)
class LocalOptions:
    """How TagCLIP reads a picture.

    Attributes:
        scale: of the cosines; CLIP's own by default (None).
        first_block: the first whose attention refines; 8 of 12 in the paper, None for two thirds of the blocks.
        votes: blocks that must agree on an attention; 4 of 12 in the paper, None for a third of the blocks.
        above: share of the way from the least to the largest of all scores from which on a class is looked at again.
        weight: of the second look.
        released: with the slips of the released code.
    """

    scale: float | None = None
    first_block: int | None = None
    votes: int | None = None
    above: float = 0.5
    weight: float = 0.5
    released: bool = False

    def __post_init__(self) -> None:
        for name, value in (("above", self.above), ("weight", self.weight)):
            if not 0 <= value <= 1:
                raise PairspaceError(f"{name} must lie between 0 and 1, got {value:g}")


@dataclass(frozen=True)
class LocalScores:
    """One picture's tags.

    Attributes:
        scores: float32 (classes,), background words left out.
        heat: float32 (rows, columns, classes), refined scores of the patches.
        looked: bool (classes,), which had a second look.
    """

    scores: np.ndarray
    heat: np.ndarray
    looked: np.ndarray


def local_scores(
    model: Any,
    pixels: Tensor,
    classes: np.ndarray | Tensor,
    *,
    background: np.ndarray | Tensor | None = None,
    options: LocalOptions | None = None,
) -> LocalScores:
    """Score classes for one picture.

    Args:
        model: a `CLIPModel` of transformers with a vision transformer, in evaluation mode.
        pixels: normalised values (1, channels, height, width), both multiples of the patch size.
        classes: (classes, dim), see `class_vectors`.
        background: (words, dim), of words for what is no object.
        options: how.

    Raises:
        ShapeError: sizes that do not fit the model.
    """
    options = options or LocalOptions()
    seen = patches(model, pixels)
    words = torch.cat([torch.as_tensor(one).to(seen.vectors) for one in (classes, background) if one is not None])
    if words.ndim != 2 or words.shape[1] != seen.vectors.shape[1]:
        raise ShapeError(f"class vectors {tuple(words.shape)} do not fit patches of {seen.vectors.shape[1]} dimensions")
    words, count = nn.functional.normalize(words, dim=-1), len(classes)
    scale = float(model.logit_scale.detach().exp()) if options.scale is None else options.scale
    coarse = (scale * seen.vectors @ words.T).softmax(-1)
    refined = refine(coarse, seen, options)
    scores, looked = reidentify(model, pixels, refined, words, count=count, scale=scale, options=options)
    heat = refined[:, :count].reshape(*seen.grid, count)
    return LocalScores(*(one.detach().cpu().numpy() for one in (scores, heat, looked)))


def vote(attention: Tensor, options: LocalOptions) -> Tensor:
    """The attention that refines (patches, patches): the mean of the later blocks where enough blocks agree, else 0."""
    blocks = len(attention)
    first = max(0, min(blocks * 2 // 3, blocks - 2)) if options.first_block is None else options.first_block
    votes = max(1, blocks // 3) if options.votes is None else options.votes
    if not 0 <= first < blocks - 1:
        raise PairspaceError(f"first_block must lie before the last but one of {blocks} blocks, got {first}")
    agreed = (attention > attention.mean((1, 2), keepdim=True)).sum(0) >= votes
    return attention[first:-1].mean(0) * agreed


def refine(coarse: Tensor, seen: Patches, options: LocalOptions) -> Tensor:
    """Refined scores (patches, words) of coarse ones: attention that blocks agree on, then the boxes of each class."""
    weights = vote(seen.attention, options)
    first = weights @ coarse
    inside = np.stack(
        [class_boxes(column.reshape(seen.grid), released=options.released) for column in first.T.cpu().numpy()]
    )
    boxes = torch.as_tensor(inside.reshape(len(inside), -1).T).to(coarse)
    refined = weights @ (coarse * boxes)
    return torch.where(first.amax(0) > 0, refined, first)


def class_boxes(heat: np.ndarray, *, released: bool = False) -> np.ndarray:
    """The places in a box around any connected part of a map that is above its mean, bool (rows, columns)."""
    low, high = float(heat.min()), float(heat.max())
    if high == low:
        return np.full(heat.shape, not released)
    scaled = (heat - heat.dtype.type(low)) / heat.dtype.type(high - low)
    grey = (scaled * 255).astype(np.uint8)
    parts, _ = ndimage.label(grey > int(scaled.mean() * grey.max()), structure=_NEIGHBOURS)
    inside = np.zeros(heat.shape, bool)
    end = (heat.shape[0] - 1, heat.shape[1] - 1) if released else heat.shape
    for rows, columns in ndimage.find_objects(parts):
        inside[rows.start : min(rows.stop, end[0]), columns.start : min(columns.stop, end[1])] = True
    return inside


def reidentify(
    model: Any,
    pixels: Tensor,
    refined: Tensor,
    words: Tensor,
    *,
    count: int,
    scale: float,
    options: LocalOptions,
) -> tuple[Tensor, Tensor]:
    """The picture's scores after a second look at the cut-out of each class that stands out.

    Args:
        model: as `local_scores` takes it.
        pixels: likewise.
        refined: (patches, words).
        words: unit vectors (words, dim), classes first.
        count: how many of them are classes.
        scale: of the cosines.
        options: how.

    Returns:
        scores (count,), and which classes were looked at again, bool (count,).
    """
    size = model.config.vision_config.patch_size
    side = model.config.vision_config.image_size // size
    grid = pixels.shape[2] // size, pixels.shape[3] // size
    scores = refined[:, :count].amax(0)
    looked = torch.zeros(count, dtype=torch.bool, device=scores.device)
    least, most = refined.min(), refined.max()
    for column in torch.where(scores > least + options.above * (most - least))[0].tolist():
        found = _box(refined[:, column].reshape(grid), released=options.released)
        if found is None and options.released:
            break
        if found is None:
            continue
        mask, (top, bottom, left, right) = found
        cut = pixels[:, :, top * size : bottom * size, left * size : right * size]
        cut = nn.functional.interpolate(cut, size=(side * size,) * 2, mode="bilinear", align_corners=False)
        part = mask[top:bottom, left:right][None, None].to(scores.dtype)
        shown = nn.functional.interpolate(part, size=(side, side), mode="nearest").flatten(1).bool()
        again = (scale * look(model, cut, shown) @ words.T).softmax(-1)[0, column]
        scores[column] = (1 - options.weight) * scores[column] + options.weight * again
        looked[column] = True
    return scores, looked


def _box(heat: Tensor, *, released: bool) -> tuple[Tensor, tuple[int, int, int, int]] | None:
    """The mask of one class and the tight box around it; None where the box is empty."""
    low, high = heat.min(), heat.max()
    if high == low and not released:
        mask = torch.ones_like(heat, dtype=torch.bool)
    else:
        raised = heat - low
        mask = raised / raised.max() > 0.5
    rows, columns = torch.where(mask.any(1))[0].tolist(), torch.where(mask.any(0))[0].tolist()
    if not rows:
        return None
    short = 1 if released else 0
    bottom, right = (min(one[-1] + 1, end - short) for one, end in zip((rows, columns), heat.shape, strict=True))
    if rows[0] >= bottom or columns[0] >= right:
        return None
    return mask, (rows[0], bottom, columns[0], right)
