"""The torch module of a text encoder: transformer, pooling of every asked layer, dense heads on the last.

One module serves all uses: it is what runs in torch, what is traced and converted for OpenVINO, and what training may
change later. Inner layers get the model's own pooling; "last" is the model's real output, with its heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pairspace.encoders.pooling import pool

__all__ = ["DenseHead", "TextModule", "TokenModule", "UnitLength", "block_stack"]


class DenseHead(nn.Module):
    """A Dense module of sentence-transformers: activation(linear(x)), plus x where it is residual."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool, activation: nn.Module, residual: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=bias)
        self.activation = activation
        self.use_residual = residual
        if residual and inputs != outputs:
            self.residual = nn.Linear(inputs, outputs, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """(batch, inputs) -> (batch, outputs)."""
        out: Tensor = self.activation(self.linear(vectors))
        if self.use_residual:
            out = out + (self.residual(vectors) if hasattr(self, "residual") else vectors)
        return out


class UnitLength(nn.Module):
    """A Normalize module: every vector to length one."""

    def forward(self, vectors: Tensor) -> Tensor:
        """(batch, dim) -> (batch, dim), unit rows."""
        return nn.functional.normalize(vectors, dim=-1)


class TextModule(nn.Module):
    """Token ids in, one pooled vector a layer out.

    Args:
        transformer: a transformers model that can return its hidden states.
        modes: pooling modes, see `pooling.MODES`.
        heads: what follows the pooling of the last layer, in order.
        skip: prompt tokens that pooling leaves out.
    """

    def __init__(
        self, transformer: nn.Module, modes: Sequence[str], heads: Sequence[nn.Module] = (), skip: int = 0
    ) -> None:
        super().__init__()
        self.transformer, self.heads = transformer, nn.Sequential(*heads)
        self.modes, self.skip = tuple(modes), skip

    def forward(self, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[str]) -> tuple[Tensor, ...]:
        """Pool the asked layers.

        Args:
            input_ids: (batch, tokens).
            attention_mask: (batch, tokens).
            layers: "0" for the embeddings, "1" and on for what that block gave, "last" for the model's output.

        Returns:
            One float tensor (batch, dim of the layer) for each of `layers`, in their order.
        """
        inner = any(layer != "last" for layer in layers)
        out = self.transformer(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=inner)
        states = {
            layer: out.last_hidden_state if layer == "last" else out.hidden_states[int(layer)] for layer in layers
        }
        pooled = {layer: pool(state, attention_mask, self.modes, skip=self.skip) for layer, state in states.items()}
        return tuple(self.heads(pooled[layer]) if layer == "last" else pooled[layer] for layer in layers)


class TokenModule(nn.Module):
    """Token ids in, the states of single tokens after a block out; the blocks above it are not run.

    Args:
        transformer: a transformers model with a stack of blocks.
    """

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[str]) -> tuple[Tensor]:
        """Run the model up to a block.

        Args:
            input_ids: (batch, tokens).
            attention_mask: (batch, tokens).
            layers: the name of one block, "1" and on.

        Returns:
            One float tensor (batch, tokens, width), zero where there is padding.
        """
        (layer,) = layers
        hook = block_stack(self.transformer)[int(layer) - 1].register_forward_hook(_stop)
        try:
            self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        except _Reached as reached:
            return (reached.states.masked_fill(attention_mask[:, :, None] == 0, 0.0),)
        finally:
            hook.remove()
        raise RuntimeError(f"block {layer} was not run")


class _Reached(Exception):
    def __init__(self, states: Tensor) -> None:
        self.states = states


def _stop(_: nn.Module, __: Any, output: Any) -> None:
    raise _Reached(output[0] if isinstance(output, tuple) else output)


def block_stack(transformer: nn.Module) -> nn.ModuleList:
    """Of all lists of equal modules in a model the longest: its stack of blocks."""
    stacks = [part for part in transformer.modules() if isinstance(part, nn.ModuleList)]
    return max(stacks, key=len, default=nn.ModuleList())
