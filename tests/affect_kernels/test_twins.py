"""What kernels are measured beside must do the same: PyTorch's form of each, on a CPU."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
KERNELS = (
    "lifting", "adaptive_split", "lifting_attention", "pooled_attention", "pool_norm",
    "face_crops", "flow_features",
)  # fmt: skip


@pytest.fixture
def scripts(monkeypatch):
    """Import scripts of ``benchmarks/``, which import each other by bare names."""
    pytest.importorskip("torch", reason="torch (group torch) is not installed")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return [importlib.import_module(name) for name in ("kernels", "kernel_cases")]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_and_its_twins_say_the_same(scripts, machine, kernel):
    import torch

    kernels, kernel_cases = scripts
    found = [
        case
        for case in kernel_cases.cases(kernel, small=True)
        if case.name.startswith(f"{kernel} ")
    ]
    assert found
    for case in found:
        for make in case.twins.values():
            with torch.no_grad():
                wanted = tuple(part.numpy() for part in make("cpu")())
            assert len(wanted) == len(case.outputs)
            kernels.compare(case, machine.run, wanted)


def test_a_kernel_that_says_something_else_is_not_timed(scripts, host):
    kernels, kernel_cases = scripts
    (case,) = kernel_cases.cases("flow_features", small=True)
    wrong = tuple(part + 1 for part in case.answers(host.run))
    with pytest.raises(RuntimeError, match="differs from PyTorch"):
        kernels.compare(case, host.run, wrong)
