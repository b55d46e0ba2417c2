"""Alignments of made-up texts whose answer is known, and costs against the formula written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pairspace.bitext import AlignmentOptions, align_vectors
from pairspace.bitext.bead_costs import BeadCosts, RunLengths
from pairspace.errors import FeatureError, ShapeError

PLAIN = AlignmentOptions(centre=False)


def blocks(sentences, most=4):
    """A run's vector is the sum of its sentences'."""
    made = np.full((most, *sentences.shape), np.nan, np.float32)
    for k in range(most):
        for i in range(len(sentences) - k):
            made[k, i] = sentences[i : i + k + 1].sum(0)
    return np.nan_to_num(made, nan=9.0)


def text(sizes, seed=0, noise=0.2, dimension=256):
    """Two texts made of beads of these sizes, blocks of both, and the beads."""
    random = np.random.default_rng(seed)
    left, right, gold = [], [], []
    for p, q in sizes:
        parts = random.normal(size=(p * q or 1, dimension)) * (1 if p and q else 3)  # what is left out is long
        gold.append((tuple(range(len(left), len(left) + p)), tuple(range(len(right), len(right) + q))))
        if p:
            left.extend(parts.reshape(p, -1, dimension).sum(1))
        if q:
            # every right sentence has a part of each left one
            right.extend(parts.reshape(p or 1, q, -1, dimension).sum((0, 2)))
    both = [np.array(one) + noise * random.normal(size=(len(one), dimension)) for one in (left, right)]
    return blocks(both[0]), blocks(both[1]), gold


def pairs(alignment):
    return [(bead.left, bead.right) for bead in alignment.beads]


SIZES = [(1, 1)] * 5 + [(0, 1), (1, 2), (1, 1), (3, 1), (1, 1), (1, 0), (1, 0), (1, 1), (2, 2), (1, 1), (1, 4), (1, 1)]


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("centre", [False, True])
def test_finds_merges_and_deletions(lengths, centre):
    left, right, gold = text(SIZES)
    sizes = None
    if lengths:
        sizes = tuple(np.full(one.shape[1], 40) for one in (left, right))
        for p, q in gold:  # what is split is shorter
            for side, rows, other in ((0, p, q), (1, q, p)):
                sizes[side][list(rows)] = 40 * max(len(other), 1)
    found = align_vectors(left, right, lengths=sizes, options=AlignmentOptions(centre=centre))
    assert pairs(found) == gold
    assert all((bead.score > 0.5) == bool(bead.left and bead.right) for bead in found.beads)


def test_every_sentence_is_in_one_bead_also_where_nothing_fits():
    random = np.random.default_rng(1)
    left, right = blocks(random.normal(size=(30, 16))), blocks(random.normal(size=(47, 16)))
    beads = align_vectors(left, right).beads
    assert [i for bead in beads for i in bead.left] == list(range(30))
    assert [j for bead in beads for j in bead.right] == list(range(47))


def test_coarse_to_fine_finds_what_a_whole_search_finds():
    random = np.random.default_rng(2)
    kinds = [(1, 1), (1, 1), (1, 1), (1, 2), (2, 1), (0, 1), (1, 0)]
    sizes = [kinds[k] for k in random.integers(len(kinds), size=400)]
    sizes[100:100] = [(1, 0)] * 60
    sizes[300:300] = [(0, 1)] * 45
    left, right, gold = text(sizes, seed=3)
    whole = align_vectors(left, right, options=replace(PLAIN, exact=10_000))
    fine = align_vectors(left, right, options=replace(PLAIN, exact=40))
    assert fine.cost == pytest.approx(whole.cost) and pairs(fine) == pairs(whole)
    assert len(set(pairs(fine)) & set(gold)) > 0.85 * len(gold)


def test_beads_are_never_larger_than_asked_for():
    left, right, _ = text(SIZES)
    found = align_vectors(left, right, options=replace(PLAIN, most_left=2, most_right=3, most=4))
    assert all(len(b.left) <= 2 and len(b.right) <= 3 and len(b.left) + len(b.right) <= 4 for b in found.beads)


def test_a_dearer_deletion_keeps_more():
    left, right, _ = text([(1, 1)] * 20 + [(1, 0)] * 5 + [(1, 1)] * 20 + [(0, 1)] * 5, noise=1.5)
    gone = [
        sum(not (b.left and b.right) for b in align_vectors(left, right, options=replace(PLAIN, deletion=d)).beads)
        for d in (0.0, 1.0)
    ]
    assert gone[0] > gone[1]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_costs_are_the_formula_of_the_paper():
    random = np.random.default_rng(4)
    x, y = unit(random.normal(size=(2, 5, 8))), unit(random.normal(size=(3, 6, 8)))
    costs = BeadCosts(x, y, AlignmentOptions(most_left=2, most_right=3, samples=1000))  # so that all runs are drawn
    runs_x = np.concatenate([x[0], x[1, :4]])
    runs_y = np.concatenate([y[0], y[1, :5], y[2, :4]])
    tile = costs.tile(1, 4, 2, 6)
    assert tile.shape == (2, 3, 3, 4)
    for p, i, q, j in [(1, 1, 1, 2), (2, 3, 3, 3), (1, 2, 2, 4), (2, 1, 1, 5)]:
        one, other = x[p - 1, i], y[q - 1, j]
        norm = (np.mean(1 - runs_y @ one) + np.mean(1 - runs_x @ other)) / 2
        expected = p * q * (1 - one @ other) / norm
        assert tile[p - 1, i - 1, q - 1, j - 2] == pytest.approx(expected, rel=1e-5)
    every = costs.tile(0, 5, 0, 6)[0, :, 0]
    assert costs.deletion == pytest.approx(np.quantile(every, 0.02 + 0.98 / 6), rel=1e-5)


def test_two_texts_of_one_sentence_have_nothing_to_be_compared_with_but_each_other():
    random = np.random.default_rng(8)
    x, y = unit(random.normal(size=(2, 1, 8))), unit(random.normal(size=(2, 1, 8)))
    costs = BeadCosts(x, y, AlignmentOptions(most_left=2, most_right=2))
    assert costs.tile(0, 1, 0, 1)[0, 0, 0, 0] == pytest.approx(1 - x[0, 0] @ y[0, 0], rel=1e-5)


def test_costs_with_lengths_are_the_second_formula():
    random = np.random.default_rng(5)
    x, y = unit(random.normal(size=(2, 4, 8))), unit(random.normal(size=(2, 3, 8)))
    left, right = np.array([10.0, 40, 0, 20]), np.array([30.0, 5, 60])
    options = AlignmentOptions(most_left=2, most_right=2, length=0.3, merge=0.4)
    plain = BeadCosts(x, y, options)
    costs = BeadCosts(x, y, options)
    ratio = 1.3
    costs.weigh((RunLengths(left, 2), RunLengths(right, 2)), ratio)
    weights = [np.sqrt(np.maximum(one, 3)) for one in (left, right)]
    weights = [one / one.mean() for one in weights]
    for p, i, q, j in [(1, 0, 1, 1), (2, 1, 1, 2), (2, 2, 2, 1), (1, 2, 2, 0)]:
        d = plain.tile(0, 4, 0, 3)[p - 1, i, q - 1, j] / (p * q)
        a, b = left[i : i + p].sum(), right[j : j + q].sum() * ratio
        w = (weights[0][i : i + p].sum() + weights[1][j : j + q].sum()) / 2
        expected = w * (d + 0.3 * (1 - min(a, b) / max(a, b))) + 0.4 * ((p + q) / 2 - 1)
        assert costs.tile(0, 4, 0, 3)[p - 1, i, q - 1, j] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(costs.deletions[0], costs.deletion * weights[0], rtol=1e-6)
    np.testing.assert_allclose(plain.deletions[1], plain.deletion)


def test_the_score_says_how_alike():
    sentences = np.random.default_rng(6).normal(size=(40, 32))
    found = align_vectors(blocks(sentences), blocks(sentences * 3))
    assert pairs(found) == [((i,), (i,)) for i in range(40)]
    assert min(bead.score for bead in found.beads) > 0.999


def test_half_a_document_does_not_spoil_the_lengths():
    left, right, gold = text([(1, 1)] * 40 + [(1, 0)] * 60 + [(1, 1)] * 10, noise=1.0)
    sizes = np.full(110, 50), np.full(50, 50)
    found = pairs(align_vectors(left, right, lengths=sizes))
    assert found[:97] == gold[:97] and found[-7:] == gold[-7:]


def test_equal_seeds_give_equal_alignments():
    left, right, _ = text(SIZES * 6, noise=1.2)
    options = AlignmentOptions(samples=4, pairs=50)
    assert align_vectors(left, right, options=options) == align_vectors(left, right, options=options)
    other = align_vectors(left, right, options=replace(options, seed=1))
    assert other.cost != align_vectors(left, right, options=options).cost


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (2, 0), (1, 1), (1, 2)])
def test_texts_of_hardly_any_sentences(n, m):
    random = np.random.default_rng(7)
    sizes = np.full(n, 5), np.full(m, 5)
    found = align_vectors(random.normal(size=(4, n, 8)), random.normal(size=(4, m, 8)), lengths=sizes)
    assert [i for b in found.beads for i in b.left] == list(range(n))
    assert [j for b in found.beads for j in b.right] == list(range(m))


def test_says_what_is_wrong_with_the_input():
    fine = np.ones((4, 3, 8))
    with pytest.raises(ShapeError, match=r"left blocks have the shape \(3, 8\)"):
        align_vectors(fine[0], fine)
    with pytest.raises(ShapeError, match="right: runs of up to 4 sentences are asked for, 2 blocks given"):
        align_vectors(fine, fine[:2], options=AlignmentOptions())
    with pytest.raises(ShapeError, match="8 and 5 dimensions"):
        align_vectors(fine, fine[..., :5])
    with pytest.raises(ShapeError, match=r"right: 3 sentences, and lengths of the shape \(2,\)"):
        align_vectors(fine, fine, lengths=([1, 2, 3], [1, 2]))
    with pytest.raises(FeatureError, match="left: a length that is no number"):
        align_vectors(fine, fine, lengths=([1, -2, 3], [1, 2, 3]))
    broken = fine.copy()
    broken[1, 1, 3] = np.nan
    with pytest.raises(FeatureError, match="right: the vector of the 2 sentences from row 1 on is not finite"):
        align_vectors(fine, broken)
    broken = fine.copy()
    broken[2, 1:] = np.nan  # beyond the end, never read
    align_vectors(fine, broken)
    for wrong in ({"most_left": 0}, {"most": 1}, {"deletion": 1.5}, {"length": -1.0}, {"band": 0}):
        with pytest.raises(ShapeError, match=next(iter(wrong))):
            AlignmentOptions(**wrong)
