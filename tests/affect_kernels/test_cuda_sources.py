"""Every ``.cu`` of the package compiles for every GPU, without a warning and without a spill."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from affect_kernels import _nvrtc
from affect_kernels._launch import fingerprint, headers, read_source
from affect_kernels.errors import DependencyError

SOURCES = sorted(
    f"{folder.name}/{item.name}"
    for folder in files("affect_kernels").iterdir()
    if folder.is_dir()
    for item in folder.iterdir()
    if item.name.endswith(".cu")
)
REGISTERS = 65536  # of a multiprocessor, on all of these architectures
SHARED_BYTES = 48 * 1024  # what a block gets without asking for more


@pytest.fixture(scope="session", autouse=True)
def _compiler():
    try:
        _nvrtc.version()
    except DependencyError as error:
        pytest.skip(f"no CUDA compiler: {error}")


def kernels(text):
    """Return the kernels of a source and the threads of their blocks' limits, as written."""
    return re.findall(r"^AFFECT_KERNEL\((\w+), [^()]*, (\w+)\)", text, re.MULTILINE)


@pytest.mark.parametrize("architecture", _nvrtc.ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES)
def test_a_source_compiles_for_a_gpu_and_keeps_to_its_registers(source, architecture):
    text = read_source(source)
    named = kernels(text)
    limits = dict(re.findall(r"^static const int (\w+) = (\d+);", text, re.MULTILINE))
    cubin = _nvrtc.compile_cubin(text, source, architecture, headers(source))
    assert set(cubin.resources) == {name for name, _ in named}
    assert cubin.code[:4] == b"\x7fELF"
    for name, limit in named:
        used = cubin.resources[name]
        assert used.spill_store_bytes == used.spill_load_bytes == used.stack_bytes == 0, (
            name,
            used,
        )
        assert used.registers * int(limits.get(limit, limit)) <= REGISTERS, (name, used)
        assert used.shared_bytes <= SHARED_BYTES, (name, used)


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_opens_with_launch_bytes_and_why_it_is_fast(source):
    opening = re.match(r"(?://.*\n)+", read_source(source))
    assert opening is not None
    for word in ("// Launch:", "// Bytes:", "// Why"):
        assert word in opening[0]


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_includes_nothing_but_what_lies_beside_it(source):
    included = re.findall(r'#include ["<](.+)[">]', read_source(source))
    assert "device.cuh" in included
    assert set(included) <= set(headers(source))


def test_there_is_a_source():
    assert "lifting/lifting.cu" in SOURCES


def test_a_warning_is_an_error_that_names_the_line():
    with pytest.raises(_nvrtc.CompileError, match=r"bad\.cu\(2\).*never referenced"):
        _nvrtc.compile_cubin("__global__ void f() {\n  int x;\n}", "bad.cu", 80)


def test_an_unknown_gpu_is_an_error():
    with pytest.raises(_nvrtc.CompileError, match="sm_12345"):
        _nvrtc.compile_cubin("__global__ void f() {}", "fine.cu", 12345)


def test_what_a_kernel_takes_is_told():
    text = """
    extern "C" __global__ void spills(float* x) {
      float kept[64];
      for (int i = 0; i < 64; ++i) kept[i] = x[i * threadIdx.x];
      __shared__ float all[96];
      all[threadIdx.x] = x[0];
      __syncthreads();
      for (int i = 0; i < 64; ++i) x[i] = kept[int(x[i]) & 63] + all[i];
    }"""
    used = _nvrtc.compile_cubin(text, "spills.cu", 80).resources["spills"]
    assert used.registers > 8
    assert used.shared_bytes == 96 * 4
    assert used.stack_bytes >= 64 * 4


def test_the_fingerprint_follows_text_headers_and_options(monkeypatch):
    before = fingerprint("lifting/lifting.cu", "a")
    assert fingerprint("lifting/lifting.cu", "a") == before
    assert fingerprint("lifting/lifting.cu", "b") != before
    monkeypatch.setattr("affect_kernels._launch.headers", lambda source: {"device.cuh": "//"})
    assert fingerprint("lifting/lifting.cu", "a") != before
