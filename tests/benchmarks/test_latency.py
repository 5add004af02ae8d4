import pytest

from realtime_affect.bench.scenario import read_scenario
from realtime_affect.config import Config


def test_every_scenario_is_complete_and_its_settings_exist(script):
    latency = script("latency")
    paths = sorted(latency.SCENARIOS.glob("*.toml"))
    assert {1, 2, 4, 6, 20} == {read_scenario(path).faces for path in paths}
    for path in paths:
        Config().with_values(read_scenario(path).set)
    assert not any(path.name.startswith("gpu_") for path in latency.all_scenarios())
    assert len(latency.all_scenarios()) < len(paths)


@pytest.mark.usefixtures("models")
def test_a_record_says_the_scenario_and_its_settings(script, run_main, recorded_in, capsys):
    scenario = script("latency").SCENARIOS / "faces_1.toml"
    run_main("latency", scenario, "--seconds", 0.6, "--record")
    (record,) = script("records").read(recorded_in / "latency.jsonl")
    assert (record["config"]["scenario"], record["config"]["seconds"]) == ("faces_1", 0.6)
    assert record["config"]["config"] == Config().as_dict()
    assert record["figures"]["stage_ms"]["painted"]["n"] == 0
    assert "| faces_1 |" in capsys.readouterr().out
