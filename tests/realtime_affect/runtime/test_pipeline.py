import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from realtime_affect.capture import SourceInfo, SourceState
from realtime_affect.errors import InputError
from realtime_affect.face.vision import Vision
from realtime_affect.runtime.pipeline import Pipeline, WorkerError
from realtime_affect.slots import SlotClosed
from realtime_affect.types import AffectResult, AffectSnapshot, Frame
from tests.realtime_affect.world import Person, World, frame_at


@dataclass
class FakeSource:
    """Frames with known numbers; may wait, fail or never end."""

    n: int | None = 30
    every_s: float = 0.0
    fail_at: int | None = None
    error: Exception = field(default_factory=lambda: RuntimeError("driver gone"))
    kind: str = "video"
    warnings: tuple[str, ...] = ()
    closed: bool = False
    index: int = 0

    def __post_init__(self):
        self.info = SourceInfo(
            kind=self.kind,
            name="fake",
            width=640,
            height=360,
            fps=30.0,
            n_frames=self.n,
            live=False,
        )
        self.state = SourceState.ONLINE

    def read(self, timeout_s):
        if self.index == self.fail_at:
            raise self.error
        if self.index == self.n:
            self.state = SourceState.ENDED
            return None
        if self.every_s:
            time.sleep(self.every_s)
        frame = frame_at(self.index)
        self.index += 1
        return Frame(frame.index, frame.t_ns, time.monotonic_ns(), frame.image)

    def close(self):
        self.closed = True


class Progressed:
    """A count that threads wait for."""

    def __init__(self):
        self.n, self.changed = 0, threading.Condition()

    def add(self):
        with self.changed:
            self.n += 1
            self.changed.notify_all()

    def wait_for(self, n):
        with self.changed:
            assert self.changed.wait_for(lambda: self.n >= n, 30), f"{self.n} of {n}"


class PacedSource(FakeSource):
    """Frames that come when `wait` says so."""

    def __init__(self, n, wait):
        super().__init__(n)
        self.wait = wait

    def read(self, timeout_s):
        self.wait(self.index)
        return super().read(timeout_s)


class FakeAffect:
    """Answers with the time of the frame it was asked about; may be slow or fail."""

    backend = "made up"

    def __init__(self, wait_s=0.0, fail_at=None):
        self.wait_s, self.fail_at, self.closed = wait_s, fail_at, False

    def decide(self, job):
        frame = job.scene.frame
        if frame.index == self.fail_at:
            raise ZeroDivisionError
        time.sleep(self.wait_s)
        results = {
            t.track_id: AffectResult(t.track_id, frame.t_ns, np.zeros(2), 0.0)
            for t in job.scene.tracks
        }
        return AffectSnapshot(frame.t_ns, frame.captured_ns, results)

    def reset(self):
        pass

    def close(self):
        self.closed = True


class SlowWorld(World):
    wait_s = 0.0

    def estimate(self, image, region):
        time.sleep(self.wait_s)
        return super().estimate(image, region)


def make(source, *, live, wait_s=0.0, affect=None):
    world = SlowWorld(lambda i: [Person("a", 200, 150)])
    world.wait_s = wait_s
    vision = Vision(detector=world, mesher=world)
    return Pipeline(source, live=live, vision=vision, affect=affect or FakeAffect())


LONG_S = 1000.0  # deeper than any test is long


class Collected:
    """A sink that keeps every reading."""

    def __init__(self):
        self.readings, self.closed = [], False

    def open(self, info):
        self.info = info

    def write(self, reading):
        self.readings.append(reading)

    def close(self):
        self.closed = True


def drain(slot):
    """Read a slot until it is closed."""
    while True:
        try:
            yield slot.get(60)
        except SlotClosed:
            return


def balanced(counters):
    return counters.puts == counters.gets + counters.drops + counters.pending


def test_offline_every_frame_comes_once_in_order_with_its_own_affect():
    with make(FakeSource(60), live=False, affect=FakeAffect(wait_s=0.002)) as pipeline:
        readings = list(pipeline)
    assert [r.scene.frame.index for r in readings] == list(range(60))
    assert all(r.affect.t_ns == r.scene.frame.t_ns for r in readings)
    stats = pipeline.stats()
    assert stats.drops == 0
    assert stats.frames_analysed == 60
    assert stats.backend == "made up"
    assert all(balanced(c) for c in stats.slots.values())


@pytest.mark.survival(17)
def test_live_the_newest_frame_wins_and_drops_are_counted():
    with make(FakeSource(80, every_s=0.005), live=True, wait_s=0.03) as pipeline:
        indices = [r.scene.frame.index for r in pipeline]
        stats = pipeline.stats()
    assert indices == sorted(set(indices))
    assert stats.drops > 0
    assert stats.frames_analysed + stats.drops == 80
    assert all(balanced(c) for c in stats.slots.values())
    assert indices[-1] == 79, "the last frame is never left behind"


@pytest.mark.parametrize("kind", ["video", "camera"])
def test_a_pause_stops_a_file_at_its_image_and_passes_over_a_cameras(kind):
    """The pause comes while frame 10 is read, and ends before frame 30 is."""
    paused, far, resumed = threading.Event(), threading.Event(), threading.Event()

    class Watched(FakeSource):
        def read(self, timeout_s):
            if self.index == 10:
                assert paused.wait(60)
            if self.index == 30:
                far.set()
                assert resumed.wait(60)
            return super().read(timeout_s)

    source, sink = Watched(40, kind=kind), Collected()
    with make(source, live=True) as pipeline:
        slot = pipeline.subscribe()
        pipeline.attach(sink, depth_s=LONG_S)
        pipeline.start()
        while slot.get(60).scene.frame.index < 9:
            pass
        pipeline.pause(True)
        assert pipeline.paused
        paused.set()
        if kind == "camera":
            assert far.wait(60)
        else:
            assert not far.wait(0.3)
            assert source.index <= 11
        pipeline.pause(False)
        resumed.set()
        pipeline.join()
    shown = [reading.scene.frame.index for reading in sink.readings]
    assert shown[-1] == 39
    if kind == "camera":
        assert not set(shown) & set(range(11, 30))


def test_live_a_slow_network_holds_up_no_box():
    published = Progressed()

    class Slow(FakeAffect):
        def decide(self, job):
            # As long as four frames take, however fast this machine is; the last need not wait.
            published.wait_for(min(60, job.scene.frame.index + 5))
            return super().decide(job)

    class Counted(Collected):
        def write(self, reading):
            super().write(reading)
            published.add()

    source = PacedSource(60, lambda index: published.wait_for(index))
    with make(source, live=True, affect=Slow()) as pipeline:
        sink = Counted()
        pipeline.attach(sink, depth_s=LONG_S)
        pipeline.start()
        pipeline.join()
        readings, stats = sink.readings, pipeline.stats()
    assert len(readings) + stats.drops == 60
    assert stats.slots["jobs"].drops > 0
    ages = [r.affect_age_ms() for r in readings if r.affect.results]
    assert ages
    assert max(ages) > 0, "affect older than its scene says so"


def test_a_deep_sink_misses_nothing_live_while_a_reader_is_stalled():
    with make(FakeSource(40, every_s=0.005), live=True) as pipeline:
        rows = Collected()
        pipeline.attach(rows, depth_s=LONG_S)
        stalled = pipeline.subscribe()
        pipeline.start()
        pipeline.join()
        got = len(rows.readings)
        assert got == pipeline.stats().frames_analysed
        assert stalled.counters.drops == got - 1
        assert stalled.get(60).scene.frame.index == 39


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("where", ["capture", "vision", "affect"])
def test_a_worker_that_raises_ends_the_run_and_is_named(live, where):
    class Broken(World):
        def estimate(self, image, region):
            raise ZeroDivisionError

    source = FakeSource(None, every_s=0.002, fail_at=20 if where == "capture" else None)
    broken = Broken(lambda i: [Person("a", 200, 150)])
    whole = World(lambda i: [Person("a", 200, 150)])
    world = broken if where == "vision" else whole
    affect = FakeAffect()
    if where == "affect":
        affect.decide = lambda job: 1 / 0
    pipeline = Pipeline(
        source, live=live, vision=Vision(detector=world, mesher=world), affect=affect
    )
    with pipeline, pytest.raises(WorkerError) as caught:
        for _ in pipeline:
            pass
    assert f"in the {where} worker" in caught.value.__cause__.__notes__
    assert not pipeline.running


def test_an_error_meant_for_the_user_arrives_as_it_is():
    error = InputError("camera 0", got="nothing", expected="frames", hint="Plug it in.")
    pipeline = make(FakeSource(None, fail_at=5, error=error), live=True)
    with pipeline, pytest.raises(InputError, match="Plug it in"):
        list(pipeline)


@pytest.mark.parametrize("live", [True, False])
def test_leaving_in_the_middle_stops_everything_and_closes_the_source(live):
    source = FakeSource(None, every_s=0.001)
    affect = FakeAffect()
    with make(source, live=live, affect=affect) as pipeline:
        for reading in pipeline:
            if reading.scene.frame.index >= 10:
                break
    assert not pipeline.running
    assert source.closed
    assert affect.closed


def test_stop_drains_what_was_captured():
    with make(FakeSource(None, every_s=0.001), live=False) as pipeline:
        slot = pipeline.subscribe()
        pipeline.start()
        for reading in drain(slot):
            last = reading.scene.frame.index
            if last == 15:
                pipeline.stop()
        captured = pipeline.stats().slots["frames"].puts
    assert last == captured - 1


def test_a_pipeline_that_was_never_started_closes():
    source = FakeSource()
    with make(source, live=True):
        pass
    assert source.closed


def test_the_neutral_is_set_from_any_thread():
    source = FakeSource(None, every_s=0.002)
    with make(source, live=True) as pipeline:
        calibrations = []
        for reading in pipeline:
            face = reading.scene.tracks[0].face if reading.scene.tracks else None
            if face:
                calibrations.append(face.action_units.calibration)
            if len(calibrations) == 10:
                threading.Thread(target=pipeline.set_neutral, args=(1,)).start()
            if len(calibrations) > 400 or (calibrations and calibrations[-1] == 1):
                break
    assert calibrations[5] < 1
    assert calibrations[-1] == 1


def test_ages_are_measured_from_capture():
    with make(FakeSource(20, every_s=0.005), live=True, wait_s=0.02) as pipeline:
        list(pipeline)
        age = pipeline.stats().stage_ms["age"]
    assert age.n == pipeline.stats().frames_analysed
    assert age.p50 >= 20, "each frame spent 20 ms in the mesh"


def test_stills_are_each_analysed_on_their_own():
    with make(FakeSource(5, kind="stills"), live=False) as pipeline:
        readings = list(pipeline)
    assert [[t.track_id for t in r.scene.tracks] for r in readings] == [[1]] * 5
    assert all(r.scene.tracks[0].face.action_units.calibration == 0 for r in readings)
