"""Silence for other libraries' loading bars, remarks and reports; errors still come through as exceptions."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["import_openvino", "quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no warnings from transformers while a model is loaded; afterwards all is as it was."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def import_openvino() -> Any:
    """OpenVINO without the package that reports each import and conversion to Google Analytics.

    A report is a forked process too, and where there is no network a wait of 3 s at the end. OpenVINO does without that
    package where it cannot be imported.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
