import io
import logging
import os
import re
import stat
import sys

import pytest

from realtime_affect.cli import logs
from realtime_affect.cli.logs import logging_to, under_journald
from realtime_affect.errors import OutputError

LOG = logging.getLogger("realtime_affect.somewhere")
FULL = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING realtime_affect\.somewhere: gone"


@pytest.fixture(autouse=True)
def not_under_journald(monkeypatch):
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)


def say_all():
    for level in ("debug", "info", "warning", "error"):
        getattr(LOG, level)(level)


@pytest.mark.parametrize(("verbosity", "service", "said"), [
    (-1, False, ["error"]),
    (0, False, ["warning", "error"]),
    (1, False, ["info", "warning", "error"]),
    (2, False, ["debug", "info", "warning", "error"]),
    (9, False, ["debug", "info", "warning", "error"]),
    (-2, True, ["error"]),
    (0, True, ["info", "warning", "error"]),
])  # fmt: skip
def test_each_step_of_verbosity_says_more(capsys, verbosity, service, said):
    with logging_to(verbosity, service=service):
        say_all()
    assert [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()] == said


def test_at_a_terminal_a_line_is_the_level_and_the_message(capsys):
    with logging_to():
        LOG.warning("gone: %s", 3)
    assert capsys.readouterr().err == "warning: gone: 3\n"


def test_a_service_says_when_and_where(capsys):
    with logging_to(service=True):
        LOG.warning("gone")
    assert re.fullmatch(FULL + "\n", capsys.readouterr().err)


def test_for_journald_every_line_has_its_priority_and_no_time(tmp_path, monkeypatch):
    with (tmp_path / "journal").open("w+") as journal:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        monkeypatch.setattr(sys, "stderr", journal)
        with logging_to(service=True):
            LOG.info("fine")
            try:
                raise ValueError("x")
            except ValueError:
                LOG.exception("bad")
        journal.seek(0)
        lines = journal.read().splitlines()
    assert lines[:2] == ["<6>realtime_affect.somewhere: fine", "<3>realtime_affect.somewhere: bad"]
    assert lines[-1] == "<3>ValueError: x"
    assert all(line.startswith("<3>") for line in lines[1:])


def test_another_stream_than_journald_s_is_not_taken_for_it(tmp_path):
    with (tmp_path / "a").open("w") as stream:
        assert not under_journald(stream, {"JOURNAL_STREAM": "1:2"})
        assert not under_journald(stream, {})
    assert not under_journald(stream, {"JOURNAL_STREAM": "1:2"})  # closed
    assert not under_journald(io.StringIO(), {"JOURNAL_STREAM": "1:2"})
    assert not under_journald(None, {})


def test_a_log_file_is_its_owner_s_and_says_what_was_chosen_whatever_the_terminal_does(
    tmp_path, capsys
):
    path = tmp_path / "a.log"
    path.touch(mode=0o644)
    with logging_to(-1, path):
        LOG.warning("gone")
        LOG.info("chosen")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = path.read_text().splitlines()
    assert re.fullmatch(FULL, lines[0])
    assert lines[1].endswith("INFO realtime_affect.somewhere: chosen")
    assert capsys.readouterr().err == ""


def test_a_log_file_does_not_grow_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    with logging_to(0, tmp_path / "a.log"):
        for n in range(200):
            LOG.info("line %d %s", n, "x" * 50)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())


def test_a_log_file_that_cannot_be_opened_is_an_error_of_the_user(tmp_path):
    with pytest.raises(OutputError, match="--log-file"), logging_to(0, tmp_path / "no" / "a.log"):
        pass
    LOG.error("nowhere")
    assert logging.getLogger("realtime_affect").handlers[0].__class__ is logging.NullHandler


def test_secrets_reach_neither_terminal_nor_file(tmp_path, capsys):
    path = tmp_path / "a.log"
    with logging_to(0, path):
        try:
            raise OSError(5, "broken", "rtsp://me:sec/r@et@host/live?token=abc")
        except OSError as error:
            LOG.exception("cannot open %s: %s", "rtsp://me:sec/r@et@host/live", error)
    for text in (capsys.readouterr().err, path.read_text()):
        assert "cannot open rtsp://***@host/live" in text
        assert "Traceback" in text
        assert "sec/r" not in text
        assert "abc" not in text


def test_a_name_acts_on_no_terminal_and_begins_no_line_of_its_own(tmp_path, capsys):
    path, name = tmp_path / "a.log", "a\x1b]0;owned\x07\nERROR b\udcff.mp4"
    with logging_to(0, path):
        try:
            raise OSError(5, "broken", name)
        except OSError:
            LOG.exception("cannot open %s", name)
    for text in (capsys.readouterr().err, path.read_text()):
        assert r"cannot open a\x1b]0;owned\x07\nERROR b\udcff.mp4" in text
        assert "\nTraceback" in text
        assert not re.search(r"[^\n -~]", text)


def test_afterwards_nothing_of_it_is_left(capsys):
    before = {name: list(logging.getLogger(name).handlers) for name in logs.PACKAGES}
    with logging_to(2):
        pass
    LOG.error("quiet")
    assert {name: logging.getLogger(name).handlers for name in logs.PACKAGES} == before
    assert LOG.getEffectiveLevel() == logging.WARNING


def test_without_standard_error_nothing_breaks(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with logging_to(1):
        LOG.info("into the void")


def test_by_default_the_library_says_nothing(capfd):
    for name in logs.PACKAGES:
        __import__(name)
        logging.getLogger(name).error("nothing of this")
    assert capfd.readouterr().err == ""
