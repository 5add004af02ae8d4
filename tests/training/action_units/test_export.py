import numpy as np
import pytest

from affect_engines.ort import import_onnxruntime

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import onnx
import torch

from training.action_units.export import (
    INPUTS,
    N_FEATURES,
    PRODUCTS,
    Product,
    example,
    export,
    quantised,
)
from training.action_units.network import OUTPUTS, ActionUnitNetwork, intensity


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_exported_file_answers_as_the_network_for_any_number_of_faces():
    onnxruntime = import_onnxruntime()

    torch.manual_seed(3)
    network = ActionUnitNetwork().eval()
    session = onnxruntime.InferenceSession(export(network), providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == list(INPUTS)
    assert [node.name for node in session.get_outputs()] == list(PRODUCTS)
    for n in (1, 2, 7):
        inputs = example(n, 10 + n)
        with torch.no_grad():
            wanted = [tensor.numpy() for tensor in Product(network)(*inputs)]
        feeds = {name: tensor.numpy() for name, tensor in zip(INPUTS, inputs, strict=True)}
        got = session.run(None, feeds)
        assert [array.shape for array in got] == [(n, 2, len(OUTPUTS)), (n, N_FEATURES)]
        assert all(np.abs(a - b).max() < 1e-4 for a, b in zip(got, wanted, strict=True))
        assert got[0].min() >= 0
        assert got[0].max() <= 5


@pytest.fixture
def product():
    """A network of chance and what is exported of it, with thresholds other than 1."""
    torch.manual_seed(3)
    network = ActionUnitNetwork().eval()
    network.head[-1].weight.data *= 50  # what chance says is little
    network.trace.copy_(torch.linspace(0.6, 2.0, len(OUTPUTS)))
    return network, Product(network).eval()


@torch.no_grad()
def test_what_is_exported_compares_with_the_mean_of_resting_faces_as_the_network_does(product):
    network, exported = product
    points, crops, angles, rest, share = example(5, 1)
    _, features = exported(points, crops, angles, rest, share)
    seen = network.embed(points, crops.float(), angles)
    mean = features[:3].mean(dim=0, keepdim=True).repeat(5, 1)
    units, _ = exported(points, crops, angles, mean, share)
    wanted = intensity(network.compare(seen, seen[:3].mean(dim=0).repeat(5, 1), share))
    assert torch.allclose(units[:, 0], wanted, atol=1e-4)
    assert wanted.max() > 0.1


@torch.no_grad()
def test_the_population_s_units_do_not_depend_on_the_rest(product):
    _, exported = product
    points, crops, angles, rest, share = example(2, 1)
    one, features = exported(points, crops, angles, rest, share)
    other, _ = exported(points, crops, angles, rest + 1, 0 * share)
    own, _ = exported(points, crops, angles, features, 0 * share + 1)
    assert torch.equal(one[:, 1], other[:, 1])
    assert torch.equal(other[:, 0], other[:, 1])
    assert not torch.allclose(own[:, 0], other[:, 0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_int8_form_quantises_all_convolutions_but_the_first_and_answers_alike(product):
    content = export(product[0])
    feeds = [dict(zip(INPUTS, (part.numpy() for part in example(4, k)), strict=True))
             for k in range(2)]  # fmt: skip
    small = quantised(content, feeds)
    weights = [array for array in onnx.load_from_string(small).graph.initializer
               if array.data_type == onnx.TensorProto.INT8 and len(array.dims) == 4]  # fmt: skip
    assert [array.dims[0] for array in weights] == [32, 48, 48, 64, 64]
    units, whole = (
        import_onnxruntime()
        .InferenceSession(file, providers=["CPUExecutionProvider"])
        .run(["units"], feeds[0])[0]
        for file in (small, content)
    )
    assert np.abs(units - whole).max() < 0.05
    assert whole.max() > 0.5
