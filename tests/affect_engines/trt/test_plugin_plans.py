"""Plans with plugins on the stand-in: built, kept apart, opened, and left for the plain one."""

import logging
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed: make training")

import onnx
from onnx import TensorProto, helper, numpy_helper

from affect_engines import open_engine
from affect_engines.cards import card_of_file, load_card
from affect_engines.errors import ModelError
from affect_engines.selection import WITH_PLUGINS, find_plan
from affect_engines.trt import plugins
from affect_engines.trt.build import build_plan, source_form
from affect_engines.trt.engine import TrtEngine
from affect_engines.trt.plans import PlanKey, read_plan
from affect_kernels.adaptive_split import SplitWeights, adaptive_split
from affect_kernels.errors import DependencyError, UsageError
from tests.affect_engines import fake_cuda, fake_tensorrt
from tests.affect_engines.fake_plugins import Stand

SLOTS, TOKENS, CHANNELS = 4, 3, 8
SHAPE = ["n", SLOTS, TOKENS, CHANNELS]
HALF = ["n", SLOTS // 2, TOKENS, CHANNELS]


def weights():
    rng = np.random.default_rng(3)
    sizes = [(7, CHANNELS), (7,), *[(SLOTS // 2, SLOTS**2)] * 2, *[(CHANNELS,)] * 4]
    return [rng.normal(size=size).astype(np.float32) for size in sizes]


def network(nodes, values=(), domain=None):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, HALF)],
        [numpy_helper.from_array(value, name) for name, value in values],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17)]
    opsets += [helper.make_opsetid(domain, 1)] if domain else []
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.fixture
def card(tmp_path):
    """Two files; the plain one does something else, so that it shows which one ran."""
    roles = plugins.ADAPTIVE_SPLIT.reads[1:]
    split = helper.make_node(
        "AffectAdaptiveSplit", ["x", *roles], ["approx", "detail", "times"],
        domain=plugins.NAMESPACE, plugin_version=plugins.VERSION,
        plugin_namespace=plugins.NAMESPACE,
    )  # fmt: skip
    total = helper.make_node("Sub", ["approx", "detail"], ["y"])
    ours = network([split, total], list(zip(roles, weights(), strict=True)), plugins.NAMESPACE)
    first = helper.make_node("Split", ["x"], ["y", "rest"], axis=1)
    (tmp_path / "tiny.onnx").write_bytes(network([first]))
    (tmp_path / "tiny.plugins.onnx").write_bytes(ours)
    return card_of_file(tmp_path / "tiny.onnx")


@pytest.fixture(params=fake_tensorrt.VERSIONS)
def stand(request, monkeypatch, tmp_path):
    monkeypatch.setenv("REALTIME_AFFECT_ENGINES", str(tmp_path / "engines"))
    return Stand(monkeypatch, request.param)


def clips(n=3):
    shape = (n, SLOTS, TOKENS, CHANNELS)
    return np.random.default_rng(n).normal(size=shape).astype(np.float32)


def by_kernel(x):
    bands = adaptive_split(x, SplitWeights(*weights()))
    return bands.approx - bands.detail


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 0.03)])
def test_a_plan_with_plugins_launches_our_kernels(card, stand, precision, tolerance):
    build_plan(card, precision, plugins=True)
    with open_engine(card, "tensorrt", precision) as engine:
        assert engine.backend == WITH_PLUGINS
        stand.driver.launches.clear()
        found = engine.infer({"x": clips()})["y"]
    np.testing.assert_allclose(found, by_kernel(clips()), atol=tolerance)
    entries = {entry for entry, *_ in stand.driver.launches}
    assert entries == {"adaptive_split_f32" if precision == "fp32" else "adaptive_split_f16"}


def test_the_two_plans_are_kept_apart(card, stand):
    ours, plain = build_plan(card, "fp32", plugins=True), build_plan(card, "fp32")
    assert (ours.key.plugins, plain.key.plugins) == (plugins.VERSION, "")
    assert ours.path != plain.path
    assert find_plan(card, "auto", plugins=True).key == ours.key
    assert find_plan(card, "auto").key == plain.key
    assert build_plan(card, "fp32", plugins=True).path == ours.path
    assert stand.trt.n_built == 2


def test_plans_from_before_there_were_plugins_keep_their_names():
    key = PlanKey("ab" * 32, "10.16.1.11", "Some GPU", "8.7", "fp16", 8)
    assert key.digest() == "6def16a125e7d358"
    assert replace(key, plugins="1").digest() != key.digest()
    assert replace(key, plugins="1").digest() != replace(key, plugins="2").digest()


def test_a_plan_of_other_plugins_is_foreign(card, stand, monkeypatch):
    from affect_engines.trt import build

    build_plan(card, "fp32", plugins=True)
    monkeypatch.setattr(build, "VERSION", "2")
    with pytest.raises(ModelError, match="plugins 1, not 2"):
        find_plan(card, "fp32", plugins=True)


@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_where_plugins_cannot_be_registered_the_plain_plan_runs_and_the_log_says_why(
    card, stand, monkeypatch, caplog, backend
):
    for with_plugins in (True, False):
        build_plan(card, "fp32", plugins=with_plugins)
    monkeypatch.setattr(plugins, "_registered", {})  # as in another process
    monkeypatch.delattr(stand.trt, "IPluginV3")
    with caplog.at_level(logging.INFO), open_engine(card, backend, "fp32") as engine:
        found = engine.infer({"x": clips()})["y"]
    np.testing.assert_array_equal(found, clips()[:, : SLOTS // 2])
    assert "not tensorrt with plugins: plugins in TensorRT" in caplog.text
    assert "tiny: tensorrt;" in caplog.text


def test_a_plan_with_plugins_refuses_clearly_where_they_cannot_be_registered(
    card, stand, monkeypatch
):
    plan = build_plan(card, "fp32", plugins=True)
    content = read_plan(plan.key, card.name)
    monkeypatch.setattr(plugins, "_registered", {})
    stand.registry.creators.clear()
    with pytest.raises(ModelError, match="no plugin AffectAdaptiveSplit is registered"):
        TrtEngine(content, card.name)
    monkeypatch.delattr(stand.trt, "IPluginV3")
    with pytest.raises(DependencyError, match="IPluginV3"):
        TrtEngine(content, card.name, plugins=True)


def test_a_kernel_that_fails_while_it_runs_leaves_the_plain_plan(card, stand):
    for with_plugins in (True, False):
        build_plan(card, "fp32", plugins=with_plugins)
    with open_engine(card, "tensorrt", "fp32") as engine:
        for name, (size, _) in stand.driver.kernels.items():
            stand.driver.kernels[name] = size, lambda packed: fake_cuda.LAUNCH_FAILED
        assert engine.backend == WITH_PLUGINS
        found = engine.infer({"x": clips()})["y"]
        assert engine.backend == "tensorrt"
    np.testing.assert_array_equal(found, clips()[:, : SLOTS // 2])


def test_plugins_are_off_unless_asked_for(card, stand):
    build_plan(card, "fp32")
    assert stand.registry.creators == {}
    with open_engine(card, "tensorrt", "fp32") as engine:
        assert isinstance(engine, TrtEngine)
    assert stand.registry.creators == {}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_network_without_nodes_of_ours_is_refused(precision):
    with pytest.raises(UsageError, match="no file with nodes of ours"):
        source_form(load_card("action_units"), precision, plugins=True)


def test_half_leaves_a_split_s_weights_as_they_were(card):
    from affect_engines.store import model_path
    from affect_engines.trt.precision import in_precision

    content = model_path(source_form(card, "fp16", plugins=True)).read_bytes()
    graph = onnx.load_from_string(in_precision("tiny", content, "fp16")).graph
    (node,) = (n for n in graph.node if n.domain == plugins.NAMESPACE)
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    for name, wanted in zip(node.input[1:], weights(), strict=True):
        np.testing.assert_array_equal(values[name], wanted)
        assert values[name].dtype == np.float32
    (cast,) = (n for n in graph.node if n.output[0] == node.input[0])
    assert cast.op_type == "Cast"
    assert cast.attribute[0].i == TensorProto.FLOAT16
