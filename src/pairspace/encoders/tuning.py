"""A pretrained text module made ready to be trained, and made plain again afterwards.

Three ways: all of it, its last blocks only, or low-rank adapters (LoRA, Hu et al. 2022: W x + B A x with A and B of a
small rank, W fixed). The input embeddings train with the whole only. Dropout is off: torch's attention on a CPU takes
twice the time with it, and a contrastive run of a few epochs does not miss it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pairspace.encoders.module import TextModule, block_stack
from pairspace.encoders.protocol import WORDS
from pairspace.encoders.quiet import quiet
from pairspace.encoders.words import words_of_padded
from pairspace.errors import EncoderError

__all__ = ["TrainableText"]


class TrainableText(nn.Module):
    """A text module in training, with the layer "words" beside the others.

    Args:
        module: what is trained, in place.
        weights: of the layer "words", see `word_weights`.
        skip: tokens of the prompt, which the words leave out.
        blocks: train the last so many blocks and the heads only; None trains all.
        lora: rank of low-rank adapters on every linear map of the blocks; None for none.

    Raises:
        EncoderError: more blocks than there are, or LoRA without its package.
    """

    def __init__(
        self, module: TextModule, weights: Tensor, *, skip: int = 0, blocks: int | None = None, lora: int | None = None
    ) -> None:
        super().__init__()
        self.module, self.skip = module, skip
        self.register_buffer("weights", weights, persistent=False)
        self._adapted, self._blocks = lora is not None, blocks
        self._in_tuples = False  # whether the model's blocks give their states in a tuple
        if lora is not None:
            module.requires_grad_(False)
            module.transformer = _adapt(module.transformer, lora)
            module.heads.requires_grad_(True)
        elif blocks is not None:
            module.requires_grad_(False)
            for part in _last_blocks(module.transformer, blocks):
                part.requires_grad_(True)
            module.heads.requires_grad_(True)
        else:
            module.requires_grad_(True)

    def train(self, mode: bool = True) -> TrainableText:
        """The mode of the wrapper alone: inside it stays that of evaluation, which is without dropout of any kind."""
        super().train(mode)
        self.module.eval()
        return self

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, layers: tuple[str, ...], states: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The asked layers.

        Args:
            input_ids: (batch, tokens).
            attention_mask: (batch, tokens).
            layers: names; with `states` only "words" and "last".
            states: (batch, tokens, width) what the blocks that do not train give, which are then not run.

        Returns:
            One float tensor (batch, dim of the layer) for each of `layers`.
        """
        deep = tuple(layer for layer in layers if layer != WORDS)
        with self._starting_from(states):
            found = dict(zip(deep, self.module(input_ids, attention_mask, deep), strict=True)) if deep else {}
        if WORDS in layers:
            transformer: Any = self.module.transformer
            weights: Any = self.weights
            table = transformer.get_input_embeddings().weight
            found[WORDS] = words_of_padded(input_ids, attention_mask, table, weights, skip=self.skip)
        return tuple(found[layer] for layer in layers)

    @torch.inference_mode()
    def try_states(self, input_ids: Tensor, attention_mask: Tensor, states: Tensor, layers: tuple[str, ...]) -> float:
        """The least cosine of vectors made from `states` to those of the whole model; see `forward`.

        Raises:
            Exception: whatever a model raises whose blocks hand on more than their states.
        """

        def note(_: nn.Module, __: Any, output: Any) -> None:
            self._in_tuples = isinstance(output, tuple)

        hook = block_stack(self.module.transformer)[0].register_forward_hook(note)
        whole = self(input_ids, attention_mask, layers)
        hook.remove()
        found = self(input_ids, attention_mask, layers, states=states)
        a, b = torch.cat(whole, 1), torch.cat(found, 1)
        return float(nn.functional.cosine_similarity(a, b).where(a.any(1) | b.any(1), 1.0).min())

    @contextmanager
    def _starting_from(self, states: Tensor | None) -> Iterator[None]:
        """The blocks that do not train are stood in for by their result; masks and places are still the model's own."""
        if states is None:
            yield
            return
        assert self._blocks is not None
        stack = block_stack(self.module.transformer)
        lower = list(stack[: len(stack) - self._blocks])
        for place, block in enumerate(lower):
            stack[place] = _Given((states,) if self._in_tuples else states, block)
        try:
            yield
        finally:
            for place, block in enumerate(lower):
                stack[place] = block

    def finish(self) -> TextModule:
        """The plain module with what was learnt in its own weights."""
        if self._adapted:
            self.module.transformer = self.module.transformer.merge_and_unload()  # type: ignore[operator]
            self._adapted = False
        return self.module.requires_grad_(False).eval()


def _adapt(transformer: nn.Module, rank: int) -> nn.Module:
    if importlib.util.find_spec("peft") is None:
        raise EncoderError("low-rank adapters need the package peft: pip install 'pairspace[lora]'")
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear")
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)  # the same start in every run, or none could be repeated or resumed
        adapted: nn.Module = get_peft_model(transformer, settings)
    return adapted


class _Given(nn.Module):
    """A block whose result is known; what a model asks of its blocks beside that (their kind of attention) it has."""

    def __init__(self, result: Any, block: nn.Module) -> None:
        super().__init__()
        self.__dict__.update(result=result, block=block)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["block"], name)

    def forward(self, *_: Any, **__: Any) -> Any:
        """The states (batch, tokens, width), as the block would give them."""
        return self.result


def _last_blocks(transformer: nn.Module, count: int) -> list[nn.Module]:
    stack = block_stack(transformer)
    if not 0 < count <= len(stack):
        raise EncoderError(f"the last {count} blocks cannot be trained: this model has {len(stack)} blocks")
    after = [part for name, part in transformer.named_children() if name in ("norm", "ln_f", "final_layer_norm")]
    return [*stack[len(stack) - count :], *after]
