"""Sessions: record what a source showed and displayed, open it again, replay it, pass it on."""

from realtime_affect.sessions.recorder import SessionRecorder
from realtime_affect.sessions.replay import Replay
from realtime_affect.sessions.store import Session, SessionStore, sessions_folder

__all__ = ["Replay", "Session", "SessionRecorder", "SessionStore", "sessions_folder"]
