"""Features: the on-disk cache, and the layers joined into one vector an item."""

from pairspace.features.cache import CacheEntry, FeatureCache, features_of
from pairspace.features.features import Features, JoinedFeatures, compute_features
from pairspace.features.states import TokenStates
from pairspace.features.terms import TermFeatures, compute_terms

__all__ = [
    "CacheEntry",
    "FeatureCache",
    "Features",
    "JoinedFeatures",
    "TermFeatures",
    "TokenStates",
    "compute_features",
    "compute_terms",
    "features_of",
]
