from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pairspace.training import FrozenBranch, Tower, Validation


def tower(features):
    return Tower([FrozenBranch(features, nn.Identity())])


def brute_force(queries, documents, pairs):
    """R@1 and MRR@10 of both directions, one query at a time; the lower index first among equals."""
    recall, rank = [], []
    for left, right, right_pairs in ((queries, documents, pairs), (documents, queries, {(d, q) for q, d in pairs})):
        firsts = []
        for i, row in enumerate(left @ right.T):
            order = sorted(range(len(row)), key=lambda j: (-row[j], j))[:10]
            hits = [place for place, j in enumerate(order, start=1) if (i, j) in right_pairs]
            firsts.append(hits[0] if hits else np.inf)
        recall.append(np.mean([first == 1 for first in firsts]))
        rank.append(np.mean([1 / first for first in firsts]))
    return np.mean(recall), np.mean(rank)


@pytest.mark.parametrize("seed", range(5))
def test_score_equals_brute_force_with_several_right_answers(rows, seed):
    random = np.random.default_rng(seed)
    queries, documents = random.normal(size=(20, 6)), random.normal(size=(25, 6))
    documents[:15] += 1.5 * queries[:15]
    left = np.concatenate([np.arange(20), random.integers(0, 20, 25)])
    right = np.concatenate([random.permutation(25)[:20], np.arange(25)])
    right[:12] = np.arange(12)
    validation = Validation(tower(rows(queries)), tower(rows(documents)), (left, right))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, documents)]
    recall, rank = brute_force(*unit, set(zip(left.tolist(), right.tolist(), strict=True)))
    score = validation.score()
    assert score.recall == pytest.approx(recall)
    assert score.reciprocal_rank == pytest.approx(rank)
    assert 0 < score.recall < score.reciprocal_rank < 1


def test_fewer_than_ten_documents_are_enough(rows):
    one = tower(rows(np.eye(3)))
    assert Validation(one, one, (np.arange(3), np.arange(3))).score() == (1.0, 1.0)


def test_a_record_has_the_score_and_the_two_parts_of_the_loss(rows):
    random = np.random.default_rng(3)
    queries, documents = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in random.normal(size=(2, 12, 5)))
    validation = Validation(tower(rows(queries)), tower(rows(documents)), (np.arange(12), np.arange(12)))
    record, score = validation.record(), validation.score()
    assert record["validation_R@1"] == pytest.approx(score.recall, abs=1e-5)
    assert record["validation_MRR@10"] == pytest.approx(score.reciprocal_rank, abs=1e-5)
    assert record["alignment"] == pytest.approx(((queries - documents) ** 2).sum(1).mean(), abs=1e-4)
    spread = []
    for x in (queries, documents):
        squares = [((x[i] - x[j]) ** 2).sum() for i in range(12) for j in range(i)]
        spread.append(np.log(np.mean(np.exp(-2 * np.array(squares)))))
    assert record["uniformity"] == pytest.approx(np.mean(spread), abs=1e-4)


def test_scores_without_dropout_and_puts_the_mode_back(planted):
    problem = planted(kind="residual", options={"dropout": 0.9})
    for projector in problem.projectors:
        nn.init.normal_(projector.network[-1].weight)
    problem.projectors[0].train()
    problem.projectors[1].eval()
    first = problem.validation.score()
    assert first == problem.validation.score()
    assert [p.training for p in problem.projectors] == [True, False]
    assert problem.projectors[0].network.training
    assert torch.is_grad_enabled()
