import json
from pathlib import Path

import numpy as np
import pytest

import realtime_affect
from realtime_affect.face.pose import load_neutral_face
from realtime_affect.names import AU_INTENSITIES
from training.action_units import traces
from training.action_units.traces import Trace, jitter, still_stretches

FPS, N = 30.0, 60
DEMO = Path(realtime_affect.__file__).parent / "demo" / "demo.mp4"


def trace(moves_mm=0.0, units=None):
    """Two seconds of a face whose chin moves in the second one."""
    points = np.repeat(load_neutral_face().points[None].astype(np.float64), N, axis=0)
    points[N // 2 :, 152, 1] += moves_mm * np.sin(np.arange(N // 2))
    values = np.zeros((N, len(AU_INTENSITIES))) if units is None else units
    return Trace(np.arange(N) / FPS, values, points, [np.zeros((20, 20, 3), np.uint8)] * 4)


def test_a_face_that_does_not_move_is_still_all_the_time():
    stretches = still_stretches(trace())
    assert [(s.start, s.stop) for s in stretches] == [(0, 15), (15, 30), (30, 45)]


def test_a_moving_point_ends_the_stillness():
    assert all(s.stop <= N // 2 + 1 for s in still_stretches(trace(moves_mm=5.0)))


def test_jitter_is_the_rms_around_the_mean_of_each_stretch_and_motion_does_not_count():
    units = np.zeros((N, len(AU_INTENSITIES)))
    units[:, 0] = np.where(np.arange(N) % 2, 1.2, 1.0)
    units[N // 2 :, 1] = np.linspace(0, 5, N // 2)  # while the chin moves
    units[:15, 2] = 3.0  # a step between two stretches
    units[:, 3] = np.nan
    found = jitter([trace(5.0, units)])
    assert found["AU01"] == pytest.approx(0.1, rel=0.02)
    assert found["AU02"] == pytest.approx(0, abs=0.2)
    assert found["AU04"] == 0
    assert np.isnan(found["AU05"])


def test_a_clip_without_a_still_face_has_no_jitter():
    moving = trace()
    moving.points[:, 152, 1] += 9 * np.sin(np.arange(N))
    assert all(np.isnan(value) for value in jitter([moving]).values())


def test_a_clip_is_followed_through_the_product(models):
    found = traces.follow(DEMO)
    assert len(found.seconds) == len(found.units) == len(found.points) > 300
    assert found.units.shape[1] == len(AU_INTENSITIES)
    assert np.nanmax(found.units[:, AU_INTENSITIES.index("AU12")]) > 2  # the demo smiles
    assert len(found.pictures) == 10


def test_the_command_draws_and_reports(tmp_path, monkeypatch):
    report = tmp_path / "jitter.json"
    arguments = ["traces", str(DEMO), "--out", str(tmp_path), "--report", str(report)]
    monkeypatch.setattr("sys.argv", arguments)
    monkeypatch.setattr(traces, "follow", lambda clip: trace())
    traces.main()
    assert (tmp_path / f"{DEMO.stem}.png").stat().st_size > 10_000
    assert json.loads(report.read_text())["worst_jitter_rms"] == 0
