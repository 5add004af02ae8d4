import pytest
from typer.testing import CliRunner

from realtime_affect.bench.scenario import DEFAULT
from realtime_affect.cli import bench as module
from realtime_affect.cli.main import app

TIMES = {"n": 9, "p50": 1.0, "p90": 2.0, "p95": 2.5, "p99": 3.0, "max": 4.0}


@pytest.fixture
def ran(monkeypatch):
    """Scenarios that were run, by a measure that takes no time."""
    scenarios = []

    def measure(scenario, config):
        scenarios.append(scenario)
        return {
            "stage_ms": {"age": TIMES, "jitter": TIMES}, "faces_by_frame": {"2": 9}, "fps": 30.0,
            "frames_analysed": 9, "frames_dropped": 1, "cpu_s_per_frame": 0.01,
            "resident_mib": 300.0, "first_reading_ms": 900.0,
        }  # fmt: skip

    monkeypatch.setattr(module, "measure", measure)
    return scenarios


def test_it_prints_a_table_of_the_default_scenarios_and_the_machine(ran):
    done = CliRunner().invoke(app, ["bench", "--seconds", "3"])
    assert done.exit_code == 0
    assert [scenario.seconds for scenario in ran] == [3.0] * len(DEFAULT)
    lines = done.stdout.splitlines()
    assert (
        "| live | 2 | 30.0 | 10.0% | 1 / 2 / 2 / 3 / 4 | 1.0 | 0.9 s | 10.0 | 300 MiB | - |"
        in lines
    )
    assert any(line.startswith("realtime-affect ") and "cores" in line for line in lines)


def test_a_source_and_a_scenario_of_the_user_s_own_are_taken(ran, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('window = true\nset = {"affect.gaze" = false}\n')
    done = CliRunner().invoke(app, ["bench", "clip.mp4", "--scenario", str(path)])
    assert done.exit_code == 0
    (scenario,) = ran
    assert (scenario.source, scenario.window) == ("clip.mp4", True)
    assert "| mine |" in done.stdout


def test_glass_to_glass_without_a_display_says_what_else_there_is(monkeypatch):
    monkeypatch.setattr(module, "find_window", lambda: (None, "there is no display"))
    done = CliRunner().invoke(app, ["bench", "0", "--glass", "5"])
    assert done.exit_code != 0
    assert "there is no display" in done.stderr
    assert "realtime-affect bench CAMERA" in done.stderr
