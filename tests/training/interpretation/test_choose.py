"""How the rule for compounds is chosen."""

import json

import numpy as np
import pytest

from realtime_affect.interpret.compound import RULE, UNITS, CompoundRule
from realtime_affect.meaning import Meaning
from realtime_affect.names import AU_INTENSITIES, COMPOUNDS
from tests.realtime_affect.interpret.cases import intensities, shares
from training.interpretation.choose import RECORD, WEIGHTS, fit_ratios, judge, report_on
from training.interpretation.studio import Sequence


def test_the_likelihood_ratio_of_two_normal_distributions_is_found():
    rng = np.random.default_rng(0)
    shown = rng.uniform(size=(4000, 2)) < (0.5, 0.1)
    apart = np.where(shown, (2.0, 3.0), (0.0, 1.0))
    slope, even_at = fit_ratios(rng.normal(apart, 1.0), shown)
    assert slope == pytest.approx(2.0, rel=0.15)  # difference of means over variance
    assert even_at == pytest.approx([1.0, 2.0], abs=0.15)


def person(seed):
    """Sequences whose units are measured well and whose network is sure of one part."""
    rng = np.random.default_rng(seed)
    found = []
    for name, units, p in (
        ("surprise", ("AU01", "AU02", "AU05", "AU25", "AU26"), {"surprise": 0.95}),
        ("happily surprised", ("AU01", "AU02", "AU12", "AU25", "AU26"), {"surprise": 0.95}),
    ):
        shown = {unit: 0.6 * (unit in units) for unit in AU_INTENSITIES}
        measured = intensities({u: max(0.0, 5 * x + rng.normal(0, 0.3)) for u, x in shown.items()})
        meaning = Meaning(
            0, "surprise", 0.95, "none", 0.0, 0.0, 0.0, "agrees", (), (),
            intensity=tuple(measured), probabilities=tuple(shares(p)),
        )  # fmt: skip
        found.append(Sequence(name, meaning, shown))
    return found


def test_what_is_chosen_names_the_compound_and_none_for_a_single_expression():
    people = [person(seed) for seed in range(4)]
    report = report_on(people)
    assert report["people_left_out"] == {"compound_right": 1.0, "no_compound_right": 1.0}
    assert report["network"] in WEIGHTS
    rule = CompoundRule(report["network"], report["slope"], report["even_at"])
    assert judge(rule, people[0]) == (1.0, 1.0)


def test_a_sequence_without_a_face_is_not_right():
    nobody = [Sequence(name, None, {}) for name in ("surprise", next(iter(COMPOUNDS)))]
    assert judge(RULE, nobody) == (0.0, 0.0)


def test_what_ships_is_what_was_chosen():
    record = json.loads(RECORD.read_text("utf-8"))
    chosen = CompoundRule(record["network"], record["slope"], record["even_at"])
    assert vars(chosen).keys() == vars(RULE).keys()
    for name, value in vars(chosen).items():
        assert np.array_equal(value, getattr(RULE, name)), name
    assert set(record["even_at"]) == set(UNITS)
