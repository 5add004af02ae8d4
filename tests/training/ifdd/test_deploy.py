"""The rewritten network gives the answers of the published one, as a module and as ONNX."""

import warnings

import numpy as np
import pytest

from affect_engines.ort import import_onnxruntime

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import onnx
import torch

from training.ifdd.backbone import BLOCKS, Attention, Pool
from training.ifdd.deploy import (
    FORBIDDEN,
    OPSET,
    TOLERANCE,
    DeployedAttention,
    DeployedIFDD,
    DeployedPool,
    example,
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


def test_the_rewritten_module_gives_the_same_logits(network):
    clip = example(1, 5)
    with torch.no_grad():
        wanted, found = network(clip), DeployedIFDD(network)(clip)
    assert wanted.std() > 1e-3
    assert (found - wanted).abs().max() < TOLERANCE * max(1, wanted.abs().max())


@pytest.mark.slow
def test_the_file_has_a_dynamic_batch_and_nothing_tensorrt_lacks(network):
    onnxruntime = import_onnxruntime()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        content = export(network)  # which compares one clip with the module
    graph = onnx.load_from_string(content)
    assert graph.opset_import[0].version == OPSET >= 17
    assert not {node.op_type for node in graph.graph.node} & FORBIDDEN
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    clips = example(2, 9)
    with torch.no_grad():
        wanted = network(clips).numpy()
    (found,) = session.run(None, {"clip": clips.numpy()})
    assert np.abs(found - wanted).max() < TOLERANCE * max(1, np.abs(wanted).max())
