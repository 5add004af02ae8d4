"""Choose how a compound is told from an expression, on people of whom no figure is reported.

    python -m training.interpretation.choose --faces ict_facekit_light.npz [--people 14]

films rendered people of the validation split, each showing seven expressions and seven compounds,
and fits to what the product measures of them:

- the likelihood ratio of each unit: logistic in its intensity, with one slope for all and the
  intensity ``even_at`` at which it is shown as often as not, shown and not shown weighted alike;
- the weight of the network: of WEIGHTS the one with the highest mean of the share of compounds that
  are named right and the share of expressions for which none is.

What a choice is worth is said by people who were left out: for each, all is chosen on the others.
The record is ``benchmarks/results/compound_rule.json``; ``interpret.compound.RULE`` is to be set to
it by hand, with the forty written cases as the judge of what the studio does not show. Five minutes
on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.optimize import minimize

from benchmarks import records
from realtime_affect.interpret.compound import UNITS, CompoundRule
from realtime_affect.names import AU_INTENSITIES, COMPOUNDS
from training.interpretation.studio import SHOWN, sequences
from training.reports import write_report
from training.synthetic.faces import FaceModel

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from numpy.typing import NDArray

    from training.interpretation.studio import Sequence

WEIGHTS: Final = (0.25, 0.5, 0.75, 1.0, 1.5)
RECORD: Final = records.RESULTS / "compound_rule.json"
_STEP: Final = 0.05  # of what is set by hand
_PULL: Final = 0.06  # towards the mean of all units: some are shown seldom


def fit_ratios(
    intensity: NDArray[np.float64], shown: NDArray[np.bool_]
) -> tuple[float, NDArray[np.float64]]:
    """Fit logistic likelihood ratios of units.

    Parameters
    ----------
    intensity : (n, k) float64
        As measured.
    shown : (n, k) bool

    Returns
    -------
    slope : float
    even_at : (k,) float64
    """
    share = shown.mean(axis=0).clip(1 / len(shown), 1 - 1 / len(shown))
    weight = np.where(shown, 0.5 / share, 0.5 / (1 - share))
    sign = np.where(shown, -1.0, 1.0)

    def loss(found: NDArray[np.float64]) -> float:
        slope, even_at = found[0], found[1:]
        steps = np.logaddexp(0.0, sign * slope * (intensity - even_at))
        apart = even_at - even_at.mean()
        return float((weight * steps).mean(axis=0).sum() + _PULL * (apart**2).sum())

    found = minimize(loss, np.r_[2.5, np.ones(intensity.shape[1])]).x
    return float(found[0]), found[1:]


def choose(found: Many[Sequence]) -> tuple[float, float, dict[str, float]]:
    """Return the arguments of CompoundRule that suit sequences best."""
    columns = [AU_INTENSITIES.index(unit) for unit in UNITS]
    meanings = [s.meaning for s in found if s.meaning is not None]
    intensity = np.array([m.intensity for m in meanings])[:, columns]
    shown = np.array(
        [[s.shown[unit] >= SHOWN for unit in UNITS] for s in found if s.meaning is not None]
    )
    slope, even_at = fit_ratios(intensity, shown)
    rounded = (round(x / _STEP) * _STEP for x in even_at.tolist())
    table = {unit: round(x, 2) for unit, x in zip(UNITS, rounded, strict=True)}
    slope = round(slope, 1)
    best = max(WEIGHTS, key=lambda w: sum(judge(CompoundRule(w, slope, table), found)))
    return best, slope, table


def judge(rule: CompoundRule, found: Many[Sequence]) -> tuple[float, float]:
    """Return the share of compounds named right, and of expressions for which none is named."""
    right: dict[bool, list[bool]] = {True: [], False: []}
    for s in found:
        named = "" if s.meaning is None else rule.decide(s.meaning.probabilities,
                                                         s.meaning.intensity)[0]  # fmt: skip
        blended = s.name in COMPOUNDS
        right[blended].append(named == (s.name if blended else "none"))
    return float(np.mean(right[True])), float(np.mean(right[False]))


def report_on(by_person: Many[Many[Sequence]]) -> dict[str, Any]:
    """Return what is chosen on all people, and what that is worth on those left out."""
    everybody = [s for own in by_person for s in own]
    weight, slope, even_at = choose(everybody)
    left_out = []
    for k, own in enumerate(by_person):
        others = [s for n, other in enumerate(by_person) if n != k for s in other]
        left_out.append(judge(CompoundRule(*choose(others)), own))
    compound, none = np.mean(left_out, axis=0).tolist()
    seen = judge(CompoundRule(weight, slope, even_at), everybody)
    return {
        "network": weight,
        "slope": slope,
        "even_at": even_at,
        "people": len(by_person),
        "people_left_out": {"compound_right": compound, "no_compound_right": none},
        "same_people": {"compound_right": seen[0], "no_compound_right": seen[1]},
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, required=True, help="ict_facekit_light.npz")
    parser.add_argument("--people", type=int, default=14, help="of the validation split")
    parser.add_argument("--out", type=Path, default=RECORD, help="JSON to write")
    options = parser.parse_args()
    code = records.code_state(
        "realtime_affect/affect", "realtime_affect/face", "engines/affect_engines",
        "training/interpretation", "training/synthetic",
    )  # fmt: skip
    found = sequences(FaceModel(options.faces), "validation", options.people)
    each = len(found) // options.people
    by_person = [found[k : k + each] for k in range(0, len(found), each)]
    made_by = f"python -m training.interpretation.choose --faces FILE --people {options.people}"
    report = {**code, "made_by": made_by, **report_on(by_person)}
    write_report(report, options.out)
    print(report)


if __name__ == "__main__":
    main()
