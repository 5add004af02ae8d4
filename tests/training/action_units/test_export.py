import numpy as np
import pytest

from affect_engines.ort import import_onnxruntime

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import torch

from training.action_units.export import INPUTS, PRODUCTS, Product, example, export
from training.action_units.network import OUTPUTS, ActionUnitNetwork


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
        assert [array.shape for array in got] == [
            (n, len(OUTPUTS)), (n, len(OUTPUTS)), (n, network.n_features)
        ]  # fmt: skip
        assert all(np.abs(a - b).max() < 1e-4 for a, b in zip(got, wanted, strict=True))
        assert min(got[0].min(), got[1].min()) >= 0
        assert max(got[0].max(), got[1].max()) <= 5


def test_the_population_s_units_do_not_depend_on_the_rest():
    torch.manual_seed(3)
    network = Product(ActionUnitNetwork().eval())
    points, crops, angles, rest, share = example(2, 1)
    with torch.no_grad():
        _, one, features = network(points, crops, angles, rest, share)
        units, other, _ = network(points, crops, angles, rest + 1, 0 * share)
        own, _, _ = network(points, crops, angles, features, 0 * share + 1)
    assert torch.equal(one, other)
    assert torch.equal(units, other)
    assert not torch.allclose(own, other)
