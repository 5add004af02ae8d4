"""Two expressions together, or none."""

import pytest

from realtime_affect.interpret.compound import NONE, compound_of, unit_support
from realtime_affect.interpret.prototypes import CONSISTENT, SHARES, consistent_units
from realtime_affect.names import AU_INTENSITIES, COMPOUNDS
from tests.realtime_affect.interpret.cases import shares


def seen(*units):
    return dict.fromkeys(units, "high")


@pytest.mark.parametrize("name", COMPOUNDS)
def test_both_parts_together_make_the_compound(name):
    first, second = COMPOUNDS[name]
    p = shares({first: 0.45, second: 0.4})
    assert compound_of(p, {}, AU_INTENSITIES) == (name, pytest.approx(0.85))


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
    assert compound_of(shares(p), {}, AU_INTENSITIES)[0] == NONE, why


def test_units_of_a_compound_name_it_where_the_network_is_sure_of_one_part():
    surprised = shares({"surprise": 0.96})
    smiling = seen("AU01", "AU02", "AU12", "AU25", "AU26")
    assert compound_of(surprised, smiling, AU_INTENSITIES)[0] == "happily surprised"
    plain = seen("AU01", "AU02", "AU05", "AU25", "AU26")
    assert compound_of(surprised, plain, AU_INTENSITIES)[0] == NONE
    retching = seen("AU01", "AU02", "AU05", "AU09", "AU10", "AU17")
    p = shares({"disgust": 0.97})
    assert compound_of(p, retching, AU_INTENSITIES)[0] == "disgustedly surprised"
    assert compound_of(p, seen("AU09", "AU10", "AU17"), AU_INTENSITIES)[0] == NONE


def test_units_name_no_compound_of_what_the_network_does_not_report():
    smiling = seen("AU01", "AU02", "AU12", "AU25", "AU26")
    assert compound_of(shares({"neutral": 0.9}), smiling, AU_INTENSITIES)[0] == NONE
    assert compound_of(shares({"anger": 0.9}), smiling, AU_INTENSITIES)[0] == NONE


def test_units_support_the_compound_that_people_move_them_for():
    for name in COMPOUNDS:
        assert unit_support(name, consistent_units(name)) == 1.0
        assert unit_support(name, ()) == 0.0
    for units in SHARES.values():
        assert set(units) <= set(AU_INTENSITIES)
        assert max(units.values()) == CONSISTENT
