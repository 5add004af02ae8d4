"""What the user named: cameras, URLs, pipelines, files, and the inputs inside folders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from realtime_affect.capture.paths import check_path, denied
from realtime_affect.errors import InputError
from realtime_affect.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

SpecKind = Literal["camera", "stream", "gstreamer", "demo", "path"]

VIDEO_SUFFIXES: Final = frozenset({
    ".3gp", ".asf", ".avi", ".dv", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf", ".m2ts",
    ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut",
    ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})  # fmt: skip
IMAGE_SUFFIXES: Final = frozenset({
    ".bmp", ".dib", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp", ".avif",
})  # fmt: skip
STREAM_SCHEMES: Final = ("rtsp", "rtsps", "udp", "rtp", "tcp", "srt", "rtmp", "http", "https")

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class InputItem:
    """One input to analyse.

    Attributes
    ----------
    kind : {"video", "still", "stream", "demo"}
        Stills belong together in one table; each of the others stands alone.
    path : Path or str
        What ``open_source`` takes: a Path for files, the text itself for a URL and ``"demo"``.
    """

    kind: Literal["video", "still", "stream", "demo"]
    path: Path | str


def parse_spec(spec: str | int | Path) -> tuple[SpecKind, str]:
    """Tell what kind of source `spec` names.

    Parameters
    ----------
    spec : str, int or Path
        A Path is always a file or folder; so is text that looks like nothing else.

    Returns
    -------
    kind : {"camera", "stream", "gstreamer", "demo", "path"}
    value : str
        Number or device of a camera, URL, pipeline, or path with ``~`` expanded.

    Raises
    ------
    InputError
        A URL of a scheme we cannot read; empty text.
    """
    if isinstance(spec, Path):
        return "path", str(spec.expanduser())
    text = str(spec).strip()
    if text.isascii() and text.isdigit():
        return "camera", text
    if text.startswith("/dev/"):
        return "camera", text
    if text == "demo":
        return "demo", text
    if " ! " in text:
        return "gstreamer", text
    url = _URL.fullmatch(text)
    if url and url[1].lower() == "file":
        return "path", url[2]
    if url and url[1].lower() in STREAM_SCHEMES:
        return "stream", text
    if url or not text:
        raise InputError(
            thing=f"source {redact(text)!r}",
            got=f"the scheme {url[1]}://" if url else "nothing",
            expected="a camera number, a file, a folder, demo, or a URL",
            hint="URLs: " + ", ".join(f"{scheme}://" for scheme in STREAM_SCHEMES) + ".",
        )
    return "path", str(Path(text).expanduser())


def is_image(path: Path) -> bool:
    """Whether a file is a still image: by its extension, else by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES or suffix in VIDEO_SUFFIXES:
        return suffix in IMAGE_SUFFIXES
    with path.open("rb") as stream:
        head = stream.read(16)
    return (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*"))
        or (head[:2] == b"BM" and head[6:10] == b"\0\0\0\0")
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \n\r\t")
    )


def images_in(folder: Path) -> list[Path]:
    """Return the images directly inside a folder, by name; told by their extensions."""
    return [path for path in _files_in(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def find_inputs(paths: Iterable[str | Path]) -> list[InputItem]:
    """Expand files and folders to inputs.

    A file named directly is told by its extension, else by its content. In a folder only known
    extensions count; files are sorted by name, hidden files and subfolders are left out. An input
    met twice is kept once, at its first place.

    Parameters
    ----------
    paths : iterable of str or Path
        Also URLs that end by themselves, and ``"demo"``.

    Raises
    ------
    InputMissingError
        A path does not exist.
    InputError
        A path cannot be read, is neither video nor image, is a camera, or is a folder without any.
    """
    found: dict[str, InputItem] = {}
    for named in paths:
        for item in _expand(named):
            key = str(item.path.resolve() if isinstance(item.path, Path) else item.path)
            found.setdefault(key, item)
    return list(found.values())


def _expand(named: str | Path) -> list[InputItem]:
    """Return the inputs one argument stands for."""
    kind, value = parse_spec(named)
    if kind == "demo":
        return [InputItem("demo", value)]
    if kind == "stream":
        return [InputItem("stream", value)]
    if kind != "path":
        raise InputError(
            thing=f"input {redact(str(named))}",
            got="a source without an end",
            expected="files and folders",
            hint="Read cameras with `realtime-affect run`.",
        )
    path = Path(value)
    check_path(path)
    if path.is_dir():
        inside = [
            InputItem("still" if path.suffix.lower() in IMAGE_SUFFIXES else "video", path)
            for path in _files_in(path)
            if path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES
        ]
        if not inside:
            raise empty_folder(path, "no video and no image")
        return inside
    if is_image(path):
        return [InputItem("still", path)]
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        from realtime_affect.capture.files import VideoFile
        from realtime_affect.capture.source import CaptureConfig

        VideoFile(path, CaptureConfig()).close()  # raises, naming the file, if it is no video
    return [InputItem("video", path)]


def empty_folder(folder: Path, got: str) -> InputError:
    """Return the error for a folder without what was looked for."""
    return InputError(
        thing=f"folder {folder}",
        got=got,
        expected="files ending in .mp4, .mov, .avi, .mkv, .jpg, .png or the like",
        hint="Subfolders are not searched; name them one by one.",
    )


def _files_in(folder: Path) -> list[Path]:
    """Return the files directly inside, hidden ones left out, sorted by name."""
    try:
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except PermissionError as error:
        raise denied(folder) from error
    return sorted((path for path in inside if path.is_file()), key=lambda path: path.name)
