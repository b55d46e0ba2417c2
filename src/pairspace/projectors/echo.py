"""A text's own words beside its expansion, in columns of their own.

    e_t(x) = scale * sqrt(idf_t) * tf / (tf + k1 * (1 - b + b * |x| / avg|x|)),    t in x

What MILCO (Nguyen et al. 2026) calls LexEcho, in the form of BM25: a projector says what a text is about, and its own
words say what it is called; names above all, which no vocabulary holds. Both sides carry the root of the idf, so that
the product of their own words is BM25 times scale^2, but that a query's words are saturated and weighed by its length
like a document's, and each side has an idf of its own:

    similarity = expansion(q) . expansion(d) + e(q) . e(d)

Own words meet only own words: the word "gnome" in a text and the idea of gnome that a projector finds in another are
two terms. (Added in one column, products of one kind with the other take about 3 points of R@1; see docs/log.md.)
Nothing of it is learnt by gradient. `scale` is set on held-out pairs, since on the pairs that projectors were trained
on these look better than they are.

Words without a column of their own share one idf, that of a word seen in a single text. k1 and b are BM25's usual 1.2
and 0.75; the mean length is that of the side's training texts.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

__all__ = ["Echo"]

K1, B = 1.2, 0.75


class Echo(nn.Module):
    """Counts of a text's own words to their weights.

    Args:
        terms: how many there are; columns of counts from this number on are of unknown words.
    """

    weights: Tensor
    average: Tensor
    scale: Tensor

    def __init__(self, terms: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.ones(terms + 1))  # the last is of unknown words
        self.register_buffer("average", torch.ones(()))
        self.register_buffer("scale", torch.ones(()))

    @property
    def terms(self) -> int:
        """How many terms there are."""
        return len(self.weights) - 1

    def start(self, counts: sparse.csr_array) -> None:
        """Take idf and mean length from some texts.

        Args:
            counts: CSR (n, terms and columns of unknown words).
        """
        texts = counts.shape[0]
        known = counts.indices[counts.indices < self.terms]
        frequency = np.append(np.bincount(known, minlength=self.terms), 1)
        idf = np.log1p((texts - frequency + 0.5) / (frequency + 0.5))
        self.weights.copy_(torch.from_numpy(np.sqrt(idf)))
        self.average.fill_(max(1.0, float(counts.sum()) / max(1, texts)))

    def weigh(self, counts: sparse.csr_array) -> sparse.csr_array:
        """Own words' weights, float32 CSR of the same shape."""
        sizes = np.diff(counts.indptr)
        rows = np.repeat(np.arange(counts.shape[0]), sizes)
        lengths = np.bincount(rows, weights=counts.data, minlength=counts.shape[0])
        norm = K1 * (1 - B + B * lengths / float(self.average))
        by_column = self.weights.cpu().numpy()[np.minimum(counts.indices, self.terms)]
        data = float(self.scale) * by_column * counts.data / (counts.data + norm[rows])
        return sparse.csr_array((data.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)
