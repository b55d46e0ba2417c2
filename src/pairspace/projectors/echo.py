"""A text's own words beside its expansion, each with a learnt weight.

    e_t(x) = exp(u_t) * tf / (tf + k1 * (1 - b + b * |x| / avg|x|)),    t in x

What MILCO (Nguyen et al. 2026) calls LexEcho, in the form of BM25: a projector says what a text is about, and its own
words say what it is called; names above all, which no vocabulary holds. u_t starts at half the logarithm of the term's
idf, so that the product of both sides' weights is BM25's. Words without a column of their own share one weight, that of
a word seen in a single text.

k1 and b are BM25's usual 1.2 and 0.75; the mean length is that of the side's training texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

__all__ = ["Echo"]

K1, B = 1.2, 0.75


class Echo(nn.Module):
    """Counts of a text's own words to their weights.

    Args:
        terms: how many there are; columns from this number on are of unknown words.
    """

    average: Tensor
    rates: ClassVar[Mapping[str, float]] = {"log_weights": 5.0}

    def __init__(self, terms: int) -> None:
        super().__init__()
        self.log_weights = nn.Parameter(torch.zeros(terms + 1))  # the last is of unknown words
        self.register_buffer("average", torch.ones(()))

    @property
    def terms(self) -> int:
        """How many terms there are."""
        return len(self.log_weights) - 1

    @torch.no_grad()
    def start(self, counts: sparse.csr_array, *, scale: float = 1.0) -> None:
        """Begin as BM25 over some texts, each weight times `scale`."""
        texts = counts.shape[0]
        known = counts.indices[counts.indices < self.terms]
        frequency = np.append(np.bincount(known, minlength=self.terms), 1)
        idf = np.log1p((texts - frequency + 0.5) / (frequency + 0.5))
        self.log_weights.copy_(torch.from_numpy(0.5 * np.log(np.maximum(idf, 1e-6)) + np.log(scale)))
        self.average.fill_(max(1.0, float(counts.sum()) / max(1, texts)))

    def saturated(self, counts: sparse.csr_array) -> sparse.csr_array:
        """The part of BM25 that nothing is learnt of, float32 CSR of the same shape."""
        sizes = np.diff(counts.indptr)
        rows = np.repeat(np.arange(counts.shape[0]), sizes)
        lengths = np.bincount(rows, weights=counts.data, minlength=counts.shape[0])
        norm = K1 * (1 - B + B * lengths / float(self.average))
        data = counts.data / (counts.data + norm[rows])
        return sparse.csr_array((data.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)

    def weights(self, columns: Tensor) -> Tensor:
        """What the weights of these columns are multiplied by."""
        return self.log_weights[columns.clamp_max(self.terms)].exp()

    @torch.no_grad()
    def weigh(self, counts: sparse.csr_array) -> sparse.csr_array:
        """Own words' weights, CSR of the same shape."""
        found = self.saturated(counts)
        device = self.log_weights.device
        by_column = self.weights(torch.from_numpy(found.indices.astype(np.int64)).to(device)).cpu().numpy()
        return sparse.csr_array((found.data * by_column, found.indices, found.indptr), shape=found.shape)
