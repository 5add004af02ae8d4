import builtins

import numpy as np
import pytest

from affect_engines import load_card, open_engine
from affect_engines.cards import list_cards
from affect_engines.errors import ModelError
from affect_engines.ort import OrtEngine, import_onnxruntime
from affect_engines.parity import TOLERANCES, difference
from affect_engines.store import read_model
from affect_engines.trt.build import source_form
from affect_engines.trt.precision import in_precision
from affect_kernels.errors import DependencyError, UsageError

onnx = pytest.importorskip("onnx", reason="onnx writes other precisions; make training")


def network(body, weights=(), n=4):
    """Make a small network x (n, 4) -> y (n, 4)."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node(op, list(reads), list(writes), **more)
            for op, reads, writes, more in body
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", n])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", n])],
        [onnx.numpy_helper.from_array(value, name) for name, value in dict(weights).items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def run(content, x):
    onnxruntime = import_onnxruntime()

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def signature(content):
    graph = onnx.load_from_string(content).graph
    return [
        (item.name, item.type.tensor_type.elem_type, str(item.type.tensor_type.shape))
        for item in (*graph.input, *graph.output)
    ]


def answers(content, feeds):
    onnxruntime = import_onnxruntime()

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def test_fp32_is_the_file_as_it_is():
    assert in_precision("any", b"bytes", "fp32") == b"bytes"


def test_fp16_keeps_inputs_and_outputs_and_says_nearly_the_same():
    card = load_card("action_units").form("fp32")
    content = read_model(card)
    turned = in_precision(card.name, content, "fp16")
    assert signature(turned) == signature(content)
    assert len(turned) < 0.6 * len(content)
    rng = np.random.default_rng(0)
    feeds = {
        "points": rng.normal(0, 60, (3, 468, 3)).astype(np.float32),
        "rest": rng.normal(0, 1, (3, card.decode["features"])).astype(np.float32),
        "crops": rng.integers(0, 256, (3, 96, 96)).astype(np.uint8),
        "angles": rng.normal(0, 0.2, (3, 3)).astype(np.float32),
        "calibration": np.ones((3, 1), np.float32),
    }
    (want, *_), (got, *_) = answers(content, feeds), answers(turned, feeds)
    assert np.isfinite(got).all()
    assert np.abs(got - want).max() < 0.02  # of intensities from 0 to 5
    assert np.abs(got - want).max() > 0  # it is another network


def test_fp16_leaves_sums_of_squares_in_fp32():
    body = [
        ("Pow", ["x", "two"], ["squares"], {}),
        ("ReduceMean", ["squares"], ["mean"], {"axes": [1]}),
        ("Sqrt", ["mean"], ["root"], {}),
        ("Div", ["x", "root"], ["y"], {}),
    ]
    content = network(body, {"two": np.array(2.0, np.float32)})
    x = np.array([[500.0, 1000.0, -2000.0, 300.0]], np.float32)  # their squares exceed fp16
    np.testing.assert_allclose(
        run(in_precision("small", content, "fp16"), x), run(content, x), rtol=2e-3
    )


def quantised(zero, relu_range):
    """Make y = ReLU(x W + b) as the quantiser writes it, the ReLU said by the zero point alone."""
    scale = np.float32(4.0 / 255 if relu_range else 8.0 / 255)
    weights = {
        "xs": np.float32(8.0 / 255), "xz": np.uint8(128),
        "ws": np.float32([0.01, 0.02, 0.01, 0.03]), "wz": np.zeros(4, np.int8),
        "w": np.diag([100, 50, 100, 30]).astype(np.int8),
        "bs": np.float32([0.001] * 4), "bz": np.zeros(4, np.int32),
        "b": np.array([500, -250, 0, 100], np.int32), "ys": scale, "yz": np.uint8(zero),
    }  # fmt: skip
    body = [
        ("QuantizeLinear", ["x", "xs", "xz"], ["xq"], {}),
        ("DequantizeLinear", ["xq", "xs", "xz"], ["xd"], {}),
        ("DequantizeLinear", ["w", "ws", "wz"], ["wd"], {"axis": 1}),
        ("DequantizeLinear", ["b", "bs", "bz"], ["bd"], {"axis": 0}),
        ("Gemm", ["xd", "wd", "bd"], ["sum"], {}),
        ("QuantizeLinear", ["sum", "ys", "yz"], ["yq"], {}),
        ("DequantizeLinear", ["yq", "ys", "yz"], ["y"], {}),
    ]
    return network(body, {name: np.asarray(value) for name, value in weights.items()})


@pytest.mark.parametrize(("zero", "relu"), [(0, True), (128, False)])
def test_int8_becomes_what_tensorrt_reads_and_means_the_same(zero, relu):
    content = quantised(zero, relu)
    turned = in_precision("small", content, "int8")
    assert signature(turned) == signature(content)
    model = onnx.load_from_string(turned)
    values = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    nodes = [n for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(nodes) == 5  # the bias is plain now
    for node in nodes:
        assert values[node.input[2]].dtype == np.int8
        assert not values[node.input[2]].any()
    x = np.random.default_rng(1).uniform(-3, 3, (50, 4)).astype(np.float32)
    want = x @ np.diag([1.0, 1.0, 1.0, 0.9]).astype(np.float32) + [0.5, -0.25, 0.0, 0.1]
    want = np.clip(want, 0, 4) if relu else want
    step = 8.0 / 255  # of the input and, widened to both sides of zero, of the output
    assert np.abs(run(turned, x) - want).max() <= 1.1 * step
    assert (run(turned, x).min() < 0) is not relu


def test_a_file_that_is_not_quantised_is_refused_as_int8():
    content = network([("Relu", ["x"], ["y"], {})])
    with pytest.raises(ModelError, match="no quantised activation"):
        in_precision("small", content, "int8")


def test_a_file_that_is_no_network_is_refused():
    with pytest.raises(ModelError, match="small in fp16"):
        in_precision("small", b"no network", "fp16")


def test_without_onnx_the_error_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def without(name, *rest, **more):
        if name == "onnx":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match=r"realtime-affect\[tensorrt\]"):
        in_precision("small", b"bytes", "fp16")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("name", [n for n in list_cards() if load_card(n).file.endswith(".onnx")])
def test_every_network_of_ours_says_nearly_the_same_in_every_precision(name, precision):
    try:
        source = source_form(load_card(name), precision)
    except UsageError as error:
        pytest.skip(f"it has no such form: {error.got}")
    turned = in_precision(name, read_model(source), precision)
    same = "int8" if precision == "int8" else "fp32"
    with OrtEngine(turned, name) as engine, open_engine(name, "onnxruntime", same) as right:
        assert engine.inputs == right.inputs
        assert 0 < difference(engine, right, 3) <= TOLERANCES[precision]
