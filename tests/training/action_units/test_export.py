import numpy as np
import pytest

from affect_engines.ort import import_onnxruntime

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import torch

from training.action_units.export import INPUTS, Product, example, export
from training.action_units.network import OUTPUTS, ActionUnitNetwork


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_exported_file_answers_as_the_network_for_any_number_of_faces():
    onnxruntime = import_onnxruntime()

    torch.manual_seed(3)
    network = ActionUnitNetwork().eval()
    session = onnxruntime.InferenceSession(export(network), providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == list(INPUTS)
    for n in (1, 2, 7):
        inputs = example(n, 10 + n)
        with torch.no_grad():
            wanted = Product(network)(*inputs).numpy()
        feeds = {name: tensor.numpy() for name, tensor in zip(INPUTS, inputs, strict=True)}
        (got,) = session.run(None, feeds)
        assert got.shape == (n, len(OUTPUTS))
        assert np.abs(got - wanted).max() < 1e-4
        assert got.min() >= 0
        assert got.max() <= 5
