"""Feature vector in, vector in the space out: one projector a file, and the starts that keep what the encoders know."""

from pairspace.projectors.create import create_projector, projector_kinds
from pairspace.projectors.echo import Echo
from pairspace.projectors.identity import IdentityProjector
from pairspace.projectors.join import join_vectors, unit_vectors
from pairspace.projectors.lexical import LexicalProjector, to_csr
from pairspace.projectors.linear import LinearProjector
from pairspace.projectors.placed import PlacedProjector
from pairspace.projectors.projector import Projector
from pairspace.projectors.residual import ResidualProjector
from pairspace.projectors.start import align, set_axes, start_at_identity, turn

__all__ = [
    "Echo",
    "IdentityProjector",
    "LexicalProjector",
    "LinearProjector",
    "PlacedProjector",
    "Projector",
    "ResidualProjector",
    "align",
    "create_projector",
    "join_vectors",
    "projector_kinds",
    "set_axes",
    "start_at_identity",
    "to_csr",
    "turn",
    "unit_vectors",
]
