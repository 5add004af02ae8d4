"""Building on the stand-in: our side of the calls. Nothing here runs TensorRT."""

import json
import threading
from dataclasses import replace

import pytest

from affect_engines import load_card
from affect_engines.errors import DeviceError, ModelError
from affect_engines.trt import build
from affect_engines.trt.build import BuildProgress, Phases, build_plan, source_form
from affect_engines.trt.plans import read_plan
from affect_kernels.errors import UsageError
from tests.affect_engines import fake_tensorrt


@pytest.fixture
def card():
    return load_card("action_units").form("fp32")


@pytest.fixture(params=fake_tensorrt.VERSIONS)
def stand_in(request, monkeypatch, tmp_path):
    monkeypatch.setenv("REALTIME_AFFECT_ENGINES", str(tmp_path / "engines"))
    return fake_tensorrt.install(monkeypatch, request.param)


def about(plan):
    """Return what the stand-in wrote into a plan."""
    return json.loads(plan[4:].partition(b"\0")[0])


def test_a_plan_is_built_for_one_face_to_the_most(card, stand_in):
    plan = build_plan(card, "fp32", max_batch=5)
    profile = about(read_plan(plan.key, card.name))["profile"]
    assert profile["crops"] == [[1, 96, 96], [1, 96, 96], [5, 96, 96]]
    assert (plan.key.tensorrt, plan.key.gpu) == (stand_in[0].__version__, "Fake GPU")
    assert (plan.key.capability, plan.key.onnx_sha256) == ("8.7", card.sha256)


def test_a_plan_that_fits_is_not_built_again(card, stand_in):
    first = build_plan(card, "fp32")
    assert build_plan(card, "fp32").path == first.path
    assert stand_in[0].n_built == 1
    build_plan(card, "fp32", rebuild=True)
    build_plan(card, "fp32", max_batch=2)
    assert stand_in[0].n_built == 3


def test_a_damaged_plan_is_built_again(card, stand_in):
    plan = build_plan(card, "fp32")
    plan.path.write_bytes(b"FAKE")
    build_plan(card, "fp32")
    assert stand_in[0].n_built == 2
    assert read_plan(plan.key, card.name)


def test_fp32_means_fp32(card, stand_in):
    pytest.importorskip("onnx", reason="onnx writes the other precisions; make training")
    plans = {p: build_plan(card, p) for p in ("fp32", "fp16")}
    assert not about(read_plan(plans["fp32"].key, card.name))["tf32"]
    half, full = plans["fp16"].n_bytes, plans["fp32"].n_bytes
    assert half < 0.6 * full


def test_what_was_timed_serves_the_next_build(card, stand_in, tmp_path):
    for n in (1, 2):
        build_plan(card, "fp32", max_batch=n)
    (timings,) = (tmp_path / "engines").glob("*.timing")
    assert timings.read_bytes() == b"TIMETIME"
    timings.write_bytes(b"spoilt")
    build_plan(card, "fp32", max_batch=3)
    assert timings.read_bytes() == b"TIME"


def test_timings_of_another_tensorrt_are_dropped(card, stand_in):
    from affect_engines.trt.plans import read_timings, store_timings

    store_timings(stand_in[0].__version__, "Fake GPU", b"OTHER")
    build_plan(card, "fp32")
    assert read_timings(stand_in[0].__version__, "Fake GPU") == b"TIME"


def test_progress_rises_to_the_whole(card, stand_in):
    told = []
    build_plan(card, "fp32", progress=told.append)
    shares = [progress.share for progress in told]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert {progress.phase for progress in told} == {"Building engine", "Timing"}


def test_ctrl_c_cancels_and_keeps_nothing(card, stand_in, tmp_path, monkeypatch):
    original = threading.Thread.join

    def interrupted(thread, timeout=None):
        if timeout is not None and thread.name.startswith("build"):
            raise KeyboardInterrupt
        original(thread, timeout)

    def slow(progress):
        assert cancelled.wait(10)

    compilers = []
    cancelled = threading.Event()
    kind = build._Compiler

    def make(*arguments):
        compilers.append(kind(*arguments))
        compilers[0]._cancelled = cancelled
        return compilers[0]

    monkeypatch.setattr(build, "_Compiler", make)
    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_plan(card, "fp32", progress=slow)
    assert stand_in[0].n_built == 0
    assert list((tmp_path / "engines").glob("*.plan")) == []


def test_what_fails_while_progress_is_told_is_raised_after_tensorrt_has_returned(card, stand_in):
    def broken(progress):
        message = "the terminal is gone"
        raise OSError(message)

    with pytest.raises(OSError, match="the terminal is gone"):
        build_plan(card, "fp32", progress=broken)
    assert stand_in[0].n_built == 0


def test_a_builder_that_cannot_be_made_is_a_gpu_s_error(card, stand_in):
    def null(logger):
        message = "pybind11::init(): factory function returned nullptr"
        raise TypeError(message)

    stand_in[0].Builder = null
    with pytest.raises(DeviceError, match=r"no builder: pybind11"):
        build_plan(card, "fp32")


def test_too_little_memory_is_tried_with_less_scratch_and_then_told(card, stand_in):
    stand_in[0].refuses = "Error Code 2: OutOfMemory"
    with pytest.raises(DeviceError, match="enough GPU memory"):
        build_plan(card, "fp32")
    assert stand_in[0].scratch_bytes == [1 << 30, 1 << 28, 1 << 26]


def test_a_network_that_tensorrt_cannot_build_is_told_with_its_words(card, stand_in):
    stand_in[0].refuses = "Could not find any implementation for node 7"
    with pytest.raises(ModelError, match="implementation for node 7"):
        build_plan(card, "fp32")


def test_a_file_that_cannot_be_parsed_names_the_node(card, stand_in, monkeypatch):
    monkeypatch.setattr(build, "read_model", lambda card: b"no network")
    with pytest.raises(ModelError, match="action_units in fp32: got Conv first: "):
        build_plan(card, "fp32")


def test_without_a_gpu_nothing_is_built(card, stand_in):
    stand_in[1].n_gpus = 0
    with pytest.raises(DeviceError, match="got 0 GPUs"):
        build_plan(card, "fp32")


@pytest.mark.parametrize(
    ("name", "precision", "words"),
    [
        ("face_mesh", "fp16", "a network in ONNX"),
        ("ifdd", "fp16", "no weights"),
        ("action_units", "fp8", "one of fp16, int8, fp32"),
        ("htnet_live", "int8", "no quantised form"),
    ],
)
def test_what_there_is_no_plan_of_is_refused(name, precision, words):
    with pytest.raises(UsageError, match=words):
        source_form(load_card(name), precision)


def test_a_plan_is_built_from_the_form_of_its_precision(card):
    from affect_engines.cards import ModelForm

    both = replace(card, precision="int8", forms={"fp32": ModelForm("full.onnx", "0" * 64)})
    assert source_form(both, "fp16").file == "full.onnx"
    assert source_form(both, "int8").file == card.file


def test_phases_add_up_inside_one_another():
    told = []
    phases = Phases(told.append)
    phases.start("all", None, 2)
    phases.start("half", "all", 4)
    phases.step("half", 0)
    phases.step("half", 1)
    phases.finish("half")
    phases.step("all", 0)
    phases.step("unknown", 3)
    phases.finish("unknown")
    phases.start("second", "gone", 0)
    phases.finish("all")
    assert told == [
        BuildProgress("all", 0.0), BuildProgress("half", 0.0), BuildProgress("half", 0.125),
        BuildProgress("half", 0.25), BuildProgress("half", 0.5), BuildProgress("all", 0.5),
        BuildProgress("second", 0.5), BuildProgress("all", 1.0),
    ]  # fmt: skip
