import numpy as np

from realtime_affect.clips import EyeHistory
from realtime_affect.track import TrackConfig
from realtime_affect.vision import Vision
from tests.realtime_affect.world import Person, World, frame_at


def history_over(frames, people):
    world = World(people)
    vision = Vision(track=TrackConfig(detect_every_ms=500), detector=world, mesher=world)
    history = EyeHistory()
    return [history.append(vision.analyse(frame)) for frame in frames]


def test_every_track_has_its_own_window_of_source_times():
    windows = history_over(
        [frame_at(i) for i in range(60)],
        lambda i: [Person("a", 150, 150)] + ([Person("b", 400, 150)] if i >= 30 else []),
    )
    assert [w.track_id for w in windows[-1]] == [1, 2]
    first, second = windows[-1]
    assert len(first.t_ns) == 60
    assert 10 < len(second.t_ns) < 31
    assert np.all(np.diff(first.t_ns) > 0)
    assert np.all(first.openness > 0.1)


def test_a_window_holds_one_minute_and_earlier_windows_stay_as_they_were():
    frames = [frame_at(i, t_s=i / 2) for i in range(400)]
    windows = history_over(frames, lambda _: [Person("a", 150, 150)])
    last = windows[-1][0]
    assert (last.t_ns[-1] - last.t_ns[0]) / 1e9 == 60
    early = windows[50][0]
    assert len(early.t_ns) == 51
    assert early.t_ns[0] == frames[0].t_ns
    assert not early.t_ns.flags.writeable
