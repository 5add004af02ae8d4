import threading
import time

import numpy as np
import pytest

from realtime_affect.capture import SourceInfo, SourceState
from realtime_affect.capture.paced import PacedSource
from realtime_affect.types import Frame

MS = 1_000_000


class FakeFile:
    """Frames at given times; decoding each may take its time."""

    warnings = ("made up",)
    state = SourceState.ONLINE

    def __init__(self, times_ms, decode_s=None):
        self.info = SourceInfo("video", "fake", 4, 4, 25.0, len(times_ms), live=False)
        self._times = list(enumerate(times_ms))
        self._decode_s = decode_s or {}
        self.closed = False

    def read(self, timeout_s):
        if not self._times:
            return None
        index, t_ms = self._times.pop(0)
        time.sleep(self._decode_s.get(index, 0))
        return Frame(index, t_ms * MS, time.monotonic_ns(), np.zeros((4, 4, 3), np.uint8))

    def close(self):
        self.closed = True


def play(source, timeout_s=5.0):
    frames = []
    while (frame := source.read(timeout_s)) is not None:
        frames.append(frame)
    return frames


def test_no_frame_comes_before_it_is_due():
    frames = play(PacedSource(FakeFile([1000, 1040, 1050, 1200])))
    begin_ns = frames[0].captured_ns
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    for frame in frames:
        assert frame.captured_ns - begin_ns >= frame.t_ns - frames[0].t_ns
        assert frame.captured_ns <= time.monotonic_ns()


def test_a_frame_that_is_not_due_yet_is_waited_for_no_longer_than_asked():
    source = PacedSource(FakeFile([0, 3_600_000]))
    source.read(60.0)
    for timeout_s in (0.01, 0.0):
        with pytest.raises(TimeoutError):
            source.read(timeout_s)
    source = PacedSource(FakeFile([0, 50]))
    source.read(60.0)
    assert source.read(60.0).index == 1
    assert source.read(60.0) is None
    assert source.state is SourceState.ENDED


def test_after_a_slow_frame_the_rest_keeps_its_distances():
    frames = play(PacedSource(FakeFile([0, 40, 80, 120, 160], decode_s={1: 0.4})))
    assert len(frames) == 5  # none is dropped
    after = frames[1:]
    for frame in after:  # and none hurries after it
        assert frame.captured_ns - after[0].captured_ns >= frame.t_ns - after[0].t_ns


def test_reading_leaves_half_of_the_time_that_it_can_to_the_frame_before():
    class Watched(FakeFile):
        def read(self, timeout_s):
            begun_ns.append((time.monotonic_ns(), source._due_ns + source._rest_ns))
            return super().read(timeout_s)

    begun_ns = []
    source = PacedSource(Watched([0, 30, 60, 90, 120]))
    while source.read(60.0) is not None:
        if len(begun_ns) > 1:
            assert source._rest_ns == max(0, (30 * MS - source._reading_ns) // 2)
    assert all(begun >= rested for begun, rested in begun_ns[1:])
    assert begun_ns[-1][1] > 0


def test_what_takes_all_the_time_there_is_to_read_is_begun_at_once():
    decode_s = dict.fromkeys(range(1, 6), 0.06)
    source = PacedSource(FakeFile([0, 40, 80, 120, 160, 200], decode_s))
    frames = play(source)
    assert len(frames) == 6
    assert source._rest_ns == 0


def test_stills_last_as_long_as_asked_and_so_does_the_last():
    source = PacedSource(FakeFile([0, 1]), frame_s=0.1)
    first, second = source.read(60.0), source.read(60.0)
    assert second.captured_ns - first.captured_ns >= 100 * MS
    assert source.state is SourceState.ONLINE
    assert source.read(60.0) is None
    assert time.monotonic_ns() - first.captured_ns >= 200 * MS


def test_what_is_known_of_the_file_is_passed_on():
    source = PacedSource(FakeFile([0]))
    assert source.info.live
    assert source.info.name == "fake"
    assert source.warnings == ("made up",)


def test_closing_wakes_a_reader_that_waits():
    file = FakeFile([0, 3_600_000])
    source = PacedSource(file)
    source.read(60.0)
    got = []
    reader = threading.Thread(target=lambda: got.append(source.read(3600.0)), daemon=True)
    reader.start()
    source.close()
    reader.join(60)
    assert got == [None]
    assert file.closed
    assert source.state is SourceState.ENDED
    source.close()


def test_a_jump_in_time_is_waited_for_two_seconds_at_most_and_told():
    source = PacedSource(FakeFile([0, 40, 3_600_040, 3_600_080]))
    began_s = time.monotonic()
    assert len(play(source)) == 4
    assert 2.0 <= time.monotonic() - began_s < 60
    assert "1 gaps in time shortened to 2 s" in source.warnings
