"""What training minimises: one loss or regulariser a file, its formula on top."""

from pairspace.objectives.batch import Batch
from pairspace.objectives.info_nce import InfoNCE, info_nce
from pairspace.objectives.masks import Near
from pairspace.objectives.objective import Objective
from pairspace.objectives.temperature import Temperature

__all__ = ["Batch", "InfoNCE", "Near", "Objective", "Temperature", "info_nce"]
