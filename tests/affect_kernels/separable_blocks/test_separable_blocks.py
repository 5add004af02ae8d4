from dataclasses import replace

import numpy as np
import pytest

from affect_kernels.separable_blocks import Layer, llvm, run_layers
from affect_kernels.separable_blocks.cpu import Program, UnfitError

able = pytest.mark.skipif(
    llvm.run is None, reason=f"this processor lacks {', '.join(llvm.missing_features())}"
)


def some(rng, *shape, dtype=np.float32):
    return (0.3 * rng.standard_normal(shape)).astype(dtype)


def dense(rng, source, target, size, c, n, **given):
    """A 3x3 convolution of stride 2, as the first of a network is."""
    weight = some(rng, 3, 3, c, n, dtype=np.float16)
    return Layer(source, target, size, 2, 0, weight, some(rng, n), some(rng, n), **given)


def block(rng, source, target, size, c, n, stride=1, **given):
    return Layer(
        source, target, size, stride, int(stride == 1), some(rng, 1, 1, c, n, dtype=np.float16),
        some(rng, n), some(rng, n), some(rng, 10, c), **given,
    )  # fmt: skip


def small_network(rng):
    """Each kind of layer that the face mesh has, at widths of six and of three."""
    return [
        dense(rng, 0, 1, (12, 12), 3, 16),
        block(rng, 1, 2, (12, 12), 16, 16, skip=1),
        block(rng, 2, 3, (6, 6), 16, 32, stride=2, skip=2, pooled=True),
        block(rng, 3, 4, (6, 6), 32, 32),
        block(rng, 4, 5, (3, 3), 32, 48, stride=2, skip=4, pooled=True),
        block(rng, 5, 6, (3, 3), 48, 48, skip=5),
        Layer(
            6, 7, (1, 1), 3, 0, some(rng, 3, 3, 48, 70, dtype=np.float16), some(rng, 70),
            np.ones(70, np.float32),
        ),
        Layer(
            5, 8, (3, 3), 1, 0, some(rng, 1, 1, 48, 16, dtype=np.float16), some(rng, 16),
            np.ones(16, np.float32),
        ),
    ]  # fmt: skip


def by_hand(layer, x, skip):
    """One value after another, in double precision."""
    height, width = layer.size
    weight, (kh, kw) = layer.weight.astype(float), layer.weight.shape[:2]
    made = np.zeros((height, width, weight.shape[3]))

    def seen(values, y, x_, c):
        inside = 0 <= y < values.shape[0] and 0 <= x_ < values.shape[1]
        return values[y, x_, c] if inside else 0.0

    for y, x_ in np.ndindex(height, width):
        top, left = y * layer.stride - layer.before, x_ * layer.stride - layer.before
        if layer.depthwise is None:
            given = np.array([
                [[seen(x, top + i, left + j, c) for c in range(x.shape[2])] for j in range(kw)]
                for i in range(kh)
            ])  # fmt: skip
        else:
            bias, *taps = layer.depthwise.astype(float)
            given = np.array([
                bias[c] + sum(taps[3 * i + j][c] * seen(x, top + i, left + j, c)
                              for i in range(3) for j in range(3))
                for c in range(x.shape[2])
            ])[None, None]  # fmt: skip
        value = np.einsum("ijc,ijcn->n", given, weight) + layer.bias
        if skip is not None:
            near = skip[2 * y : 2 * y + 2, 2 * x_ : 2 * x_ + 2] if layer.pooled else skip[y, x_]
            value[: skip.shape[2]] += near.max(axis=(0, 1)) if layer.pooled else near
        made[y, x_] = np.where(value < 0, layer.slope * value, value)
    return made


def test_the_reference_is_the_definition():
    rng = np.random.default_rng(0)
    layers = small_network(rng)
    known = run_layers(layers, {0: some(rng, 24, 24, 3)})
    for layer in layers:
        skip = None if layer.skip is None else known[layer.skip]
        wanted = by_hand(layer, known[layer.source], skip)
        np.testing.assert_allclose(known[layer.target], wanted, rtol=1e-4, atol=1e-5)


@able
def test_one_compiled_pass_does_what_the_reference_does_layer_by_layer():
    rng = np.random.default_rng(1)
    layers = small_network(rng)
    program = Program(layers, 0, (24, 24, 3), [7, 8])
    for _ in range(3):  # nothing is left over from the run before
        image = some(rng, 24, 24, 3)
        program.input[...] = image
        program.run()
        known = run_layers(layers, {0: image})
        np.testing.assert_allclose(program.outputs[7][..., :70], known[7], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(program.outputs[8], known[8], rtol=1e-4, atol=1e-5)


@able
def test_two_programs_do_not_share_what_they_write():
    rng = np.random.default_rng(2)
    layers = small_network(rng)
    one, other = (Program(layers, 0, (24, 24, 3), [7]) for _ in range(2))
    one.input[...] = some(rng, 24, 24, 3)
    one.run()
    kept = one.outputs[7].copy()
    other.run()
    assert np.array_equal(one.outputs[7], kept)
    assert not np.array_equal(other.outputs[7], kept)


@able
def test_what_is_not_a_number_stays_so_where_it_is_seen():
    rng = np.random.default_rng(3)
    program = Program([dense(rng, 0, 1, (6, 6), 3, 16)], 0, (12, 12, 3), [1])
    program.input[0, 0, 0] = np.nan
    program.run()
    assert np.isnan(program.outputs[1][0, 0]).all()
    assert np.isfinite(program.outputs[1][1:, 1:]).all()


@able
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size": (12, 10)}, "10 places a row"),
        ({"before": 2}, "a border of 2"),
        ({"weight": np.zeros((1, 1, 16, 12), np.float16)}, "of 12 channels"),
        ({"weight": np.zeros((3, 3, 16, 16), np.float16)}, "before one of 3x3"),
        ({"stride": 3}, "a depthwise convolution"),
    ],
)
def test_a_layer_that_there_is_no_tile_for_is_refused_by_name(change, named):
    layer = replace(block(np.random.default_rng(4), 0, 1, (12, 12), 16, 16), **change)
    with pytest.raises(UnfitError, match=named):
        Program([layer], 0, (12, 12, 16), [1])


def test_a_processor_without_what_is_needed_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(llvm, "run", None)
    monkeypatch.setattr(llvm, "missing_features", lambda: ("f16c",))
    with pytest.raises(UnfitError, match="without f16c"):
        Program([], 0, (12, 12, 16), [])


@pytest.mark.parametrize(
    ("machine", "features", "missing"),
    [
        ("x86_64", {"avx2": True, "fma": True, "f16c": True}, ()),
        ("AMD64", {"avx2": True, "fma": False}, ("fma", "f16c")),
        ("arm64", {}, ()),
        ("riscv64", {}, ("a form for riscv64",)),
    ],
)
def test_what_a_processor_lacks_is_told(monkeypatch, machine, features, missing):
    monkeypatch.setattr(llvm.platform, "machine", lambda: machine)
    monkeypatch.setattr(llvm.binding, "get_host_cpu_features", lambda: features)
    assert llvm.missing_features() == missing


def test_a_compiler_told_of_another_processor_is_not_used(monkeypatch):
    monkeypatch.setattr(llvm.config, "CPU_NAME", "generic")
    assert "NUMBA_" in llvm.missing_features()[0]
