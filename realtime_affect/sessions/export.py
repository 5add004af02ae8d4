"""Pass a session on: painted video, tables, images of its spikes, one page to read."""

from __future__ import annotations

import csv
import io
import shutil
from typing import TYPE_CHECKING, Final

import cv2

from affect_kernels.atomic import PRIVATE, write_atomically
from realtime_affect.errors import OutputError
from realtime_affect.outputs.parquet import import_pyarrow, write_parquet
from realtime_affect.outputs.report import Report, Section, Table, report_of_run, to_html
from realtime_affect.outputs.summary import make_folder
from realtime_affect.outputs.video import VideoRecorder
from realtime_affect.overlay import OverlayConfig, OverlayStatus, PanelMemory, paint
from realtime_affect.sessions.replay import Replay
from realtime_affect.sessions.store import EVENTS, ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from realtime_affect.sessions.store import Session
    from realtime_affect.types import FacialEvent, Image

PARTS: Final = ("video", "tables", "parquet", "images", "report", "pdf")
"""What can be exported: ``annotated.mp4``; CSV files; the same as Parquet (extra ``parquet``); a
PNG of each spike; ``report.html``; ``report.pdf``, by what the caller prints with."""

USUAL: Final = ("video", "tables", "images", "report")
"""Those that need nothing beyond the package."""
_MOST_FRAMES: Final = 24  # images of spikes in one page
_PAGE_WIDTH: Final = 480


def export_session(  # noqa: PLR0913  (what, where, how)
    session: Session,
    out: Path,
    parts: Sequence[str] = USUAL,
    overlay: OverlayConfig | None = None,
    *,
    print_pdf: Callable[[Report, Path], None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Path, ...]:
    """Write parts of a session into a folder.

    Parameters
    ----------
    session : Session
        Finished, or repaired.
    out : Path
        Created where it is missing; files of these names are replaced.
    parts : sequence of str
        Some of :data:`PARTS`.
    overlay : OverlayConfig, optional
        How images are painted.
    print_pdf : callable, optional
        Prints a report into a file, for the part "pdf"; the window's is ``affect_gui.pdf``.
    progress : callable, optional
        Takes the share that is done, 0 to 1.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    DependencyError
        What writes Parquet is not installed.
    InputError
        The session cannot be read.
    OutputError
        Something cannot be written.
    """
    if "parquet" in parts:  # before minutes of painting
        import_pyarrow()
    folder = make_folder(out)
    overlay = overlay or OverlayConfig()
    written: list[Path] = []
    painted = {"video", "images", "report", "pdf"} & set(parts)
    spikes: list[tuple[str, Image]] = []
    if painted:
        video = folder / "annotated.mp4" if "video" in parts else None
        spikes = _paint_all(session, overlay, video, progress)
        if video is not None and video.exists():
            written.append(video)
    if "images" in parts:
        for name, image in spikes:
            path = folder / f"{name}.png"
            _write(path, cv2.imencode(".png", image)[1].tobytes())
            written.append(path)
    for part, write in (("tables", _copy_tables), ("parquet", _convert_tables)):
        if part in parts:
            written += write(session, folder)
    writers: dict[str, Callable[[Report, Path], None] | None] = {
        "report.html": _write_html if "report" in parts else None,
        "report.pdf": print_pdf if "pdf" in parts else None,
    }
    return (*written, *_report(session, spikes, folder, writers))


def report_of_session(session: Session, spikes: Sequence[tuple[str, Image]] = ()) -> Report:
    """Return the page of a session: the run's, who and what, markers, spikes, networks.

    Parameters
    ----------
    session : Session
    spikes : sequence of (str, (H, W, 3) uint8)
        Name and painted image of each; the first :data:`_MOST_FRAMES` are shown.
    """
    run = report_of_run(session.folder)
    origin_ns = _origin_ns(session)
    about = [("participant", session.participant or "-"), ("recorded", session.mode)]
    about += [(f"face {n}", name) for n, name in sorted(session.names.items())]
    markers = tuple((f"{(m.t_ns - origin_ns) / 1e9:.2f} s", m.text) for m in session.markers)
    tables = [Table(("", ""), tuple(about))]
    if markers:
        tables.append(Table(("marker at", "words"), markers))
    facts, *inputs, made_with = run.sections
    sections = [Section("The session", session.notes, tuple(tables)), *inputs]
    for name, image in spikes[:_MOST_FRAMES]:
        scale = min(1.0, _PAGE_WIDTH / image.shape[1])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        png = cv2.imencode(".png", small)[1].tobytes()
        sections.append(Section(name.replace("-", " "), png=png, alt="The image at its apex"))
    sections += [Section("Networks", tables=(_cards(session),)), facts, made_with]
    return Report(f"Session {session.name}", tuple(sections))


def _paint_all(
    session: Session,
    overlay: OverlayConfig,
    video: Path | None,
    progress: Callable[[float], None] | None,
) -> list[tuple[str, Image]]:
    """Paint every reading into a video, and keep the image of each spike's apex."""
    status = OverlayStatus(source_state="replay", names=session.names)
    memory, found = PanelMemory(), []
    with Replay(session.folder, live=False) as replay:
        recorder = None if video is None else VideoRecorder(video, replay.source_info.fps)
        apexes = sorted(_apexes(session), key=lambda spike: spike[1].apex_ns)
        origin_ns = replay.times_ns[0] if replay.times_ns else 0
        n = len(replay.times_ns)
        for reading in replay:
            t_ns = reading.scene.frame.t_ns
            due = bool(apexes) and apexes[0][1].apex_ns <= t_ns
            if recorder is None and not due:
                continue
            image = paint(reading, overlay, status, memory=memory)
            if recorder is not None:
                recorder.write(image, t_ns)
            while apexes and apexes[0][1].apex_ns <= t_ns:
                track_id, event = apexes.pop(0)
                at = (event.apex_ns - origin_ns) / 1e9
                found.append((f"spike-of-face-{track_id}-at-{at:.2f}s", image))
            if progress is not None and reading.scene.frame.index % 15 == 0:
                progress(min(1.0, reading.scene.frame.index / max(1, n)))
        if recorder is not None:
            recorder.close()
    return found


def _apexes(session: Session) -> Iterator[tuple[int, FacialEvent]]:
    """Yield the micro-expressions of a session with their faces."""
    from realtime_affect.outputs.csv_events import NewEvents

    new = NewEvents()
    with Replay(session.folder, live=False, images=False) as replay:
        for reading in replay:
            yield from ((n, event) for n, event in new.take(reading) if event.kind == "micro")


def _origin_ns(session: Session) -> int:
    """Return the source time of the session's first reading; 0 without one."""
    with Replay(session.folder, live=False, images=False) as replay:
        return replay.times_ns[0] if replay.times_ns else 0


def _copy_tables(session: Session, folder: Path) -> list[Path]:
    written = []
    for name in (ROWS, EVENTS):
        source = session.path(name)
        if source is not None:
            try:
                shutil.copyfile(source, folder / name)
            except OSError as error:
                raise _unwritten(folder / name, error) from error
            written.append(folder / name)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("timestamp", "source_time_ns", "words"))
    origin_ns = _origin_ns(session)
    for marker in session.markers:
        table.writerow((f"{(marker.t_ns - origin_ns) / 1e9:.6f}", marker.t_ns, marker.text))
    _write(folder / "markers.csv", text.getvalue())
    return [*written, folder / "markers.csv"]


def _convert_tables(session: Session, folder: Path) -> list[Path]:
    written = []
    for table in filter(None, (session.path(ROWS), session.path(EVENTS))):
        path = folder / table.with_suffix(".parquet").name
        write_parquet(table, path, constants={"session": session.name}, mode=PRIVATE)
        written.append(path)
    return written


def _cards(session: Session) -> Table:
    """Return what the networks were trained on and are not for, as their cards say."""
    from affect_engines.cards import list_cards, load_card

    known = set(list_cards())
    rows = []
    for name in session.content["models"]:
        if name in known:
            card = load_card(name)
            rows.append((name, card.trained_on, card.limits))
    return Table(("network", "trained on", "limits"), tuple(rows))


def _report(
    session: Session,
    spikes: Sequence[tuple[str, Image]],
    folder: Path,
    writers: Mapping[str, Callable[[Report, Path], None] | None],
) -> list[Path]:
    """Write the page of a session by each writer that there is, under its name."""
    wanted = {folder / name: write for name, write in writers.items() if write is not None}
    if wanted:
        report = report_of_session(session, spikes)
        for path, write in wanted.items():
            write(report, path)
    return list(wanted)


def _write_html(report: Report, path: Path) -> None:
    _write(path, to_html(report))


def _write(path: Path, content: bytes | str) -> None:
    try:
        write_atomically(path, content, mode=PRIVATE)
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> OutputError:
    return OutputError(
        thing=f"output file {path}",
        got=error.strerror or str(error),
        expected="a file that can be written",
        hint="Free some space, or choose another folder.",
    )
