"""Valence and arousal: bounded, continuous, smooth."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_affect.interpret.valence_arousal import SMOOTH_MS, smoothed, valence_arousal
from realtime_affect.names import EXPRESSIONS
from tests.realtime_affect.interpret.cases import intensities, shares

some_shares = st.lists(st.floats(0.001, 1), min_size=8, max_size=8).map(
    lambda values: [v / sum(values) for v in values]
)
some_units = st.lists(st.floats(0, 5), min_size=17, max_size=17)


@settings(max_examples=80, deadline=None)
@given(some_shares, some_shares, some_units, some_units, st.floats(0, 1))
def test_a_small_step_of_the_evidence_is_a_small_step_of_valence(p, q, units, others, share):
    mixed_p = [a + share * (b - a) for a, b in zip(p, q, strict=True)]
    mixed_units = [a + share * (b - a) for a, b in zip(units, others, strict=True)]
    before, after = valence_arousal(p, units), valence_arousal(mixed_p, mixed_units)
    way = sum(abs(a - b) for a, b in zip(p, mixed_p, strict=True))
    moved = sum(abs(a - b) for a, b in zip(units, mixed_units, strict=True))
    for old, new in zip(before, after, strict=True):
        assert -1 <= new <= 1
        assert abs(new - old) <= 0.6 * way + 0.1 * moved + 1e-9


def test_nothing_jumps_where_the_likeliest_expression_changes():
    calm = intensities({})
    just, over = (
        valence_arousal(shares({"happiness": 0.45 + x, "sadness": 0.45 - x}), calm)
        for x in (-1e-4, 1e-4)
    )
    assert just == pytest.approx(over, abs=1e-3)


def test_pleasant_and_unpleasant_excited_and_calm_are_where_they_belong():
    calm = intensities({})
    at = {name: valence_arousal(shares({name: 1.0}), calm) for name in EXPRESSIONS}
    assert at["neutral"] == (0.0, 0.0)
    assert at["happiness"][0] > 0.5 > 0 > at["sadness"][0]
    assert at["fear"][1] > at["neutral"][1] > at["sadness"][1]
    smile = intensities({"AU12": 3.0, "AU06": 2.0})
    assert valence_arousal(shares({"neutral": 1.0}), smile)[0] > 0.15
    frown = intensities({"AU04": 3.0, "AU15": 2.0})
    assert valence_arousal(shares({"neutral": 1.0}), frown)[0] < -0.1


def test_units_without_evidence_count_as_nothing():
    p = shares({"happiness": 0.6})
    assert valence_arousal(p, [math.nan] * 17) == valence_arousal(p, [0.0] * 17)


def test_time_smooths_by_its_constant():
    assert smoothed((0.0, 0.0), (1.0, -1.0), 0.0) == (0.0, 0.0)
    valence, arousal = smoothed((0.0, 0.0), (1.0, -1.0), SMOOTH_MS)
    assert valence == pytest.approx(1 - math.exp(-1))
    assert arousal == -valence
