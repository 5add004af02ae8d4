"""Choose when an expression is reported: what durations and margins cost and bring.

    python -m training.real.choose --sequences FOLDER --data ../shared/data --report FILE

On people whom no figure is reported of: rendered validation people (``ifdd_stream.sequences``), at
rest, talking, and while an expression comes; and the smile onsets of London persons 036 to 045. Of
each setting: changes a minute and samples that are not neutral of neutral faces, talking or not;
how late an onset is reported, and how many are. Chosen is, of those that find every smile that the
likeliest expression finds, in the median within 300 ms, and that change at most a third as often as
it on neutral faces, the one that takes the fewest samples of these for another expression; of
equal ones that with the smallest margin and the release nearest to what is set. Some minutes on one
core.

Whether the person's own rest is taken off is judged on LFW's validation persons: what is made of a
picture, with and without another picture of the same person on which no action unit is above a
trace.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_engines import load_card
from realtime_affect.affect.expression import ExpressionClassifier
from realtime_affect.affect.history import shows_nothing
from realtime_affect.affect.reported import RELEASE_MS, ReportedExpression
from realtime_affect.names import EXPRESSIONS
from realtime_affect.types import ClipWindow
from training.ifdd_stream.network import SLOT_HZ
from training.ifdd_stream.sequences import KINDS, read_sequences
from training.real.cache import default_folder
from training.real.clips import STRIP_REST_S, watch_strip
from training.real.expressions import IN_TIME_MS
from training.real.stills import read_expressions, read_lfw, read_units
from training.reports import write_report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.ifdd_stream.sequences import Sequences
    from training.real.clips import Watched
    from training.real.stills import Stills

CHOOSING: Final = range(36, 46)
ONSETS_MS: Final = (0.0, 50.0, 80.0, 120.0)
RELEASES_MS: Final = (0.0, 60.0, 120.0, 180.0, 250.0, 400.0)
MARGINS: Final = (0.0, 0.1, 0.2, 0.3, 0.5)
_TOGETHER: Final = 50
_REST_MOMENTS: Final = 12  # after which what was learned of a rest counts fully
_FEW: Final = 20  # faces of an expression whose recall says something
_NEUTRAL: Final = EXPRESSIONS.index("neutral")


def read_probabilities(sequences: Sequences) -> NDArray[np.float32]:
    """Return the probabilities (n, t, 8) at every moment of sequences, by the shipped network."""
    n, t = sequences.shown.shape[:2]
    found = np.zeros((n, t, len(EXPRESSIONS)), np.float32)
    times = np.round(np.arange(1, t + 1) / SLOT_HZ * 1e9).astype(np.int64)
    slots = int(load_card("ifdd_stream").decode["slots"])
    for first in range(0, n, _TOGETHER):
        rows = range(first, min(first + _TOGETHER, n))
        with ExpressionClassifier() as classifier:
            for i in range(t):
                past = slice(max(0, i + 1 - slots), i + 1)
                clips = [
                    ClipWindow(k, times[past], sequences.pictures[k, past], i + 1 < slots)
                    for k in rows
                ]
                for k, shown in classifier.decide(clips).items():
                    found[k, i] = shown.probabilities
    return found


def judge(
    sequences: Sequences, probabilities: NDArray[np.float32], strips: dict[str, Watched],
    settings: tuple[float, float, float],
) -> dict[str, float]:  # fmt: skip
    """Return what a setting (onset, release, margin) costs and brings."""
    t_ns = np.round(np.arange(1, probabilities.shape[1] + 1) / SLOT_HZ * 1e9).astype(int).tolist()
    changes = moved = moments = 0
    delays: list[float] = []
    truth = sequences.shown.argmax(axis=2)
    for k, shown in enumerate(truth):
        report = ReportedExpression(*settings)
        told = [report.update(t, p) for t, p in zip(t_ns, probabilities[k], strict=True)]
        if sequences.kind[k] == KINDS.index("neutral"):
            changes += sum(a != b for a, b in itertools.pairwise(told))
            moved += sum(name != "neutral" for name in told)
            moments += len(told)
        elif shown[0] == _NEUTRAL and (shown != _NEUTRAL).any():
            begins = int((shown != _NEUTRAL).argmax())
            name = EXPRESSIONS[shown[begins]]
            later = [i for i in range(begins, len(told)) if told[i] == name]
            delays.append(1000 * (later[0] - begins) / SLOT_HZ if later else np.inf)
    smiles = []
    for face in strips.values():
        report = ReportedExpression(*settings)
        told = face.report(report)
        at_ms = face.t_ns[face.moments()] / 1e6 - 1000 * STRIP_REST_S
        later_ms = at_ms[(np.array(told) == "happiness") & (at_ms > -1)]
        smiles.append(float(later_ms[0]) if len(later_ms) else np.inf)
    return {
        "neutral_changes_a_minute": 60 * changes * SLOT_HZ / moments,
        "neutral_as_another": moved / moments,
        "studio_onsets_found": float(np.isfinite(delays).mean()),
        "studio_onset_median_ms": float(np.median(delays)),
        "smiles_found": float(np.isfinite(smiles).mean()),
        "smile_median_ms": float(np.median(smiles)),
    }


def judge_own_rest(stills: Stills) -> dict[str, Any]:
    """Return recalls with and without a person's rest, of faces of whom another one rests."""
    probabilities = read_expressions(stills.sights)
    resting = np.array([shows_nothing(units) for units in read_units(stills.sights)[0]])
    rows, told = [], []
    for i in range(len(probabilities)):
        others = np.flatnonzero((stills.person == stills.person[i]) & resting)
        others = others[others != i]
        if not len(others):
            continue
        report = ReportedExpression(0.0, 0.0, 0.0)
        for k in np.resize(others, _REST_MOMENTS).tolist():
            report.update(0, probabilities[k], at_rest=True)
        report.begin_anew()
        rows.append(i)
        told.append(EXPRESSIONS.index(report.update(0, probabilities[i])))
    truth, likeliest = stills.truth[rows], probabilities[rows].argmax(axis=1)
    figures: dict[str, Any] = {"faces": len(rows)}
    for kind, read in (("likeliest", likeliest), ("own_rest", np.array(told))):
        figures[kind] = {
            "accuracy": float((read == truth).mean()),
            **{
                name: float((read[truth == k] == k).mean())
                for k, name in enumerate(EXPRESSIONS)
                if (truth == k).sum() > _FEW
            },
        }
    return figures


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=Path, required=True, help="with validation_*.npz")
    parser.add_argument("--data", type=Path, required=True, help="with london_faces")
    parser.add_argument("--report", type=Path, required=True, help="JSON to write")
    options = parser.parse_args()
    sequences = read_sequences(sorted(options.sequences.glob("validation_*.npz")))
    probabilities = read_probabilities(sequences)
    strips = {
        path.stem: watch_strip(path, default_folder())
        for path in sorted((options.data / "london_faces" / "smile_onset").glob("*.jpg"))
        if int(path.stem[:3]) in CHOOSING
    }
    tried = []
    for settings in itertools.product(ONSETS_MS, RELEASES_MS, MARGINS):
        found = judge(sequences, probabilities, strips, settings)
        names = ("onset_ms", "release_ms", "margin")
        tried.append(dict(zip(names, settings, strict=True)) | found)
        print("  ".join(f"{key} {value:.3g}" for key, value in tried[-1].items()), flush=True)
    likeliest, changes = tried[0], "neutral_changes_a_minute"
    able = [
        found
        for found in tried
        if found["smiles_found"] >= likeliest["smiles_found"]
        and found["smile_median_ms"] <= IN_TIME_MS
        and found[changes] <= likeliest[changes] / 3
    ]
    chosen = min(
        able,
        key=lambda found: (
            found["neutral_as_another"], found["margin"], abs(found["release_ms"] - RELEASE_MS)
        ),
    )  # fmt: skip
    print("chosen: " + "  ".join(f"{key} {value:.3g}" for key, value in chosen.items()))
    pack = options.data / "lfw_expressions" / "lfw_train.npz"
    own_rest = judge_own_rest(read_lfw(pack, default_folder(), "validation"))
    print(own_rest)
    about: dict[str, Any] = {
        "own_rest": own_rest,
        "chosen": chosen,
        "weights_sha256": load_card("ifdd_stream").sha256,
        "sequences": len(sequences),
        "people": len(set(sequences.person.tolist())),
        "smiles": len(strips),
        "tried": tried,
    }
    write_report(about, options.report)


if __name__ == "__main__":
    main()
