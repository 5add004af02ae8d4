"""Nodes of ours in a file: what they carry, and that the file says what the plain one says."""

import warnings
from collections import Counter

import numpy as np
import pytest

from affect_engines.ort import import_onnxruntime

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import onnx
import torch
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from affect_engines.trt.plugins import NAMESPACE, OPERATIONS, VERSION
from affect_engines.trt.precision import in_precision
from affect_kernels.adaptive_split import SplitWeights, adaptive_split
from affect_kernels.pooled_attention import pooled_attention
from training.ifdd.backbone import HEAD, Attention, BlockShape
from training.ifdd.deploy import DeployedAttention, DeployedLifting, export, to_onnx
from training.ifdd.lifting import CHANNELS, PLACES, SLOTS, Lifting
from training.ifdd.network import IFDD

TOLERANCE = 2e-5


class AffectPooledAttention(OpRun):
    op_domain = NAMESPACE

    def _run(self, q, k, v, *tables, grid_q, grid_k, plugin_version, plugin_namespace):
        return (pooled_attention(q, k, v, tables, tuple(grid_q), tuple(grid_k)),)


class AffectAdaptiveSplit(OpRun):
    op_domain = NAMESPACE

    def _run(self, x, *weights, plugin_version, plugin_namespace):
        return tuple(adaptive_split(x, SplitWeights(*weights)))


class Split(torch.nn.Module):
    """The split alone: the rest of the lifting scheme is the same in both files."""

    def __init__(self, lifting, *, plugins):
        super().__init__()
        self.lifting = DeployedLifting(lifting, plugins=plugins)

    def forward(self, x):
        return self.lifting._split(x)


def attention():
    """Return a small block and its tokens; keys are pooled more than queries."""
    shape = BlockShape(96, 2 * HEAD, (2, 4, 4), 1, 2, 0.0)
    block = Attention(shape).eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return block, torch.randn(2, 33, 96), (DeployedAttention, 1)


def split():
    lifting = Lifting().eval()
    with torch.no_grad():
        for parameter in lifting.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return lifting, torch.randn(2, SLOTS, PLACES, CHANNELS), (Split, 2)


CASES = {"AffectPooledAttention": attention, "AffectAdaptiveSplit": split}


def files(name):
    """Return the plain file, the one with nodes of ours, an input, and what the module says."""
    torch.manual_seed(7)
    module, x, (deploy, n_outputs) = CASES[name]()
    outputs = [f"y{i}" for i in range(n_outputs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        plain, ours = (
            to_onnx(deploy(module, plugins=plugins), (x,), ["x"], outputs, plugins=plugins)
            for plugins in (False, True)
        )
    with torch.no_grad():
        wanted = module(x) if n_outputs == 1 else module.split(x)
    wanted = [part.numpy() for part in (wanted if n_outputs > 1 else (wanted,))]
    return plain, ours, x.numpy(), wanted


@pytest.fixture(scope="module", params=CASES)
def exported(request):
    return request.param, *files(request.param)


def test_the_node_stands_for_many_and_the_plain_file_has_none(exported):
    name, plain, ours, _, _ = exported
    plain, ours = onnx.load_from_string(plain), onnx.load_from_string(ours)
    onnx.checker.check_model(ours)
    assert [node.op_type for node in ours.graph.node if node.domain == NAMESPACE] == [name]
    assert not any(node.domain for node in plain.graph.node)
    assert {item.domain for item in plain.opset_import} == {""}
    assert len(ours.graph.node) < len(plain.graph.node)


def test_the_node_carries_what_plugin_and_kernel_need(exported):
    name, _, ours, _, _ = exported
    (node,) = (n for n in onnx.load_from_string(ours).graph.node if n.domain == NAMESPACE)
    operation = next(each for each in OPERATIONS if each.name == name)
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    # By these two TensorRT's parser finds the plugin.
    assert attributes.pop("plugin_version") == VERSION.encode()
    assert attributes.pop("plugin_namespace") == NAMESPACE.encode()
    assert {key: len(value) for key, value in attributes.items()} == operation.fields
    if name == "AffectPooledAttention":
        assert attributes == {"grid_q": [2, 4, 4], "grid_k": [2, 2, 2]}
    assert len(node.input) == len(operation.reads)
    assert len(node.output) == len(operation.writes)


def test_the_file_with_the_kernel_s_plain_form_in_it_says_what_the_plain_file_says(exported):
    _, plain, ours, x, wanted = exported
    found = ReferenceEvaluator(
        onnx.load_from_string(ours), new_ops=[AffectPooledAttention, AffectAdaptiveSplit]
    ).run(None, {"x": x})
    onnxruntime = import_onnxruntime()

    session = onnxruntime.InferenceSession(plain, providers=["CPUExecutionProvider"])
    for ours_says, plain_says, module_says in zip(
        found, session.run(None, {"x": x}), wanted, strict=True
    ):
        largest = max(1.0, np.abs(module_says).max())
        assert module_says.std() > 1e-3
        assert np.abs(ours_says - module_says).max() < TOLERANCE * largest
        assert np.abs(ours_says - plain_says).max() < TOLERANCE * largest


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_the_whole_network_is_written_with_nodes_of_ours_in_both_precisions():
    torch.manual_seed(2)
    network = IFDD(side=64).eval()  # as many blocks and nodes, a twelfth of the work
    with torch.no_grad():
        for parameter in network.parameters():  # equal constants would be written once
            parameter += 0.02 * torch.randn_like(parameter)
    content = export(network, plugins=True)  # which compares the module with the plain one
    for file in (content, in_precision("ifdd", content, "fp16")):
        graph = onnx.load_from_string(file).graph
        kinds = Counter(node.op_type for node in graph.node if node.domain == NAMESPACE)
        assert kinds == {"AffectPooledAttention": 10, "AffectAdaptiveSplit": 1}
