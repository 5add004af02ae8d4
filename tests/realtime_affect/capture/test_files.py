import gc
import os
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from realtime_affect.capture import CaptureConfig, SourceState
from realtime_affect.capture.files import Timestamps, VideoFile
from realtime_affect.errors import InputError, InputMissingError
from tests.realtime_affect.capture.media import (
    picture,
    read_all,
    set_display_matrix,
    write_sound,
    write_video,
)

MS = 1_000_000
CONFIG = CaptureConfig()


def open_file(path):
    return VideoFile(path, CONFIG)


def test_a_video_gives_all_frames_in_order_with_their_own_times(tmp_path):
    source = open_file(write_video(tmp_path / "clip.mp4", n=30))
    assert (source.info.kind, source.info.name, source.info.fps) == ("video", "clip", 30.0)
    assert (source.info.width, source.info.height, source.info.n_frames) == (64, 48, 30)
    assert source.state is SourceState.ONLINE
    frames = read_all(source)
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.t_ns for frame in frames] == [i * 1_000_000_000 // 30 for i in range(30)]
    assert source.state is SourceState.ENDED
    assert source.read(60.0) is None
    assert source.warnings == ()


def test_pictures_are_bgr_and_cannot_be_written(tmp_path):
    frame = open_file(write_video(tmp_path / "clip.mp4", n=3)).read(60.0)
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous
    assert not frame.image.flags.writeable
    error = np.abs(frame.image[4:20, 4:28].astype(int) - picture(0)[4:20, 4:28])
    assert error.mean() < 12  # red stays red through lossy compression


def test_decoded_pictures_do_not_wait_for_the_garbage_collector(tmp_path):
    source = open_file(write_video(tmp_path / "clip.mp4", n=60))
    gc.collect()
    gc.disable()
    try:
        assert len(read_all(source)) == 60
        # Not isinstance: it wakes up objects of other libraries, which complain.
        held = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert held <= 2  # images of 8K are 50 MB each


@pytest.mark.survival(6)
def test_variable_frame_rate_keeps_each_frames_own_time(tmp_path):
    pts = [0, 40, 41, 200, 1200, 1233]
    path = write_video(tmp_path / "clip.mkv", n=6, codec="mpeg4", pts=pts)
    assert [frame.t_ns for frame in read_all(open_file(path))] == [t * MS for t in pts]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "size"),
    [
        ("grey.mkv", "ffv1", "gray", (64, 48)),
        ("grey16.mkv", "ffv1", "gray16le", (64, 48)),
        ("full.mkv", "ffv1", "yuv444p", (64, 48)),
        ("ten.mkv", "ffv1", "yuv420p10le", (64, 48)),
        ("alpha.mkv", "ffv1", "bgra", (64, 48)),
        ("odd.mkv", "ffv1", "yuv420p", (63, 47)),
        ("jpeg.avi", "mjpeg", "yuvj420p", (63, 47)),
        ("one.mkv", "ffv1", "bgr0", (1, 1)),
        ("line.mkv", "ffv1", "yuv420p", (3, 1)),
        ("one.avi", "mjpeg", "yuvj444p", (1, 1)),
    ],
)
@pytest.mark.survival(8)
def test_odd_formats_and_sizes_become_bgr(tmp_path, name, codec, pix_fmt, size):
    path = write_video(tmp_path / name, n=3, codec=codec, pix_fmt=pix_fmt, size=size)
    frames = read_all(open_file(path))
    assert len(frames) == 3
    expected = picture(0, *size).astype(int)
    if pix_fmt.startswith("gray"):
        expected[:] = (expected @ (0.114, 0.587, 0.299)).round().astype(int)[..., None]
    assert frames[0].image.shape == expected.shape
    middle = np.s_[size[1] // 2 + 4 :, :] if size[1] > 10 else np.s_[:0]
    assert np.abs(frames[0].image[middle] - expected[middle]).max(initial=0) <= 4
    if codec == "ffv1" and pix_fmt != "yuv420p":
        assert np.abs(frames[0].image - expected)[0, 0].max() <= 4


@pytest.mark.survival(8)
def test_8k_frames_come_whole(tmp_path):
    path = write_video(
        tmp_path / "big.avi", n=1, codec="mjpeg", pix_fmt="yuvj420p", size=(7680, 4320)
    )
    assert [frame.image.shape for frame in read_all(open_file(path))] == [(4320, 7680, 3)]


@pytest.mark.parametrize(
    ("signs", "shape", "red_at"),
    [
        ((0, 1, -1, 0), (64, 48), (4, -4)),  # filmed upright with the phone's right side down
        ((-1, 0, 0, -1), (48, 64), (-4, -4)),
        ((0, -1, 1, 0), (64, 48), (-4, 4)),
        ((-1, 0, 0, 1), (48, 64), (4, -4)),
    ],
)
def test_a_rotation_stated_by_the_container_is_applied(tmp_path, signs, shape, red_at):
    path = set_display_matrix(write_video(tmp_path / "clip.mp4", n=3), *signs)
    source = open_file(path)
    assert (source.info.height, source.info.width) == shape
    image = source.read(60.0).image
    assert image.shape == (*shape, 3)
    assert image.flags.c_contiguous
    blue, _, red = image[red_at].astype(int)
    assert red - blue > 100
    corners = [image[y, x].astype(int) for y in (4, -4) for x in (4, -4)]
    assert sum(red - blue > 100 for blue, _, red in corners) == 1


@pytest.mark.survival(9)
def test_a_truncated_file_with_its_index_in_front_gives_what_is_there(tmp_path):
    path = write_video(tmp_path / "clip.mp4", n=120, size=(320, 240), movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    source = open_file(path)
    frames = read_all(source)
    assert 30 < len(frames) < 120
    assert f"truncated after frame {len(frames) - 1}" in source.warnings


def test_a_truncated_file_without_its_index_is_refused_with_the_reason(tmp_path):
    path = write_video(tmp_path / "clip.mp4", n=120, size=(320, 240))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    with pytest.raises(InputError, match="index is missing"):
        open_file(path)


def test_a_matroska_file_cut_off_is_told(tmp_path):
    path = write_video(tmp_path / "clip.mkv", n=120, size=(320, 240), codec="mpeg4")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = open_file(path)
    frames = read_all(source)
    assert 30 < len(frames) < 90
    assert f"truncated after frame {len(frames) - 1}" in source.warnings


@pytest.mark.survival(9)
def test_damage_in_the_middle_is_skipped_and_told(tmp_path):
    path = write_video(tmp_path / "clip.mkv", n=60, size=(320, 240), codec="ffv1")
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(1)
    middle = len(data) // 2
    data[middle : middle + 40_000] = rng.bytes(40_000)
    path.write_bytes(data)
    source = open_file(path)
    frames = read_all(source)
    assert 10 < len(frames) <= 60
    assert len(source.warnings) >= 1
    times = [frame.t_ns for frame in frames]
    assert times == sorted(set(times))
    assert [frame.index for frame in frames] == list(range(len(frames)))


def test_a_damaged_file_reads_the_same_twice(tmp_path):
    path = write_video(tmp_path / "clip.mp4", n=120, size=(320, 240), movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    first, second = ([(f.t_ns, f.image.tobytes()) for f in read_all(open_file(path))] for _ in "ab")
    assert first == second


@pytest.mark.survival(7)
def test_the_size_may_change_inside_a_stream(tmp_path):
    path = tmp_path / "clip.m2v"
    with path.open("wb") as stream:
        for size in ((64, 48), (96, 32), (64, 48)):
            part = write_video(
                tmp_path / "part.m2v", n=10, size=size, codec="mpeg2video", pix_fmt="yuv420p"
            )
            stream.write(part.read_bytes())
    frames = read_all(open_file(path))
    shapes = [frame.image.shape[:2] for frame in frames]
    assert set(shapes) == {(48, 64), (32, 96)}
    assert shapes.index((32, 96)) < len(shapes) - 1 - shapes[::-1].index((48, 64))
    times = [frame.t_ns for frame in frames]
    assert times == sorted(set(times))


def test_sound_beside_the_picture_makes_no_difference(tmp_path):
    source = open_file(write_video(tmp_path / "clip.mp4", n=30, sound=True))
    assert len(read_all(source)) == 30
    assert source.warnings == ()


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"plain text\n" * 50])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.txt"])
def test_what_is_no_video_is_refused_by_its_name(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")) as caught:
        open_file(path)
    assert caught.value.exit_code == 3


def test_sound_alone_is_refused_as_such(tmp_path):
    with pytest.raises(InputError, match="only sound"):
        open_file(write_sound(tmp_path / "talk.m4a"))


def test_a_video_without_a_frame_is_refused(tmp_path):
    path = tmp_path / "none.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        container.start_encoding()
    with pytest.raises(InputError, match=r"none\.avi"):
        open_file(path)


@pytest.mark.parametrize("name", ["10:30.mp4", "a?b#c%03d.mp4", "лицо 顔.mp4", "-y.mp4", "[1].mp4"])
@pytest.mark.survival(23)
def test_any_file_name_can_be_read(tmp_path, monkeypatch, name):
    write_video(tmp_path / "clip.mp4", n=3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(read_all(open_file(Path(name)))) == 3


def test_a_missing_file_is_a_file_not_found(tmp_path):
    with pytest.raises(InputMissingError, match=r"none\.mp4"):
        open_file(tmp_path / "none.mp4")


def test_a_file_that_may_not_be_read_is_refused_with_what_to_do(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", n=3)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read anything
    with pytest.raises(InputError, match="permission denied"):
        open_file(path)


def test_a_closed_source_has_ended_and_closes_twice(tmp_path):
    source = open_file(write_video(tmp_path / "clip.mp4"))
    source.read(60.0)
    source.close()
    source.close()
    assert source.read(60.0) is None
    assert source.state is SourceState.ENDED


def test_closing_while_another_thread_reads_ends_its_reading(tmp_path):
    source = open_file(write_video(tmp_path / "clip.mp4", n=300))
    reader = threading.Thread(target=read_all, args=(source,), daemon=True)
    reader.start()
    source.close()
    reader.join(60)
    assert not reader.is_alive()


def follow(times, pts, base=Fraction(1, 1000)):
    return [times.follow(value, base) for value in pts]


def test_a_frame_without_a_timestamp_follows_by_one_mean_interval():
    times = Timestamps(25.0)
    assert follow(times, [10, None, None, 130]) == [10 * MS, 50 * MS, 90 * MS, 130 * MS]
    assert times.warnings == ("2 frames without a timestamp",)


def test_a_stream_without_any_timestamp_counts_intervals_from_zero():
    assert follow(Timestamps(25.0), [None, None, None]) == [0, 40 * MS, 80 * MS]


@pytest.mark.survival(10)
def test_repeated_and_falling_timestamps_become_increasing():
    times = Timestamps(25.0)
    assert follow(times, [0, 40, 40, 30, 80]) == [0, 40 * MS, 41 * MS, 42 * MS, 80 * MS]
    assert times.warnings == ("2 frames whose timestamp did not increase",)


@pytest.mark.survival(10)
def test_time_goes_on_after_a_jump_back():
    times = Timestamps(25.0)
    assert follow(times, [9000, 9040, 0, 40, 80]) == [
        9000 * MS, 9040 * MS, 9080 * MS, 9120 * MS, 9160 * MS,
    ]  # fmt: skip
    assert times.warnings == ("1 jumps back of the timestamps",)


def test_time_bases_of_any_kind_keep_whole_nanoseconds():
    times = Timestamps(30000 / 1001)
    long_run = follow(times, [0, 3003, 10**12], Fraction(1, 90000))
    assert long_run == [0, 33366666, 10**12 * 10**9 // 90000]


def test_real_clips_read_to_their_end_without_a_warning(shared_data):
    for path in sorted((shared_data / "media").glob("lp_d*.mp4")):
        source = open_file(path)
        assert len(read_all(source)) == source.info.n_frames
        assert source.warnings == ()


def mux_jpegs(path, jpegs):
    """Write JPEG images as the frames of an AVI, byte for byte."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuvj420p"
        for n, data in enumerate(jpegs):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, n, n
            packet.time_base = Fraction(1, 25)
            container.mux(packet)
    return path


@pytest.mark.parametrize("orientation", [1, 2, 6])
def test_side_data_that_the_library_does_not_know_makes_no_difference(tmp_path, orientation):
    import io

    from PIL import Image

    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", exif=exif, quality=95)
    frames = read_all(open_file(mux_jpegs(tmp_path / "exif.avi", [data.getvalue()] * 3)))
    assert len(frames) == 3
    bright = {1: np.s_[:, :4], 2: np.s_[:, -4:], 6: np.s_[:4]}[orientation]
    assert frames[0].image.shape[:2] == ((32, 16) if orientation == 6 else (16, 32))
    assert frames[0].image[bright].min() > 200


@pytest.mark.parametrize("box", [b"avc1", b"avcC"])
@pytest.mark.survival(9)
def test_a_codec_that_is_not_known_is_refused_by_name(tmp_path, box):
    path = write_video(tmp_path / "new.mp4", n=3)
    path.write_bytes(path.read_bytes().replace(box, b"zz99"))
    with pytest.raises(InputError, match=r"new\.mp4"):
        open_file(path)


@pytest.mark.parametrize(("aspect", "size"), [((4, 3), (64, 36)), ((3, 4), (48, 48))])
def test_pixels_that_are_not_square_become_square(tmp_path, aspect, size):
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 36, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(*aspect)
        for n in range(3):
            frame = av.VideoFrame.from_ndarray(picture(n, 48, 36), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    source = open_file(path)
    frame = source.read(60.0)
    assert frame.image.shape[1::-1] == size
    assert frame.stretch == (size[0] / 48, size[1] / 36)
    assert (source.info.width, source.info.height) == (48, 36), "the file's own"


def test_every_frame_of_recordings_that_were_joined_is_read_and_the_gap_is_told(tmp_path):
    parts = []
    for n, begin_ms in enumerate((0, 900_000)):
        pts = [begin_ms + 40 * i for i in range(25)]
        parts.append(write_video(tmp_path / f"{n}.ts", 25, (160, 120), pts=pts))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = open_file(joined)
    frames = read_all(source)
    assert len(frames) == sum(len(read_all(open_file(part))) for part in parts)
    assert any("gaps in time, the longest 899" in text for text in source.warnings)


def test_frames_that_an_avi_only_repeats_are_no_truncation(tmp_path):
    path = write_video(tmp_path / "drop.avi", n=20, codec="mpeg4", pts=None)
    pts = [40 * n for n in range(20) if n % 4]
    path = write_video(tmp_path / "drop.avi", len(pts), codec="mpeg4", pts=pts)
    source = open_file(path)
    assert len(read_all(source)) == len(pts)
    assert source.warnings == ()


def test_a_decoder_that_fails_in_any_way_is_the_file_s_fault(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", n=5)
    monkeypatch.setattr(VideoFile, "_take", lambda self: {}["surprise"])
    with pytest.raises(InputError, match=r"clip\.mp4.*cannot be decoded.*surprise"):
        open_file(path)
