"""What IFDD-Stream scores, by the files that are shipped, played as the product plays them.

    python -m training.ifdd_stream.evaluate --onnx FOLDER --run FOLDER --sequences FOLDER \
        --ferplus ferplus_train_valid.npz --report report.json \
        [--london FOLDER --report-persons WHY]

FER+ ``valid`` (stills as clips that stand still, by strict majority), sequences of studio people
nobody learned from, and the smile onsets of London persons 061 to 090, of whom every look is
logged. The temperature is chosen on the majorities of ``valid``; the calibration error beside it is
of each half under the other half's temperature.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_engines.ort import import_onnxruntime
from benchmarks.records import code_state
from realtime_affect.names import EXPRESSIONS
from training.action_units.dataset import load_arrays
from training.action_units.evaluate import log_look
from training.ifdd_stream.export import NAMES, play
from training.ifdd_stream.network import SLOTS
from training.ifdd_stream.sequences import KINDS, Sequences, read_onsets, read_sequences
from training.ifdd_stream.stills import read_stills
from training.metrics import bootstrap, calibration_error, confusion, recalls, softmax, uar, war

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

REPORTING: Final = range(61, 91)
_CLASSES: Final = len(EXPRESSIONS)
_NEUTRAL, _HAPPY = EXPRESSIONS.index("neutral"), EXPRESSIONS.index("happiness")
_CLEAR: Final = 0.8


def open_session(path: Path) -> Any:
    """Open an ONNX file as the product does: one thread."""
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )


def read_clips(session: Any, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits (n, t, 8) at every moment of clips (n, t, 48, 48)."""
    logits = []
    for k in range(0, len(clips), 32):
        feeds = play(session, clips[k : k + 32])
        logits.append(np.stack([session.run(["logits"], feed)[0] for feed in feeds], 1))
    return np.concatenate(logits)


def read_pictures(
    session: Any, pictures: NDArray[np.uint8], *, flipped: bool
) -> NDArray[np.float32]:
    """Return the logits (n, 8) of stills (n, 48, 48); `flipped`: of the mean with the mirror's."""
    logits = read_clips(session, pictures[:, None])[:, 0]
    if not flipped:
        return logits
    mirrored = read_clips(session, np.ascontiguousarray(pictures[:, None, :, ::-1]))[:, 0]
    mean = 0.5 * (softmax(logits) + softmax(mirrored))
    return np.log(np.maximum(mean, 1e-12)).astype(np.float32)


def figures(truth: NDArray[np.int64], read: NDArray[np.int64]) -> dict[str, Any]:
    """Return accuracy, UAR with their 95 % intervals, recalls and confusion matrix."""
    counts = confusion(truth, read, _CLASSES)
    return {
        "n": len(truth),
        "accuracy": war(counts),
        "accuracy_interval": bootstrap(truth, read, war, _CLASSES),
        "uar": uar(counts),
        "uar_interval": bootstrap(truth, read, uar, _CLASSES),
        "recall": dict(zip(EXPRESSIONS, recalls(counts).tolist(), strict=True)),
        "confusion": counts.tolist(),
    }


def fit_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """Return the temperature under which the truths (n,) are likeliest (Guo et al., 2017)."""
    tried = np.exp(np.linspace(np.log(0.4), np.log(3.0), 121))
    rows = np.arange(len(truth))
    losses = [-np.log(softmax(logits, t)[rows, truth] + 1e-12).mean() for t in tried]
    return float(tried[int(np.argmin(losses))])


def calibrate(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, float]:
    """Fit the temperature; report the calibration error on halves it was not fitted on."""
    order = np.random.default_rng(2).permutation(len(truth))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    shares = softmax(logits)
    for here, there in (halves, halves[::-1]):
        shares[here] = softmax(logits[here], fit_temperature(logits[there], truth[there]))
    return {
        "temperature": round(fit_temperature(logits, truth), 3),
        "ece_raw": calibration_error(softmax(logits), truth),
        "ece": calibration_error(shares, truth),
    }


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments to be judged, as parallel arrays: of which sequence, when, what is shown."""

    sequence: NDArray[np.int64]
    slot: NDArray[np.int64]
    truth: NDArray[np.int64]


def clear_moments(sequences: Sequences) -> Moments:
    """Return all moments with a full clip behind them and more than 0.8 of one expression."""
    rows, slots = np.nonzero(sequences.shown.max(2) > _CLEAR)
    full = slots >= SLOTS - 1
    rows, slots = rows[full], slots[full]
    return Moments(rows, slots, sequences.shown[rows, slots].argmax(1))


def strongest_moments(sequences: Sequences) -> Moments:
    """Return one moment a sequence: its expression's strongest, the last one of a neutral face."""
    slots = np.full(len(sequences), sequences.level.shape[1] - 1)
    shown = sequences.shown.copy()
    shown[:, :, _NEUTRAL] = 0
    strength = np.where(shown.max(2) > _CLEAR, sequences.level, 0)
    moving = strength.any(1)
    slots[moving] = strength[moving].argmax(1)
    rows = np.arange(len(sequences))
    return Moments(rows, slots, sequences.shown[rows, slots].argmax(1))


def ambiguous_moments(sequences: Sequences) -> dict[str, Moments]:
    """Return moments that say little on their own, at most one of each kind a sequence.

    ``onset`` and ``offset``: the same weak expression (strength 0.15 to 0.45) coming, which counts
    from 0.2 on, or going, which counts until 0.35; ``brief``: the apex of an expression that lasts
    a moment and is not strong; ``speech``: a face that speaks, over an expression or without one.
    """
    rng = np.random.default_rng(12)
    level, going = sequences.level, sequences.going
    sure = sequences.shown.max(2) > 0.5
    full = np.arange(level.shape[1])[None] >= SLOTS - 1
    kind = sequences.kind[:, None]
    weak = (level > 0.15) & (level < 0.45) & sure & full & (kind != KINDS.index("speech"))
    chosen = {
        "onset": weak & ~going,
        "offset": weak & going,
        "brief": (kind == KINDS.index("brief")) & (level > 0.3) & ~going & sure & full,
        "speech": (kind == KINDS.index("speech")) & sure & full,
    }
    found = {}
    for name, mask in chosen.items():
        rows = np.flatnonzero(mask.any(1))
        slots = np.array([rng.choice(np.flatnonzero(mask[row])) for row in rows.tolist()], np.int64)
        found[name] = Moments(rows, slots, sequences.shown[rows, slots].argmax(1))
    return found


def judge(logits: NDArray[np.float32], moments: Moments) -> dict[str, Any]:
    """Score logits (n, t, 8) of sequences at some of their moments."""
    read = logits[moments.sequence, moments.slot].argmax(1)
    return figures(moments.truth, read)


def studio_figures(session: Any, sequences: Sequences) -> dict[str, Any]:
    """Score all clear moments, the strongest one of each sequence, and ambiguous ones."""
    logits = read_clips(session, sequences.pictures)
    ambiguous = ambiguous_moments(sequences)
    together = Moments(*(
        np.concatenate([getattr(moments, name) for moments in ambiguous.values()])
        for name in ("sequence", "slot", "truth")
    ))  # fmt: skip
    return {
        "people": len(set(sequences.person.tolist())),
        "sequences": len(sequences),
        "clear": judge(logits, clear_moments(sequences)),
        "strongest": judge(logits, strongest_moments(sequences)),
        "ambiguous": {
            "all": judge(logits, together),
            **{name: judge(logits, moments) for name, moments in ambiguous.items()},
        },
    }


def onset_figures(session: Any, onsets: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Play smile onsets; count neutral first and happy last pictures, and name the misses."""
    read = read_clips(session, onsets["pictures"]).argmax(2)
    persons = onsets["person"].tolist()

    def missed(column: int, wanted: int) -> dict[str, str]:
        return {
            f"{person:03}": EXPRESSIONS[seen]
            for person, seen in zip(persons, read[:, column].tolist(), strict=True)
            if seen != wanted
        }

    first, last = missed(0, _NEUTRAL), missed(-1, _HAPPY)
    return {
        "persons": len(persons),
        "neutral_first": len(persons) - len(first),
        "happiness_last": len(persons) - len(last),
        "missed_first": first,
        "missed_last": last,
    }


def evaluate(
    folder: Path, sequences: Path, ferplus: Path, onsets: Sequence[dict[str, NDArray[Any]]]
) -> dict[str, Any]:
    """Score both forms; `onsets` are those of persons to choose on and, if looked at, to report."""
    valid = read_stills(ferplus, "valid")
    aligned = load_arrays(sequences / "stills_valid.npz")
    cut = np.where((aligned["presence"] > 0.5)[:, None, None], aligned["pictures"], valid.pictures)
    known = valid.majority >= 0
    truth = valid.majority[known]
    unseen = read_sequences(sorted(sequences.glob("test_*.npz")))
    report: dict[str, Any] = {}
    for precision, name in NAMES.items():
        session = open_session(folder / name)
        logits = read_pictures(session, valid.pictures, flipped=False)
        mirrored = read_pictures(session, valid.pictures, flipped=True)
        as_cut = read_pictures(session, cut, flipped=False)
        found: dict[str, Any] = {
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            "bytes": (folder / name).stat().st_size,
            "ferplus_valid": {
                "plain": figures(truth, logits[known].argmax(1)),
                "flip averaged": figures(truth, mirrored[known].argmax(1)),
                "cut by the product": figures(truth, as_cut[known].argmax(1)),
            },
            "calibration": calibrate(logits[known], truth),
            "studio_test": studio_figures(session, unseen),
            "london_036_045": onset_figures(session, onsets[0]),
        }
        if len(onsets) > 1:
            found["london_061_090"] = onset_figures(session, onsets[1])
        report[precision] = found
    return report


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx", type=Path, required=True, help="folder of the ONNX files")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--sequences", type=Path, required=True)
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--london", type=Path, help="folder of the London Set")
    parser.add_argument("--report-persons", metavar="WHY", help="look at persons 061 to 090")
    parser.add_argument("--report", type=Path, required=True, help="JSON to write")
    options = parser.parse_args()
    code = code_state("training/ifdd_stream", "realtime_affect/affect", "realtime_affect/face")
    stored = load_arrays(options.sequences / "onsets.npz")
    choosing = stored["person"] >= 36
    onsets = [{name: array[choosing] for name, array in stored.items()}]
    if options.report_persons:
        log_look(options.report_persons, options.onnx / NAMES["fp32"])
        onsets.append(read_onsets(options.london, REPORTING))
    about = json.loads((options.run / "about.json").read_text("utf-8"))
    forms = evaluate(options.onnx, options.sequences, options.ferplus, onsets)
    report = {"about": about, **forms, "made": code}
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    for precision, found in forms.items():
        for name, part in found["ferplus_valid"].items():
            print(f"{precision} FER+ valid, {name}: {part['accuracy']:.4f}, UAR {part['uar']:.4f}")
        studio = found["studio_test"]
        for name in ("clear", "strongest"):
            print(f"{precision} studio, {name}: UAR {studio[name]['uar']:.4f}")
        for name, part in studio["ambiguous"].items():
            print(f"{precision} ambiguous, {name}: accuracy {part['accuracy']:.4f}, n {part['n']}")
        print(f"{precision} {found['calibration']}")
        for persons in ("london_036_045", "london_061_090"):
            print(f"{precision} {persons}: {found.get(persons)}")


if __name__ == "__main__":
    main()
