"""Which device is meant."""

from __future__ import annotations

import pytest
import torch

from pairspace.encoders.device import pick_device
from pairspace.errors import EncoderError


def test_the_processor_is_always_there(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_of_several_processes_each_has_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    for asked in (None, "cuda"):
        with pytest.raises(EncoderError, match="device 'cuda:1' cannot be used here"):
            pick_device(asked)
    with pytest.raises(EncoderError, match="device 'cuda:3' cannot be used here"):
        pick_device("cuda:3")
