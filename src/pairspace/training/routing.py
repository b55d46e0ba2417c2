"""Several sides as one: towers, features and validation where more than two sides are trained.

A pair is of two sides, and the pairs of every two sides are a data set of their own. All sides that are searched with
stand in one numbering of items, side after side, and all that are searched for in another. A batch is of one data set,
so it is of two sides only; which ones, its rows say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pairspace.errors import TrainingError
from pairspace.training.towers import FeatureRows, Mix, Tower
from pairspace.training.validation import Validation

__all__ = ["RoutedFeatures", "RoutedTower", "Validations"]


class _Routes:
    """Numbers of items over several parts, part after part."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.starts = np.concatenate([[0], np.cumsum(sizes)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def split(self, rows: np.ndarray) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Of each part that has some of the rows: its number, where they stand among the rows, their own numbers."""
        parts = np.searchsorted(self.starts, rows, side="right") - 1
        places = ((part, np.flatnonzero(parts == part)) for part in np.unique(parts).tolist())
        return [(part, place, rows[place] - self.starts[part]) for part, place in places]


class RoutedTower(Tower):
    """The towers of several sides as one, over all their items.

    Args:
        towers: dense ones of equal dimension.
    """

    def __init__(self, towers: Sequence[Tower]) -> None:
        super().__init__([branch for tower in towers for branch in tower.branches], device=towers[0].device)
        self.parts = tuple(towers)
        self._routes = _Routes([len(tower) for tower in towers])

    def __len__(self) -> int:
        return len(self._routes)

    def chunks(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        """See Tower; no part is of two sides."""
        found = self._routes.split(rows)
        return [place[one] for part, place, own in found for one in self.parts[part].chunks(own, size)]

    def vectors(self, rows: np.ndarray, mix: Mix | None = None) -> Tensor:
        """See Tower; an item is mixed with one of its own side."""
        found = self._routes.split(rows)
        if not found:
            return self.parts[0].vectors(rows)
        vectors = [
            self.parts[part].vectors(own, None if mix is None else (mix[0], mix[1][place] - self._routes.starts[part]))
            for part, place, own in found
        ]
        if len(found) == 1:
            return vectors[0]
        back = np.argsort(np.concatenate([place for _, place, _ in found]))
        return torch.cat(vectors).index_select(0, torch.from_numpy(back).to(self.device))

    def all_vectors(self, chunk: int = 16384) -> Any:
        """See Tower."""
        return np.concatenate([tower.all_vectors(chunk) for tower in self.parts])


class RoutedFeatures:
    """The features of several sides as one.

    Args:
        parts: of each side.
    """

    def __init__(self, parts: Sequence[FeatureRows]) -> None:
        self.parts = tuple(parts)
        self._routes = _Routes([len(part) for part in parts])

    @property
    def dimension(self) -> int:
        """Values a row, of the widest."""
        return max(part.dimension for part in self.parts)

    @property
    def truncated(self) -> float:
        """The largest share of items that an encoder cuts."""
        return max(part.truncated for part in self.parts)

    def __len__(self) -> int:
        return len(self._routes)

    def rows(self, indices: np.ndarray | None = None) -> np.ndarray:
        """The rows asked for, float32 (n, dimension).

        Raises:
            TrainingError: they are of encoders of different widths.
        """
        found = self._routes.split(np.arange(len(self)) if indices is None else np.asarray(indices))
        values = [self.parts[part].rows(own) for part, _, own in found]
        if len({one.shape[1] for one in values}) > 1:
            raise TrainingError("features of encoders of different widths cannot stand in one array (group_batches)")
        if not values:
            return np.empty((0, self.dimension), np.float32)
        return np.concatenate(values)[np.argsort(np.concatenate([place for _, place, _ in found]))]


class Validations:
    """Held-out pairs of several pairs of sides, each ranked by itself; their means are what training is watched by.

    Args:
        parts: by name.
    """

    def __init__(self, parts: Mapping[str, Validation]) -> None:
        self.parts = dict(parts)

    @property
    def codes(self) -> tuple[np.ndarray, ...]:
        """All codes of all parts, which tell one set of held-out pairs from another."""
        return tuple(code for part in self.parts.values() for code in part.codes)

    def record(self) -> dict[str, Any]:
        """Means over the parts of what `Validation.record` gives, and each part's own R@1."""
        records = {name: part.record() for name, part in self.parts.items()}
        first = next(iter(records.values()))
        means = {key: round(float(np.mean([one.get(key, np.nan) for one in records.values()])), 5) for key in first}
        return means | {f"validation_R@1 {name}": one["validation_R@1"] for name, one in records.items()}
