from importlib import resources

import cv2
import numpy as np
import pytest

from realtime_affect.capture import CaptureConfig, Source, open_source, open_stills
from realtime_affect.errors import InputError, InputMissingError
from tests.realtime_affect.capture.media import read_all, write_video


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    paths = [folder / f"{name}.png" for name in "bca"]
    for path in paths:
        assert cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    return paths


@pytest.mark.parametrize("live", [False, True])
def test_every_source_has_the_methods_of_one(tmp_path, images, live):
    for spec in (write_video(tmp_path / "clip.mp4", n=3), images[0], images[0].parent):
        source = open_source(spec, live=live)
        assert isinstance(source, Source)
        assert source.info.live is live
        assert source.read(60.0).index == 0
        source.close()


def test_text_and_path_name_the_same_file(tmp_path):
    path = write_video(tmp_path / "clip.mp4", n=3)
    assert open_source(str(path), live=False).info == open_source(path, live=False).info


def test_a_file_played_live_loses_no_frame_and_no_time(tmp_path):
    source = open_source(write_video(tmp_path / "clip.mp4", n=6), live=True)
    frames = read_all(source)
    assert len(frames) == 6
    assert all(
        frame.captured_ns - frames[0].captured_ns >= frame.t_ns - frames[0].t_ns for frame in frames
    )


def test_a_folder_is_its_images_by_name(images):
    source = open_source(images[0].parent, live=False)
    assert (source.info.kind, source.info.name) == ("stills", "faces")
    assert [frame.name for frame in read_all(source)] == ["a.png", "b.png", "c.png"]


def test_images_given_one_by_one_keep_their_order(images):
    source = open_stills(images, live=False)
    assert [frame.name for frame in read_all(source)] == ["b.png", "c.png", "a.png"]


def test_stills_played_live_last_as_long_as_asked(images):
    source = open_stills(images, CaptureConfig(still_s=0.05), live=True)
    frames = read_all(source)
    for n, frame in enumerate(frames):
        assert frame.captured_ns - frames[0].captured_ns >= n * 50_000_000


def test_a_folder_without_images_is_refused(tmp_path):
    write_video(tmp_path / "clip.mp4", n=3)
    with pytest.raises(InputError, match="got no image"):
        open_source(tmp_path, live=False)


def test_the_demo_is_the_clip_inside_the_package(tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    with pytest.raises(InputMissingError, match="demo clip"):
        open_source("demo", live=False)
    write_video(tmp_path / "demo" / "demo.mp4", n=3)
    source = open_source("demo", live=False)
    assert (source.info.kind, source.info.name) == ("demo", "demo")
    assert len(read_all(source)) == 3
