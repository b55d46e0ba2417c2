"""Bitext mining: out of two piles of sentences, those that are translations of each other.

    score(x, y) = cos(x, y) / (mean over the k nearest of x and of y, of the cosine to them)     margin, ratio; k = 4

after Artetxe and Schwenk (ACL 2019) and LASER's `mine_bitexts.py`, or any other correction for hubs. Only neighbours
are looked at: each x has its k nearest ys and each y its k nearest xs, found exactly, both at once.

    fwd        the best y of each x
    bwd        the best x of each y
    intersect  pairs that are the best both ways
    max        of both lists the best pair first, and then each further one of which neither half is taken
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from scipy import sparse

from pairspace.data.files import atomic_file
from pairspace.errors import PairspaceError
from pairspace.neighbours import BothWays, Ranking, correct, neighbour_means, top_k
from pairspace.progress import progress_bar

__all__ = ["RETRIEVALS", "SCORES", "Candidates", "check_choices", "mine_vectors"]

RETRIEVALS = ("max", "fwd", "bwd", "intersect")
SCORES = ("margin", "distance", "csls", "cosine")
_EVERY = 60.0  # seconds between two kept states
_ROWS = 8192  # read at once


class Candidates(NamedTuple):
    """Pairs of rows that may be translations, the best first.

    Attributes:
        left, right: int64 (pairs,), rows of either side.
        score: float32, the corrected similarity.
        cosine: float32.
    """

    left: np.ndarray
    right: np.ndarray
    score: np.ndarray
    cosine: np.ndarray

    def select(self, mask: np.ndarray) -> Candidates:
        """Those where a mask is true, or at positions, in that order."""
        return Candidates(*(part[mask] for part in self))


def mine_vectors(
    x: Any,
    y: Any,
    *,
    k: int = 4,
    score: str = "margin",
    retrieval: str = "max",
    every: bool = False,
    threshold: float | None = None,
    state: str | Path | None = None,
    device: str | None = None,
    progress: bool | None = None,
) -> Candidates:
    """Candidates out of two sets of vectors.

    Args:
        x: float (n, dim); an array, a memory-mapped one, or CSR.
        y: float (m, dim).
        k: neighbours that means are taken over and candidates come from.
        score: one of `SCORES`.
        retrieval: one of `RETRIEVALS`.
        every: give all k candidates of each sentence ("fwd", "bwd") instead of the best one.
        threshold: the least score.
        state: a file to keep the work in, so that a run that was killed goes on; to be removed once the result is safe.
        device: where products are taken.
        progress: show a bar.

    Raises:
        PairspaceError: an unknown choice, k below 1, or `every` where only the best make sense.
        ShapeError: dimensions differ.
        FeatureError: NaN in the vectors.
    """
    check_choices(k=k, score=score, retrieval=retrieval, every=every, threshold=threshold)
    if not (x.shape[0] and y.shape[0]):
        return Candidates(*(np.empty(0, kind) for kind in (np.int64, np.int64, np.float32, np.float32)))
    k = min(k, max(x.shape[0], y.shape[0]))
    there, back = _neighbours(x, y, k, None if state is None else Path(state), device, progress)
    means = neighbour_means(there), neighbour_means(back)
    forward, backward = _scored(there, means, score), _scored(back, means[::-1], score)
    found = {
        "fwd": lambda: _listed(forward, every=every),
        "bwd": lambda: _turned(_listed(backward, every=every)),
        "intersect": lambda: _both(_listed(forward), _turned(_listed(backward))),
        "max": lambda: _greedy(_listed(forward), _turned(_listed(backward))),
    }[retrieval]()
    found = found.select(np.argsort(-found.score, kind="stable"))
    return found if threshold is None else found.select(found.score >= threshold)


def check_choices(*, k: int, score: str, retrieval: str, every: bool, threshold: float | None) -> None:
    """Raise PairspaceError unless `mine_vectors` can work with these settings."""
    if score not in SCORES or retrieval not in RETRIEVALS:
        raise PairspaceError(
            f"score must be one of {', '.join(SCORES)} and retrieval one of {', '.join(RETRIEVALS)}, "
            f"got {score!r} and {retrieval!r}"
        )
    if every and retrieval not in ("fwd", "bwd"):
        raise PairspaceError("all candidates of a sentence are had with retrieval 'fwd' or 'bwd'")
    if k < 1:
        raise PairspaceError(f"k must be at least 1, got {k}")
    if threshold is not None and np.isnan(threshold):
        raise PairspaceError("the threshold is not a number")


def _neighbours(
    x: Any, y: Any, k: int, state: Path | None, device: str | None, progress: bool | None
) -> tuple[Ranking, Ranking]:
    if sparse.issparse(x):  # an inverted index of each side, and no state to keep
        return top_k(x, y, k), top_k(y, x, k)
    work = BothWays(x, y, k, device=device)
    keep: Callable[[], None] = lambda: None  # noqa: E731
    if state is not None:
        mark = _mark(x, y, k)
        _take_up(work, state, mark)
        keep = lambda: _keep(work, state, mark)  # noqa: E731
    with progress_bar("mining", total=len(work), unit="sentences", show=progress) as bar:
        bar.advance(work.done)
        kept = time.monotonic()
        while taken := work.advance():
            bar.advance(taken)
            if time.monotonic() - kept > _EVERY:
                keep()
                kept = time.monotonic()
    keep()  # what follows is quick, but whoever writes the result may fail
    return work.result()


def _mark(x: Any, y: Any, k: int) -> str:
    """Short for: these vectors and this k."""
    digest = hashlib.blake2b(str((x.shape, y.shape, k)).encode(), digest_size=16)
    for side in (x, y):
        for start in range(0, len(side), _ROWS):  # all of it: one line mended is another pile
            digest.update(np.ascontiguousarray(side[start : start + _ROWS], np.float32).tobytes())
    return digest.hexdigest()


def _take_up(work: BothWays, path: Path, mark: str) -> None:
    if not path.is_file():
        return
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["mark"]) == mark:
                work.restore({name: kept[name] for name in ("done", "rows", "columns")})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # not one of ours, or of an older version: begin anew
        return


def _keep(work: BothWays, path: Path, mark: str) -> None:
    state: Any = work.state()
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, mark=np.array(mark), **state)


def _scored(ranking: Ranking, means: tuple[np.ndarray, np.ndarray], score: str) -> tuple[Ranking, np.ndarray]:
    """The same neighbours with their corrected scores, and their cosines."""
    if score == "cosine":
        return ranking, ranking.scores
    own, others = means
    there = ranking.indices >= 0
    found = correct(ranking.scores, own[:, None], others[np.where(there, ranking.indices, 0)], score)
    return Ranking(np.where(there, found, -np.inf).astype(np.float32), ranking.indices), ranking.scores


def _listed(scored: tuple[Ranking, np.ndarray], *, every: bool = False) -> Candidates:
    """The best candidate of each row by corrected score, or every one."""
    ranking, cosines = scored
    rows = np.arange(len(ranking.indices))
    if every:
        left, place = np.nonzero(ranking.indices >= 0)
    else:
        best = ranking.scores.argmax(1) if ranking.scores.shape[1] else np.zeros(len(rows), np.int64)
        left = rows[ranking.indices[rows, best] >= 0]
        place = best[left]
    return Candidates(left, ranking.indices[left, place], ranking.scores[left, place], cosines[left, place])


def _turned(found: Candidates) -> Candidates:
    return Candidates(found.right, found.left, found.score, found.cosine)


def _both(forward: Candidates, backward: Candidates) -> Candidates:
    """Those of the first that are in the second."""
    width = 1 + max(forward.right.max(initial=0), backward.right.max(initial=0))
    return forward.select(np.isin(forward.left * width + forward.right, backward.left * width + backward.right))


def _greedy(forward: Candidates, backward: Candidates) -> Candidates:
    """Of both lists, best first, each pair whose halves are not taken yet; equal scores in the order of rows."""
    every = Candidates(*(np.concatenate(parts) for parts in zip(forward, backward, strict=True)))
    order = np.lexsort((every.right, every.left, -every.score))
    left_taken = np.zeros(1 + int(every.left.max(initial=-1)), bool)
    right_taken = np.zeros(1 + int(every.right.max(initial=-1)), bool)
    chosen = []
    for place, one, other in zip(order.tolist(), every.left[order].tolist(), every.right[order].tolist(), strict=True):
        if not (left_taken[one] or right_taken[other]):
            left_taken[one] = right_taken[other] = True
            chosen.append(place)
    return every.select(np.array(chosen, np.int64))
