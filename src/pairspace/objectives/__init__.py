"""What training minimises: one loss or regulariser a file, its formula on top."""

from pairspace.objectives.info_nce import info_nce
from pairspace.objectives.temperature import Temperature

__all__ = ["Temperature", "info_nce"]
