import time
from itertools import pairwise
from types import SimpleNamespace

import pytest

from realtime_affect.capture import SourceState
from realtime_affect.serve import pacing
from realtime_affect.serve.pacing import Pace, PacedAffect, PacedFrames, PacedVision
from realtime_affect.types import AffectJob, Frame, Scene
from tests.realtime_affect.runtime.test_pipeline import FakeAffect, FakeSource
from tests.realtime_affect.serve.test_service import BlindUnits
from tests.realtime_affect.world import World, frame_at

MS = 1_000_000


class TimedSource(FakeSource):
    """A camera of 30 frames a second whose clock needs no waiting."""

    def read(self, timeout_s):
        frame = super().read(timeout_s)
        if frame is None:
            return None
        return Frame(frame.index, frame.t_ns, round(frame.index * 1e9 / 30), frame.image)


def lowered(hz):
    """A pace of 30 that load has brought down to about `hz`."""
    pace = Pace(30.0, hz)
    for _ in range(40):
        pace.step(hot=True)
    assert pace.at_least
    return pace


def test_at_full_rate_every_frame_of_an_uneven_camera_is_taken():
    pace = Pace(30.0, 5.0)
    jitter = [0, 2, -2, 1, -1, 3, -3, 0] * 20
    times = [round(i * 1e9 / 30.1) + j * MS for i, j in enumerate(jitter)]
    assert [pace.take(t) for t in times].count(False) == 0
    assert pace.left_out == 0


def test_a_lowered_rate_takes_evenly_and_counts_the_rest():
    pace = lowered(10.0)
    times = [round(i * 1e9 / 30) for i in range(300)]
    taken = [t for t in times if pace.take(t)]
    assert len(taken) == 100
    assert pace.left_out == 200
    gaps = {round((b - a) / MS) for a, b in pairwise(taken)}
    assert gaps == {100}


def test_after_a_pause_there_is_no_burst():
    pace = lowered(10.0)
    assert pace.take(0)
    start = 10_000 * MS
    assert [pace.take(start + i * 33 * MS) for i in range(4)] == [True, False, False, True]


def test_frames_left_out_are_thrown_away_and_those_given_out_are_fresh():
    source = PacedFrames(TimedSource(31), lowered(10.0))
    indices = []
    while (frame := source.read(1.0)) is not None:
        indices.append(frame.index)
        assert frame.captured_ns == round(frame.index * 1e9 / 30)
    assert indices == list(range(0, 31, 3))
    assert source.state is SourceState.ENDED


def test_a_read_gives_up_in_time_however_many_frames_are_left_out(monkeypatch):
    clock, tick_s = SimpleNamespace(now_s=0.0), 1 / 64

    class Camera(TimedSource):
        def read(self, timeout_s):
            clock.now_s += tick_s
            return super().read(timeout_s)

    pace = Pace(0.001, 0.001)
    monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    source = PacedFrames(Camera(None), pace)
    source.read(1.0)
    with pytest.raises(TimeoutError):
        source.read(5 * tick_s)
    assert pace.left_out == 5
    assert clock.now_s == 6 * tick_s
    source.close()


def test_decisions_left_out_repeat_the_last_one_with_its_own_time():
    reader = FakeAffect()
    affect = PacedAffect(reader, lowered(10.0))
    frames = [frame_at(i) for i in range(7)]
    told = [
        affect.decide(AffectJob(Scene(Frame(f.index, f.t_ns, f.t_ns, f.image), ()), ()))
        for f in frames
    ]
    assert [snapshot.t_ns for snapshot in told][-1] == frames[6].t_ns
    assert told[0].t_ns == 0
    assert len({snapshot.t_ns for snapshot in told}) < len(told)
    affect.close()
    assert reader.closed


def test_the_time_that_vision_works_is_its_load():
    world = World(lambda index: [])
    vision = PacedVision(detector=world, mesher=world, units=BlindUnits())
    vision.pace = Pace(30.0, 5.0)
    start_ns = time.monotonic_ns()
    for index in range(5):
        vision.analyse(frame_at(index))
    vision.pace.step(hot=False, now_ns=start_ns + 1_000_000_000_000)
    assert 0 < vision.pace.load.busy < 1
    assert vision.pace.load.done_hz == pytest.approx(0.005, rel=0.1)
    vision.close()


def test_work_that_only_fewer_frames_can_lessen_lowers_their_rate():
    pace = Pace(30.0, 5.0)
    pace.step(hot=False, least_busy=1.0)
    assert pace.lowered
