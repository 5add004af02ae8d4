import contextlib
import itertools
import os
import signal
import subprocess
import sys
import textwrap

import av
import numpy as np
import pytest

from realtime_affect.errors import OutputError
from realtime_affect.outputs.video import VideoRecorder


def noise(index, height=48, width=64):
    return np.random.default_rng(index).integers(0, 255, (height, width, 3), np.uint8)


def decode(path):
    """All images that can be had, whatever the end looks like."""
    pictures = []
    with av.open(str(path)) as container, contextlib.suppress(av.error.InvalidDataError):
        pictures.extend(
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(video=0)
        )
    return pictures


def write_one(recorder):
    recorder.write(noise(0), 0)


def test_a_folder_that_is_missing_or_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing" / "a", tmp_path / "file" / "a", tmp_path):
        with pytest.raises(OutputError, match="expected a file that can be written"):
            write_one(VideoRecorder(path))


@pytest.mark.survival(22)
def test_a_full_disk_ends_the_video_with_an_output_error():
    recorder = VideoRecorder("/dev/full")
    with pytest.raises(OutputError, match="No space left"):
        write_one(recorder)
    recorder.write(noise(0), 0)
    recorder.close()


def test_video_keeps_pictures_their_colours_and_their_uneven_times(tmp_path):
    seconds = [0.0, 0.033, 0.5, 0.5, 3.25]  # a gap, and two at the same time
    recorder = VideoRecorder(tmp_path / "a.mp4", 30.0, crf=5)
    colors = [(0, 0, 0), (200, 60, 40), (40, 200, 60), (60, 40, 200), (160, 160, 160)]
    pictures = [np.full((48, 64, 3), color, np.uint8) for color in colors]
    for picture, second in zip(pictures, seconds, strict=True):
        recorder.write(picture, 7_000_000_000 + round(second * 1e9))
    recorder.close()
    recorder.close()
    found = decode(tmp_path / "a.mp4")
    assert [t for t, _ in found] == pytest.approx(seconds, abs=1e-3)
    assert all(b > a for (a, _), (b, _) in itertools.pairwise(found))
    for picture, (_, seen) in zip(pictures, found, strict=True):
        assert abs(seen.astype(int) - picture).max() < 8
    assert recorder.frames_written == 5


@pytest.mark.parametrize(("height", "width"), [(1, 1), (47, 63), (48, 63), (2, 64)])
def test_odd_and_tiny_pictures_become_even_video(height, width, tmp_path):
    recorder = VideoRecorder(tmp_path / "a.mp4")
    recorder.write(np.full((height, width, 3), 200, np.uint8), 0)
    recorder.close()
    ((_, seen),) = decode(tmp_path / "a.mp4")
    assert seen.shape[:2] == (height + height % 2, width + width % 2)
    assert abs(int(seen[0, 0, 0]) - 200) < 60


def test_a_picture_of_another_size_is_fitted_into_the_first_one_s(tmp_path):
    recorder = VideoRecorder(tmp_path / "a.mp4", crf=5)
    recorder.write(np.full((48, 64, 3), 100, np.uint8), 0)
    recorder.write(np.full((96, 64, 3), 250, np.uint8), 40_000_000)
    recorder.close()
    _, (_, seen) = decode(tmp_path / "a.mp4")
    assert seen.shape == (48, 64, 3)
    assert seen[24, 32].min() > 230, "the image is in the middle"
    assert seen[24, 2].max() < 30, "with black borders"
    assert seen[24, 61].max() < 30


@pytest.mark.survival(21)
def test_a_killed_recording_plays_up_to_its_last_second(tmp_path):
    path = tmp_path / "a.mp4"
    script = """
        import sys
        from tests.realtime_affect.outputs.test_video import noise
        from realtime_affect.outputs.video import VideoRecorder
        recorder = VideoRecorder(sys.argv[1], 10)
        n = 0
        while True:
            recorder.write(noise(n), n * 100_000_000)
            n += 1
            if n == 55:
                print("written", flush=True)
                sys.stdin.read()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"written\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    found = decode(path)
    assert len(found) >= 40, "5.5 s were written, at most one was lost"


def test_a_video_cut_in_the_middle_plays_its_first_part(tmp_path):
    recorder = VideoRecorder(tmp_path / "a.mp4", 10)
    for n in range(60):
        recorder.write(noise(n), n * 100_000_000)
    recorder.close()
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 2 // 3])
    assert 25 <= len(decode(tmp_path / "cut.mp4")) < 60


def test_a_video_without_a_picture_leaves_no_file(tmp_path):
    VideoRecorder(tmp_path / "a.mp4").close()
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.survival(10)
def test_a_gap_of_days_does_not_squeeze_what_comes_after(tmp_path):
    recorder = VideoRecorder(tmp_path / "a.mp4")
    seconds = [0.0, 1.0, 30 * 3600.0, 30 * 3600.0 + 1.0]  # MP4 counts 6.6 hours between images
    for second in seconds:
        recorder.write(noise(int(second)), round(second * 1e9))
    recorder.close()
    times = [t for t, _ in decode(tmp_path / "a.mp4")]
    assert [t for t in times if any(abs(t - s) < 1e-3 for s in seconds)] == pytest.approx(seconds)
    assert len(times) == 8, "the last image before the gap is repeated every six hours"


@pytest.mark.parametrize(("first_s", "zero_s"), [(1.48, 0.0), (0.0, 0.0), (95_000.0, 95_000.0)])
def test_video_and_rows_have_one_clock(tmp_path, first_s, zero_s):
    recorder = VideoRecorder(tmp_path / "a.mp4", origin_ns=0)
    for n in range(3):
        recorder.write(noise(n), round(first_s * 1e9) + n * 40_000_000)
    recorder.close()
    times = [t for t, _ in decode(tmp_path / "a.mp4")]
    assert times[0] == 0.0, "the first image is shown from zero on"
    assert times[-3:] == pytest.approx([first_s - zero_s + 0.04 * n for n in range(3)], abs=1e-3)


def test_a_video_that_is_taken_away_is_noticed(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    recorder = VideoRecorder(folder / "a.mp4")
    write_one(recorder)
    (folder / "a.mp4").unlink()
    with pytest.raises(OutputError, match="removed or moved"):
        recorder.write(noise(1), 2_000_000_000)
    recorder.close()
