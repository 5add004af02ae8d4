"""Two expressions together, or none."""

import pytest

from realtime_affect.interpret.compound import NONE, compound_of, unit_support
from realtime_affect.interpret.prototypes import COMPOUND_WEIGHTS, SHARES
from realtime_affect.names import AU_INTENSITIES, COMPOUNDS
from tests.realtime_affect.interpret.cases import shares


@pytest.mark.parametrize("name", COMPOUNDS)
def test_both_parts_together_make_the_compound(name):
    first, second = COMPOUNDS[name]
    p = shares({first: 0.45, second: 0.4})
    assert compound_of(p) == (name, pytest.approx(0.85))


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
    assert compound_of(shares(p))[0] == NONE, why


def test_units_support_the_compound_that_people_move_them_for():
    for name, units in SHARES.items():
        assert unit_support(name, units) == pytest.approx(1.0)
        assert unit_support(name, ()) == 0.0
        assert set(units) <= set(AU_INTENSITIES)
        assert sum(COMPOUND_WEIGHTS[name].values()) == pytest.approx(1.0)
    assert tuple(sorted(SHARES)) == tuple(sorted(COMPOUNDS))
