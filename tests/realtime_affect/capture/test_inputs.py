import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_affect.capture.inputs import (
    InputItem,
    find_inputs,
    images_in,
    parse_spec,
)
from realtime_affect.capture.paths import check_path
from realtime_affect.errors import InputError, InputMissingError
from tests.realtime_affect.capture.media import write_video


@pytest.fixture
def folder(tmp_path):
    """Two videos, two images, and what must be left out."""
    inside = tmp_path / "mixed"
    inside.mkdir()
    for name in ("b.mp4", "A.MOV", "c.png", "a.JPG", "notes.txt", "rows.csv", ".hidden.png"):
        (inside / name).write_bytes(b"x")
    (inside / "deeper.mp4").mkdir()
    return inside


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (0, ("camera", "0")),
        ("2", ("camera", "2")),
        ("/dev/video1", ("camera", "/dev/video1")),
        ("demo", ("demo", "demo")),
        ("videotestsrc ! appsink", ("gstreamer", "videotestsrc ! appsink")),
        ("rtsp://10.0.0.2/live", ("stream", "rtsp://10.0.0.2/live")),
        ("UDP://@:5000", ("stream", "UDP://@:5000")),
        ("https://host/a.m3u8", ("stream", "https://host/a.m3u8")),
        ("file:///a/b.mp4", ("path", "/a/b.mp4")),
        ("./demo", ("path", "demo")),
        ("clip 1.mp4", ("path", "clip 1.mp4")),
        (Path("0"), ("path", "0")),
        ("~/clip.mp4", ("path", str(Path.home() / "clip.mp4"))),
    ],
)
def test_a_specification_says_what_it_names(spec, expected):
    assert parse_spec(spec) == expected


@pytest.mark.parametrize("spec", ["gopher://host/x", "", "  "])
def test_what_cannot_be_a_source_is_refused_with_what_can(spec):
    with pytest.raises(InputError, match="rtsp://"):
        parse_spec(spec)


def test_messages_never_show_a_password():
    with pytest.raises(InputError) as caught:
        parse_spec("gopher://me:sec/r@et@host")
    assert "gopher://***@host" in str(caught.value)
    with pytest.raises(InputError) as caught:
        find_inputs(["me:secret@10.0.0.2/live"])  # the scheme was forgotten
    assert "secret" not in str(caught.value)


def test_a_folder_gives_its_videos_and_images_by_name(folder):
    assert find_inputs([folder]) == [
        InputItem("video", folder / "A.MOV"),
        InputItem("still", folder / "a.JPG"),
        InputItem("video", folder / "b.mp4"),
        InputItem("still", folder / "c.png"),
    ]
    assert images_in(folder) == [folder / "a.JPG", folder / "c.png"]


def test_an_input_named_twice_is_kept_once_at_its_first_place(folder):
    found = find_inputs([folder / "c.png", str(folder), folder / ".." / "mixed" / "b.mp4"])
    assert [Path(item.path).name for item in found] == ["c.png", "A.MOV", "a.JPG", "b.mp4"]


def test_urls_and_the_demo_pass_through():
    assert find_inputs(["demo", "https://host/a.mp4"]) == [
        InputItem("demo", "demo"),
        InputItem("stream", "https://host/a.mp4"),
    ]


def test_a_file_named_directly_is_told_by_its_content_where_its_name_says_nothing(tmp_path):
    video = write_video(tmp_path / "clip.mp4", n=3).rename(tmp_path / "clip")
    ok, data = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))
    assert ok
    image = tmp_path / "face.dat"
    data.tofile(image)
    assert find_inputs([video, image]) == [InputItem("video", video), InputItem("still", image)]


@pytest.mark.parametrize("name", ["notes.txt", "rows.csv"])
def test_a_file_that_is_neither_is_named_when_named_directly(folder, name):
    with pytest.raises(InputError, match=name):
        find_inputs([folder / name])


def test_a_missing_input_is_named_with_what_lies_beside_it(folder):
    with pytest.raises(InputMissingError, match=r"c\.jpg.*no such file.*there is c\.png"):
        find_inputs([folder / "c.jpg"])
    with pytest.raises(FileNotFoundError):
        check_path(Path("a\0b"))


def test_a_folder_without_inputs_is_named(tmp_path):
    (tmp_path / "rows.csv").write_text("x")
    with pytest.raises(InputError, match="no video and no image"):
        find_inputs([tmp_path])


def test_a_camera_is_no_input_to_analyse():
    with pytest.raises(InputError, match="without an end"):
        find_inputs(["0"])


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="neither a file nor a folder"):
        find_inputs([pipe])


def test_what_may_not_be_read_is_refused_with_what_to_do(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read anything
    with pytest.raises(InputError, match="permission denied"):
        find_inputs([folder / "b.mp4"])


def test_what_a_folder_holds_and_is_not_read_is_said_once(folder):
    (folder / "noext").write_bytes(b"GIF89a" + b"\0" * 20)
    (folder / "b.csv").write_text("rows")
    (folder / "b.annotated.mp4").write_bytes(b"x")
    left_out = []
    found = [Path(item.path).name for item in find_inputs([folder], left_out)]
    assert found == ["A.MOV", "a.JPG", "b.mp4", "c.png", "noext"]
    said = "\n".join(left_out)
    assert "neither video nor image: b.csv, notes.txt, rows.csv" in said
    assert "results of an earlier run: b.annotated.mp4" in said
    assert "subfolders, which are not searched: 1" in said
    assert ".hidden" not in said


def test_two_names_of_one_file_are_said(tmp_path):
    first = tmp_path / "a.mp4"
    first.write_bytes(b"x")
    (tmp_path / "b.mp4").symlink_to(first)
    left_out = []
    assert len(find_inputs([tmp_path], left_out)) == 1
    assert left_out == [f"{tmp_path / 'b.mp4'}, the same file as {first}"]


def test_numbers_in_names_are_sorted_by_value(tmp_path):
    for name in ("f10.png", "f2.png", "f1.png", "²3.png"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in images_in(tmp_path)] == ["f1.png", "f2.png", "f10.png", "²3.png"]


@pytest.mark.parametrize("name", ["*.mp4", "img%03d.png", "clip[12].mp4"])
def test_a_pattern_is_refused_with_what_to_type(tmp_path, name):
    with pytest.raises(InputMissingError, match="Patterns are not expanded here: name the folder"):
        check_path(tmp_path / name)
