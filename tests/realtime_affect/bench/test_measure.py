import dataclasses
import math

import numpy as np
import pytest

from realtime_affect.bench.measure import Decisions, histogram, measure
from realtime_affect.bench.scenario import Scenario
from realtime_affect.bench.table import bench_table
from realtime_affect.types import (
    AffectResult,
    AffectSnapshot,
    Expression,
    Frame,
    Reading,
    Scene,
    Track,
)

STAGES = {"age", "detect", "mesh", "track", "action_units", "vision", "affect", "painted", "jitter"}


@pytest.mark.usefixtures("models")
def test_a_second_of_the_demo_painted_and_recorded_yields_every_figure_and_a_table():
    figures = measure(Scenario(seconds=1.2, window=True, record=True))
    assert set(figures["stage_ms"]) >= STAGES
    painted = figures["stage_ms"]["painted"]
    assert 0 < painted["n"] <= figures["frames_analysed"]
    assert 0 < painted["p50"] <= painted["p90"] <= painted["p95"] <= painted["max"]
    assert figures["first_painted_ms"] > 0 < figures["first_reading_ms"]
    assert figures["cpu_s_per_frame"] > 0
    assert figures["resident_mib"] > 1
    assert figures["stage_ms"]["received"]["n"] == sum(figures["raw_received_ms"]["counts"])
    assert math.isnan(figures["stolen_share"]) or 0 <= figures["stolen_share"] <= 1
    table = bench_table({"live": figures})
    assert "| live | 2 |" in table
    assert "| mesh | action_units |" in table


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("mode", ["single-stream", "saturated"])
def test_a_frame_is_never_dropped_where_each_is_answered(mode):
    figures = measure(Scenario(mode=mode, faces=4, seconds=0.8))
    assert figures["frames_dropped"] == 0
    assert "4" in figures["faces_by_frame"]
    assert ("age" in figures["stage_ms"]) == (mode == "single-stream")
    assert bench_table({mode: figures})


def test_the_histogram_counts_by_whole_milliseconds():
    assert histogram([0.2, 2.0, 2.9]) == {"bin_ms": 1, "counts": [1, 0, 2]}
    assert histogram([])["counts"] == []


def test_each_decision_of_a_face_counts_once_for_its_time_in_view():
    frame = Frame(0, 0, 0, np.zeros((4, 4, 3), np.uint8))
    decisions = Decisions()
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
