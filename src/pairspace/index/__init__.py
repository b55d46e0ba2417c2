"""The index: searchable items of one side, dense, by words (BM25) or both, in one directory."""

from .edge import EdgeEngine
from .engine import Engine, Field, Found, Point
from .filters import Condition, parse_filter
from .index import Index
from .manifest import Manifest, SpaceLike, SpaceNote
from .records import Hit

__all__ = [
    "Condition",
    "EdgeEngine",
    "Engine",
    "Field",
    "Found",
    "Hit",
    "Index",
    "Manifest",
    "Point",
    "SpaceLike",
    "SpaceNote",
    "parse_filter",
]
