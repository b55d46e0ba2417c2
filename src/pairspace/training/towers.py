"""One side in training: rows of its distinct items in, unit vectors with a gradient out.

A tower has one or several branches, each an encoder's features and the projector over them. A frozen encoder's branch
reads cached features; a live one runs the encoder on token ids that were made once. The loop sees no difference, so the
same steps train projectors alone, whole encoders, and a word bag beside frozen features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from pairspace.encoders.batching import batches
from pairspace.encoders.protocol import Trainable
from pairspace.neighbours import normalise
from pairspace.projectors import join_vectors, to_csr, unit_vectors
from pairspace.training.own_words import OwnWords

__all__ = ["Branch", "FeatureRows", "FrozenBranch", "LiveBranch", "Mix", "StateRows", "Tower", "distinct_modules"]

IN_MEMORY = 4 << 30  # bytes of float32 features kept in memory a branch; more is gathered from disk step by step
SAMPLE = 64  # rows that stand for all where features are compared
TOKENS = 2048  # padded tokens that an encoder in training runs at once on a CPU: few, so that they stay in its cache
TOKENS_GPU = 32768
Mix = tuple[float, np.ndarray]  # share of a row's own features, and the rows that the rest comes from


class FeatureRows(Protocol):
    """What a tower needs of features, and `pairspace.features.Features` gives: their size and some of their rows."""

    @property
    def dimension(self) -> int:
        """Values a row."""
        ...

    @property
    def truncated(self) -> float:
        """Share of the items that were longer than the encoder reads."""
        ...

    def __len__(self) -> int: ...

    def rows(self, indices: np.ndarray | None = None) -> np.ndarray:
        """The rows asked for, float32 (n, dimension)."""
        ...


class StateRows(Protocol):
    """What a tower needs of token states, and `pairspace.features.TokenStates` gives."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The states of these items' tokens, (tokens, width), one item after the other."""
        ...


class Branch(Protocol):
    """An encoder's part of a tower."""

    @property
    def projector(self) -> nn.Module:
        """The module over the features."""
        ...

    @property
    def encoder_module(self) -> nn.Module | None:
        """What trains beside the projector."""
        ...

    @property
    def encoder_rate(self) -> float:
        """The learning rate that suits it."""
        ...

    @property
    def truncated(self) -> float:
        """Share of the items that were longer than the encoder reads."""
        ...

    def __len__(self) -> int: ...

    def features(self, rows: np.ndarray) -> Tensor:
        """What goes into the projector, (n, sum of blocks)."""
        ...

    def sample(self) -> np.ndarray:
        """Some numbers that tell these items from others."""
        ...


def _spread(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, SAMPLE).astype(np.int64))


class FrozenBranch:
    """Cached features and the projector over them.

    Args:
        features: of the side's distinct items.
        projector: the module that is trained; may be shared with another branch.
        views: features of other views of the same items; while the projector trains, each item is drawn from these and
            its own features anew in every step.
        device: where to compute.
    """

    encoder_module, encoder_rate = None, 0.0

    def __init__(
        self,
        features: FeatureRows,
        projector: nn.Module,
        *,
        views: Sequence[FeatureRows] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.rows_of, self.projector, self.device = features, projector.to(device), torch.device(device)
        self.truncated = features.truncated
        self._all = [features, *views]
        self._held: list[Tensor] = []
        if len(features) * features.dimension * 4 * len(self._all) <= IN_MEMORY:
            self._held = [torch.from_numpy(one.rows()).to(self.device) for one in self._all]

    def __len__(self) -> int:
        return len(self.rows_of)

    def sample(self) -> np.ndarray:
        """A few feature rows, spread over all."""
        return self.rows_of.rows(_spread(len(self)))

    def features(self, rows: np.ndarray) -> Tensor:
        """See Branch."""
        if len(self._all) == 1 or not self.projector.training:
            return self._of_view(0, rows)
        drawn = torch.randint(len(self._all), (len(rows),))  # torch's own numbers: a resumed run draws the same
        out = torch.empty(len(rows), self.rows_of.dimension, device=self.device)
        for view in range(len(self._all)):
            chosen = torch.nonzero(drawn == view).ravel()
            out[chosen.to(self.device)] = self._of_view(view, rows[chosen.numpy()])
        return out

    def _of_view(self, view: int, rows: np.ndarray) -> Tensor:
        if self._held:
            return self._held[view].index_select(0, torch.from_numpy(rows).to(self.device))
        return torch.from_numpy(self._all[view].rows(rows)).to(self.device)


class LiveBranch:
    """An encoder that trains, over the token ids of the side's distinct items.

    Args:
        encoder: whose weights change.
        layers: which of its layers are joined.
        texts: the items.
        projector: over the joined layers.
        module: the encoder's module as it is trained; may be shared with another branch.
        states: what the encoder's lower blocks give for every token, where only the blocks above them train.
        device: where to compute.
        bf16: run the encoder under bf16 autocast.
    """

    def __init__(
        self,
        encoder: Trainable,
        layers: tuple[str, ...],
        texts: Sequence[str],
        projector: nn.Module,
        module: nn.Module,
        *,
        states: StateRows | None = None,
        device: torch.device | str = "cpu",
        bf16: bool = False,
    ) -> None:
        self.encoder, self.layers, self.projector = encoder, layers, projector.to(device)
        self.encoder_module: nn.Module = module.to(device)
        self.encoder_rate, self.device, self.bf16 = encoder.learning_rate, torch.device(device), bf16
        ids, lengths = encoder.tokens(texts)
        self.ids = [np.asarray(one, np.int32) for one in ids]
        self.lengths = np.fromiter(map(len, self.ids), np.int64, len(self.ids))
        limit = encoder.max_length
        self.truncated = float((lengths > limit).mean()) if limit is not None and len(lengths) else 0.0
        self.states = states

    def __len__(self) -> int:
        return len(self.ids)

    def sample(self) -> np.ndarray:
        """The token ids of a few items, spread over all."""
        return np.concatenate([self.ids[row] for row in _spread(len(self))])

    def features(self, rows: np.ndarray) -> Tensor:
        """Every layer's vector at unit length, joined; texts of near length run together where padding costs."""
        if not len(rows):  # the share of one of many processes
            return torch.empty(0, sum(self.encoder.dimensions[layer] for layer in self.layers), device=self.device)
        if not self.encoder.sorts:
            return self._run(rows)
        budget = TOKENS if self.device.type == "cpu" else TOKENS_GPU
        parts = list(batches(self.lengths[rows], tokens=budget))
        back = torch.from_numpy(np.argsort(np.concatenate(parts))).to(self.device)
        return torch.cat([self._run(rows[part]) for part in parts]).index_select(0, back)

    def _run(self, rows: np.ndarray) -> Tensor:
        tensors = [one.to(self.device) for one in self.encoder.collate([self.ids[row] for row in rows])]
        given = {}
        if self.states is not None:
            flat = torch.from_numpy(self.states.take(rows)).to(self.device)
            mask = tensors[1].bool()
            given["states"] = torch.zeros(*mask.shape, flat.shape[1], device=self.device)
            given["states"][mask] = flat.float()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            out = self.encoder_module(*tensors, self.layers, **given)
        if getattr(self.encoder, "sparse", False):  # weights of terms stay as long as they are
            return torch.cat([layer.float() for layer in out], 1)
        return torch.cat([unit_vectors(layer.float()) for layer in out], 1)


class Tower:
    """All branches of a side.

    Args:
        branches: over the same items.
        words: the items' own words, where the space is sparse and its expansion controlled by them.
        device: where to compute.

    Attributes:
        parts: the towers of single sides that it stands for.
        sparse: its vectors are weights of terms.
        unit: its vectors are made unit vectors; those of encoders that give weights of terms themselves are not.
    """

    def __init__(
        self, branches: Sequence[Branch], *, words: OwnWords | None = None, device: torch.device | str = "cpu"
    ) -> None:
        self.branches, self.words, self.device = tuple(branches), words, torch.device(device)
        self.parts: tuple[Tower, ...] = (self,)
        self.sparse = any(getattr(branch.projector, "sparse", False) for branch in branches)
        self.unit = all(getattr(branch.projector, "unit", True) for branch in branches)

    def __len__(self) -> int:
        return len(self.branches[0])

    @property
    def truncated(self) -> float:
        """The largest share of items that a branch's encoder cuts."""
        return max(branch.truncated for branch in self.branches)

    @property
    def live(self) -> bool:
        """True if an encoder trains."""
        return any(branch.encoder_module is not None for branch in self.branches)

    @property
    def heavy(self) -> bool:
        """True if an encoder trains whose activations fill memory, so that batches are taken in chunks."""
        return any(isinstance(branch, LiveBranch) and branch.encoder.sorts for branch in self.branches)

    def chunks(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        """Positions of these rows in parts that take no more memory than `size` rows of mean length.

        Rows of near length are together. No part has more than `size` rows, and those of long texts have fewer.
        """
        lengths = [branch.lengths for branch in self.branches if isinstance(branch, LiveBranch)]
        tokens = lengths[0][rows] if lengths else np.ones(len(rows), np.int64)
        order = np.argsort(-tokens, kind="stable")
        budget, parts, held = size * tokens.mean(), [0], 0
        for place, count in enumerate(tokens[order].tolist()):
            if place > parts[-1] and (held + count > budget or place - parts[-1] == size):
                parts.append(place)
                held = 0
            held += count
        return np.split(order, parts[1:])

    def modules(self) -> list[nn.Module]:
        """What the optimiser trains, the projectors first."""
        encoders = [branch.encoder_module for branch in self.branches if branch.encoder_module is not None]
        return [*(branch.projector for branch in self.branches), *encoders]

    def sample(self) -> list[np.ndarray]:
        """A few items' features, which tell this tower's from others."""
        return [branch.sample() for branch in self.branches]

    def vectors(self, rows: np.ndarray, mix: Mix | None = None) -> Tensor:
        """Vectors (n, dimension) of the items in `rows`: unit vectors, or weights of terms in a sparse space.

        Args:
            rows: (n,).
            mix: mixes each item's features with another's before they are projected (FuseMix).
        """
        if not self.sparse:
            return join_vectors(self._parts(rows, mix))
        training = self.branches[0].projector.training
        partners = None if mix is None else mix[1]
        allowed = self.words.allowed(rows, partners) if self.words is not None and training else None
        parts = self._parts(rows, mix, () if allowed is None else (allowed,))
        total = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
        return unit_vectors(total) if self.unit else total

    def _parts(self, rows: np.ndarray, mix: Mix | None = None, masks: tuple[Tensor, ...] = ()) -> list[Tensor]:
        parts = []
        for branch in self.branches:
            x = branch.features(rows)
            if mix is not None:
                share, partners = mix
                x = share * x + (1 - share) * branch.features(partners)
            parts.append(branch.projector(x, *masks))
        return parts

    @torch.inference_mode()
    def all_vectors(self, chunk: int = 16384) -> Any:
        """Vectors of every item, in order, without gradients: float32 array (n, dimension), or CSR where sparse."""
        step = min(chunk, 1024) if self.live or self.sparse else chunk
        rows = [np.arange(i, min(i + step, len(self))) for i in range(0, len(self), step)]
        if not self.sparse:
            return torch.cat([self.vectors(some) for some in rows]).cpu().numpy()
        return sparse.vstack([self._sparse_rows(some) for some in rows], format="csr")

    def _sparse_rows(self, rows: np.ndarray) -> sparse.csr_array:
        found = to_csr(torch.stack(self._parts(rows)).sum(0))
        return normalise(found) if self.unit else found


def distinct_modules(modules: Sequence[Any]) -> list[nn.Module]:
    """Each module once, in order."""
    return list({id(module): module for module in modules}.values())
