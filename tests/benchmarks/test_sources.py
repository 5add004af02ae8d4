import itertools

import cv2
import numpy as np
import pytest

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


def test_a_clip_starts_again_and_its_times_and_numbers_go_on(script, clip):
    endless = script("sources").EndlessClip(str(clip), CaptureConfig())
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


def test_after_closing_nothing_comes(script, clip):
    endless = script("sources").EndlessClip(str(clip), CaptureConfig())
    assert endless.state is SourceState.ONLINE
    endless.close()
    endless.close()
    assert endless.read(1.0) is None
    assert endless.state is SourceState.ENDED


def test_tiles_are_the_picture_in_small_side_by_side(script):
    image = np.zeros((90, 121, 3), np.uint8)
    cv2.circle(image, (60, 45), 30, (255, 255, 255), -1)
    picture = script("sources").tiled(image, 2)
    assert picture.shape == image.shape
    assert np.array_equal(picture[:45, :60], picture[45:, 60:120])
    assert picture.mean() == pytest.approx(image.mean(), rel=0.05)
    assert not picture[:, 120].any()


def test_a_clip_opened_endlessly_keeps_its_own_pace(script, clip):
    source = script("sources").open_endless(str(clip), CaptureConfig())
    assert source.info.live
    frames = [source.read(1.0) for _ in range(8)]
    due = [frame.captured_ns for frame in frames]
    assert due[-1] - due[0] >= 0.95 * (frames[-1].t_ns - frames[0].t_ns)
    source.close()


def test_stills_are_played_as_they_are_and_end(script, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((16, 16, 3), np.uint8))
    source = script("sources").open_endless(str(tmp_path / "a.png"), CaptureConfig(still_s=0.01))
    assert source.read(1.0) is not None
    assert source.read(1.0) is None
    source.close()


def test_where_a_clip_starts_anew_garbage_is_collected_if_asked(script, clip, monkeypatch):
    sources = script("sources")
    collected = []
    monkeypatch.setattr(sources.gc, "collect", lambda: collected.append(True))
    for collect, times in ((False, 0), (True, 2)):
        endless = sources.EndlessClip(str(clip), CaptureConfig(), collect=collect)
        for _ in range(12):
            endless.read(1.0)
        endless.close()
        assert len(collected) == times
