"""What every backend must keep; a new one only adds itself to conftest.BACKENDS."""

import numpy as np
import pytest

from affect_engines.base import Engine
from affect_engines.errors import ModelError
from affect_kernels.errors import UsageError


def feeds_of(engine, seed=0):
    random = np.random.default_rng(seed)
    return {
        spec.name: random.random([n or 1 for n in spec.shape]).astype(spec.dtype)
        for spec in engine.inputs
    }


def test_it_is_an_engine(engine):
    assert isinstance(engine, Engine)


def test_it_says_which_backend_it_is(engine, request):
    assert engine.backend in request.node.callspec.params["engine"].lower()


def test_outputs_have_the_names_shapes_and_types_it_states(engine):
    outputs = engine.infer(feeds_of(engine))
    assert list(outputs) == [spec.name for spec in engine.outputs]
    assert all(spec.fits(outputs[spec.name]) for spec in engine.outputs)


def test_the_same_input_gives_the_same_output(engine):
    first = {k: v.copy() for k, v in engine.infer(feeds_of(engine)).items()}
    engine.infer(feeds_of(engine, seed=1))
    again = engine.infer(feeds_of(engine))
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)


def test_another_input_gives_another_output(engine):
    first = {k: v.copy() for k, v in engine.infer(feeds_of(engine)).items()}
    other = engine.infer(feeds_of(engine, seed=1))
    assert any(not np.array_equal(other[name], value) for name, value in first.items())


def test_an_input_written_in_place_counts_like_one_handed_over(engine):
    feeds = feeds_of(engine)
    first = {k: v.copy() for k, v in engine.infer(feeds).items()}
    engine.infer(feeds_of(engine, seed=1))
    fills = {k: lambda own, v=v: np.copyto(own, v, casting="no") for k, v in feeds.items()}
    again = engine.infer(fills)
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)


def test_feeds_are_not_written(engine):
    feeds = feeds_of(engine)
    before = {k: v.copy() for k, v in feeds.items()}
    engine.infer(feeds)
    for name, value in before.items():
        np.testing.assert_array_equal(feeds[name], value)


def test_holding_outputs_does_not_stop_the_next_run(engine):
    held = [engine.infer(feeds_of(engine, seed)) for seed in range(3)]
    assert len(held) == 3


def test_warm_up_leaves_no_trace(engine):
    first = {k: v.copy() for k, v in engine.infer(feeds_of(engine)).items()}
    engine.warm_up()
    again = engine.infer(feeds_of(engine))
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)


def test_a_missing_input_is_named(engine):
    with pytest.raises(UsageError, match=engine.inputs[0].name):
        engine.infer({})


def test_an_unknown_input_is_refused(engine):
    with pytest.raises(UsageError, match="nobody"):
        engine.infer({**feeds_of(engine), "nobody": np.zeros(1, np.float32)})


def test_a_wrong_shape_says_both_shapes(engine):
    name = engine.inputs[0].name
    with pytest.raises(UsageError, match=r"got \(7,\).*expected \("):
        engine.infer({**feeds_of(engine), name: np.zeros(7, np.float32)})


def test_a_wrong_type_says_both_types(engine):
    feeds = feeds_of(engine)
    name = engine.inputs[0].name
    with pytest.raises(UsageError, match=r"float64, expected .*float32"):
        engine.infer({**feeds, name: feeds[name].astype(np.float64)})


def test_after_close_it_refuses_and_close_may_be_repeated(engine):
    engine.close()
    engine.close()
    with pytest.raises(ModelError):
        engine.infer(feeds_of(engine))


def test_leaving_the_context_closes_it(engine):
    with engine as same:
        assert same is engine
    with pytest.raises(ModelError):
        engine.infer(feeds_of(engine))
