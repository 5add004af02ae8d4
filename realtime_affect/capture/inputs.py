"""What the user named: cameras, URLs, pipelines, files, and the inputs inside folders."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from realtime_affect.capture.content import content_of, is_moving, read_head, still_format
from realtime_affect.capture.paths import check_path, denied
from realtime_affect.errors import InputError
from realtime_affect.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

SpecKind = Literal["camera", "stream", "gstreamer", "demo", "path"]

VIDEO_SUFFIXES: Final = frozenset({
    ".3gp", ".apng", ".asf", ".avi", ".dv", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf",
    ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf",
    ".nut", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})  # fmt: skip
IMAGE_SUFFIXES: Final = frozenset({
    ".avif", ".bmp", ".dib", ".heic", ".heif", ".hif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
})  # fmt: skip
STREAM_SCHEMES: Final = ("rtsp", "rtsps", "udp", "rtp", "tcp", "srt", "rtmp", "http", "https")

_MAY_MOVE: Final = frozenset({".avif", ".heic", ".heif", ".hif", ".png", ".webp"})
_OWN_VIDEO, _OWN_PLOT = "annotated.mp4", "timeline.png"  # of a run; after a stem, of an analysis
_NAMED: Final = 5  # names of files left out that a message lists
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
    return _kind_of(path) == "still"


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP image that moves."""
    head = read_head(path)
    return still_format(head) == "WebP" and is_moving(head)


def images_in(folder: Path) -> list[Path]:
    """Return the images directly inside a folder, by name."""
    return [path for path in _files_in(folder) if _kind_of(path) == "still"]


def videos_in(folder: Path) -> list[Path]:
    """Return the videos directly inside a folder, by name."""
    return [path for path in _files_in(folder) if _kind_of(path) == "video"]


def find_inputs(paths: Iterable[str | Path], left_out: list[str] | None = None) -> list[InputItem]:
    """Expand files and folders to inputs.

    A file is told by its extension, else by its content. Those of a folder are sorted by name,
    numbers in names by value; hidden files, subfolders and our own results are left out. An input
    met twice is kept once, at its first place.

    Parameters
    ----------
    paths : iterable of str or Path
        Also URLs that end by themselves, and ``"demo"``.
    left_out : list of str, optional
        Takes a sentence on what was met and is no input, hidden files aside.

    Raises
    ------
    InputMissingError
        A path does not exist.
    InputError
        A path cannot be read, is neither video nor image, is a camera, or is a folder without any.
    """
    left_out = [] if left_out is None else left_out
    found: dict[str, InputItem] = {}
    for named in paths:
        for item in _expand(named, left_out):
            key = str(item.path.resolve() if isinstance(item.path, Path) else item.path)
            first = found.setdefault(key, item)
            if str(first.path) != str(item.path):
                left_out.append(f"{item.path}, the same file as {first.path}")
    return list(found.values())


def _expand(named: str | Path, left_out: list[str]) -> list[InputItem]:
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
        return _expand_folder(path, left_out)
    content = _kind_of(path)
    if content == "still":
        return [InputItem("still", path)]
    if path.suffix.lower() not in VIDEO_SUFFIXES and not is_animated_webp(path):
        from realtime_affect.capture.files import VideoFile
        from realtime_affect.capture.source import CaptureConfig

        VideoFile(path, CaptureConfig()).close()  # raises, naming the file, if it is no video
    return [InputItem("video", path)]


def find_inputs_below(
    folder: Path, left_out: list[str], without: Path | None = None
) -> list[InputItem]:
    """Return the inputs of a folder and of all folders below it, as :func:`find_inputs` would.

    Hidden folders and links to folders are not followed.

    Parameters
    ----------
    folder : Path
    left_out : list of str
        Takes a sentence on what was met and is no input.
    without : Path, optional
        A folder that is passed over with all below it.
    """
    found: list[InputItem] = []

    def refused(error: OSError) -> None:
        left_out.append(f"{error.filename}, a folder that cannot be read: {error.strerror}")

    for parent, names, _ in os.walk(folder, onerror=refused):
        here = Path(parent)
        inside = sorted((here / name for name in names if not name.startswith(".")), key=_natural)
        names[:] = [path.name for path in inside if without is None or path != without]
        found += _directly_in(here, left_out)
    return found


def _expand_folder(folder: Path, left_out: list[str]) -> list[InputItem]:
    others: list[str] = []
    inside = _directly_in(folder, others)
    if not inside:
        raise empty_folder(folder, "no video and no image")
    left_out += others
    n_folders = sum(path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))
    if n_folders:
        left_out.append(f"in {folder}, subfolders, which are not searched: {n_folders}")
    return inside


def _directly_in(folder: Path, left_out: list[str]) -> list[InputItem]:
    inside: list[InputItem] = []
    others: list[str] = []
    own: list[str] = []
    for path in _files_in(folder):
        kind = _kind_of(path)
        if _is_own_result(path):
            own.append(path.name)
        elif kind:
            inside.append(InputItem(kind, path))
        else:
            others.append(path.name)
    if others:
        left_out.append(f"in {folder}, neither video nor image: {_listed(others)}")
    if own:
        left_out.append(f"in {folder}, results of an earlier run: {_listed(own)}")
    return inside


def _kind_of(path: Path) -> Literal["still", "video", ""]:
    """Tell what a file is, by its name as far as that goes; empty where it is neither."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    known = suffix in IMAGE_SUFFIXES
    if known and suffix not in _MAY_MOVE:
        return "still"
    try:
        head = read_head(path)
    except OSError:
        head = b""  # whoever opens it says why not
    if known:
        return "video" if is_moving(head) else "still"
    return content_of(head)


def _is_own_result(path: Path) -> bool:
    """Whether a file was painted or plotted by an earlier run."""
    for own in (_OWN_VIDEO, _OWN_PLOT):
        if path.name == own:
            return path.with_name("summary.json").exists()
        if path.name.endswith(f".{own}"):
            return path.with_name(path.name.removesuffix(own) + "csv").exists()
    return False


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def empty_folder(folder: Path, got: str, hint: str = "") -> InputError:
    """Return the error for a folder without what was looked for."""
    return InputError(
        thing=f"folder {folder}",
        got=got,
        expected="files ending in .mp4, .mov, .avi, .mkv, .jpg, .png or the like",
        hint=hint or "Subfolders are not searched; name them one by one.",
    )


def _files_in(folder: Path) -> list[Path]:
    """Return the files directly inside, hidden ones left out; ``f2`` comes before ``f10``."""
    try:
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except PermissionError as error:
        raise denied(folder) from error
    return sorted((path for path in inside if path.is_file()), key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return what to sort names by: text as it is, numbers by value."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(p) if p.isdecimal() else -1, "" if p.isdecimal() else p) for p in parts], path.name
