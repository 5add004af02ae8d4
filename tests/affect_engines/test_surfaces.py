"""Our calls of TensorRT and of the CUDA driver, compared with what these really offer."""

import json

import pytest

from affect_kernels.cuda.driver import CALLS
from tests.affect_engines import surfaces

RECORDED = json.loads(surfaces.TENSORRT.read_text("utf-8"))
DRIVERS = json.loads(surfaces.CUDA.read_text("utf-8"))


@pytest.mark.parametrize("version", RECORDED)
def test_every_call_of_tensorrt_is_one_the_recorded_bindings_have(version):
    found = surfaces.uses()
    assert len({(use.kind, use.member) for use in found}) > 50
    assert surfaces.complaints(RECORDED[version], found) == []


@pytest.mark.parametrize("version", RECORDED)
def test_the_list_kept_here_is_what_the_full_recording_says(version, shared_golden):
    path = shared_golden / "tensorrt" / f"surface_{version}.json"
    full = json.loads(path.read_text("utf-8"))
    found = surfaces.uses()
    assert surfaces.complaints(full, found) == []
    assert surfaces.used_part(full, found) == RECORDED[version]


def test_both_majors_are_recorded():
    assert {version.split(".")[0] for version in RECORDED} == {"10", "11"}


@pytest.mark.parametrize(
    ("use", "complaint"),
    [
        (surfaces.Use("Builder", "platform_has_fast_fp16", "x:1"), "has no platform_has_fast"),
        (surfaces.Use("IInt8Calibrator", "", "x:1"), "no class IInt8Calibrator"),
        (surfaces.Use("BuilderFlag", "FP16", "x:1"), "has no FP16"),
        (surfaces.Use("OnnxParser", "parse", "x:1", 4), "takes self, model, path"),
        (surfaces.Use("OnnxParser", "parse", "x:1", 1), "takes self, model, path"),
        (surfaces.Use("OnnxParser", "parse", "x:1", 2, ("folder",)), "takes self, model, path"),
        (surfaces.Use("Builder", "build_serialized_network", "x:1", 2), "self, network, config"),
    ],
)
def test_a_call_that_is_not_there_is_told(use, complaint):
    (told,) = surfaces.complaints(RECORDED["11.4.0.106"], [use])
    assert complaint in told


def test_a_signature_is_read_with_its_defaults():
    read = surfaces.parameters("f(self: a.B, x: list[tuple[int, str]], y: int = 0) -> None")
    assert read == [("self", False), ("x", False), ("y", True)]
    assert surfaces.parameters("f(*args, **kwargs)") is None


@pytest.mark.parametrize("version", DRIVERS)
def test_every_driver_function_has_the_types_of_cuda_h(version):
    assert {name: list(types) for name, types in CALLS.items()} == DRIVERS[version]


def test_a_header_is_read_as_it_declares():
    header = (
        "#define cuMemAlloc                          cuMemAlloc_v2\n"
        "CUresult CUDAAPI cuMemAlloc(CUdeviceptr *dptr, size_t bytesize);\n"
    )
    with pytest.raises(ValueError, match="unpack"):  # a function that is gone stops the recording
        surfaces.prototypes(header)
    assert DRIVERS["13000"]["cuMemAlloc_v2"] == ["CUdeviceptr *", "size_t"]
