"""Parts of a model folder, loaded by transformers: quietly, from local files only, and never from a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pairspace.encoders.layout import Layout
from pairspace.encoders.quiet import quiet
from pairspace.errors import EncoderError

__all__ = ["TRAINED", "MaskedHead", "load_part", "masked_head", "masked_model", "model_length"]

TRAINED = " (trained)"  # after the name of an encoder whose weights were changed


class MaskedHead(NamedTuple):
    """The output layer of a masked language model, and the layer norm before it."""

    weight: Tensor
    bias: Tensor
    norm: tuple[Tensor, Tensor] | None


def masked_model(folder: Path, trust: bool) -> Any:
    """A masked language model with all its weights.

    Raises:
        EncoderError: the folder's model has no such head.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, found = load_part(folder, "AutoModelForMaskedLM", trust, weights=True, output_loading_info=True)
    missing = sorted(key for key in found["missing_keys"] if "pooler" not in key)
    if missing or not isinstance(model.get_output_embeddings(), nn.Linear):
        what = f", {missing[0]} has no weights" if missing else ""
        raise EncoderError(f"{folder}: no masked language model{what}")
    return model


def masked_head(folder: Path, trust: bool) -> MaskedHead:
    """The head of a masked language model.

    Raises:
        EncoderError: the folder's model has none.
    """
    model = masked_model(folder, trust)
    output, inside = model.get_output_embeddings(), set(model.base_model.modules())
    norms = [part for part in model.modules() if isinstance(part, nn.LayerNorm) and part not in inside]
    norm = (norms[-1].weight.detach(), norms[-1].bias.detach()) if norms else None
    bias = torch.zeros(len(output.weight)) if output.bias is None else output.bias.detach()
    return MaskedHead(output.weight.detach(), bias, norm)


def model_length(asked: int | None, layout: Layout, tokenizer: Any, config: Any) -> int:
    """Tokens kept of a text: what was asked for, else what the folder says, else what the model has positions for.

    Raises:
        EncoderError: more than it has positions for.
    """
    positions = int(getattr(config, "max_position_embeddings", 0) or 0) or 10**9
    if asked is not None:
        if not 0 < asked <= positions:
            raise EncoderError(f"max_length {asked}: this model has positions for 1 to {positions} tokens")
        return asked
    return layout.max_length or min(int(tokenizer.model_max_length), positions, 10**9)


def load_part(folder: Path, kind: str, trust: bool, *, weights: bool = False, **more: Any) -> Any:
    """One of transformers' Auto classes, quietly, from local files only, never from a pickle."""
    import transformers

    own = more | ({"use_safetensors": True, "dtype": torch.float32} if weights else {})
    with quiet():
        try:
            return getattr(transformers, kind).from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=trust, **own
            )
        except Exception as error:
            if "trust_remote_code" in str(error) and not trust:
                raise EncoderError(
                    f"{folder}: the model comes with Python code of its own, which is not run; if you trust it, "
                    "allow it with trust_remote_code=True"
                ) from error
            raise EncoderError(f"{folder}: {kind} cannot be loaded ({' '.join(str(error).split())[:300]})") from error
