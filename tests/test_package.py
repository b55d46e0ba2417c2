"""The package's own promises: everything it lists is there, and importing it is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pairspace as ps


def test_everything_listed_is_there():
    for name in ps.__all__:
        assert getattr(ps, name) is not None


def test_a_type_checker_sees_what_is_listed():
    """It takes `__all__` as it is written, and the names from the imports that only it reads."""
    body = ast.parse(Path(ps.__file__).read_text("utf-8")).body
    (listed,) = (ast.literal_eval(one.value) for one in body if _assigns(one, "__all__"))
    (homes,) = (ast.literal_eval(one.value) for one in body if _assigns(one, "_HOMES"))
    checked = {
        name.name: part.module
        for one in body
        if isinstance(one, ast.If)
        for part in one.body
        if isinstance(part, ast.ImportFrom)
        for name in part.names
    }
    assert sorted(listed) == sorted(["__version__", *homes])
    assert checked == {name: f"pairspace.{home}" for name, home in homes.items()}


def _assigns(node, name):
    return isinstance(node, ast.Assign) and any(getattr(one, "id", "") == name for one in node.targets)


def test_what_is_not_there_says_so():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ps.nothing


def test_importing_is_light():
    code = "import sys, pairspace; print(sorted(m for m in sys.modules if m in ('torch', 'numpy', 'pyarrow', 'typer')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
