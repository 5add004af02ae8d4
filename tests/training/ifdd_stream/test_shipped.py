"""The shipped network as a checkpoint."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import torch

from tests.training.ifdd_stream.test_teacher import stripes
from training.ifdd_stream.export import export
from training.ifdd_stream.network import StreamNetwork
from training.ifdd_stream.shipped import load_shipped, pairs
from training.ifdd_stream.train import decide_all

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def trained():
    """A network in which no two constants are alike, as after a training."""
    torch.manual_seed(1)
    network = StreamNetwork("none").eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return network


def test_an_exported_network_answers_the_same_when_it_is_read_back_and_can_learn(tmp_path):
    network = trained()
    (tmp_path / "a.onnx").write_bytes(export(network))
    faces = np.random.default_rng(0).integers(0, 256, (64, 48, 48)).astype(np.uint8)
    back = load_shipped(StreamNetwork("none"), tmp_path / "a.onnx", faces)
    clips = faces[:26].reshape(2, 13, 48, 48)
    wanted, got = decide_all(network, clips), decide_all(back, clips)
    assert np.abs(wanted - got).max() < 1e-3
    for (convolution, norm), face in zip(pairs(back), [faces] * 99, strict=False):
        assert torch.isfinite(norm.running_var).all()
        if convolution.in_channels == 1:  # its statistics are those of the faces
            seen = convolution(torch.from_numpy(face)[:, None] / 127.5 - 1)
            assert torch.allclose(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-4)


def test_another_network_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(export(trained()))
    with pytest.raises(ValueError, match=r"a\.onnx has no lifting\.split"):
        load_shipped(StreamNetwork("learned"), tmp_path / "a.onnx", stripes(2).cut)
