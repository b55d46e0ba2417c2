"""What training minimises: one loss or regulariser a file, its formula on top."""

from pairspace.objectives.additive_margin import AdditiveMargin
from pairspace.objectives.alignment_uniformity import alignment, uniformity
from pairspace.objectives.batch import Batch
from pairspace.objectives.distill_kl import DistillKl, distill_kl, distill_within
from pairspace.objectives.fusemix import mix_partners
from pairspace.objectives.info_nce import InfoNce, info_nce
from pairspace.objectives.joint import Joint
from pairspace.objectives.margin_mse import MarginMse
from pairspace.objectives.masks import Near
from pairspace.objectives.matryoshka import Matryoshka
from pairspace.objectives.objective import Objective
from pairspace.objectives.sigmoid import Sigmoid, sigmoid
from pairspace.objectives.sparsity import Sparsity
from pairspace.objectives.structure import Structure
from pairspace.objectives.temperature import Temperature
from pairspace.objectives.weighted_sum import Sum

__all__ = [
    "AdditiveMargin",
    "Batch",
    "DistillKl",
    "InfoNce",
    "Joint",
    "MarginMse",
    "Matryoshka",
    "Near",
    "Objective",
    "Sigmoid",
    "Sparsity",
    "Structure",
    "Sum",
    "Temperature",
    "alignment",
    "distill_kl",
    "distill_within",
    "info_nce",
    "mix_partners",
    "sigmoid",
    "uniformity",
]
