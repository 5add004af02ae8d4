import pytest

from affect_engines.ort import import_onnxruntime

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import torch
from torch import nn

from training.onnx_file import export_checked

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Two(nn.Module):
    """Two inputs, two outputs; ``off`` is what only the training knows."""

    def __init__(self, off=0.0):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.off = off

    def forward(self, a, b):
        if not torch.onnx.is_in_onnx_export():
            b = b + self.off
        return self.norm(a + b), a - b


def example(n):
    generator = torch.Generator().manual_seed(n)
    return torch.randn(n, 3, generator=generator), torch.randn(n, 3, generator=generator)


def test_the_file_answers_as_the_network_for_any_number():
    onnxruntime = import_onnxruntime()

    network = Two()
    content = export_checked(network, example, ["a", "b"], ["sum", "difference"])
    assert content == export_checked(network, example, ["a", "b"], ["sum", "difference"])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for n in (1, 5):
        a, b = example(n)
        total, difference = session.run(["sum", "difference"], {"a": a.numpy(), "b": b.numpy()})
        with torch.no_grad():
            wanted = network(a, b)
        assert torch.allclose(torch.from_numpy(total), wanted[0], atol=1e-6)
        assert torch.allclose(torch.from_numpy(difference), wanted[1], atol=1e-6)


@pytest.mark.parametrize("off", [0.01, float("nan")])
def test_a_file_that_answers_otherwise_is_refused(off):
    with pytest.raises(RuntimeError, match="differs"):
        export_checked(Two(off), example, ["a", "b"], ["sum", "difference"])
