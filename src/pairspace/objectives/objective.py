"""What every objective is: a module from a batch to a scalar, that says what of the batch it needs.

A new objective is one file: the formula, a pure function, and a class of a few lines that takes from the batch what the
function wants. Learnt scalars (temperature, bias) live in the module, so an optimiser and a checkpoint find them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pairspace.errors import TrainingError
from pairspace.objectives.batch import Batch
from pairspace.objectives.temperature import Temperature

__all__ = ["Objective"]


class Objective(nn.Module):
    """Base of all objectives; a subclass gives `loss` and, if it needs more than vectors, `needs`."""

    needs: frozenset[str] = frozenset()  # of {"negatives", "scores", "teacher", "features"}

    def forward(self, batch: Batch) -> Tensor:
        """The mean loss of a batch as a scalar; in nats where it is a log-likelihood.

        It is computed in float32 or better, also under autocast: sums over a batch do not survive half precision.

        Raises:
            TrainingError: the batch lacks what this objective needs.
        """
        if missing := self.missing(batch):
            raise TrainingError(
                f"the objective {type(self).__name__} needs {' and '.join(missing)}, which these pairs do not give: "
                "give it with the data, or choose another objective"
            )
        with torch.autocast(batch.a.device.type, enabled=False):
            return self.loss(batch.full_precision())

    def missing(self, batch: Batch) -> list[str]:
        """What this objective needs and the batch lacks."""
        return sorted(name for name in self.needs if getattr(batch, name) is None)

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch that has all that is needed."""
        raise NotImplementedError

    def clamp_(self) -> None:
        """Bring learnt scalars back into their range; to be called after every optimiser step."""
        for module in self.modules():
            if isinstance(module, Temperature):
                module.clamp_()

    def at(self, share: float) -> None:
        """Told before every step which share of training is done, for weights that change on the way."""
        for module in self.modules():
            if isinstance(module, Objective) and module is not self:
                module.at(share)

    def scalars(self) -> dict[str, float]:
        """The learnt scalars by name, for the records; of several of one name the first."""
        found: dict[str, float] = {}
        for module in self.modules():
            if isinstance(module, Temperature):
                found.setdefault("temperature", module.value)
            elif isinstance(module, Objective) and module is not self:
                found = module.scalars() | found
        return found
