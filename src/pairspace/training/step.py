"""One step: the loss of a whole batch and the gradients of all that trains.

    1. embed:     v = tower(items)               for every item of the batch
    2. objective: L(v), and dL/dv                 on the vectors alone
    3. push back: dL/dw = sum_i dL/dv_i dv_i/dw   through the towers

The loss sees the vectors of the whole batch, while the towers see it piece by piece. Where an encoder trains, 1 is done
without a graph and 3 embeds each chunk again, with the same random numbers (gradient caching, Gao et al. 2021): memory
is that of one chunk and the vectors, and the gradients are those of the whole batch. Adding up gradients of small
batches is something else: there a pair meets only the negatives of its own small batch. The same cut between 2 and 3
serves several processes, each of which embeds a share of the batch (`processes.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from pairspace.objectives import Batch, Objective, mix_partners
from pairspace.training.examples import Examples
from pairspace.training.options import TrainingOptions
from pairspace.training.own_words import draw_masks
from pairspace.training.processes import Processes
from pairspace.training.towers import Mix, Tower

__all__ = ["Step"]


class Step:
    """Computes loss and gradients of batches.

    Args:
        towers: of the query side and the document side.
        objective: what is minimised.
        examples: what the batches' rows mean.
        options: `chunk_size` and `mix`.
        processes: that share the batch.
    """

    def __init__(
        self,
        towers: tuple[Tower, Tower],
        objective: Objective,
        examples: Examples,
        options: TrainingOptions,
        processes: Processes,
    ) -> None:
        self.towers, self.objective, self.examples = towers, objective, examples
        self.options, self.processes = options, processes

    def at(self, share: float) -> None:
        """Say which share of training is done, to what changes on the way: weights of regularisers, expansion."""
        self.objective.at(share)
        for tower in self.towers:
            if tower.words is not None:
                tower.words.expansion.share = share

    def __call__(self, rows: np.ndarray, rng: np.random.Generator) -> float:
        """Put the gradients of a batch of pairs into the parameters' `grad`, and return its loss.

        Args:
            rows: which pairs.
            rng: for the mixing of features and the masks of own words.
        """
        controlled = [tower.words.expansion for tower in self.towers if tower.words is not None]
        draw_masks(controlled, rng)
        share, partners = 1.0, None
        if self.options.mix:
            share, partner = mix_partners(len(rows), rng, self.options.mix)
            rows, partners = rows[: len(partner)], rows[partner]
        others, own = self._negatives(rows)
        wanted = (self.examples.query, np.empty(0, np.int64)), (self.examples.document, others)
        vectors, pushes = [], []
        for tower, (code, extra) in zip(self.towers, wanted, strict=True):
            taken = np.concatenate([code[rows], extra])
            mix = None if partners is None else (share, np.concatenate([code[partners], extra]))
            vector, push = self._embed(tower, taken, mix)
            vectors.append(vector)
            pushes.append(push)
        loss = self.objective(self._batch(rows, partners, share, vectors, others, own))
        loss.backward()
        for push in pushes:
            push()
        self.processes.add_gradients([module for tower in self.towers for module in tower.modules()])
        return float(loss.detach())

    def _negatives(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The distinct negatives of these pairs, and for each pair which of them are its own (-1: none)."""
        if self.examples.negatives is None:
            return np.empty(0, np.int64), None
        table = self.examples.negatives[rows]
        others, place = np.unique(table, return_inverse=True)
        place, missing = place.reshape(table.shape), int((others < 0).sum())  # -1 sorts first
        return others[missing:], place - missing

    def _batch(
        self,
        rows: np.ndarray,
        partners: np.ndarray | None,
        share: float,
        vectors: list[Tensor],
        others: np.ndarray,
        own: np.ndarray | None,
    ) -> Batch:
        examples, device = self.examples, self.towers[0].device

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device)

        count = len(rows)
        given: dict[str, object] = {}
        if partners is None:  # a mixture is no item, so it has no id
            given["ids"] = tensor(examples.query[rows]), tensor(examples.document[rows])
        if own is not None:
            given |= {"negatives": vectors[1][count:], "negative_ids": tensor(others), "own": tensor(own)}
        if examples.scores is not None:
            given["scores"] = tensor(examples.scores[rows]).float()
        codes = examples.query, examples.document

        def taken(of: Callable[[np.ndarray], Any], some: np.ndarray) -> Tensor:
            found = of(some)
            return tensor(found.toarray() if issparse(found) else found)

        def mixed(of: Callable[[np.ndarray], Any], code: np.ndarray) -> Tensor:
            x = taken(of, code[rows])
            return x if partners is None else share * x + (1 - share) * taken(of, code[partners])

        if examples.teacher is not None:
            found = [mixed(of.__getitem__, code) for of, code in zip(examples.teacher, codes, strict=True)]
            given["teacher"] = tuple(torch.nn.functional.normalize(one, dim=1) for one in found)
        if examples.guide is not None and "features" in self.objective.needs:
            given["features"] = tuple(mixed(of.rows, code) for of, code in zip(examples.guide, codes, strict=True))
        return Batch(vectors[0], vectors[1][:count], **given)  # type: ignore[arg-type]

    def _embed(self, tower: Tower, rows: np.ndarray, mix: Mix | None) -> tuple[Tensor, Callable[[], None]]:
        """The vectors of the whole batch as a leaf, and what takes its gradient back into the tower."""
        positions = self.processes.share(np.arange(len(rows)))
        chunk = self.options.chunk_size
        if tower.heavy and len(positions) > chunk:
            chunks = [positions[part] for part in tower.chunks(rows[positions], chunk)]
        else:
            chunks = [positions]

        def run(chosen: np.ndarray) -> Tensor:
            return tower.vectors(rows[chosen], None if mix is None else (mix[0], mix[1][chosen]))

        states: list[list[Tensor]] = []
        whole = run(chunks[0]) if len(chunks) == 1 else None
        if whole is not None:
            mine = whole.detach()
        else:
            parts = []
            with torch.no_grad():
                for one in chunks:
                    states.append(_random_state(tower.device))
                    parts.append(run(one))
            back = np.argsort(np.concatenate(chunks))
            mine = torch.cat(parts).index_select(0, torch.from_numpy(back).to(tower.device))
        leaf = self.processes.gather(mine, len(rows)).requires_grad_()

        def push() -> None:
            gradient = leaf.grad
            if gradient is None:
                return
            if whole is not None:
                if whole.requires_grad:
                    whole.backward(gradient[torch.from_numpy(chunks[0]).to(tower.device)])  # type: ignore[no-untyped-call]
                return
            with torch.random.fork_rng(devices=[tower.device] if tower.device.type == "cuda" else []):
                for one, state in zip(chunks, states, strict=True):
                    _set_random_state(tower.device, state)
                    run(one).backward(gradient[torch.from_numpy(one).to(tower.device)])  # type: ignore[no-untyped-call]

        return leaf, push


def _random_state(device: torch.device) -> list[Tensor]:
    on_gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_gpu]


def _set_random_state(device: torch.device, state: list[Tensor]) -> None:
    torch.set_rng_state(state[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1], device)
