from types import SimpleNamespace

import psutil
import pytest

from realtime_affect.bench import stolen as module
from realtime_affect.bench.stolen import Stolen


def test_the_share_is_of_all_cores_time(monkeypatch):
    steal, now = iter((3.0, 4.0)), iter((100.0, 110.0))
    monkeypatch.setattr(psutil, "cpu_times", lambda: SimpleNamespace(steal=next(steal)))
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(now)))
    assert Stolen().share() == pytest.approx(0.05)


def test_a_system_that_does_not_say_it_gives_no_number(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_times", lambda: SimpleNamespace(user=1.0))
    share = Stolen().share()
    assert share != share
