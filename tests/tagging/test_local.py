"""TagCLIP on a tiny CLIP, step by step against a plain version that follows the released code's order of work."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from pairspace.errors import PairspaceError, ShapeError
from pairspace.tagging import LocalOptions, local_scores
from pairspace.tagging.attention import look, patches
from pairspace.tagging.local import class_boxes, refine, reidentify, vote

PATCH, SIDE, HEADS, BLOCKS = 4, 3, 2, 6


@pytest.fixture(scope="module")
def model() -> CLIPModel:
    vision = {
        **{"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS},
        **{"image_size": PATCH * SIDE, "patch_size": PATCH},
    }
    text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    torch.manual_seed(0)
    made = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=10)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim > 1:
                weight.mul_(8)  # random weights of a usual size attend to everything alike
        made.logit_scale.fill_(math.log(5))
    return made


def pixels(rows: int = 5, columns: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 3, rows * PATCH, columns * PATCH, generator=torch.Generator().manual_seed(seed))


def vectors(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 10)).astype(np.float32)


def slow_tokens(model, image, *, own=False, mask=None):
    """Every token's vector and the mean attention of every block, head by head and token by token."""
    tower = model.vision_model
    size = image.shape[2] // PATCH, image.shape[3] // PATCH
    tokens = [tower.embeddings.class_embedding]
    for i in range(size[0]):
        for j in range(size[1]):
            part = image[0, :, i * PATCH : (i + 1) * PATCH, j * PATCH : (j + 1) * PATCH]
            tokens.append((tower.embeddings.patch_embedding.weight * part).sum((1, 2, 3)))
    known = tower.embeddings.position_embedding.weight
    places = known[1:].reshape(SIDE, SIDE, -1)
    if size != (SIDE, SIDE):  # bilinear, by hand
        grown = torch.zeros(*size, known.shape[1])
        for i in range(size[0]):
            for j in range(size[1]):
                y, x = (max((a + 0.5) * SIDE / n - 0.5, 0.0) for a, n in zip((i, j), size, strict=True))
                (y0, x0), (fy, fx) = (int(y), int(x)), (y % 1, x % 1)
                y1, x1 = min(y0 + 1, SIDE - 1), min(x0 + 1, SIDE - 1)
                top = (1 - fx) * places[y0, x0] + fx * places[y0, x1]
                grown[i, j] = (1 - fy) * top + fy * ((1 - fx) * places[y1, x0] + fx * places[y1, x1])
        places = grown
    x = torch.stack(tokens) + torch.cat([known[:1], places.flatten(0, 1)])
    x = tower.pre_layrnorm(x)
    attentions = []
    for number, block in enumerate(tower.encoder.layers):
        inner, attend = block.layer_norm1(x), block.self_attn
        q, k, v = attend.q_proj(inner), attend.k_proj(inner), attend.v_proj(inner)
        width = q.shape[1] // HEADS
        heads, seen = [], torch.zeros(len(x), len(x))
        for h in range(HEADS):
            part = slice(h * width, (h + 1) * width)
            logits = q[:, part] @ k[:, part].T / math.sqrt(width)
            seen += torch.softmax(logits, 1) / HEADS
            if own and number == BLOCKS - 1:
                logits = logits - 1e9 * (1 - torch.eye(len(x)))
            if mask is not None:
                for j in range(len(mask)):
                    if not mask[j]:
                        logits[0, 1 + j] += -1000
            heads.append(torch.softmax(logits, 1) @ v[:, part])
        attentions.append(seen[1:, 1:])
        x = x + attend.out_proj(torch.cat(heads, 1))
        x = x + block.mlp(block.layer_norm2(x))
    out = model.visual_projection(tower.post_layernorm(x))
    return out / out.norm(dim=1, keepdim=True), attentions


def flood(binary: np.ndarray) -> list[list[tuple[int, int]]]:
    """Connected parts, corners too."""
    left, parts = {tuple(p) for p in np.argwhere(binary)}, []
    while left:
        queue = [left.pop()]
        part = []
        while queue:
            i, j = queue.pop()
            part.append((i, j))
            near = {(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            queue += near
        parts.append(part)
    return parts


def slow_boxes(heat: np.ndarray, released: bool) -> np.ndarray:
    if heat.max() == heat.min():
        return np.full(heat.shape, not released)
    scaled = heat - heat.min()
    scaled = scaled / scaled.max()
    grey = (scaled * 255).astype(np.uint8)
    binary = grey > int(scaled.mean() * grey.max())
    inside = np.zeros(heat.shape, bool)
    for part in flood(binary):
        y1, x1 = max(i for i, _ in part) + 1, max(j for _, j in part) + 1
        if released:
            y1, x1 = min(y1, heat.shape[0] - 1), min(x1, heat.shape[1] - 1)
        inside[min(i for i, _ in part) : y1, min(j for _, j in part) : x1] = True
    return inside


def slow_reidentify(model, image, refined, words, count, released):
    grid = image.shape[2] // PATCH, image.shape[3] // PATCH
    scores = [float(refined[:, c].max()) for c in range(count)]
    middle = float(refined.min() + 0.5 * (refined.max() - refined.min()))
    for c in [c for c in range(count) if scores[c] > middle]:
        heat = refined[:, c].reshape(grid)
        mask = (heat - heat.min()) / (heat - heat.min()).max() > 0.5
        rows = [i for i in range(grid[0]) if mask[i].any()]
        columns = [j for j in range(grid[1]) if mask[:, j].any()]
        y1, x1 = rows[-1] + 1, columns[-1] + 1
        if released:
            y1, x1 = min(y1, grid[0] - 1), min(x1, grid[1] - 1)
        if y1 == rows[0] or x1 == columns[0]:
            return scores  # only the released code comes here
        cut = image[:, :, rows[0] * PATCH : y1 * PATCH, columns[0] * PATCH : x1 * PATCH]
        cut = torch.nn.functional.interpolate(cut, size=(SIDE * PATCH,) * 2, mode="bilinear", align_corners=False)
        part = mask[rows[0] : y1, columns[0] : x1]
        shown = [
            bool(part[int(i * part.shape[0] / SIDE), int(j * part.shape[1] / SIDE)])
            for i in range(SIDE)
            for j in range(SIDE)
        ]
        token = slow_tokens(model, cut, mask=shown)[0][0]
        again = torch.softmax(float(model.logit_scale.exp()) * words @ token, 0)[c]
        scores[c] = 0.5 * scores[c] + 0.5 * float(again)
    return scores


@pytest.mark.parametrize("size", [(3, 3), (5, 4), (2, 6)])
@torch.no_grad()
def test_patches_and_attention(model, size):
    seen = patches(model, pixels(*size))
    tokens, attentions = slow_tokens(model, pixels(*size), own=True)
    assert seen.grid == size
    torch.testing.assert_close(seen.vectors, tokens[1:], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(seen.attention, torch.stack(attentions), atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_attention_is_that_of_transformers_and_all_seen_is_its_picture_vector(model):
    image = pixels(3, 3)
    model.set_attn_implementation("eager")
    theirs = model.vision_model(image, output_attentions=True)
    seen = patches(model, image)
    for ours, other in zip(seen.attention, theirs.attentions, strict=True):
        torch.testing.assert_close(ours, other[0].mean(0)[1:, 1:], atol=1e-5, rtol=1e-4)
    vector = model.visual_projection(theirs.pooler_output)
    found = look(model, image, torch.ones(1, 9, dtype=torch.bool))
    torch.testing.assert_close(found, vector / vector.norm(), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_look_hides_patches_from_the_class_token(model):
    mask = torch.tensor([[1, 0, 0, 1, 1, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 1]], dtype=torch.bool)
    both = torch.cat([pixels(3, 3), pixels(3, 3, 5)])
    found = look(model, both, mask)
    for row in range(2):
        slow = slow_tokens(model, both[row : row + 1], mask=mask[row].tolist())[0][0]
        torch.testing.assert_close(found[row], slow, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("released", [False, True])
@torch.no_grad()
def test_refinement(model, released):
    options = LocalOptions(first_block=2, votes=3, released=released)
    seen = patches(model, pixels(5, 4))
    words = torch.nn.functional.normalize(torch.tensor(vectors(6)), dim=1)
    coarse = (5 * seen.vectors @ words.T).softmax(1)
    count = len(coarse)
    weights = torch.zeros(count, count)
    for j in range(count):
        for k in range(count):
            agreed = sum(bool(a[j, k] > a.mean()) for a in seen.attention)
            if agreed >= 3:
                weights[j, k] = sum(a[j, k] for a in seen.attention[2:-1]) / (BLOCKS - 3)
    torch.testing.assert_close(vote(seen.attention, options), weights)
    assert 0 < (weights > 0).float().mean() < 1
    refined = refine(coarse, seen, options)
    for c in range(6):
        first = weights @ coarse[:, c]
        inside = slow_boxes(first.numpy().reshape(5, 4), released).ravel()
        slow = (weights * torch.tensor(inside).float()) @ coarse[:, c]
        torch.testing.assert_close(refined[:, c], slow)


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("seed", range(6))
@torch.no_grad()
def test_second_look(model, released, seed):
    image = pixels(4, 4, seed)
    words = torch.nn.functional.normalize(torch.tensor(vectors(7, seed)), dim=1)
    refined = torch.rand(16, 7, generator=torch.Generator().manual_seed(seed)) ** 3
    options = LocalOptions(released=released)
    found, looked = reidentify(model, image, refined, words, count=5, scale=5.0, options=options)
    slow = slow_reidentify(model, image, refined, words, 5, released)
    assert found.tolist() == pytest.approx(slow, abs=1e-4)
    assert looked.any() or released


@torch.no_grad()
def test_an_empty_box_ends_the_released_second_look_only(model):
    image, words = pixels(4, 4), torch.nn.functional.normalize(torch.tensor(vectors(3)), dim=1)
    refined = torch.full((16, 3), 0.01)
    refined[15, 0], refined[0, 1] = (
        0.9,
        0.8,
    )  # the first class stands in the last corner, which a released box never holds
    runs = {
        released: reidentify(model, image, refined, words, count=3, scale=5.0, options=LocalOptions(released=released))
        for released in (False, True)
    }
    assert runs[True][1].tolist() == [False, False, False]
    assert runs[True][0].tolist() == pytest.approx([0.9, 0.8, 0.01])
    assert runs[False][1].tolist() == [True, True, False]
    assert runs[True][0].tolist() == pytest.approx(slow_reidentify(model, image, refined, words, 3, True))


@pytest.mark.parametrize("released", [False, True])
@torch.no_grad()
def test_the_whole_way(model, released):
    options = LocalOptions(first_block=2, votes=2, released=released)
    for seed in range(4):
        image = pixels(4, 5, seed)
        found = local_scores(model, image, vectors(4), background=vectors(3, 7), options=options)
        seen = patches(model, image)
        words = torch.nn.functional.normalize(torch.tensor(np.concatenate([vectors(4), vectors(3, 7)])), dim=1)
        refined = refine((5 * seen.vectors @ words.T).softmax(1), seen, options)
        assert found.scores.tolist() == pytest.approx(
            slow_reidentify(model, image, refined, words, 4, released), abs=1e-4
        )
        assert found.heat.shape == (4, 5, 4) and found.looked.dtype == bool
        np.testing.assert_allclose(found.heat.reshape(20, 4), refined[:, :4])


@pytest.mark.parametrize("released", [False, True])
def test_boxes_of_many_maps(released):
    draw = np.random.default_rng(0)
    for _ in range(60):
        heat = draw.random((6, 7)).astype(np.float32) ** draw.integers(1, 9)
        assert np.array_equal(class_boxes(heat, released=released), slow_boxes(heat, released))
    assert class_boxes(np.ones((2, 3)), released=released).all() == (not released)


def test_bad_input_is_named(model):
    with pytest.raises(ShapeError, match="multiples of 4"):
        local_scores(model, torch.zeros(1, 3, 9, 12), vectors(2))
    with pytest.raises(ShapeError, match="one picture at a time, got 2"):
        local_scores(model, torch.zeros(2, 3, 12, 12), vectors(2))
    with pytest.raises(ShapeError, match="do not fit patches of 10"):
        local_scores(model, pixels(), vectors(2)[:, :5])
    with pytest.raises(ShapeError, match="does not fit 1 pictures of 3 x 3"):
        look(model, pixels(3, 3), torch.ones(1, 4, dtype=torch.bool))
    with pytest.raises(PairspaceError, match="first_block"):
        local_scores(model, pixels(), vectors(2), options=LocalOptions(first_block=5))
    with pytest.raises(PairspaceError, match="above must lie"):
        LocalOptions(above=1.5)
