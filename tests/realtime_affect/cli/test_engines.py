"""``realtime-affect engines`` on the stand-in and without it. Nothing here runs TensorRT."""

import sys

import pytest
from typer.testing import CliRunner

from affect_engines import load_card, open_engine
from affect_engines.errors import ModelError
from affect_engines.store import model_path
from affect_engines.trt.plans import list_plans
from realtime_affect.cli import engines as engine_report
from realtime_affect.cli.main import app
from tests.affect_engines import fake_tensorrt


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Neither the tester's GPU nor the tester's plans have a part in this."""
    from affect_kernels.cuda import driver as cuda_driver

    def missing():
        message = "libcuda.so.1: cannot open"
        raise OSError(message)

    monkeypatch.setattr(cuda_driver, "load_driver", missing)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setenv("REALTIME_AFFECT_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "engines"


@pytest.fixture
def gpu(monkeypatch):
    return fake_tensorrt.install(monkeypatch)


def call(*arguments):
    result = CliRunner().invoke(app, ["engines", *arguments])
    text = result.stdout + result.stderr
    assert "Traceback" not in text
    return result.exit_code, text


def test_without_tensorrt_building_says_what_to_install_and_exits_with_6():
    code, text = call("build")
    assert code == 6
    assert "realtime-affect[tensorrt]" in text


def test_with_tensorrt_and_no_gpu_building_says_so_and_exits_with_7(gpu):
    gpu[1].n_gpus = 0
    code, text = call("build", "action_units", "--precision", "fp32")
    assert code == 7
    assert "got 0 GPUs" in text


def test_a_wrong_name_or_precision_exits_with_2():
    assert call("build", "nobody")[0] == 2
    assert call("build", "face_mesh")[0] == 2
    assert call("build", "htnet_live", "--precision", "int8")[0] == 2
    assert call("clear", "nobody")[0] == 2


def test_plugins_are_refused_by_name_and_left_out_otherwise_where_no_file_has_their_nodes(gpu):
    code, text = call("build", "action_units", "--precision", "fp32", "--plugins")
    assert code == 2
    assert "no file with nodes of ours" in text
    code, text = call("build", "--precision", "fp32", "--plugins")
    assert code == 0
    assert "action_units     left out" in text
    assert list_plans() == ()


def test_listing_tells_the_backends_and_that_there_is_no_plan(folder):
    code, text = call("list")
    assert code == 0
    assert "tensorrt     no" in text
    assert "NVIDIA driver" in text
    assert "onnxruntime  usable" in text
    assert f"No TensorRT plans in {folder}." in text


def test_a_plan_is_built_listed_verified_and_cleared(gpu, folder):
    code, text = call("build", "action_units", "--precision", "fp32", "--max-faces", "3")
    assert code == 0, text
    assert "action_units     fp32  ok" in text
    code, text = call("list")
    assert "fp32  ok" in text
    assert "Fake GPU (8.7), up to 3 faces" in text
    code, text = call("verify")
    assert code == 0
    assert "differs from the CPU by 0.00%" in text
    code, text = call("clear", "action_units")
    assert code == 0
    assert "deleted" in text
    assert list_plans() == ()
    assert "Nothing to delete" in call("clear", "action_units")[1]


def test_a_plan_that_is_there_is_not_built_again_unless_asked(gpu):
    for _ in range(2):
        call("build", "action_units", "--precision", "fp32")
    assert gpu[0].n_built == 1
    call("build", "action_units", "--precision", "fp32", "--rebuild")
    assert gpu[0].n_built == 2


def test_a_plan_of_one_s_own_network_is_built_and_opened(gpu, tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(model_path(load_card("action_units")).read_bytes())
    code, text = call("build", str(path), "--precision", "fp32")
    assert code == 0, text
    assert "mine             fp32  ok" in call("list")[1]
    assert "not one of ours, not run" in call("verify")[1]
    with open_engine(path, "tensorrt") as engine:
        assert engine.outputs[0].name == "units"
    assert call("build", str(tmp_path / "nobody.onnx"))[0] == 5


def test_a_damaged_plan_is_told_and_exits_with_5(gpu):
    call("build", "action_units", "--precision", "fp32")
    list_plans()[0].path.write_bytes(b"changed")
    code, text = call("verify")
    assert code == 5
    assert "NO" in text
    assert "SHA-256" in text
    assert "damaged" in call("list")[1]


def test_a_plan_of_another_gpu_is_whole_and_not_run(gpu):
    call("build", "action_units", "--precision", "fp32")
    gpu[1].name = "Another GPU"
    code, text = call("verify")
    assert code == 0
    assert "for another machine, not run" in text
    assert "foreign" in call("list")[1]


def test_a_plan_that_answers_otherwise_than_the_cpu_is_refused(gpu, monkeypatch):
    call("build", "action_units", "--precision", "fp32")
    monkeypatch.setattr(engine_report, "difference", lambda *arguments: 0.5)
    code, text = call("verify")
    assert code == 5
    assert "differ from the CPU's by 50.0%" in text


def test_an_answer_that_is_no_number_is_never_agreement(gpu, monkeypatch):
    call("build", "action_units", "--precision", "fp32")
    monkeypatch.setattr(engine_report, "difference", lambda *arguments: float("nan"))
    with pytest.raises(ModelError, match="differ from the CPU"):
        engine_report.verify_engines(lambda line: None)


def test_int8_of_all_leaves_out_what_has_no_quantised_form(gpu, monkeypatch):
    monkeypatch.setattr(engine_report, "buildable", lambda: ("htnet_live",))
    code, text = call("build", "--precision", "int8")
    assert code == 0
    assert "left out" in text
    assert gpu[0].n_built == 0


def test_progress_reaches_the_caller_by_network(gpu):
    told = []
    engine_report.build_engines(
        ["action_units"], "fp32", lambda line: None, progress=lambda *now: told.append(now)
    )
    assert {name for name, _ in told} == {"action_units"}
    assert told[-1][1].share == 1.0


def test_our_networks_are_what_can_be_built():
    assert "action_units" in engine_report.buildable()
    assert "face_mesh" not in engine_report.buildable()
    assert "ifdd" not in engine_report.buildable()
