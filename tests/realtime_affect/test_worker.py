import logging
import threading

import pytest

from realtime_affect.worker import Supervisor, Worker, call_within

PATIENCE_S = 60.0


def divide():
    raise ZeroDivisionError


def test_a_worker_ends_and_says_so():
    ended = []
    worker = Worker("rows", lambda: None, end=lambda: ended.append(1))
    assert worker.wait(0), "one that was never started is not waited for"
    worker.start()
    assert worker.wait(PATIENCE_S)
    assert ended == [1]
    assert not worker.working
    assert worker.failure is None


def test_a_failure_nobody_takes_is_an_error_in_the_log_with_its_traceback(caplog):
    worker = Worker("rows", divide)
    with caplog.at_level(logging.INFO):
        worker.start()
        assert worker.wait(PATIENCE_S)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "rows worker failed" in record.getMessage()
    assert "ZeroDivisionError" in caplog.text
    assert "in divide" in caplog.text
    assert "in the rows worker" in worker.failure.__notes__


def test_a_failure_that_its_owner_reports_is_logged_once_and_below_a_warning(caplog):
    taken, order = [], []
    worker = Worker(
        "rows", divide, end=lambda: order.append("end"), failed=lambda f: taken.append(f)
    )
    with caplog.at_level(logging.INFO):
        worker.start()
        assert worker.wait(PATIENCE_S)
    assert taken == [worker.failure]
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "ZeroDivisionError" in caplog.text
    assert order == ["end"]


def test_a_supervisor_keeps_the_first_failure_and_ends_the_run_for_each():
    ended = []
    supervisor = Supervisor(ended.append)
    first = supervisor.worker("vision", divide)
    first.start()
    assert first.wait(PATIENCE_S)
    supervisor.note("rows", OSError("later"))
    assert isinstance(supervisor.failure, ZeroDivisionError)
    assert ended == ["vision", "rows"]


def test_what_hangs_is_waited_for_no_longer_than_said_and_what_raises_raises():
    gate = threading.Event()
    assert not call_within(0.05, "summary", lambda: gate.wait(PATIENCE_S))
    gate.set()
    assert call_within(PATIENCE_S, "summary", lambda: None)
    with pytest.raises(ZeroDivisionError):
        call_within(PATIENCE_S, "summary", divide)
