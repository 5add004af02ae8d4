"""Make a session that was never finished whole again: what was committed is kept, no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime_affect.errors import InputError
from realtime_affect.outputs.manifest import entry_of, now
from realtime_affect.outputs.sinks import EventSink, RowSink
from realtime_affect.outputs.summary import InputSummary
from realtime_affect.sessions.reading_log import LogReader
from realtime_affect.sessions.store import EVENTS, READINGS, ROWS, VIDEO, Session

if TYPE_CHECKING:
    from pathlib import Path

    from realtime_affect.capture import SourceInfo


def open_session(folder: str | Path) -> Session:
    """Open a session; one that was never finished is repaired first.

    Raises
    ------
    InputError
        It is no session, is damaged beyond repair, or is being recorded now.
    """
    session = Session(folder)
    if session.in_use:
        raise InputError(
            thing=f"session {session.name}",
            got="one that is being recorded",
            expected="a session that is finished",
            hint="Stop the recording first.",
        )
    if session.unclean:
        repair(session)
    return session


def repair(session: Session) -> None:
    """Write rows and events anew from the readings that were committed, and complete the record.

    The video needs nothing: it plays up to its last whole fragment.
    """
    info = source_info_of(session)
    log = LogReader(session.folder / READINGS)
    rows = RowSink(session.folder / ROWS, landmarks=False, backfill=False)
    events = EventSink(session.folder / EVENTS)
    try:
        rows.open(info)
        events.open(info)
        for n in range(len(log)):
            reading = log.read(n)
            rows.write(reading)
            events.write(reading)
    finally:
        rows.close()
        events.close()
        log.close()
    tally = rows.tally
    files = {"rows": ROWS, "events": EVENTS, "video": VIDEO}
    found = {name: session.folder / file for name, file in files.items()}
    summary = InputSummary(
        input=str(session.content["inputs"][0]["input"]),
        kind=info.kind,
        outcome="interrupted",
        error="the program ended before the session did; repaired on opening",
        frames=tally.frames,
        frames_with_faces=tally.frames_with_faces,
        faces=tally.faces,
        most_faces=tally.most_faces,
        tracks=len(tally.track_ids),
        rows=rows.rows,
        events=dict(events.counts),
        width=info.width,
        height=info.height,
        duration_s=(tally.source_ns[1] - tally.source_ns[0]) / 1e9,
        files={name: path for name, path in found.items() if path.exists()},
    )
    session.record(
        outcome="interrupted",
        finished=now(),
        inputs=[entry_of(summary)],
    )


def source_info_of(session: Session) -> SourceInfo:
    """Return what the session's record says of its source."""
    from realtime_affect.capture import SourceInfo

    return SourceInfo(**session.about["source"])
