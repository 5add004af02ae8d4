"""The rewritten network gives the answers of the published one, as a module and as ONNX."""

import warnings

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import onnx
import torch

from training.ifdd import deploy
from training.ifdd.backbone import BLOCKS, Attention, Pool
from training.ifdd.deploy import (
    FORBIDDEN,
    OPSET,
    TOLERANCE,
    DeployedAttention,
    DeployedPool,
    export,
)
from training.ifdd.network import IFDD


@pytest.fixture(scope="module")
def network():
    """Untrained, but with every weight away from where it starts."""
    torch.manual_seed(2)
    network = IFDD().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_planes_summed_in_time_are_the_convolution(stride):
    torch.manual_seed(stride)
    pool = Pool(stride)
    x = torch.randn(2, 3, 1 + 8 * 56 * 56, 96)
    with torch.no_grad():
        wanted = pool(x, (8, 56, 56))
        found = DeployedPool(pool, (8, 56, 56), 3)(x)
    assert (found - wanted).abs().max() < TOLERANCE * max(1, wanted.abs().max())


@pytest.mark.parametrize("k", [3, 5, 8])
def test_positions_in_queries_and_keys_are_the_bias(k):
    torch.manual_seed(k)
    attention = Attention(BLOCKS[k])
    with torch.no_grad():
        for axis in "thw":
            getattr(attention, f"rel_pos_{axis}").normal_()
    tokens = 1 + int(np.prod(BLOCKS[k].grid))
    x = torch.randn(1, tokens, BLOCKS[k].inward)
    with torch.no_grad():
        wanted, found = attention(x), DeployedAttention(attention)(x)
    assert (found - wanted).abs().max() < TOLERANCE * wanted.abs().max()


@pytest.mark.slow
def test_the_file_says_what_the_network_says_for_any_number_of_clips(network):
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        with network.register_forward_hook(lambda *call: said.append(call[-1])):
            # Traced with two clips; refuses a file whose logits of one clip are not the network's.
            content = export(network)
    assert [logits.shape for logits in said] == [(1, 7)]
    assert said[0].std() > 1e-3
    model = onnx.load_from_string(content)
    assert model.opset_import[0].version == OPSET >= 17
    assert not {node.op_type for node in model.graph.node} & FORBIDDEN
    (clips,) = model.graph.input
    sides = [side.dim_param or side.dim_value for side in clips.type.tensor_type.shape.dim]
    assert sides == ["n", 3, 16, 224, 224]


class Says(torch.nn.Module):
    """A network whose logits are off by `wrong`."""

    side = 32

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong

    def forward(self, clip):
        return clip.mean((1, 2, 3, 4))[:, None] + self.wrong


@pytest.mark.parametrize("plugins", [False, True])
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_a_file_that_says_something_else_is_refused(plugins, monkeypatch):
    for wrong in (0.0, 1e-3):
        monkeypatch.setattr(deploy, "DeployedIFDD", lambda *_, wrong=wrong, **__: Says(wrong))
        if wrong:
            with pytest.raises(RuntimeError, match=r"differs from the network by 0\.001"):
                export(Says(0.0), plugins=plugins)
        else:
            assert export(Says(0.0), plugins=plugins)
