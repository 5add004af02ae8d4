"""Capture: a camera, file, stream or still becomes frames.

:func:`open_source` is the door; everything it returns has the methods of :class:`Source`.
"""

from __future__ import annotations

import contextlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from realtime_affect.capture.animated import AnimatedImage
from realtime_affect.capture.cameras import open_camera, open_gstreamer
from realtime_affect.capture.files import VideoFile, stated_frames
from realtime_affect.capture.inputs import (
    InputItem,
    empty_folder,
    find_inputs,
    find_inputs_below,
    images_in,
    is_animated_webp,
    is_image,
    parse_spec,
    videos_in,
)
from realtime_affect.capture.paced import PacedSource
from realtime_affect.capture.paths import check_path
from realtime_affect.capture.source import CaptureConfig, Source, SourceInfo, SourceKind
from realtime_affect.capture.state import SourceState
from realtime_affect.capture.stills import StillImages, read_image
from realtime_affect.capture.streams import open_stream
from realtime_affect.errors import InputMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CaptureConfig",
    "InputItem",
    "Source",
    "SourceInfo",
    "SourceKind",
    "SourceState",
    "StillImages",
    "find_inputs",
    "find_inputs_below",
    "open_source",
    "open_stills",
    "read_image",
    "stated_frames",
]


def open_source(
    spec: str | int | Path, config: CaptureConfig | None = None, *, live: bool
) -> Source:
    """Open what the user named.

    Parameters
    ----------
    spec : str, int or Path
        ``0``, ``"0"`` or ``"/dev/video0"``: a camera; a file: video or image; a folder: the images
        in it; ``rtsp:// rtsps:// udp:// rtp:// tcp:// srt:// rtmp:// http:// https://``: a stream,
        or a file by network where the container states a duration; ``"demo"``: the clip inside
        this package; text with ``" ! "``: a GStreamer pipeline.
    config : CaptureConfig, optional
    live : bool
        Whether files and stills are played at their own speed. Cameras and streams always are.

    Raises
    ------
    InputMissingError
        No such file, folder or camera.
    InputError
        It is there and cannot be read; the message says why.
    """
    config = config or CaptureConfig()
    kind, value = parse_spec(spec)
    if kind == "camera":
        return open_camera(value, config)
    if kind == "gstreamer":
        return open_gstreamer(value, config)
    if kind == "stream":
        return open_stream(value, config, live=live)
    if kind == "demo":
        demo = _open_demo(config)
        return PacedSource(demo) if live else demo
    path = Path(value)
    check_path(path)
    if path.is_dir():
        return _open_folder(path, config, live=live)
    if is_image(path):
        return open_stills([path], config, live=live)
    video: Source = AnimatedImage(path) if is_animated_webp(path) else VideoFile(path, config)
    return PacedSource(video) if live else video


def open_stills(
    paths: Sequence[Path], config: CaptureConfig | None = None, *, live: bool, name: str = ""
) -> Source:
    """Open images as one source, in the order given; live, each lasts ``config.still_s``.

    Raises
    ------
    InputError
        None of them can be read.
    """
    stills = StillImages(paths, name=name)
    return PacedSource(stills, (config or CaptureConfig()).still_s) if live else stills


def _open_folder(folder: Path, config: CaptureConfig, *, live: bool) -> Source:
    """Open the images of a folder; its videos are sources of their own."""
    images, videos = images_in(folder), videos_in(folder)
    if images:
        return open_stills(images, config, live=live, name=folder.resolve().name)
    if not videos:
        raise empty_folder(folder, "no image")
    hint = (
        f"Name one of them, such as {videos[0]}, or analyse all: realtime-affect analyze {folder}"
    )
    raise empty_folder(folder, f"no image, but {len(videos)} videos", hint)


def _open_demo(config: CaptureConfig) -> Source:
    """Open the clip that ships inside the package."""
    with contextlib.ExitStack() as stack:
        clip = resources.files("realtime_affect").joinpath("demo", "demo.mp4")
        if not clip.is_file():
            raise InputMissingError(
                thing="the demo clip",
                got="no file demo/demo.mp4 inside the package",
                expected="the clip that ships with realtime-affect",
                hint="Install the package again, or name a file of your own.",
            )
        # FFmpeg keeps the open file, so a temporary copy (zipped packages) may go at once.
        path = stack.enter_context(resources.as_file(clip))
        return VideoFile(path, config, kind="demo", name="demo")
