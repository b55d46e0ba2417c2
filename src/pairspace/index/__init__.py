"""The index: searchable items of one side, dense, by words (BM25) or both, in one directory."""

from pairspace.index.edge import EdgeEngine
from pairspace.index.engine import Engine, Field, Found, Point
from pairspace.index.filters import Condition, parse_filter
from pairspace.index.index import Index
from pairspace.index.manifest import Manifest, SpaceLike, SpaceNote
from pairspace.index.records import Hit
from pairspace.index.seismic import SeismicEngine

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
    "SeismicEngine",
    "SpaceLike",
    "SpaceNote",
    "parse_filter",
]
