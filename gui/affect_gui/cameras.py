"""The cameras of this machine by name; asked again and again, so that one plugged in appears."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NODES: Final = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera.

    Attributes
    ----------
    spec : str
        What opens it: a number.
    name : str
        As the system calls it.
    """

    spec: str
    name: str


def list_cameras(nodes: Path = _NODES) -> tuple[Camera, ...]:
    """Return the cameras that are plugged in, by number.

    On Linux the kernel's list is read; elsewhere OpenCV's own, by cv2-enumerate-cameras (extra
    ``gui``). Never raises: what cannot be listed can still be opened by its number. No camera is
    opened.
    """
    try:
        return _linux(nodes) if sys.platform.startswith("linux") else _elsewhere()
    except (OSError, ImportError, RuntimeError, ValueError):
        return ()


def _linux(nodes: Path) -> tuple[Camera, ...]:
    found = []
    for node in nodes.glob("video*") if nodes.is_dir() else ():
        # A camera's further nodes carry metadata; the first has index 0.
        index = node / "index"
        if index.is_file() and index.read_text().strip() != "0":
            continue
        found.append(Camera(node.name.removeprefix("video"), (node / "name").read_text().strip()))
    return tuple(sorted(found, key=lambda camera: int(camera.spec)))


def _elsewhere() -> tuple[Camera, ...]:
    from cv2_enumerate_cameras import enumerate_cameras

    return tuple(Camera(str(camera.index), str(camera.name)) for camera in enumerate_cameras())
