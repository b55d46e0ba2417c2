"""The tokens of a CLIP vision transformer, with the last attention limited to each token itself, and all attentions.

    h = x + out(v(ln1(x)));   x_patch = W ln_post(h + mlp(ln2(h)))         in the last block, instead of attention
    A_l = mean over heads of softmax(q k' / sqrt(d))                       of every block, the last one's as it would be

CLIP trains its last attention to gather the picture into one token, which mixes the places; without it a patch keeps
what is its own (TagCLIP, Lin et al., AAAI 2024). The released code adds -100 off the diagonal of the last attention's
logits; here the other tokens are left out, the limit of that. A picture of another size than the model's gets its
positions by bilinear interpolation; the released code rounds these to float16, which is not done here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pairspace.errors import ShapeError

__all__ = ["Patches", "look", "patches"]

_FAR = -1000.0  # the released code's mask of the class token's attention


class Patches(NamedTuple):
    """One picture's patches.

    Attributes:
        vectors: unit vectors (patches, dim).
        attention: (blocks, patches, patches), each row as in the whole softmax, the class token's column left out.
        grid: rows and columns of patches.
    """

    vectors: Tensor
    attention: Tensor
    grid: tuple[int, int]


@torch.no_grad()
def patches(model: Any, pixels: Tensor) -> Patches:
    """Patches of a picture, each token of the last block seeing itself alone.

    Args:
        model: a `CLIPModel` or `CLIPVisionModelWithProjection` of transformers, in evaluation mode.
        pixels: normalised values (1, channels, height, width), both multiples of the patch size.

    Raises:
        ShapeError: another number of pictures, or a size that is no multiple of the patch size.
    """
    tower, states, grid = _start(model, pixels)
    if len(pixels) != 1:
        raise ShapeError(f"patches are read one picture at a time, got {len(pixels)}")
    seen, blocks = [], list(tower.encoder.layers)
    for place, block in enumerate(blocks):
        states, weights = _block(block, states, own=place == len(blocks) - 1)
        seen.append(weights[0, 1:, 1:])
    out = nn.functional.normalize(model.visual_projection(tower.post_layernorm(states))[0, 1:], dim=-1)
    return Patches(out, torch.stack(seen), grid)


@torch.no_grad()
def look(model: Any, pixels: Tensor, mask: Tensor) -> Tensor:
    """The class token's vectors when it attends, in every block, to itself and to the patches of a mask alone.

    Args:
        model: as `patches` takes it.
        pixels: normalised values (n, channels, height, width).
        mask: bool (n, patches), True for what may be seen.

    Returns:
        Unit vectors (n, dim).

    Raises:
        ShapeError: a mask of another shape than (n, patches), or pixels as `patches` refuses them.
    """
    tower, states, grid = _start(model, pixels)
    if tuple(mask.shape) != (len(pixels), grid[0] * grid[1]):
        raise ShapeError(f"the mask {tuple(mask.shape)} does not fit {len(pixels)} pictures of {grid[0]} x {grid[1]}")
    hidden = torch.zeros(len(pixels), 1, states.shape[1], states.shape[1], dtype=states.dtype, device=states.device)
    hidden[:, 0, 0, 1:] = torch.where(mask, 0.0, _FAR).to(hidden)
    for block in tower.encoder.layers:
        states, _ = _block(block, states, hidden=hidden)
    return nn.functional.normalize(model.visual_projection(tower.post_layernorm(states[:, 0])), dim=-1)


def _start(model: Any, pixels: Tensor) -> tuple[Any, Tensor, tuple[int, int]]:
    """The vision tower, the states before its first block, and the grid."""
    tower = model.vision_model if hasattr(model, "vision_model") else model
    embed = tower.embeddings
    size = embed.patch_size
    if pixels.ndim != 4 or pixels.shape[2] % size or pixels.shape[3] % size or not pixels.numel():
        raise ShapeError(
            f"pixels must be (n, channels, height, width) in multiples of {size}, got {tuple(pixels.shape)}"
        )
    grid = pixels.shape[2] // size, pixels.shape[3] // size
    x = embed.patch_embedding(pixels.to(embed.patch_embedding.weight.dtype)).flatten(2).transpose(1, 2)
    x = torch.cat([embed.class_embedding.expand(len(x), 1, -1), x], 1) + _positions(
        embed.position_embedding.weight, grid
    )
    return tower, tower.pre_layrnorm(x), grid


def _positions(known: Tensor, grid: tuple[int, int]) -> Tensor:
    side = round((len(known) - 1) ** 0.5)
    if grid == (side, side):
        return known
    square = known[1:].T.reshape(1, -1, side, side)
    other = nn.functional.interpolate(square, size=grid, mode="bilinear", align_corners=False)
    return torch.cat([known[:1], other[0].flatten(1).T])


def _block(block: Any, x: Tensor, *, own: bool = False, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """A block's states, and its attention (n, tokens, tokens) averaged over heads, whether it was used or not."""
    inner, attend = block.layer_norm1(x), block.self_attn
    heads = (*inner.shape[:2], attend.num_heads, -1)
    q, k, v = (one(inner).view(heads).transpose(1, 2) for one in (attend.q_proj, attend.k_proj, attend.v_proj))
    logits = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5
    weights = torch.softmax(logits if hidden is None else logits + hidden, -1)
    mixed = v if own else weights @ v
    x = x + attend.out_proj(mixed.transpose(1, 2).reshape(inner.shape))
    return x + block.mlp(block.layer_norm2(x)), weights.mean(1)
