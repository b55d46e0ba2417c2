"""Losses of many labels a picture, each label a yes or no of its own.

    p = sigmoid(x)
    bce          -y log p - (1 - y) log(1 - p)
    focal        -a y (1-p)^g log p - (1-a) (1-y) p^g log(1-p)                          g = 2, a = 1/4 (Lin et al. 2017)
    asymmetric   -y (1-p)^g+ log p - (1-y) q^g- log(1-q),  q = max(p - m, 0)
                 g+ = 1, g- = 4, m = 0.05                                               (Ridnik et al. 2021)

Each is the mean over rows and classes; soft labels between 0 and 1 are taken too. Rare labels make most cells an easy
"no": focal lowers what is easy, asymmetric does so for "no" alone and drops it wholly where p is below m. The weights
of the asymmetric loss are not differentiated, as in its released code; focal's are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

__all__ = ["LOSSES", "asymmetric", "bce", "focal"]


def bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of logits and labels (n, classes), in nats."""
    return binary_cross_entropy_with_logits(logits, labels)


def focal(logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    """Focal loss; gamma 0 and alpha 1/2 are half of `bce`."""
    p = torch.sigmoid(logits)
    yes = alpha * labels * (1 - p) ** gamma * logsigmoid(logits)
    no = (1 - alpha) * (1 - labels) * p**gamma * logsigmoid(-logits)
    return -(yes + no).mean()


def asymmetric(
    logits: Tensor, labels: Tensor, *, negative: float = 4.0, positive: float = 1.0, margin: float = 0.05
) -> Tensor:
    """Asymmetric loss; with both gammas and the margin 0 it is `bce`."""
    p = torch.sigmoid(logits)
    q = (p - margin).clamp(min=0)
    log_no = logsigmoid(-logits) if margin == 0 else torch.log((1 - q).clamp(min=1e-8))
    with torch.no_grad():
        yes, no = labels * (1 - p) ** positive, (1 - labels) * q**negative
    return -(yes * logsigmoid(logits) + no * log_no).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"bce": bce, "focal": focal, "asymmetric": asymmetric}
