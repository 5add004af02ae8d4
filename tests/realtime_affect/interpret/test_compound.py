"""Two expressions together, or none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from realtime_affect.interpret.compound import NONE, RULE, unit_support
from realtime_affect.interpret.prototypes import CONSISTENT, SHARES, consistent_units
from realtime_affect.names import AU_INTENSITIES, COMPOUNDS, EXPRESSIONS
from tests.realtime_affect.interpret.cases import intensities, shares

NOT_MEASURED = [math.nan] * len(AU_INTENSITIES)


def named(p, *units):
    return RULE.decide(shares(p), intensities(dict.fromkeys(units, 2.5)))[0]


@pytest.mark.parametrize("name", COMPOUNDS)
def test_both_parts_together_make_the_compound(name):
    first, second = COMPOUNDS[name]
    p = shares({first: 0.45, second: 0.4})
    assert RULE.decide(p, NOT_MEASURED) == (name, pytest.approx(0.85))


@pytest.mark.parametrize(
    ("p", "why"),
    [
        ({"neutral": 0.45, "surprise": 0.3, "fear": 0.25}, "neutral leads"),
        ({"surprise": 0.8, "fear": 0.15}, "one leads alone"),
        ({"happiness": 0.5, "sadness": 0.45}, "no pair of the seven"),
        ({"surprise": 0.24, "fear": 0.24, "anger": 0.2, "neutral": 0.2}, "too little"),
    ],
)
def test_there_is_no_compound_where(p, why):
    assert RULE.decide(shares(p), NOT_MEASURED)[0] == NONE, why


def test_a_face_at_rest_shows_no_compound_whatever_the_network_says():
    assert named({"surprise": 0.45, "fear": 0.4}) == NONE


def test_units_of_a_compound_name_it_where_the_network_is_sure_of_one_part():
    surprised = {"surprise": 0.96}
    assert named(surprised, "AU01", "AU02", "AU12", "AU25", "AU26") == "happily surprised"
    assert named(surprised, "AU01", "AU02", "AU05", "AU25", "AU26") == NONE
    retching = ("AU01", "AU02", "AU05", "AU09", "AU10", "AU17")
    assert named({"disgust": 0.97}, *retching) == "disgustedly surprised"
    assert named({"disgust": 0.97}, "AU09", "AU10", "AU17") == NONE


def test_units_name_no_compound_of_what_the_network_does_not_report():
    smiling = ("AU01", "AU02", "AU12", "AU25", "AU26")
    assert named({"neutral": 0.9}, *smiling) == NONE
    assert named({"anger": 0.9}, *smiling) == NONE


def test_what_both_have_in_common_names_no_compound_where_one_leads_alone():
    assert named({"sadness": 0.8}, "AU04", "AU15") == NONE
    assert named({"sadness": 0.45, "anger": 0.4}, "AU04", "AU15") == "sadly angry"


@settings(deadline=None, max_examples=50)
@given(
    arrays(float, 8, elements=st.floats(0.001, 1)),
    arrays(float, 17, elements=st.floats(0, 5) | st.just(math.nan)),
)
def test_a_compound_has_the_leading_expression_and_half_of_the_probability(weights, intensity):
    p = weights / weights.sum()
    name, share = RULE.decide(p.tolist(), intensity.tolist())
    if name == NONE:
        pairs = [[p[EXPRESSIONS.index(part)] for part in parts] for parts in COMPOUNDS.values()]
        assert share == pytest.approx(np.sum(pairs, axis=1).max())
    else:
        parts = [EXPRESSIONS.index(part) for part in COMPOUNDS[name]]
        assert p.argmax() in parts
        assert share == pytest.approx(p[parts].sum())
        assert share >= 0.5


def test_units_support_the_compound_that_people_move_them_for():
    for name in COMPOUNDS:
        assert unit_support(name, consistent_units(name)) == 1.0
        assert unit_support(name, ()) == 0.0
    for units in SHARES.values():
        assert set(units) <= set(AU_INTENSITIES)
        assert max(units.values()) == CONSISTENT
