import itertools

import cv2
import numpy as np
import pytest

from realtime_affect.bench import clips
from realtime_affect.bench.clips import EndlessClip, crowd_of, open_endless
from realtime_affect.capture import CaptureConfig, SourceState
from realtime_affect.outputs.video import VideoRecorder


@pytest.fixture
def clip(tmp_path):
    """Five grey frames, each brighter than the one before."""
    path = tmp_path / "five.mp4"
    recorder = VideoRecorder(path)
    for i in range(5):
        recorder.write(np.full((48, 64, 3), 40 * i, np.uint8), i * 40_000_000)
    recorder.close()
    return path


def brightness(frame):
    return round(float(frame.image.mean()) / 40)


def test_a_clip_starts_again_and_its_times_and_numbers_go_on(clip):
    endless = EndlessClip(str(clip), CaptureConfig())
    frames = [endless.read(1.0) for _ in range(12)]
    assert [frame.index for frame in frames] == list(range(12))
    assert [brightness(frame) for frame in frames] == [0, 1, 2, 3, 4] * 2 + [0, 1]
    steps_ms = [(b.t_ns - a.t_ns) / 1e6 for a, b in itertools.pairwise(frames)]
    seams = [steps_ms.pop(i) for i in (9, 4)]  # one period of the rate that the file states
    assert steps_ms == pytest.approx([40] * 9, abs=1)
    assert seams == pytest.approx([1e3 / endless.info.fps] * 2, abs=1)
    assert seams == pytest.approx([40] * 2, abs=10)
    assert endless.info.n_frames is None
    endless.close()


def test_after_closing_nothing_comes(clip):
    endless = EndlessClip(str(clip), CaptureConfig())
    assert endless.state is SourceState.ONLINE
    endless.close()
    endless.close()
    assert endless.read(1.0) is None
    assert endless.state is SourceState.ENDED


@pytest.mark.parametrize(("n", "rows"), [(1, 1), (2, 1), (4, 2), (6, 2), (20, 4)])
def test_a_crowd_is_the_halves_of_an_image_as_often_as_asked(n, rows):
    image = np.zeros((360, 640, 3), np.uint8)
    for x, level in ((160, 255), (480, 128)):
        cv2.circle(image, (x, 180), 60, (level,) * 3, -1)
    shown = crowd_of(image, n)
    assert shown.shape == image.shape
    found, _, sizes, _ = cv2.connectedComponentsWithStats((shown[..., 0] > 60).astype(np.uint8))
    assert found - 1 == n
    assert sizes[1, cv2.CC_STAT_HEIGHT] == pytest.approx(121 / rows, abs=3)


def test_a_clip_is_shown_in_another_size_and_at_another_rate(clip):
    endless = EndlessClip(str(clip), CaptureConfig(), size_px=(32, 24), fps=50.0)
    frames = [endless.read(1.0) for _ in range(7)]
    assert {frame.image.shape for frame in frames} == {(24, 32, 3)}
    assert [frame.t_ns for frame in frames] == [i * 20_000_000 for i in range(7)]
    assert (endless.info.width, endless.info.height, endless.info.fps) == (32, 24, 50.0)
    endless.close()


def test_a_clip_opened_endlessly_keeps_its_own_pace(clip):
    source = open_endless(str(clip), CaptureConfig())
    assert source.info.live
    frames = [source.read(1.0) for _ in range(8)]
    due = [frame.captured_ns for frame in frames]
    assert due[-1] - due[0] >= 0.95 * (frames[-1].t_ns - frames[0].t_ns)
    source.close()


def test_stills_are_played_as_they_are_and_end(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((16, 16, 3), np.uint8))
    source = open_endless(str(tmp_path / "a.png"), CaptureConfig(still_s=0.01))
    assert source.read(1.0) is not None
    assert source.read(1.0) is None
    source.close()


def test_where_a_clip_starts_anew_garbage_is_collected_if_asked(clip, monkeypatch):
    collected = []
    monkeypatch.setattr(clips.gc, "collect", lambda: collected.append(True))
    for collect, times in ((False, 0), (True, 2)):
        endless = EndlessClip(str(clip), CaptureConfig(), collect=collect)
        for _ in range(12):
            endless.read(1.0)
        endless.close()
        assert len(collected) == times
