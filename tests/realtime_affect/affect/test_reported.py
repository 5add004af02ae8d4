"""The reported expression: steady, in time, and a function of source times alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from realtime_affect.affect.reported import ReportedExpression
from realtime_affect.affect.worker import AffectConfig
from realtime_affect.errors import UsageError
from realtime_affect.names import EXPRESSIONS

STEP_MS = 1000 / 12


def shares(**given):
    """Return probabilities; what is not given goes to neutral."""
    p = np.zeros(len(EXPRESSIONS), np.float32)
    for name, share in given.items():
        p[EXPRESSIONS.index(name)] = share
    p[EXPRESSIONS.index("neutral")] += 1 - p.sum()
    return p


def reported(report, moments, first_ms=0.0, step_ms=STEP_MS):
    return [report.update(round((first_ms + i * step_ms) * 1e6), p) for i, p in enumerate(moments)]


def test_a_clear_onset_is_reported_within_300_ms_of_its_first_moment():
    told = reported(ReportedExpression(), [shares()] * 12 + [shares(happiness=0.97)] * 6)
    delay_ms = (told.index("happiness") - 12 + 1) * STEP_MS
    assert delay_ms <= 300


def test_two_expressions_that_take_turns_are_not_reported_in_turns():
    rng = np.random.default_rng(3)
    flicker = [shares(sadness=0.5 + 0.15 * x) for x in rng.standard_normal(240)]
    likeliest = [int(p.argmax()) for p in flicker]
    told = reported(ReportedExpression(), flicker)
    raw = np.count_nonzero(np.diff(likeliest))
    steady = sum(a != b for a, b in itertools.pairwise(told))
    assert raw > 60
    assert steady <= raw / 10


def test_a_lead_under_the_margin_is_never_reported():
    weak = shares(anger=0.58, neutral=0.42)
    told = reported(ReportedExpression(margin=0.2), [shares()] * 3 + [weak] * 200)
    assert set(told) == {"neutral"}


def test_a_smaller_lead_takes_longer():
    def delay(share):
        told = reported(ReportedExpression(), [shares()] + [shares(surprise=share)] * 60)
        return told.index("surprise")

    delays = [delay(share) for share in (0.99, 0.85, 0.72)]
    assert delays == sorted(delays)
    assert delays[0] < delays[-1]


def test_neutral_needs_no_margin_but_its_time():
    report = ReportedExpression(onset_ms=80, release_ms=300, margin=0.5)
    told = reported(report, [shares()] + [shares(fear=0.9)] * 5 + [shares(fear=0.4)] * 60)
    assert told[6] == "fear"
    assert told[-1] == "neutral"


def test_the_first_report_gives_way_as_soon_as_neutral_is_likelier():
    told = reported(ReportedExpression(release_ms=1000), [shares(sadness=0.52)] * 3 + [shares()])
    assert told == ["sadness"] * 3 + ["neutral"]


@pytest.mark.parametrize(("own_rest", "first"), [(True, "neutral"), (False, "sadness")])
def test_a_face_without_any_action_begins_as_neutral_whatever_its_brows_are_like(own_rest, first):
    report = ReportedExpression(own_rest=own_rest)
    assert report.update(0, shares(sadness=0.6), at_rest=True) == first
    assert ReportedExpression(own_rest=own_rest).update(0, shares(sadness=0.6)) == "sadness"


def test_an_interruption_shorter_than_the_release_does_not_end_an_expression():
    smile = shares(happiness=0.95)
    moments = [shares()] + [smile] * 5 + [shares()] * 3 + [smile] * 5
    told = reported(ReportedExpression(release_ms=400), moments)
    assert set(told[2:]) == {"happiness"}


def test_without_durations_and_margin_the_likeliest_is_reported():
    rng = np.random.default_rng(4)
    moments = rng.dirichlet(np.ones(len(EXPRESSIONS)), 300).astype(np.float32)
    told = reported(ReportedExpression(0, 0, 0), moments)
    assert told == [EXPRESSIONS[int(p.argmax())] for p in moments]


def at_rest(report, p, n, first_ms=0.0):
    return [report.update(round((first_ms + i * STEP_MS) * 1e6), p, at_rest=True) for i in range(n)]


def test_whose_face_at_rest_looks_sad_is_neutral_as_soon_as_that_is_known():
    brows, report = shares(sadness=0.65), ReportedExpression()
    assert report.update(-1, brows) == "sadness"
    assert set(at_rest(report, brows, 36)[14:]) == {"neutral"}
    assert set(at_rest(ReportedExpression(own_rest=False), brows, 36)) == {"sadness"}


def test_a_smile_of_a_person_whose_rest_is_known_is_reported_as_before():
    report = ReportedExpression()
    at_rest(report, shares(sadness=0.65), 36)
    told = reported(report, [shares(happiness=0.9)] * 4, 36 * STEP_MS)
    assert told[-1] == "happiness"


def test_a_clear_expression_is_never_taken_for_rest():
    told = at_rest(ReportedExpression(), shares(anger=0.95), 100)
    assert set(told[3:]) == {"anger"}


def test_what_a_face_shows_while_it_moves_is_not_its_rest():
    told = reported(ReportedExpression(), [shares(sadness=0.65)] * 100)
    assert set(told) == {"sadness"}


def test_a_gap_forgets_what_was_reported_and_not_how_the_person_rests():
    report = ReportedExpression()
    at_rest(report, shares(sadness=0.65), 36)
    report.begin_anew()
    assert at_rest(report, shares(sadness=0.65), 1, 1e5) == ["neutral"]


@pytest.mark.parametrize("first_ms", [0.0, 12_345_678.0])
def test_only_time_between_moments_counts(first_ms):
    moments = [shares()] * 4 + [shares(disgust=0.8)] * 5 + [shares()] * 9
    assert reported(ReportedExpression(), moments, first_ms) == reported(
        ReportedExpression(), moments
    )


@pytest.mark.parametrize(
    ("setting", "value"), [("onset_ms", -1.0), ("release_ms", float("nan")), ("margin", 1.5)]
)
def test_a_setting_out_of_range_is_refused_by_name(setting, value):
    with pytest.raises(UsageError, match=rf"affect\.expression_{setting}"):
        AffectConfig(**{f"expression_{setting}": value})
