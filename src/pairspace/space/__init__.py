"""The model: sides, each an encoder and a projector, that share one space."""

from pairspace.space.model import Space

__all__ = ["Space"]
