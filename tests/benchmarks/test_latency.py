import math

import pytest

from realtime_affect.bench.scenario import Scenario, read_scenario
from realtime_affect.config import Config


def test_every_scenario_is_complete_and_its_settings_exist(script):
    latency = script("latency")
    paths = sorted(latency.SCENARIOS.glob("*.toml"))
    assert {1, 2, 4, 6, 20} == {read_scenario(path).faces for path in paths}
    for path in paths:
        Config().with_values(read_scenario(path).set)
    assert not any(path.name.startswith("gpu_") for path in latency.all_scenarios())
    assert len(latency.all_scenarios()) < len(paths)


@pytest.mark.parametrize(
    ("stolen", "taken", "n"),
    [
        ([0.001], 0.001, 1),
        ([0.2, 0.005], 0.005, 2),
        ([0.2, 0.1, 0.3], 0.1, 3),
        ([math.nan], None, 1),
    ],
)
def test_where_other_machines_disturb_the_calmest_of_three_runs_counts(
    script, monkeypatch, stolen, taken, n
):
    latency, runs = script("latency"), iter(stolen)
    monkeypatch.setattr(latency, "measure", lambda _: {"fps": 30.0, "stolen_share": next(runs)})
    figures = latency.record_of("x", Scenario(), script("records").code_state())["figures"]
    assert len(figures["runs"]) == n
    assert figures["stolen_share"] == taken or taken is None


@pytest.mark.usefixtures("models")
def test_a_record_says_the_scenario_and_its_settings(script, run_main, recorded_in, capsys):
    scenario = script("latency").SCENARIOS / "faces_1.toml"
    run_main("latency", scenario, "--seconds", 0.6, "--record")
    (record,) = script("records").read(recorded_in / "latency.jsonl")
    assert (record["config"]["scenario"], record["config"]["seconds"]) == ("faces_1", 0.6)
    assert record["config"]["config"] == Config().as_dict()
    assert record["figures"]["stage_ms"]["painted"]["n"] == 0
    assert "| faces_1 |" in capsys.readouterr().out
