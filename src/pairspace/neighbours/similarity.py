"""Similarities of vectors: cosine and dot product, for dense arrays and CSR matrices.

One word names them everywhere: `similarity="cosine" | "dot"`. Cosine is the dot product of unit rows; a row of zeros
stays a row of zeros, so it is similar to nothing (0) rather than NaN.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from scipy import sparse

from pairspace.errors import FeatureError, PairspaceError, ShapeError

__all__ = ["Similarity", "check_similarity", "normalise", "similarity_matrix"]

Similarity = Literal["cosine", "dot"]


def check_similarity(similarity: str) -> None:
    """Raise PairspaceError unless `similarity` is a known one."""
    if similarity not in ("cosine", "dot"):
        raise PairspaceError(f'similarity must be "cosine" or "dot", got {similarity!r}')


def normalise(x: Any) -> Any:
    """Rows of L2 norm 1, of the kind that went in (float32 or finer); rows of zeros stay as they are.

    Args:
        x: (n, dim) NumPy array, torch tensor or CSR matrix.
    """
    if sparse.issparse(x):
        norms = sparse.linalg.norm(x, axis=1)
        per_entry = np.repeat(np.where(norms == 0, 1, norms), np.diff(x.indptr)).astype(x.dtype)
        return type(x)((x.data / per_entry, x.indices, x.indptr), shape=x.shape)
    if isinstance(x, torch.Tensor):
        x = x if x.dtype in (torch.float32, torch.float64) else x.float()
        norms = x.norm(dim=1, keepdim=True)
        return x / torch.where(norms == 0, 1.0, norms)
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float32)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms == 0, 1, norms)


def similarity_matrix(a: Any, b: Any, similarity: str = "cosine") -> Any:
    """All similarities of two sets of vectors, held whole: for small sets; `top_k` is for large ones.

    Args:
        a: (n, dim), NumPy, torch or CSR.
        b: (m, dim), of the same kind.
        similarity: "cosine" or "dot".

    Returns:
        (n, m), dense, of the kind that went in (NumPy for CSR).

    Raises:
        ShapeError: the dimensions differ or an input is not a matrix.
        FeatureError: an input holds NaN or infinity.
        PairspaceError: an unknown similarity.
    """
    check_similarity(similarity)
    check_shapes(a, b)
    if similarity == "cosine":
        a, b = normalise(a), normalise(b)
    product = a @ b.T
    if sparse.issparse(product):
        product = product.toarray()
    if not bool((abs(product) < float("inf")).all()):
        raise FeatureError("the vectors hold NaN or infinity: their similarities are not numbers")
    return product


def check_shapes(a: Any, b: Any, names: tuple[str, str] = ("the first", "the second")) -> None:
    """Raise ShapeError unless both are matrices of one dimension."""
    for name, x in zip(names, (a, b), strict=True):
        if len(x.shape) != 2:
            raise ShapeError(f"{name} must be a matrix (n, dim), got an array of shape {tuple(x.shape)}")
    if a.shape[1] != b.shape[1]:
        raise ShapeError(f"{names[0]} have dimension {a.shape[1]}, {names[1]} {b.shape[1]}: they must be of one space")
