"""The script on the CPU, and on stand-ins that it must never time as a GPU."""

import pytest

from tests.affect_engines import fake_tensorrt


@pytest.fixture(autouse=True)
def no_plans(monkeypatch, tmp_path):
    monkeypatch.setenv("REALTIME_AFFECT_ENGINES", str(tmp_path / "engines"))


def test_a_dry_run_measures_the_cpu_says_what_else_there_is_and_records_nothing(
    run_main, recorded_in, capsys, monkeypatch
):
    fake_tensorrt.install(monkeypatch)
    run_main("engines", "--networks", "action_units", "--faces", 1, 2, "--dry-run", "--record")
    printed = capsys.readouterr().out
    assert "onnxruntime fp32, 1 face: p50" in printed
    assert "onnxruntime fp32, 2 faces: p50" in printed
    assert "onnxruntime int8, 1 face: p50" in printed
    assert "tensorrt: not run: TensorRT: " in printed
    assert "a stand-in for tests" in printed
    assert "nothing is recorded" in printed
    assert list(recorded_in.iterdir()) == []


def test_a_record_names_the_network_and_the_backends(script, run_main, recorded_in):
    run_main("engines", "--networks", "action_units", "--faces", 1, "--rounds", 3, "--record")
    (record,) = script("records").read(recorded_in / "engines.jsonl")
    assert set(record["config"]["networks"]) == {"action_units"}
    assert record["config"]["backends"]["onnxruntime"].endswith("on the CPU")
    figures = record["figures"]["action_units"]
    engine = figures["engines"]["onnxruntime fp32"]
    times = engine["faces"]["1"]
    assert 0 < times["min_ms"] <= times["p50_ms"] <= times["p99_ms"]
    assert engine["difference"] == 0.0
    assert engine["opening_ms"] > 0


def test_an_engine_that_answers_otherwise_is_not_timed(script, monkeypatch):
    module = script("engines")
    monkeypatch.setattr(module, "difference", lambda *arguments: 0.5)
    with pytest.raises(RuntimeError, match=r"differs by 0\.5"):
        module.measure("action_units", [1], 1)


def test_the_face_mesh_is_compared_with_litert(models, run_main, recorded_in, capsys):
    run_main("engines", "--networks", "face_mesh", "--faces", 1, 4, "--dry-run")
    printed = capsys.readouterr().out
    assert "litert fp32, 1 face: p50" in printed
    assert "4 faces" not in printed  # it takes one at a time
    assert "blocks fp32, 1 face: p50" in printed or "blocks: not run" in printed
