"""Analysing a session's video again: the same twice, and near to what was stored."""

from __future__ import annotations

import csv
import dataclasses
import shutil

import pytest

from realtime_affect.analysis import analyze
from realtime_affect.capture import open_source
from realtime_affect.config import Config
from realtime_affect.errors import InputMissingError
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.sessions import Replay, SessionRecorder, SessionStore
from realtime_affect.sessions import again as again_module
from realtime_affect.sessions.again import GROUPS, TOLERANCE, analyse_again, compare_rows

CONFIG = Config().with_values({"affect.micro": False})


class FromTheMiddle:
    """The demo, begun later and ended early, on the clock of a camera."""

    def __init__(self, frames):
        self._source, self._left = open_source("demo", live=False), frames
        self.info, self.state, self.warnings = self._source.info, self._source.state, ()

    def read(self, timeout_s):

        self._left -= 1
        if self._left < 0:
            return None
        frame = self._source.read(timeout_s)
        return dataclasses.replace(frame, t_ns=frame.t_ns + 7_000_000_000)

    def close(self):
        self._source.close()


@pytest.fixture(scope="module")
def filmed(models, tmp_path_factory):
    """A session of two rendered faces, each with its affect."""
    store = SessionStore(tmp_path_factory.mktemp("sessions"))
    with Pipeline(FromTheMiddle(14), CONFIG, live=False) as pipeline:
        recorder = SessionRecorder(pipeline, store, CONFIG, "demo")
        for _ in pipeline:
            pass
        return recorder.finish()


def test_a_session_analysed_again_is_on_its_clock_and_within_what_is_stated(filmed):
    stored = (filmed.folder / "rows.csv").read_bytes()
    shares = []
    differences = analyse_again(filmed, CONFIG, shares.append)
    assert [d.group for d in differences] == list(GROUPS) == list(TOLERANCE)
    for difference in differences:
        assert difference.n > 0
        assert difference.within, difference
    assert shares == sorted(shares)
    assert 0 <= shares[-1] <= 1
    assert (filmed.folder / "rows.csv").read_bytes() == stored
    with Replay(filmed.folder, live=False) as replay:
        before = list(replay)
        assert replay.has_again
    with Replay(filmed.folder, live=False, again=True) as replay:
        after = list(replay)
        assert set(replay.models) == set(filmed.content["models"])
    assert len(before) == len(after) == 14
    for one, other in zip(before, after, strict=True):
        assert abs(one.scene.frame.t_ns - other.scene.frame.t_ns) < 20_000
        assert (one.scene.frame.image == other.scene.frame.image).all()
        assert len(one.scene.tracks) == len(other.scene.tracks) == 2
    with (filmed.folder / "again" / "differences.csv").open(encoding="utf-8") as stream:
        assert [row["group"] for row in csv.DictReader(stream)] == list(GROUPS)


def test_analysing_a_sessions_video_twice_gives_the_same_bytes(filmed, tmp_path):
    once, twice = (
        analyze(filmed.folder / "video.mp4", tmp_path / name, CONFIG, timeline=False, explain=False)
        for name in ("once", "twice")
    )
    assert not once.failures
    rows = (once.out / "video.csv").read_bytes()
    assert rows.count(b"\n") == 1 + 2 * 14
    assert rows == (twice.out / "video.csv").read_bytes()


def test_equal_rows_do_not_differ_and_ids_of_another_run_are_matched_by_place(record, tmp_path):
    session = record(12)
    rows = session.folder / "rows.csv"
    lines = rows.read_text(encoding="utf-8").splitlines()
    other = [lines[0]]
    for line in lines[1:]:
        fields = line.split(",")
        fields[1] = {"1": "2", "2": "1"}.get(fields[1], fields[1])
        other.append(",".join(fields))
    again = tmp_path / "video.csv"
    again.write_text("\n".join(other) + "\n", encoding="utf-8")
    differences, ids = compare_rows(rows, again)
    for difference in differences:
        assert difference.n > 0 or difference.group.startswith("expression")
        assert difference.n == 0 or difference.most == 0
    assert ids == {1: 2, 2: 1}


def test_results_that_are_cut_short_leave_the_earlier_ones(record, monkeypatch):
    session = record(4)
    (session.folder / "again").mkdir()
    (session.folder / "again" / "rows.csv").write_text("earlier", encoding="utf-8")

    def analyse(session, video, config, folder, progress):
        shutil.copy(session.folder / "rows.csv", folder)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(again_module, "_analyse", analyse)
    with pytest.raises(again_module.OutputError, match="No space left"):
        analyse_again(session, Config())
    assert (session.folder / "again" / "rows.csv").read_text(encoding="utf-8") == "earlier"


def test_a_session_without_video_is_not_analysed_again(record):
    with pytest.raises(InputMissingError, match="no video"):
        analyse_again(record(2, mode="results"), Config())
