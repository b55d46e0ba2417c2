"""Where an encoder runs and in which precision: what this machine has, asked without loading anything heavy."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path

import torch

from pairspace.errors import EncoderError

__all__ = ["PRECISIONS", "has_openvino", "pick_device", "pick_precision", "processor_has_bf16"]

PRECISIONS = ("auto", "fp32", "bf16")


def pick_device(device: str | None = None) -> torch.device:
    """The device asked for, or the first of CUDA, Apple's MPS and CPU that is there.

    Of several processes that torchrun started on a machine, each has a GPU of its own.

    Raises:
        EncoderError: torch knows no such device, or does not see it here.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EncoderError(f"device {device!r} cannot be used here ({reason}); 'cpu' always can") from None
    return found


def pick_precision(precision: str, device: torch.device) -> str:
    """What "auto" means here: bf16 where the hardware multiplies it natively, else fp32.

    On a CPU bf16 needs OpenVINO: torch's own bf16 autocast was measured no faster than fp32 there.

    Raises:
        EncoderError: no such precision, or bf16 was asked for where it cannot be had.
    """
    if precision not in PRECISIONS:
        raise EncoderError(f"precision {precision!r} is unknown: use one of {', '.join(PRECISIONS)}")
    if device.type == "cuda":
        able, need = torch.cuda.is_bf16_supported(), "a GPU with bf16"
    else:
        able = device.type == "cpu" and has_openvino() and processor_has_bf16()
        need = "a processor with avx512_bf16 or amx_bf16, and openvino: pip install 'pairspace[fast]'"
    if precision == "bf16" and not able:
        raise EncoderError(f"precision 'bf16' needs {need}; precision 'auto' takes what there is")
    return "bf16" if able and precision != "fp32" else "fp32"


@cache
def has_openvino() -> bool:
    """Whether the extra `fast` is installed."""
    return importlib.util.find_spec("openvino") is not None


@cache
def processor_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 natively (read from the kernel; False where that cannot be asked)."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return False
    lines = (line for line in text.splitlines() if line.lower().startswith(("flags", "features")))
    return bool(set(next(lines, "").split()) & {"avx512_bf16", "amx_bf16", "bf16"})
