"""How alike two encoders see the same pairs, before anything is trained.

Both compare the geometry of features X (n, d) and Y (n, e) whose rows are partners; neither needs a common space.

    mutual kNN     mean over i of |N_X(i) & N_Y(i)| / k, N(i) being the k nearest other rows by cosine
                   (Huh et al. 2024, "The Platonic Representation Hypothesis")
    CKA            HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), K = X X', L = Y Y',
                   HSIC(K, L) = tr(K H L H) / (n - 1)^2, H = I - 11'/n          (Kornblith et al. 2019)
    unbiased CKA   the same with the estimate of HSIC that is 0 on average for unrelated features,
                   HSIC1(K, L) = [ tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2/(n-2) 1'KL1 ] / (n(n-3)),
                   the diagonals of K and L set to 0                            (Song et al. 2012)

Plain CKA rises with dimensions and falls with rows; on a few hundred pairs of wide features it is high for unrelated
ones. The unbiased one is not.
"""

from __future__ import annotations

import numpy as np

from pairspace.errors import ShapeError

__all__ = ["Geometry", "centred_kernel_alignment", "mutual_knn"]


class Geometry:
    """What comparisons need of one set of features, worked out once.

    Args:
        features: (n, d) float, n at least 4.
        k: neighbours of each row that are kept, by cosine.

    Attributes:
        near: (n, n) bool, whether column j is among row i's nearest k, itself left out.
        centred: H K H, float64 (n, n).
        hollow: K with zeros on the diagonal, float64 (n, n).

    Raises:
        ShapeError: no matrix, fewer than four rows, or no more rows than neighbours.
    """

    def __init__(self, features: np.ndarray, *, k: int = 10) -> None:
        x = np.asarray(features, np.float64)
        if x.ndim != 2 or len(x) < 4:
            raise ShapeError(f"features of four items or more are compared, one a row, got shape {x.shape}")
        if not 0 < k < len(x):
            raise ShapeError(f"{k} neighbours of {len(x)} rows: at least 1 and fewer than there are rows")
        kernel = x @ x.T
        self.hollow = kernel.copy()
        np.fill_diagonal(self.hollow, 0.0)
        self.centred = kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
        unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        cosine = unit @ unit.T
        np.fill_diagonal(cosine, -np.inf)
        nearest = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        self.near = np.zeros(cosine.shape, bool)
        np.put_along_axis(self.near, nearest, True, axis=1)
        self.k = k

    def mutual_knn(self, other: Geometry) -> float:
        """The share of nearest neighbours that both have in common, from 0 to 1."""
        return float((self.near & other.near).sum() / (len(self.near) * self.k))

    def cka(self, other: Geometry) -> float:
        """CKA, from 0 to 1; NaN where all rows of one are equal."""
        return _ratio(*(float((a * b).sum()) for a, b in _three(self.centred, other.centred)))

    def unbiased_cka(self, other: Geometry) -> float:
        """CKA by the unbiased estimate, 0 on average for unrelated features; NaN where it has no scale."""
        return _ratio(*(_hsic1(a, b) for a, b in _three(self.hollow, other.hollow)))


def mutual_knn(x: np.ndarray, y: np.ndarray, *, k: int = 10) -> float:
    """The share of nearest neighbours that partners have in common, from 0 to 1; k / (n - 1) by chance.

    Args:
        x: features (n, d).
        y: those of their partners (n, e).
        k: neighbours.

    Raises:
        ShapeError: different numbers of rows, or too few.
    """
    _check(x, y)
    return Geometry(x, k=k).mutual_knn(Geometry(y, k=k))


def centred_kernel_alignment(x: np.ndarray, y: np.ndarray, *, unbiased: bool = False) -> float:
    """Linear CKA of features and those of their partners.

    Args:
        x: features (n, d).
        y: those of their partners (n, e).
        unbiased: by the estimate that is 0 on average for unrelated features.

    Raises:
        ShapeError: different numbers of rows, or fewer than four.
    """
    _check(x, y)
    one, other = Geometry(x, k=1), Geometry(y, k=1)
    return one.unbiased_cka(other) if unbiased else one.cka(other)


def _check(x: np.ndarray, y: np.ndarray) -> None:
    if len(x) != len(y):
        raise ShapeError(f"row i of one is the partner of row i of the other, but there are {len(x)} and {len(y)} rows")


def _three(a: np.ndarray, b: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    return (a, b), (a, a), (b, b)


def _ratio(both: float, one: float, other: float) -> float:
    return both / (one * other) ** 0.5 if one > 1e-12 and other > 1e-12 else float("nan")


def _hsic1(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741 (the name it has in the formula)
    n = len(k)
    a, b = k.sum(0), l.sum(0)
    value = (k * l).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a @ b)
    return float(value / (n * (n - 3)))
