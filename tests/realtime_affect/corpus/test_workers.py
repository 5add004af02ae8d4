"""What workers share, and what each has to itself."""

import os

import pytest

from realtime_affect.cores import usable_cores
from realtime_affect.corpus.workers import environment, shares_of


@pytest.mark.parametrize(
    ("n", "shares"),
    [
        (1, [(0, 1, 4, 5)]),
        (2, [(0, 1), (4, 5)]),
        (3, [(0,), (1,), (4, 5)]),
        (4, [(0,), (1,), (4,), (5,)]),
        (5, [(0, 1, 4, 5)] * 5),
    ],
)
def test_every_core_is_one_worker_s_and_all_are_everybody_s_where_they_are_too_few(n, shares):
    assert shares_of((0, 1, 4, 5), n) == shares


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system does not say which cores are ours"
)
def test_cores_that_this_process_may_not_use_are_not_counted():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {max(before)})
        assert usable_cores() == (max(before),)
    finally:
        os.sched_setaffinity(0, before)


def test_variables_are_set_for_those_started_inside_alone(monkeypatch):
    monkeypatch.setenv("CORPUS_KNOWN", "old")
    monkeypatch.delenv("CORPUS_NEW", raising=False)
    with environment({"CORPUS_KNOWN": "1", "CORPUS_NEW": "2"}):
        assert (os.environ["CORPUS_KNOWN"], os.environ["CORPUS_NEW"]) == ("1", "2")
    assert os.environ["CORPUS_KNOWN"] == "old"
    assert "CORPUS_NEW" not in os.environ
