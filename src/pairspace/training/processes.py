"""Several processes that train one model: who I am among them, and what we tell each other.

`torchrun --nproc-per-node 2 ...` starts the processes and says in the environment who is who; with one process nothing
here does anything. Every process embeds its share of a batch; the embeddings are gathered, the loss of the whole batch
is computed everywhere, and each process takes the gradient of its own share back through its encoder. Summed over the
processes that is the gradient of one process with the whole batch, so nothing depends on how many there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from pairspace.errors import TrainingError

__all__ = ["Processes"]

PATIENCE = timedelta(minutes=30)  # the first process may encode or validate for a while as the others wait


class Processes:
    """The processes of this run.

    Attributes:
        rank: the number of this one.
        count: how many there are.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @classmethod
    def join(cls, device: torch.device | str = "cpu") -> Processes:
        """Join the others if torchrun started this process, else be alone.

        Raises:
            TrainingError: the environment tells of others and not how to reach them.
        """
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        if not dist.is_initialized():
            if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
                raise TrainingError(
                    f"WORLD_SIZE says that {count} processes train together, but {', '.join(missing)} is not set: "
                    "start them with torchrun, or unset WORLD_SIZE"
                )
            cuda = torch.device(device).type == "cuda"
            if cuda:
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """True for the one that writes."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> np.ndarray:
        """This process's part of some rows; the parts in the order of the ranks are the whole."""
        return rows if self.count == 1 else np.array_split(rows, self.count)[self.rank]

    def gather(self, part: Tensor, total: int) -> Tensor:
        """All processes' parts of `total` rows, in order, without a gradient; each gave `share` of them."""
        if self.count == 1:
            return part
        sizes = [len(one) for one in np.array_split(np.arange(total), self.count)]
        padded = part.new_zeros((max(sizes), *part.shape[1:]))
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in sizes]
        with _explained():
            dist.all_gather(parts, padded.contiguous())
        return torch.cat([one[:size] for one, size in zip(parts, sizes, strict=True)])

    def add_gradients(self, modules: Iterable[nn.Module]) -> None:
        """Replace every gradient by its sum over the processes; what has none in any of them keeps none."""
        if self.count == 1:
            return
        distinct = {id(p): p for module in modules for p in module.parameters() if p.requires_grad}
        parameters = list(distinct.values())
        if not parameters:
            return
        there = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32)
        parts = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
        flat = torch.cat([*parts, there.to(parts[0])])
        with _explained():
            dist.all_reduce(flat)
        *sums, givers = torch.split(flat, [*map(len, parts), len(parameters)])
        for p, own, count in zip(parameters, sums, givers.tolist(), strict=True):
            p.grad = own.view_as(p).clone() if count else None

    def tell(self, value: Any) -> Any:
        """What the first process has, at every process."""
        if self.count == 1:
            return value
        box = [value]
        with _explained():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Go on when all are here."""
        self.tell(None)

    def leave(self) -> None:
        """Part from the others, when the work is done."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()


@contextmanager
def _explained() -> Iterator[None]:
    """A collective fails when another process is gone.

    Raises:
        TrainingError: says so, and that the checkpoint is whole.
    """
    try:
        yield
    except (RuntimeError, dist.DistError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(
            f"another process of this run ended or cannot be reached ({reason}). The last checkpoint is whole: start "
            "all of them again with resume=True (--resume)"
        ) from error
