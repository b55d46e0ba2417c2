import io
import json

import numpy as np
import pytest
from PIL import Image

from pairspace.encoders import Encoder, load_encoder
from pairspace.errors import EncoderError

onnx = pytest.importorskip("onnx")
pytest.importorskip("openvino")
WEIGHT = np.random.default_rng(0).standard_normal((5, 3, 4, 4)).astype(np.float32)


def write(path, *, flat=True):
    from onnx import TensorProto, helper, numpy_helper

    size = ["n", 3, 8, 8]
    nodes = [helper.make_node("Conv", ["pixels", "w"], ["grid"], strides=[4, 4])]
    outputs = [helper.make_tensor_value_info("grid", TensorProto.FLOAT, ["n", 5, 2, 2])]
    if flat:
        nodes.append(helper.make_node("ReduceMax", ["grid"], ["embedding"], axes=[2, 3], keepdims=0))
        outputs.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 5]))
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, size)
    graph = helper.make_graph(nodes, "net", [pixels], outputs, [numpy_helper.from_array(WEIGHT, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    prepared = {"image_processor_type": "ViTImageProcessor", "size": {"height": 8, "width": 8}}
    (path.parent / "preprocessor_config.json").write_text(json.dumps(prepared))
    return path


@pytest.fixture
def pictures():
    found = []
    for seed in range(20):
        stream = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)).save(stream, "PNG")
        found.append(stream.getvalue())
    return found


def test_outputs_are_layers_pooled_to_a_vector(tmp_path, pictures):
    encoder = load_encoder(write(tmp_path / "net.onnx"))
    assert isinstance(encoder, Encoder) and encoder.modality == "image"
    assert encoder.layers == ("grid", "embedding", "last") and set(encoder.dimensions.values()) == {5}
    found = encoder.encode(pictures, encoder.layers).vectors
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(one))) for one in pictures]).transpose(0, 3, 1, 2) / 127.5 - 1
    grid = np.zeros((20, 5, 2, 2))
    for down in range(2):
        for across in range(2):
            part = pixels[:, :, 4 * down : 4 * down + 4, 4 * across : 4 * across + 4]
            grid[:, :, down, across] = np.einsum("nchw,ochw->no", part, WEIGHT)
    assert np.allclose(found["grid"], grid.mean((2, 3)), atol=1e-4)
    assert np.allclose(found["last"], grid.max((2, 3)), atol=1e-4) and (found["last"] == found["embedding"]).all()


def test_it_is_saved_and_loaded(tmp_path, pictures):
    encoder = load_encoder(write(tmp_path / "net.onnx", flat=False), views=1)
    encoder.save(tmp_path / "copy")
    for again in (load_encoder(tmp_path / "copy"), load_encoder(**encoder.settings())):
        assert again.fingerprint == encoder.fingerprint and again.views == 1
        assert (
            again.encode(pictures, ("last",)).vectors["last"] == encoder.encode(pictures, ("last",)).vectors["last"]
        ).all()
    assert encoder.view(1).encode(pictures[:1], ("last",)).vectors["last"].shape == (1, 5)


def test_what_cannot_be_run_is_refused(tmp_path):
    path = write(tmp_path / "net.onnx")
    with pytest.raises(EncoderError, match="reads pictures"):
        load_encoder(path, prompt="x")
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(EncoderError, match="preprocessor_config.json: missing"):
        load_encoder(path)
    write(path)
    path.write_bytes(b"no model")
    with pytest.raises(EncoderError, match="net.onnx: no ONNX model"):
        load_encoder(path)
