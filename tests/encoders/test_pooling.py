from __future__ import annotations

import pytest
import torch

from pairspace.encoders.pooling import MODES, pool


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("mode", [*MODES, ("max", "cls")])
@pytest.mark.parametrize("left", [False, True])
def test_equal_to_sentence_transformers_on_padded_batches(mode, include, left):
    from sentence_transformers.sentence_transformer.modules import Pooling

    torch.manual_seed(0)
    states = torch.randn(4, 7, 5)
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] * 5 + [0] * 2, [1] * 6 + [0]])
    mask = mask.flip(1) if left else mask
    modes = (mode,) if isinstance(mode, str) else mode
    theirs = Pooling(5, modes, include_prompt=include)
    features = {"token_embeddings": states, "attention_mask": mask, "prompt_length": 2}
    expected = theirs(features)["sentence_embedding"]
    torch.testing.assert_close(pool(states, mask, modes, skip=0 if include else 2), expected)
