"""A vector made of weighted words: the lexical head of learned sparse retrieval.

    h = norm(W x + c),    y_v = log(1 + relu(g * ((a_v + U V_v) . h + b_v - theta)))

Feature, hidden vector, layer norm, a score for every term of a vocabulary, and the saturation of SPLADE (Formal et al.
2021), as in Dense2Sparse (Nguyen et al., ECIR 2024), which takes the head a_v of a masked language model. Here the a_v
may also be *anchors*: every term is encoded with the very encoder that the features come from, and these vectors,
centred, are the head and stay as they are. What a text is near to is then what it is described by, before anything is
learnt, and training can only choose among words that are near. A gain g and a bias b_v a term are learnt; so is, where
asked for, a departure from the anchors of low rank (U V_v, from zero). The threshold theta is set, not learnt: it says
how many terms there are.

The gradient of the saturation is written down, so that nothing of the size (n, terms) is kept but y itself:

    dL/ds = dL/dy * exp(-y) [y > 0],    s the score
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pairspace.errors import ShapeError
from pairspace.projectors.projector import Projector

__all__ = ["HEADS", "LexicalProjector", "saturate", "to_csr"]


HEADS = ("anchored", "mlm", "free")


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


def to_csr(weights: Tensor, width: int | None = None) -> sparse.csr_array:
    """The entries above zero, float32 CSR.

    Args:
        weights: (n, terms).
        width: columns of the result, where it has more than terms.
    """
    dense = weights.detach().float().cpu().numpy()
    rows, columns = np.nonzero(dense > 0)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(dense)))])
    shape = (len(dense), width or dense.shape[1])
    return sparse.csr_array((dense[rows, columns], columns.astype(np.int64), starts), shape=shape)


class LexicalProjector(Projector):
    """Features to non-negative weights of terms.

    Args:
        blocks: dimension of each layer's block in the features; the last layer stands at the end.
        dimension: how many terms there are.
        width: of the hidden vector and the head; by default that of the last layer.
        rank: of the learnt departure from the head; 0 for none.
        head: "anchored" stays as it was set; "mlm" (set to a language model's) and "free" train.
    """

    kind = "lexical"
    sparse = True
    threshold: Tensor
    spread: Tensor

    def __init__(
        self,
        blocks: Sequence[int],
        dimension: int,
        *,
        width: int | None = None,
        rank: int = 0,
        head: str = "anchored",
    ) -> None:
        super().__init__(blocks, dimension)
        if head not in HEADS:
            raise ShapeError(f"the head of a lexical projector is one of {', '.join(HEADS)}, got {head!r}")
        self.width, self.rank, self.head_kind = width or self.blocks[-1], rank, head
        self.hidden = nn.Linear(sum(self.blocks), self.width)
        self.norm = nn.LayerNorm(self.width)
        self.head = nn.Parameter(torch.empty(dimension, self.width), requires_grad=head != "anchored")
        self.log_gain = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(dimension))
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))  # standard deviation of the scores at the start, over the gain
        if rank:
            self.left = nn.Parameter(torch.zeros(dimension, rank))
            self.right = nn.Parameter(torch.empty(rank, self.width))
            nn.init.normal_(self.right, std=self.width**-0.5)
        if dimension:  # else the terms are not known yet
            nn.init.normal_(self.head, std=self.width**-0.5)
        nn.init.normal_(self.hidden.weight, std=sum(self.blocks) ** -0.5)
        nn.init.zeros_(self.hidden.bias)
        nn.init.constant_(self.norm.weight, self.width**-0.5)  # the hidden vector is about a unit vector

    def scores(self, features: Tensor) -> Tensor:
        """Features (n, sum of blocks) to scores of terms (n, dimension), of either sign."""
        h, gain = self.norm(self.hidden(features)) * self.log_gain.exp(), self.log_gain.exp()
        found = torch.addmm((self.bias - self.threshold) * gain, h, self.head.T)
        return torch.addmm(found, h @ self.right.T, self.left.T) if self.rank else found

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, sum of blocks) to weights (n, dimension), most of them zero."""
        return saturate(self.scores(features))

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
            self.norm.weight.copy_(norm[0])
            self.norm.bias.copy_(norm[1])

    @property
    def reach(self) -> int:
        """Dimensions of the hidden vector: what a map set as the start leads to."""
        return self.width

    @torch.no_grad()
    def set_map(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Let the hidden vector be a given map of the last layer's block; the other layers start at zero.

        Args:
            weight: (width, blocks[-1]).
            bias: (width,), zero if left out.
        """
        self.hidden.weight.zero_()
        self.hidden.weight[:, -self.blocks[-1] :] = weight
        self.hidden.bias.zero_() if bias is None else self.hidden.bias.copy_(bias)

    def pass_through(self, features: Tensor) -> None:
        """Let the hidden vector be the last layer's, centred on these items (n, sum of blocks)."""
        weight = torch.eye(self.width, self.blocks[-1])
        self.set_map(weight, -weight @ features[:, -self.blocks[-1] :].mean(0))

    @torch.no_grad()
    def calibrate(self, features: Tensor, *, gain: float, terms: float) -> None:
        """Set the gain, and the threshold by which items have so many terms on average.

        Args:
            features: (n, sum of blocks) of some items.
            gain: of the scores.
            terms: how many.
        """
        self.log_gain.fill_(gain).log_()
        self.threshold.zero_()
        found = self.scores(features).flatten()
        place = round((1 - min(1.0, terms / self.dimension)) * len(found))
        self.threshold.fill_(float(found.kthvalue(max(1, place)).values) / gain)
        self.spread.fill_(max(float(found.std(correction=0)) / gain, 1e-6))

    def settings(self) -> dict[str, Any]:
        """What `create_projector` needs to build it again."""
        return super().settings() | {"width": self.width, "rank": self.rank, "head": self.head_kind}
