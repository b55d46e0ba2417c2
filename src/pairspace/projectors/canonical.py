"""Two linear maps in closed form: ridge-regularised canonical correlation.

    x' = A x,  y' = B y,    C_xx = E[x x'] + r tr(C_xx) / k I,  C_yy alike
    U S V' = C_xx^(-1/2) E[x y'] C_yy^(-1/2),    A = (C_xx^(-1/2) U S^p)',  B = (C_yy^(-1/2) V S^p)'

The directions in which the two sides vary together, most certain first, and each as long as its correlation to the
power p (Hotelling 1936; weighted as in Gong et al., IJCV 2014). There is nothing to stop early and no seed: of some
hundred pairs it keeps what is certain and shrinks the rest, where a contrastive loss learns all of them by heart.
Either side is first cut to its k largest principal axes, which regularises too, and the ridge r is in units of the mean
variance along these.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pairspace.errors import ShapeError, TrainingError

__all__ = ["canonical_maps"]


def canonical_maps(
    x: Tensor,
    y: Tensor,
    *,
    weights: Tensor | None = None,
    ridge: float = 1.0,
    power: float = 0.5,
    components: int = 300,
    dimension: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The two maps of paired rows.

    Args:
        x: (n, d) rows of one side, centred.
        y: (n, e) their partners, centred.
        weights: (n,) how much each pair counts, none below 0; None for all alike.
        ridge: r, shrinks directions of little variance.
        power: p; 0 lets all directions count alike, larger ones the less certain directions less.
        components: k, principal axes kept of either side.
        dimension: of the result; directions beyond those there are come as zeros. None for as many as there are.

    Returns:
        A (dimension, d) and B (dimension, e).

    Raises:
        ShapeError: rows that do not fit each other, or a setting out of range.
        TrainingError: a side without variation, or with values that are not finite.
    """
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ShapeError(f"canonical maps need two matrices of as many rows, got {tuple(x.shape)} and {tuple(y.shape)}")
    if not ridge > 0 or power < 0 or components < 1:
        raise ShapeError(
            f"the ridge must be above 0, the power 0 or more, and the components 1 or more, got {ridge}, {power} and "
            f"{components}"
        )
    share = torch.ones(len(x)) if weights is None else weights.float()
    if share.shape != (len(x),) or not bool((share >= 0).all()) or not float(share.sum()) > 0:
        raise ShapeError("weights are one number a pair, none below 0 and some above")
    share = share / share.sum()
    root = share.sqrt()[:, None]
    white_x, white_y = (_whitening(one.float() * root, ridge, components) for one in (x, y))
    u, s, vt = torch.linalg.svd((x.float() @ white_x).T @ (y.float() @ white_y * share[:, None]), full_matrices=False)
    kept = len(s) if dimension is None else min(dimension, len(s))
    lengths = s[:kept] ** power
    maps = (white_x @ (u[:, :kept] * lengths)).T, (white_y @ (vt[:kept].T * lengths)).T
    missing = 0 if dimension is None else dimension - kept
    first, second = (torch.nn.functional.pad(one, (0, 0, 0, missing)).contiguous() for one in maps)
    return first, second


def _whitening(rows: Tensor, ridge: float, components: int) -> Tensor:
    """Columns (d, k) along the largest variation of rows (n, d), each divided by its shrunk deviation."""
    wide = rows.shape[1] > len(rows)
    gram = (rows @ rows.T if wide else rows.T @ rows).double()  # the smaller of the two has all there is to know
    if not bool(gram.isfinite().all()):
        raise TrainingError("the features hold values that are not finite")
    values, vectors = torch.linalg.eigh(gram)
    values, vectors = values.flip(0)[:components], vectors.flip(1)[:, :components]
    if not float(values[0]) > 1e-12:
        raise TrainingError("all features are equal: there is no direction to align them along")
    seen = values > 1e-7 * values[0]
    values, vectors = values[seen], vectors[:, seen]
    axes = rows.T.double() @ vectors / values.sqrt() if wide else vectors
    found: Tensor = (axes / (values + ridge * values.mean()).sqrt()).float()
    return found
