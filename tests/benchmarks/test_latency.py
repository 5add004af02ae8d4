import dataclasses
import tomllib

import numpy as np
import pytest

from realtime_affect.config import Config
from realtime_affect.types import (
    AffectResult,
    AffectSnapshot,
    Expression,
    Frame,
    Reading,
    Scene,
    Track,
)

STAGES = {"age", "detect", "mesh", "track", "action_units", "vision", "affect", "painted"}


@pytest.mark.usefixtures("models")
def test_two_seconds_of_the_demo_yield_percentiles_of_every_stage(script):
    figures = script("latency").run("demo", 2.0, Config(), painted=True)
    assert set(figures["stage_ms"]) >= STAGES
    assert figures["frames_analysed"] > 0
    assert figures["frames_dropped"] >= 0
    assert figures["first_reading_ms"] > 0
    painted = figures["stage_ms"]["painted"]
    assert 0 < painted["n"] <= figures["frames_analysed"]
    assert 0 < painted["p50"] <= painted["p90"] <= painted["p99"] <= painted["max"]
    assert set(figures["slots"]) >= {"frames", "jobs"}
    assert figures["stage_ms"]["received"]["n"] == sum(figures["raw_received_ms"]["counts"])
    assert sum(figures["faces_by_frame"].values()) == painted["n"]


@pytest.mark.usefixtures("models")
def test_unpainted_nothing_is_painted_and_the_record_says_the_scenario(
    script, run_main, recorded_in, capsys
):
    scenario = script("latency").SCENARIOS / "demo_headless.toml"
    run_main("latency", "--scenario", scenario, "--seconds", 1, "--record")
    (record,) = script("records").read(recorded_in / "latency.jsonl")
    assert record["config"]["scenario"] == "demo_headless"
    assert record["config"]["seconds"] == 1
    assert record["config"]["config"] == Config().as_dict()
    assert record["figures"]["stage_ms"]["painted"]["n"] == 0
    assert "frames analysed" in capsys.readouterr().out


def test_every_scenario_is_complete_and_its_settings_exist(script):
    paths = sorted(script("latency").SCENARIOS.glob("*.toml"))
    assert paths
    for path in paths:
        scenario = tomllib.loads(path.read_text(encoding="utf-8"))
        assert set(scenario) - {"set", "tiles"} == {"source", "faces", "seconds", "painted"}
        Config().with_values(scenario.get("set", {}))


@pytest.mark.usefixtures("models")
def test_a_crowd_is_the_same_people_more_often(script):
    figures = script("latency").run("demo", 2.5, Config(), painted=False, tiles=2)
    assert "8" in figures["faces_by_frame"]


def test_the_histogram_counts_by_whole_milliseconds(script):
    histogram = script("latency").histogram([0.2, 2.0, 2.9])
    assert histogram == {"bin_ms": 1, "counts": [1, 0, 2]}
    assert script("latency").histogram([])["counts"] == []


def test_each_decision_of_a_face_counts_once_for_its_time_in_view(script):
    frame = Frame(0, 0, 0, np.zeros((4, 4, 3), np.uint8))
    decisions = script("latency").Decisions()
    for i in range(30 * 10 + 1):
        t_ns = i * 1_000_000_000 // 30
        shown = Expression(t_ns - t_ns % 100_000_000, np.full(8, 0.125), False)
        tracks = [Track(1, np.zeros(4), 1.0, 1, 0, None)]
        tracks += [Track(2, np.zeros(4), 1.0, 1, 0, None)] * (i < 60)
        results = {k: AffectResult(k, t_ns, np.zeros(2), 0.0, shown) for k in (1, 2)}
        scene = Scene(dataclasses.replace(frame, t_ns=t_ns), tuple(tracks))
        decisions.add(Reading(scene, AffectSnapshot(t_ns, t_ns, results)))
    rates = decisions.per_second()
    assert set(rates) == {"1"}, "two seconds in view are too few to tell"
    assert rates["1"] == pytest.approx(10, abs=0.2)
