"""Why: what is observed, what speaks for and against, and whether it agrees."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_affect.interpret.rationale import CAVEATS, explain, unit_table
from realtime_affect.interpret.words import full_text
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from realtime_affect.types import FaceQuality
from tests.realtime_affect.interpret.cases import CASES, GOOD, TABLE, evidence, said

UNITS = tuple(name for name in AU_INTENSITIES if name != "AU23")
some_units = st.dictionaries(st.sampled_from(UNITS), st.floats(0, 5), max_size=8)
some_sides = st.fixed_dictionaries(
    {}, optional={unit: st.tuples(st.floats(0, 5), st.floats(0, 5)) for unit in ("AU12", "AU14")}
)
some_shares = st.lists(st.floats(0.01, 1), min_size=8, max_size=8).map(
    lambda values: dict(zip(EXPRESSIONS, (v / sum(values) for v in values), strict=True))
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_face_is_read_as_a_reader_of_facs_would(case):
    meaning = explain(evidence(case["units"], case["p"], case.get("sides")), TABLE)
    assert [said(o) for o in meaning.observations] == case["observations"]
    assert meaning.verdict == case["verdict"]
    assert meaning.compound == case["compound"]


@settings(max_examples=40, deadline=None)
@given(some_units, some_sides, some_shares, st.sampled_from(EXPRESSIONS))
def test_what_is_named_was_measured_and_what_was_measured_is_named(units, sides, p, name):
    face = evidence(units, p, sides, name=name)
    meaning = explain(face, TABLE)
    above = {unit for unit, value in units.items() if value >= 1}
    above |= {
        unit
        for unit, (right, left) in sides.items()
        if max(right, left) >= 1 and min(right, left) < 0.5 * max(right, left)
    }
    assert set(meaning.units) == above
    text = full_text(meaning)
    observed = text.split("Interpretation")[0]
    assert {unit for unit in UNITS if f"- {unit} " in observed} == above
    for candidate in meaning.candidates:
        assert set(candidate.present) | set(candidate.against) <= above
        assert not set(candidate.missing) & above
    assert (meaning.name, meaning.probability) == (name, p[name])
    assert f"The network reports {name}, probability" in text
    assert explain(face, TABLE) == meaning
    assert full_text(explain(face, TABLE)) == text


@settings(max_examples=40, deadline=None)
@given(some_units, some_shares)
def test_a_unit_that_grows_never_lowers_what_it_is_present_for(units, p):
    before = explain(evidence(units, p), TABLE).candidates[0]
    grown = {unit: min(5.0, value + 0.5) for unit, value in units.items() if unit != "AU14"}
    after = explain(evidence(units | grown, p), TABLE).candidates[0]
    if before.name != "neutral":
        assert set(before.present) <= set(after.present)
        assert after.support >= before.support - 1e-9


def test_without_any_unit_nothing_is_claimed_to_agree():
    face = dataclasses.replace(evidence({}, {"anger": 0.9}), intensity=[math.nan] * 17)
    meaning = explain(face, TABLE)
    assert (meaning.verdict, meaning.candidates, meaning.observations) == ("unchecked", (), ())
    assert "No movement could be measured" in full_text(meaning)


def test_a_unit_of_low_trust_counts_half_and_contradicts_nothing():
    trusted = dataclasses.replace(TABLE, trusts=("high",) * 17)
    face = evidence({"AU04": 2.0, "AU07": 2.0}, {"anger": 0.9})
    assert explain(face, trusted).verdict == "agrees"
    assert explain(face, TABLE).verdict == "partly"
    face = evidence({"AU17": 3.0}, {"neutral": 0.9})
    assert explain(face, trusted).verdict == "disagrees"
    assert explain(face, TABLE).verdict == "agrees"


def test_caveats_say_what_lowers_the_trust():
    bad = FaceQuality(0.1, 30.0, 45.0, 10.0)
    face = evidence(
        {"AU25": 2.0}, {"neutral": 0.9}, quality=bad, calibration=0.4, warming_up=True,
        speaking=True,
    )  # fmt: skip
    meaning = explain(face, TABLE)
    assert meaning.caveats == CAVEATS
    assert explain(evidence({}, {"neutral": 0.9}, quality=GOOD), TABLE).caveats == ()
    assert (meaning.baseline, explain(evidence({}, {}), TABLE).baseline) == (
        "average face", "own rest",
    )  # fmt: skip


def test_an_onset_that_is_not_known_is_not_told():
    face = evidence({"AU12": 3.0}, {"happiness": 0.9}, onsets_ns=[-1] * 17)
    (smile,) = explain(face, TABLE).observations
    assert smile.onset_ns is None
    assert "since" not in full_text(explain(face, TABLE)).split("Interpretation")[0]


def test_the_table_is_the_card_s():
    table = unit_table()
    assert len(table.present_at) == len(table.trusts) == len(AU_INTENSITIES)
    assert all(
        math.isnan(value) == (trust == "none")
        for value, trust in zip(table.present_at, table.trusts, strict=True)
    )
