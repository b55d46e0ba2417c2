"""Other libraries say nothing, neither here nor to others."""

from __future__ import annotations

import pytest

from pairspace.encoders.device import has_openvino

ENGINE = """
import sys, torch
from pairspace.encoders.engines import OpenVinoEngine

class Twice(torch.nn.Module):
    def forward(self, ids, mask, layers):
        return (2 * ids.float(),)

OpenVinoEngine(Twice(), ("last",), bf16=False)
print("openvino" in sys.modules, sys.modules["openvino_telemetry"])
"""


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
def test_openvino_works_without_the_package_that_reports_its_use(warm, tmp_path):
    ended = warm.run(ENGINE, folder=tmp_path)
    assert ended.out.split() == ["True", "None"], ended.err
