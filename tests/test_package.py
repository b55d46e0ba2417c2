"""The package's own promises: everything it lists is there, and importing it is light."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pairspace as ps


def test_everything_listed_is_there():
    for name in ps.__all__:
        assert getattr(ps, name) is not None


def test_what_is_not_there_says_so():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ps.nothing


def test_importing_is_light():
    code = "import sys, pairspace; print(sorted(m for m in sys.modules if m in ('torch', 'numpy', 'pyarrow', 'typer')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
