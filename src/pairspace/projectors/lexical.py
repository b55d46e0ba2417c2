"""A vector made of weighted words: the lexical head of learned sparse retrieval.

    h = norm(W x + c) / sqrt(width),    s_v = g * (a_v . h + b_v),    y_v = log(1 + relu(s_v - s_(k+1)))

Feature, hidden vector, layer norm, a score for every term of a vocabulary, and the saturation of SPLADE (Formal et al.
2021), as in Dense2Sparse (Nguyen et al., ECIR 2024), which takes the head a_v of a masked language model. Here the a_v
may also be *anchors*: every term is encoded with the very encoder that the features come from, and these vectors,
centred, are what the head begins with. What a text is near to is then what it is described by, before anything is
learnt, and training moves the terms only a little. A gain g and a bias b_v a term are learnt.

An item keeps the k terms of the highest scores: s_(k+1) is the highest that is left out, and carries no gradient (as in
the k-sparse autoencoders of Gao et al., 2024). So the number of terms is what was asked for from the first step on, no
weight of a regulariser has to be found, and no item is without a term. Without k it is 0: all scores above zero stay.

The gradient of the saturation is written down, so that nothing of the size (n, terms) is kept but y itself:

    dL/ds = dL/dy * exp(-y) [y > 0],    s the score
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pairspace.errors import ShapeError
from pairspace.projectors.projector import Projector

__all__ = ["HEADS", "LexicalProjector", "saturate", "to_csr"]


HEADS = ("anchored", "fixed", "mlm", "free")
_LEAST = 0.1  # score by which the lowest of a few allowed terms passes


class _Saturate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        y = scores.relu().log1p_()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        found: Tensor = torch.neg(y).exp_().mul_(gradient).masked_fill_(y <= 0, 0)
        return found


def saturate(scores: Tensor) -> Tensor:
    """log(1 + relu(score)), elementwise."""
    out: Tensor = _Saturate.apply(scores)  # type: ignore[no-untyped-call]
    return out


def to_csr(weights: Tensor) -> sparse.csr_array:
    """The entries above zero, float32 CSR.

    Args:
        weights: (n, terms).
    """
    dense = weights.detach().float().cpu().numpy()
    rows, columns = np.nonzero(dense > 0)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(dense)))])
    return sparse.csr_array((dense[rows, columns], columns.astype(np.int64), starts), shape=dense.shape)


class LexicalProjector(Projector):
    """Features to non-negative weights of terms.

    Args:
        blocks: dimension of each layer's block in the features; the last layer stands at the end.
        dimension: how many terms there are.
        width: of the hidden vector and the head; by default that of the last layer.
        keep: k, how many terms an item keeps at most; None for all whose score is above zero.
        head: what it begins with, see `set_head`: "anchored" at the terms' vectors, "fixed" at these and stays there,
            "mlm" at a language model's output layer, "free" at random.
    """

    kind = "lexical"
    sparse = True
    rates: ClassVar[Mapping[str, float]] = {"head": 3.0, "log_gain": 5.0}  # a term's row learns from few texts

    def __init__(
        self,
        blocks: Sequence[int],
        dimension: int,
        *,
        width: int | None = None,
        keep: int | None = None,
        head: str = "anchored",
    ) -> None:
        super().__init__(blocks, dimension)
        if head not in HEADS:
            raise ShapeError(f"the head of a lexical projector is one of {', '.join(HEADS)}, got {head!r}")
        self.width, self.keep, self.head_kind = width or self.blocks[-1], keep, head
        self.hidden = nn.Linear(sum(self.blocks), self.width)
        self.norm = nn.LayerNorm(self.width)
        self.head = nn.Parameter(torch.empty(dimension, self.width), requires_grad=head != "fixed")
        self.log_gain = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(dimension))
        if dimension:  # else the terms are not known yet
            nn.init.normal_(self.head, std=self.width**-0.5)
        nn.init.normal_(self.hidden.weight, std=sum(self.blocks) ** -0.5)
        nn.init.zeros_(self.hidden.bias)

    def scores(self, features: Tensor) -> Tensor:
        """Features (n, sum of blocks) to scores of terms (n, dimension), of either sign."""
        gain = self.log_gain.exp()
        h = self.norm(self.hidden(features)) * (gain * self.width**-0.5)  # but for the gain about a unit vector
        return torch.addmm(self.bias * gain, h, self.head.T)

    def forward(self, features: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Features (n, sum of blocks) to weights (n, dimension), most of them zero.

        Args:
            features: of the items.
            allowed: bool (n, dimension), the terms that each may have; None for all.
        """
        scores = self.scores(features)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        if self.keep is None or self.keep >= self.dimension:
            return saturate(scores)
        left_out = scores.detach().topk(self.keep + 1, dim=1).values[:, -1:]
        if allowed is not None:  # fewer may be allowed than are to be kept: then all of them are
            finite = torch.where(allowed, scores.detach(), torch.inf).amin(1, keepdim=True)
            left_out = torch.where(left_out.isfinite(), left_out, finite.nan_to_num(posinf=0.0) - _LEAST)
        return saturate(scores - left_out)

    @torch.no_grad()
    def set_head(self, head: Tensor, *, bias: Tensor | None = None, norm: tuple[Tensor, Tensor] | None = None) -> None:
        """Set the head: centred anchors, or the output layer of a language model.

        Args:
            head: (dimension, width).
            bias: (dimension,) of that layer.
            norm: weight and bias (width,) of the layer norm before it.

        Raises:
            ShapeError: the shape is another.
        """
        if head.shape != self.head.shape:
            raise ShapeError(f"the head has the shape {tuple(self.head.shape)}, got {tuple(head.shape)}")
        self.head.copy_(head)
        if bias is not None:
            self.bias.copy_(bias)
        if norm is not None:
            self.norm.weight.copy_(norm[0]).mul_(self.width**0.5)
            self.norm.bias.copy_(norm[1]).mul_(self.width**0.5)

    @property
    def reach(self) -> int:
        """Dimensions of the hidden vector: what a map set as the start leads to."""
        return self.width

    @torch.no_grad()
    def set_map(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Let the hidden vector be a given map of the features, or of the last layer's block: the others start at zero.

        Args:
            weight: (width, sum of blocks) or (width, blocks[-1]).
            bias: (width,), zero if left out.
        """
        self.hidden.weight.zero_()
        self.hidden.weight[:, -weight.shape[1] :] = weight
        self.hidden.bias.zero_() if bias is None else self.hidden.bias.copy_(bias)

    def pass_through(self, features: Tensor) -> None:
        """Let the hidden vector be the last layer's, centred on these items (n, sum of blocks)."""
        self.take_map(torch.eye(self.width, self.blocks[-1]), features)

    def take_map(self, weight: Tensor, features: Tensor) -> None:
        """Let the hidden vector be a map's, centred on some items.

        Args:
            weight: as in `set_map`.
            features: (n, sum of blocks) of the items.
        """
        self.set_map(weight, -weight @ features[:, -weight.shape[1] :].mean(0))

    @torch.no_grad()
    def calibrate(self, features: Tensor, *, gain: float, terms: float) -> None:
        """Set the gain, and the bias by which items have so many scores above zero on average.

        Args:
            features: (n, sum of blocks) of some items.
            gain: of the scores.
            terms: how many.
        """
        self.log_gain.fill_(gain).log_()
        found = self.scores(features).flatten()
        place = round((1 - min(1.0, terms / self.dimension)) * len(found))
        self.bias.sub_(float(found.kthvalue(max(1, place)).values) / gain)

    def settings(self) -> dict[str, Any]:
        """What `create_projector` needs to build it again."""
        return super().settings() | {"width": self.width, "keep": self.keep, "head": self.head_kind}
