"""A dense and a sparse space trained together, each also taught by the sum of both (Song et al., CIKM 2025).

Both see the same pairs in the same batches. What comes out are two spaces as any others: each can be saved, and an
index takes both beside each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.objectives import Joint, Sparsity, Temperature
from pairspace.space.fitting import Fitting
from pairspace.space.preparing import hold_out
from pairspace.space.reading import pairings, read_data
from pairspace.space.wording import keep_terms
from pairspace.training import History, Processes, Tower, TrainingOptions, Validation, train
from pairspace.training.towers import Mix

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["fit_together"]


class _Both(Tower):
    """A dense and a sparse tower over the same items, their vectors side by side; scored by the sparse one."""

    def __init__(self, dense: Tower, sparse: Tower) -> None:
        super().__init__((*dense.branches, *sparse.branches), words=sparse.words, device=dense.device)
        self.dense, self.of_terms = dense, sparse

    def modules(self) -> list[nn.Module]:
        """What the optimiser trains."""
        return [*self.dense.modules(), *self.of_terms.modules()]

    def vectors(self, rows: np.ndarray, mix: Mix | None = None) -> Tensor:
        """[unit vectors | weights of terms] of the items in `rows`."""
        return torch.cat([self.dense.vectors(rows, mix), self.of_terms.vectors(rows, mix)], 1)

    def all_vectors(self, chunk: int = 16384) -> Any:
        """The sparse vectors of every item, CSR."""
        return self.of_terms.all_vectors(chunk)


def fit_together(
    dense: Space,
    sparse: Space,
    pairs: Pairs | Sequence[Pairs],
    *,
    mixing: tuple[float, float] = (0.1, 0.1),
    shares: tuple[float, float] = (0.9, 0.3),
    validation: float | Pairs | None = 0.05,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    after_epoch: Callable[[History], None] | None = None,
    **settings: Any,
) -> History:
    """Train the projectors of a dense and a sparse space on the same pairs; see `objectives/joint.py` for the loss.

    Args:
        dense: a space of unit vectors.
        sparse: a space of words with the same sides.
        pairs: as in `Space.fit`.
        mixing: weights of the dense and the sparse similarity in their sum.
        shares: weights of the dense and the sparse loss.
        validation: as in `Space.fit`; the sparse score decides.
        checkpoint: folder for a checkpoint an epoch.
        resume: go on from there.
        progress: show bars.
        after_epoch: called with the history so far.
        **settings: fields of `TrainingOptions`; each part starts at the temperature and learns its own.

    Returns:
        The history.

    Raises:
        SpaceError: the spaces do not go together, or an encoder of theirs is to train.
        TrainingError: nothing to learn from, or training diverged.
    """
    if dense.sparse or not sparse.sparse or dense.sides != sparse.sides or dense.query_side != sparse.query_side:
        raise SpaceError("training together takes a dense and a sparse space (in this order) with the same sides")
    spaces = dense, sparse
    if any(branch.trains for space in spaces for side in space.sides for branch in space.part(side).branches):
        raise SpaceError("projectors over frozen encoders are trained together; train encoders with `fit` before")
    if idle := {"objective", "teacher_weight", "teacher_temperature", "teacher_within"} & set(settings):
        raise SpaceError(f"{', '.join(sorted(idle))}: spaces that are trained together have one objective, see Joint")
    parts = [pairs] if isinstance(pairs, Pairs) else list(pairs)
    pairings(dense, parts)
    own: dict[str, Any] = {"sparsity": (0.0, 0.0), "temperature_rate": 1.0}
    options = TrainingOptions.for_words(**(own | settings))
    parts, held_out, notes = hold_out(parts, validation, options.seed, dense.sides)
    runs = []
    for space in spaces:
        joined = Processes.join(space.device)
        runs.append(Fitting(space, read_data(space, pairings(space, parts)), held_out, options, joined, progress, None))
    dense.temperature = Temperature(options.temperature, learnable=options.learn_temperature)
    unit = all(sparse.part(side).unit for side in sparse.sides)
    sparse.temperature = Temperature(options.temperature if unit else 1.0, learnable=unit and options.learn_temperature)
    for run in runs:
        run.begin()
    if "terms" in settings:
        keep_terms(sparse, options.terms)
    towers = _towers([run.towers(run.data, live=False) for run in runs])
    watched = [one for run in runs if isinstance(one := run.watched(live=False), Validation)]
    held = Validation(*_towers([(w.query, w.document) for w in watched]), watched[1].codes) if watched else None
    sparsity = Sparsity(options.regulariser, weights=options.sparsity)  # type: ignore[arg-type]
    weights: dict[str, Any] = {"mixing": mixing, "shares": shares, "sparsity": sparsity}
    objective = Joint(dense.temperature, sparse.temperature, dense=dense.dimension, **weights)
    history = train(
        *towers,
        runs[0].examples(None),
        objective=objective,
        options=options,
        validation=held,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        resume=resume,
        processes=runs[0].processes,
        progress=progress,
        after_epoch=after_epoch,
    )
    history.notes = notes + history.notes
    for run, one in zip(runs, watched or (None, None), strict=True):
        history.notes += [f"{run.space.name}: {note}" for note in run.finish(one)]
        run.space.record = run.describe(history)
    return history


def _towers(pairs: Sequence[tuple[Tower, Tower]]) -> tuple[_Both, _Both]:
    (first, second), (of_first, of_second) = pairs
    return _Both(first, of_first), _Both(second, of_second)
