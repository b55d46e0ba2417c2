"""Encoders: item -> named feature vectors, one file a family."""

from pairspace.encoders.load import load_encoder
from pairspace.encoders.protocol import Encoded, Encoder, resolve_layers

__all__ = ["Encoded", "Encoder", "load_encoder", "resolve_layers"]
