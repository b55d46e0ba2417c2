"""Which encoders, and which of their layers, go together best: seen on a few hundred pairs, before training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pairspace.data import Pairs, atomic_file
from pairspace.diagnosis.alignability import Geometry
from pairspace.encoders import Encoder, load_encoder
from pairspace.errors import PairspaceError
from pairspace.evaluation.table import pipe_table
from pairspace.features import FeatureCache, features_of
from pairspace.space.building import modalities
from pairspace.space.side import wanted_items

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MEASURES", "EncoderComparison", "LayerPair", "compare_encoders"]

MEASURES = ("mutual_knn", "cka", "unbiased_cka")
_FEWEST = 20  # pairs


@dataclass(frozen=True)
class LayerPair:
    """A layer of an encoder on either side.

    Attributes:
        left, right: the encoders' names.
        left_layer, right_layer: their layers.
        mutual_knn, cka, unbiased_cka: see `alignability`.
    """

    left: str
    left_layer: str
    right: str
    right_layer: str
    mutual_knn: float
    cka: float
    unbiased_cka: float


@dataclass(frozen=True)
class EncoderComparison:
    """What `compare_encoders` found; print it, or plot it.

    Attributes:
        sides: left and right.
        layers: every two layers, the most promising first.
        pairs: how many were looked at.
        k: neighbours of mutual kNN, which is k / (pairs - 1) by chance.
    """

    sides: tuple[str, str]
    layers: tuple[LayerPair, ...]
    pairs: int
    k: int

    @property
    def best(self) -> LayerPair:
        """The most promising."""
        return self.layers[0]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        return asdict(self)

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def __str__(self) -> str:
        head = [self.sides[0], "layer", self.sides[1], "layer", "mutual kNN", "CKA", "unbiased CKA"]
        rows = [
            [one.left, one.left_layer, one.right, one.right_layer, *(f"{getattr(one, name):.3f}" for name in MEASURES)]
            for one in self.layers[:20]
        ]
        more = f"\n... and {len(self.layers) - 20} more" if len(self.layers) > 20 else ""
        chance = f"{self.pairs} pairs; by chance mutual kNN of {self.k} is {self.k / (self.pairs - 1):.3f}"
        return f"{pipe_table(head, rows)}{more}\n\n{chance}"

    def plot(self, path: str | Path, *, measure: str = "mutual_knn") -> None:
        """Write a heat map as PNG: the layers of the left side by those of the right, a panel for every two encoders.

        Args:
            path: file to write.
            measure: "mutual_knn", "cka" or "unbiased_cka".

        Raises:
            PairspaceError: an unknown measure.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        with atomic_file(Path(path)) as temporary:
            FigureCanvasAgg(self.figure(measure)).print_png(str(temporary))

    def figure(self, measure: str = "mutual_knn") -> Figure:
        """The heat map; see `plot`."""
        from matplotlib.figure import Figure

        if measure not in MEASURES:
            raise PairspaceError(f"measure '{measure}': choose one of {', '.join(MEASURES)}")
        lefts, rights = (sorted({getattr(one, end) for one in self.layers}) for end in ("left", "right"))
        figure = Figure(figsize=(1.2 + 3.6 * len(rights), 0.8 + 3.2 * len(lefts)), layout="constrained")
        axes = figure.subplots(len(lefts), len(rights), squeeze=False)
        top = max(0.01, *(getattr(one, measure) for one in self.layers))
        for line, left in zip(axes, lefts, strict=True):
            for axis, right in zip(line, rights, strict=True):
                own = [one for one in self.layers if (one.left, one.right) == (left, right)]
                image = _panel(axis, own, measure, top)
                axis.set(title=f"{left} x {right}", ylabel=f"{self.sides[0]} layer", xlabel=f"{self.sides[1]} layer")
        figure.colorbar(image, ax=axes, label=measure.replace("_", " "), shrink=0.8)
        return figure


def _panel(axis: Any, layers: Sequence[LayerPair], measure: str, top: float) -> Any:
    rows, columns = (_ordered({getattr(one, end) for one in layers}) for end in ("left_layer", "right_layer"))
    grid = np.full((len(rows), len(columns)), np.nan)
    for one in layers:
        grid[rows.index(one.left_layer), columns.index(one.right_layer)] = getattr(one, measure)
    image = axis.imshow(grid, cmap="viridis", vmin=0, vmax=top, aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=45 if len(columns) > 6 else 0)
    axis.set_yticks(range(len(rows)), rows)
    for (row, column), value in np.ndenumerate(grid):
        light = "black" if value > 0.6 * top else "white"
        axis.text(column, row, f"{value:.2f}".removeprefix("0"), ha="center", va="center", fontsize=7, color=light)
    return image


def _ordered(names: set[str]) -> list[str]:
    """Layers as they lie: numbers by size, then other names, the output last."""
    return sorted(
        names, key=lambda name: (name == "last", not name.isdigit(), int(name) if name.isdigit() else 0, name)
    )


def compare_encoders(
    pairs: Pairs,
    encoders: Mapping[str, Sequence[str | Encoder]],
    *,
    sample: int = 500,
    k: int = 10,
    seed: int = 0,
    device: str | None = None,
    cache: bool = True,
    modality: Mapping[str, str] | None = None,
    trust_remote_code: bool = False,
    progress: bool | None = None,
) -> EncoderComparison:
    """Compare every layer of some encoders of one side with every layer of some of the other.

    Args:
        pairs: of two sides; a few hundred whose items are all different are drawn from them.
        encoders: side -> names or encoders to choose among.
        sample: pairs to look at.
        k: neighbours of mutual kNN.
        seed: of the draw.
        device: as in `load_encoder`.
        cache: keep and reuse the features on disk.
        modality: side -> "image" or "text", for models with a tower for each; None goes by the side's name.
        trust_remote_code: as in `load_encoder`.
        progress: show bars; None where a person can see them.

    Returns:
        Every two layers, by mutual kNN.

    Raises:
        PairspaceError: not two sides, or too few different pairs.
        EncoderError: an encoder is unknown, or has yet to be made from texts.
    """
    if len(encoders) != 2 or not all(encoders.values()):
        raise PairspaceError(f"encoders of two sides are compared, got {', '.join(encoders) or 'none'}")
    left, right = encoders
    for side in encoders:
        pairs.items(side)  # says which sides there are
    some = pairs.select(_different(pairs, (left, right), sample, seed))
    if len(some) < _FEWEST or len(some) <= k:
        raise PairspaceError(
            f"{len(some)} pairs of {pairs.source} have items that no other pair has: {max(_FEWEST, k + 1)} or more are "
            "needed to compare neighbours"
        )
    kept, kinds = FeatureCache() if cache else None, modalities((left, right), modality)
    seen: dict[str, list[tuple[str, str, Geometry]]] = {}
    for side in (left, right):
        seen[side] = []
        for one in encoders[side]:
            encoder = _loaded(one, side, modality=kinds[side], device=device, trust_remote_code=trust_remote_code)
            items, names = wanted_items(encoder, some, side), encoder.layers
            found = features_of(encoder, items, names, cache=kept, progress=progress)
            rows = found.rows()
            seen[side] += [(encoder.name, name, Geometry(rows[:, at], k=k)) for name, at in found.slices().items()]
    layers = [
        LayerPair(one, layer, other, its, x.mutual_knn(y), x.cka(y), x.unbiased_cka(y))
        for one, layer, x in seen[left]
        for other, its, y in seen[right]
    ]
    layers.sort(key=lambda pair: -pair.mutual_knn)
    return EncoderComparison((left, right), tuple(layers), len(some), k)


def _different(pairs: Pairs, sides: tuple[str, str], sample: int, seed: int) -> np.ndarray:
    """Rows, drawn at random, whose items are on no other row that is drawn."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    taken: list[int] = []
    seen: tuple[set[int], set[int]] = set(), set()
    codes = [pairs.codes(side) for side in sides]
    for row in order.tolist():
        own = [int(code[row]) for code in codes]
        if own[0] not in seen[0] and own[1] not in seen[1]:
            taken.append(row)
            seen[0].add(own[0])
            seen[1].add(own[1])
            if len(taken) == sample:
                break
    return np.sort(np.asarray(taken, np.int64))


def _loaded(one: str | Encoder, side: str, **how: Any) -> Encoder:
    encoder = load_encoder(one, **how) if isinstance(one, str) else one
    if not getattr(encoder, "ready", True):
        raise PairspaceError(
            f"{encoder.name} (side '{side}') has yet to be made from texts: there is nothing to compare"
        )
    if getattr(encoder, "sparse", False):
        raise PairspaceError(f"{encoder.name} (side '{side}') gives weights of terms: dense features are compared")
    return encoder
