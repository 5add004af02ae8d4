"""Fixed windows with coverage."""

import numpy as np
import pytest

from realtime_affect.interpret.windows import fixed_windows

MS = 1_000_000


def test_windows_lie_on_a_grid_and_hold_the_means_of_what_is_in_them():
    times = [40 * MS * k for k in range(20)]  # 25 a second, 0.8 s
    windows = fixed_windows(times, np.arange(20.0)[:, None], 200)
    assert windows.start_ns.tolist() == [0, 200 * MS, 400 * MS, 600 * MS]
    assert windows.means[:, 0].tolist() == [2.0, 7.0, 12.0, 17.0]
    assert windows.coverage.tolist() == pytest.approx([1.0] * 4)


def test_a_pause_is_a_window_without_a_value_and_without_coverage():
    times = [40 * MS * k for k in [*range(5), *range(15, 20)]]
    windows = fixed_windows(times, np.ones((10, 1)), 200)
    assert np.isnan(windows.means[1:3, 0]).all()
    assert windows.coverage[0] == windows.coverage[3] == pytest.approx(1.0)
    assert windows.coverage[2] == 0.0


def test_a_half_seen_window_is_half_covered():
    windows = fixed_windows([0, 50 * MS, 250 * MS, 300 * MS], np.ones((4, 1)), 100)
    assert windows.coverage[0] == pytest.approx(1.0)
    assert windows.coverage[2] == pytest.approx(0.5)


def test_values_without_evidence_are_left_out_of_the_mean():
    windows = fixed_windows([0, 10 * MS], np.array([[1.0, np.nan], [3.0, np.nan]]), 100)
    assert windows.means[0, 0] == 2.0
    assert np.isnan(windows.means[0, 1])


def test_nothing_gives_no_window():
    assert len(fixed_windows([], np.empty((0, 3)), 200).start_ns) == 0
