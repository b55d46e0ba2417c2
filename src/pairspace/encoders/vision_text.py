"""The text towers of CLIP and SigLIP as text encoders: the other half of a model whose vision tower reads pictures.

CLIP takes the state of the token that ends the text and projects it; SigLIP takes the last of its 64 tokens, padding
included, as it was trained, through its head. Everything else is as with any transformer: layers, words, training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pairspace.encoders.batching import pad
from pairspace.encoders.layout import Layout, refuse_pickles
from pairspace.encoders.module import DenseHead, TextModule
from pairspace.encoders.parts import load_part
from pairspace.encoders.quiet import quiet
from pairspace.encoders.transformer import TransformerEncoder
from pairspace.encoders.vision import model_config
from pairspace.errors import EncoderError

__all__ = ["TowerLayout", "VisionTextEncoder", "tower_layout"]


@dataclass
class TowerLayout(Layout):
    """A folder of a model with two towers, of which the one for texts is meant.

    Attributes:
        output: dimension of the text embedding.
        pads: every text is filled up to the maximum length, and the filling read too.
    """

    output: int = 0
    pads: bool = False

    def output_dimension(self, pooled: int) -> int:
        """See Layout."""
        return self.output or pooled

    def write_weights(self, module: TextModule, folder: Path) -> None:
        """See Layout; the vision tower stays as it is."""
        whole = _whole(self.transformer, False)
        whole.text_model.load_state_dict(module.transformer.state_dict())
        _head_of(whole, self.pads).load_state_dict(module.heads[0].linear.state_dict())  # type: ignore[union-attr]
        for old in folder.glob("*.safetensors*"):
            old.unlink()
        with quiet():
            whole.save_pretrained(folder)


def tower_layout(folder: Path) -> TowerLayout:
    """Read the folder of a model with two towers.

    Raises:
        EncoderError: its weights are a pickle, or its text tower is of a kind that is not read here.
    """
    refuse_pickles(folder)
    config = model_config(folder)
    kind, text = str(config.get("model_type")), config.get("text_config") or {}
    if "siglip" in kind:
        output = int(text.get("projection_size") or text.get("hidden_size", 768))
        return TowerLayout(folder, folder, modes=("lasttoken",), output=output, pads=True)
    if "clip" not in kind:
        raise EncoderError(
            f"{folder}: a model of pictures and texts of the kind {kind!r}; CLIP and SigLIP are read here"
        )
    return TowerLayout(folder, folder, modes=("lasttoken",), output=int(config.get("projection_dim", 512)))


class VisionTextEncoder(TransformerEncoder):
    """The text encoder of a model folder with two towers; see `TransformerEncoder`."""

    family = "vision-text"
    layout: TowerLayout

    @cached_property
    def module(self) -> TextModule:
        """The text tower with its projection."""
        whole = _whole(self.folder, self._trust)
        linear = _head_of(whole, self.layout.pads)
        head = DenseHead(
            linear.in_features, linear.out_features, bias=linear.bias is not None, activation=nn.Identity()
        )
        head.linear.load_state_dict(linear.state_dict())
        skip = 0  # the pooled token is the last, whatever stands in front
        return TextModule(whole.text_model, self.layout.modes, [head], skip).to(self.device).eval()

    def collate(self, ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """See `TransformerEncoder`; SigLIP's texts are all of one length."""
        inputs, mask = super().collate(ids)
        if not self.layout.pads:
            return inputs, mask
        full = pad([*ids, [self.tokens.pad] * self.max_length], value=self.tokens.pad)[0][:-1]
        return full, torch.ones_like(full)

    def settings(self) -> dict[str, Any]:
        """See protocol.Encoder."""
        return super().settings() | {"modality": "text"}

    @staticmethod
    def read_layout(folder: Path) -> Layout:
        """See `TransformerEncoder`."""
        return tower_layout(folder)


def _whole(folder: Path, trust: bool) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, found = load_part(folder, "AutoModel", trust, weights=True, output_loading_info=True)
    if missing := sorted(key for key in found["missing_keys"] if key.startswith("text_")):
        raise EncoderError(f"{folder}: {missing[0]} has no weights ({len(missing)} such in all)")
    return model


def _head_of(whole: Any, pads: bool) -> Any:
    return whole.text_model.head if pads else whole.text_projection
