"""The torch module of a text encoder: transformer, pooling of every asked layer, dense heads on the last.

One module serves all uses: it is what runs in torch, what is traced and converted for OpenVINO, and what training may
change later. Inner layers get the model's own pooling; "last" is the model's real output, with its heads.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pairspace.encoders.pooling import pool

__all__ = ["TOKENS", "DenseHead", "TextModule", "UnitLength"]

TOKENS = "tokens-"  # before the name of a layer whose states are not pooled


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
            layers: "0" for the embeddings, "1" and on for what that block gave, "last" for the model's output; and
                `TOKENS + "1"` for its states of the single tokens.

        Returns:
            One float tensor for each of `layers`, in their order: (batch, dim of the layer); of token states
            (batch, tokens, dim), zero where there is none.
        """
        inner = any(layer != "last" for layer in layers)
        out = self.transformer(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=inner)
        found = []
        for layer in layers:
            states = out.last_hidden_state if layer == "last" else out.hidden_states[int(layer.removeprefix(TOKENS))]
            if layer.startswith(TOKENS):
                found.append(states * attention_mask[:, :, None].to(states.dtype))
                continue
            pooled = pool(states, attention_mask, self.modes, skip=self.skip)
            found.append(self.heads(pooled) if layer == "last" else pooled)
        return tuple(found)
