import math
import threading

import numpy as np
import pytest

from realtime_affect.runtime.stats import Percentiles, StageClock


def test_percentiles_are_those_of_the_samples():
    samples = np.arange(1, 101, dtype=float)
    stats = Percentiles.of(samples)
    assert (stats.n, stats.max) == (100, 100.0)
    assert stats.p50 == pytest.approx(50.5)
    assert stats.p90 < stats.p95 < stats.p99 < stats.max


def test_no_samples_give_nan_not_zero():
    stats = Percentiles.of(np.array([]))
    assert stats.n == 0
    assert all(math.isnan(v) for v in (stats.p50, stats.p90, stats.p95, stats.p99, stats.max))


def test_threads_lose_no_sample():
    clock = StageClock()

    def add():
        for _ in range(500):
            clock.add("mesh", 2_000_000)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.percentiles()["mesh"] == Percentiles(2000, *[2.0] * 5)


def test_fps_counts_the_last_two_seconds_only():
    clock = StageClock()
    assert clock.fps() == 0
    for i in range(300):
        clock.tick(i * 10_000_000)  # 100 fps
    for i in range(1, 61):
        clock.tick(2_990_000_000 + i * 50_000_000)  # then 20 fps for three seconds
    assert clock.fps() == pytest.approx(20, abs=0.01)
