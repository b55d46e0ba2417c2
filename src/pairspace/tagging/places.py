"""The parts of pictures as an encoder gives them: a vector for each place of a map, a few hundred pictures at a time.

A layer that is one vector a picture has a map where parts and whole lie in one space: the map of EfficientNet, whose
mean is its last layer, CLIP's projected patch tokens, and the patch tokens of other vision transformers. Those of
SigLIP do not: a head of attention of its own lies between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pairspace.encoders.efficientnet import CLASSES, MAP_CLASSES
from pairspace.encoders.image import MAP
from pairspace.encoders.pictures import numbered
from pairspace.encoders.vision import PROJECTED
from pairspace.errors import DataError, EncoderError, ShapeError
from pairspace.features import FeatureCache
from pairspace.progress import progress_bar

__all__ = ["map_layer", "place_vectors", "wanted_maps"]

_PICTURES = 256  # whose maps are in memory at once


def map_layer(encoder: Any, layers: Sequence[str]) -> str:
    """The map whose places lie in the space of the layer that whole pictures are read from.

    Args:
        encoder: of pictures.
        layers: those that whole pictures are read from.

    Raises:
        EncoderError: there is none; says which encoders have one.
    """
    maps = getattr(encoder, "maps", {})
    if tuple(layers) not in (("last",), (CLASSES,)):
        raise EncoderError(
            f"{encoder.name}: the parts of a picture lie beside its last layer, and here {' '.join(layers)} is read; "
            "make the space or tagger with layers 'last' (--layers last)"
        )
    if getattr(encoder, "pools_by_head", False):
        known: tuple[str, ...] = (PROJECTED,)
    else:
        known = (MAP_CLASSES,) if CLASSES in layers else (PROJECTED, MAP)
    for name in known:
        if name in maps and maps[name][-1] == encoder.dimensions[layers[0]]:
            return name
    raise EncoderError(
        f"{encoder.name} gives no vectors of a picture's parts; efficientnet-lite0, CLIP and other vision transformers "
        "do, read from a folder or the hub (SigLIP's parts go through a head of their own, and .onnx files have none)"
    )


def place_vectors(
    encoder: Any, layer: str, items: Any, *, cache: FeatureCache | None, progress: bool | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Maps of pictures, from the cache where there is room for them.

    Args:
        encoder: of pictures.
        layer: of its maps.
        items: a sequence or Arrow array of pictures.
        cache: None for none.
        progress: see `progress_bar`.

    Yields:
        the rows, and float32 (rows, height, width, dimension).
    """
    height, width, dimension = encoder.maps[layer]
    kept = cache if cache is not None and cache.has_room(2 * len(items) * height * width * dimension) else None
    with progress_bar(f"parts of pictures by {encoder.name}", len(items), show=progress) as bar:
        for start in range(0, len(items), _PICTURES):
            rows = slice(start, min(start + _PICTURES, len(items)))
            with numbered(np.arange(len(items))[rows]):
                if kept is None:
                    found = encoder.encode(items[rows], (layer,), progress=False).vectors[layer].astype(encoder.dtype)
                else:
                    states = kept.token_states(encoder, items[rows], layer, progress=False)
                    found = states.take(np.arange(len(states)))
            yield rows, found.astype(np.float32).reshape(-1, height, width, dimension)
            bar.advance(rows.stop - rows.start)


def wanted_maps(
    maps: Iterable[tuple[slice, np.ndarray]], classes: Sequence[str], names: Sequence[Sequence[str]]
) -> list[dict[str, np.ndarray]]:
    """Of maps of all classes those that are asked for.

    Args:
        maps: rows, and (rows, height, width, classes).
        classes: names.
        names: of each picture, some of the classes.

    Returns:
        A map (height, width) a name, for each picture.

    Raises:
        DataError: a name that is no class.
        ShapeError: not as many lists of names as pictures.
    """
    place = {name: number for number, name in enumerate(classes)}
    if unknown := [name for own in names for name in own if name not in place]:
        raise DataError(f"{unknown[0]!r} is none of the {len(classes):,} classes, such as {classes[0]!r}")
    found = []
    for rows, some in maps:
        if len(names[rows]) != len(some):
            raise ShapeError(f"{len(names):,} lists of names are given, and there are more pictures, or fewer")
        for one, wanted in zip(some, names[rows], strict=True):
            found.append({name: one[..., place[name]].copy() for name in wanted})
    return found
