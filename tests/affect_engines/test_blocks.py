import numpy as np
import pytest

from affect_engines import open_engine
from affect_engines.base import Shareable
from affect_engines.blocks import BlocksEngine
from affect_engines.cards import load_card
from affect_engines.errors import ModelError
from affect_engines.store import read_model
from affect_engines.tflite_blocks import read_blocks
from affect_kernels.errors import UsageError
from affect_kernels.separable_blocks import llvm, run_layers

able = pytest.mark.skipif(
    llvm.run is None, reason=f"this processor lacks {', '.join(llvm.missing_features())}"
)


@pytest.fixture
def picture():
    """Smooth shades with noise, (1, 192, 192, 3)."""
    y, x = np.mgrid[:192, :192] / 192
    noise = 0.1 * np.random.default_rng(0).random((192, 192, 3))
    shades = np.stack([np.sin(5 * x), np.cos(4 * y), x * y], axis=2)
    return (0.5 + 0.3 * shades + noise).astype(np.float32).clip(0, 1)[None]


@able
def test_the_face_mesh_is_litert_s_but_for_rounding(models, picture):
    """A ten thousandth of a pixel of 192, where points jitter by a tenth."""
    with open_engine("face_mesh", "blocks") as ours, open_engine("face_mesh", "litert") as theirs:
        assert (ours.inputs, ours.outputs) == (theirs.inputs, theirs.outputs)
        found, wanted = (engine.infer({"input_1": picture}) for engine in (ours, theirs))
        np.testing.assert_allclose(found["conv2d_21"], wanted["conv2d_21"], atol=5e-4)
        np.testing.assert_allclose(found["conv2d_31"], wanted["conv2d_31"], atol=5e-4)


def test_the_layers_that_are_read_are_the_network(models, picture):
    blocks = read_blocks(read_model(load_card("face_mesh")))
    known = run_layers(blocks.layers, {blocks.source: picture[0]})
    with open_engine("face_mesh", "litert") as engine:
        wanted = engine.infer({"input_1": picture})
        for number, spec in blocks.outputs.items():
            np.testing.assert_allclose(known[number], wanted[spec.name][0], atol=5e-4)


@able
def test_a_run_is_the_same_each_time(models, picture):
    with open_engine("face_mesh", "blocks") as engine:
        first = {name: values.copy() for name, values in engine.infer({"input_1": picture}).items()}
        engine.warm_up()
        again = engine.infer({"input_1": picture})
        assert all(np.array_equal(first[name], again[name]) for name in first)


@able
def test_a_shared_engine_has_the_same_weights_maps_of_its_own_and_ends_by_itself(models, picture):
    with open_engine("face_mesh", "blocks") as engine:
        assert isinstance(engine, Shareable)
        other = engine.share()
        wanted = engine.infer({"input_1": picture})
        kept = {name: values.copy() for name, values in wanted.items()}
        found = other.infer({"input_1": picture[:, ::-1]})
        assert all(not np.array_equal(found[name], kept[name]) for name in kept)
        assert all(np.array_equal(wanted[name], kept[name]) for name in kept)
        found = other.infer({"input_1": picture})
        assert all(np.array_equal(found[name], kept[name]) for name in kept)
        other.close()
        with pytest.raises(ModelError, match="share after close"):
            other.share()
        assert all(
            np.array_equal(values, kept[name])
            for name, values in engine.infer({"input_1": picture}).items()
        )


@able
def test_auto_takes_blocks_for_the_face_mesh(models):
    with open_engine("face_mesh") as engine:
        assert engine.backend == "blocks"


@pytest.mark.parametrize(
    ("card", "why"),
    [("blazeface_short", "operators CONCATENATION, RELU"), ("iris", "weights in float32")],
)
def test_other_networks_are_litert_s(models, caplog, card, why):
    caplog.set_level("INFO", "affect_engines")
    with open_engine(card) as engine:
        assert engine.backend == "litert"
    assert f"not blocks: {why}" in caplog.text
    with pytest.raises(UsageError, match=why):
        open_engine(card, "blocks")


@pytest.mark.parametrize("content", [b"", b"no network", b"TFL3" * 100])
def test_what_is_no_network_is_refused_by_name(content):
    with pytest.raises(UsageError, match="blocks for broken"):
        BlocksEngine(content, "broken")


def test_a_processor_that_cannot_is_told_and_litert_takes_over(models, monkeypatch):
    monkeypatch.setattr(llvm, "run", None)
    monkeypatch.setattr(llvm, "missing_features", lambda: ("f16c",))
    with pytest.raises(UsageError, match="without f16c"):
        open_engine("face_mesh", "blocks")
    with open_engine("face_mesh") as engine:
        assert engine.backend == "litert"
