"""What is known of a run at its end: counts, drops, stage times, and where the files are."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from affect_kernels.atomic import PRIVATE
from realtime_affect.errors import OutputError
from realtime_affect.printable import printable
from realtime_affect.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime_affect.runtime.stats import Percentiles, SinkStats

Outcome = Literal["running", "complete", "interrupted", "failed"]
_MAX_LOG_BYTES: Final = 1 << 20
_MAX_TRACEBACK: Final = 1 << 18  # characters
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class InputSummary:
    """One input and what came of it.

    Attributes
    ----------
    input : str
        As it was named, without a password.
    kind : str
        "camera", "video", "stream", "stills", "demo", "gstreamer"; empty where it was not opened.
    outcome : {"running", "complete", "interrupted", "failed"}
    error : str
        Why it failed, empty otherwise.
    frames : int
        Frames analysed.
    frames_with_faces : int
    faces : int
        Faces measured, summed over all frames.
    most_faces : int
        Most faces seen in one frame.
    tracks : int
        Different track ids; stills have none (their ids count the faces of one image).
    rows : int
        Rows written, the header aside.
    events : mapping
        Micro-expressions by kind, "micro" and "macro"; empty where no face was watched for them.
    width, height : int
        Of the source in pixels, 0 where unknown.
    duration_s : float
        Source time between the first and the last frame.
    elapsed_s : float
        Wall time from opening the source to the last row.
    fps : float
        Frames analysed a second, from the first row to the last; NaN below two frames.
    drops : mapping
        Frames that were captured but not analysed ("frames"), not followed by the affect worker
        ("affect"), or that a file went without ("rows", "events", "video"); all 0 in offline
        analysis.
    sinks : mapping
        :class:`~realtime_affect.runtime.stats.SinkStats` of each file: what it was offered, what
        was written, and the gaps, each with the number of its first and last frame as in the rows.
    stage_ms : mapping
        :class:`Percentiles` by stage, as in :class:`~realtime_affect.runtime.stats.PipelineStats`.
    warnings : tuple of str
        What was wrong with the input without ending it: a truncated file, damaged packets.
    files : mapping
        "rows", "events", "video", "timeline", "episodes", "report", "windows": where they are.
    first_s : float
        Source time of the first frame, in seconds; 0 for cameras, streams and stills, whose rows
        count from there.
    source_id : str
        Of the input in an analysis: another file of the same name has another one.
    """

    input: str
    kind: str = ""
    outcome: Outcome = "failed"
    error: str = ""
    frames: int = 0
    frames_with_faces: int = 0
    faces: int = 0
    most_faces: int = 0
    tracks: int = 0
    rows: int = 0
    events: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    width: int = 0
    height: int = 0
    duration_s: float = 0.0
    elapsed_s: float = 0.0
    fps: float = float("nan")
    drops: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    sinks: Mapping[str, SinkStats] = field(default_factory=lambda: _EMPTY)
    stage_ms: Mapping[str, Percentiles] = field(default_factory=lambda: _EMPTY)
    warnings: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=lambda: _EMPTY)
    first_s: float = 0.0
    source_id: str = ""


def make_folder(out: str | Path) -> Path:
    """Create the folder `out` where it is missing and return it.

    Raises
    ------
    OutputError
        It cannot be created, or nothing can be written in it.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Trying is the only honest test: permissions, read-only mounts and quotas look alike here.
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, ValueError) as error:  # ValueError: a NUL inside the name
        raise OutputError(
            thing=f"output folder {folder}",
            got=getattr(error, "strerror", None) or str(error),
            expected="a folder that can be written",
            hint="Name another one with --out.",
        ) from error
    return folder


def write_traceback(path: Path, failure: BaseException) -> Path | None:
    """Append the traceback of an unexpected failure to a log file; None where that fails too.

    The file is its owner's alone; one that has grown to a megabyte is kept as ``NAME.1``, once.
    Of a longer traceback, the last quarter of a megabyte is kept.
    """
    text = printable(redact("".join(traceback.format_exception(failure))), lines=True)
    text = text[-_MAX_TRACEBACK:] + "\n"  # after: a secret cut in two is not known as one
    try:
        if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
            path.replace(path.with_name(path.name + ".1"))
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
        with os.fdopen(handle, "a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError:
        return None
    return path
