"""What IFDD-Stream scores, by the files that are shipped, played as the product plays them.

    python -m training.ifdd_stream.evaluate --onnx FOLDER --run FOLDER --sequences FOLDER \
        --ferplus PACK --lfw PACK --stills FOLDER --report report.json --why WHY \
        --teacher RUN [--teacher-with-lfw RUN] [--london FOLDER --report-persons WHY]

FER+ ``valid`` (stills as clips that stand still, by strict majority), the fifth of LFW's persons
that is kept out of every training (``training.persons``), sequences of studio people nobody
learned from, and the smile onsets of London persons 061 to 090. Every look is logged, with its
reason: ``expression_looks.jsonl``, and ``london_looks.jsonl`` for the persons 061 to 090. The
temperature is chosen on the majorities of ``valid`` as the product cuts it; the calibration error
beside it is of each half under the other half's temperature.

LFW has one rater an image, and next to no fear, disgust or contempt: its UAR is over the other five
expressions. Its faces are also made to talk (``mouth``), as a stand-in for people who read aloud.
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
from training.ifdd_stream.cuts import Cuts, add_data, lfw_part, read_cuts
from training.ifdd_stream.export import NAMES, play
from training.ifdd_stream.network import SLOT_HZ, SLOTS
from training.ifdd_stream.sequences import KINDS, Sequences, read_onsets, read_sequences
from training.ifdd_stream.teacher import load_pair, read_all
from training.ifdd_stream.train import changes_a_minute
from training.ifdd_stream.views import talking_clips
from training.metrics import bootstrap, calibration_error, confusion, recalls, softmax, uar, war

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LOOKS: Final = Path("benchmarks/results/expression_looks.jsonl")
REPORTING: Final = range(61, 91)
_CLASSES: Final = len(EXPRESSIONS)
_NEUTRAL, _HAPPY = EXPRESSIONS.index("neutral"), EXPRESSIONS.index("happiness")
_CLEAR: Final = 0.8
LFW_CLASSES: Final = ("happiness", "sadness", "neutral", "anger", "surprise")
TALKERS: Final = 150


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


def uar_of_persons(
    truth: NDArray[np.int64], read: NDArray[np.int64], person: NDArray[np.int64]
) -> dict[str, Any]:
    """Return UAR over LFW_CLASSES with its 95 % interval by drawing persons anew, and recalls.

    Efron & Tibshirani, "An introduction to the bootstrap", 1993: percentiles.
    """
    classes = [EXPRESSIONS.index(name) for name in LFW_CLASSES]
    _, who = np.unique(person, return_inverse=True)
    wanted = np.zeros((who.max() + 1, len(classes)))
    right = np.zeros_like(wanted)
    for k, label in enumerate(classes):
        np.add.at(wanted[:, k], who[truth == label], 1)
        np.add.at(right[:, k], who[(truth == label) & (read == label)], 1)
    rng = np.random.default_rng(95)
    drawn = rng.integers(0, len(wanted), (2000, len(wanted)))
    counts = np.stack([np.bincount(row, minlength=len(wanted)) for row in drawn])
    with np.errstate(invalid="ignore"):
        values = np.nanmean((counts @ right) / (counts @ wanted), axis=1)
        recall = right.sum(0) / wanted.sum(0)
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return {
        "n": int(wanted.sum()), "persons": len(wanted), "uar": float(recall.mean()),
        "uar_interval": [low, high], "accuracy": float(right.sum() / wanted.sum()),
        "recall": dict(zip(LFW_CLASSES, recall.tolist(), strict=True)),
        "faces": dict(zip(LFW_CLASSES, wanted.sum(0).astype(int).tolist(), strict=True)),
    }  # fmt: skip


def lfw_figures(session: Any, faces: Cuts, spoken: NDArray[np.uint8]) -> dict[str, Any]:
    """Score faces as cut, and neutral ones that talk."""
    read = read_pictures(session, faces.cut, flipped=False).argmax(1)
    logits = read_clips(session, spoken)
    return {
        **uar_of_persons(faces.majority, read, faces.person),
        "talking": {
            "clips": len(spoken),
            "minutes": spoken.shape[0] * spoken.shape[1] / SLOT_HZ / 60,
            "changes_a_minute": changes_a_minute(logits),
            "not_neutral": float((logits.argmax(2) != _NEUTRAL).mean()),
        },
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
    folder: Path, sequences: Path, valid: Cuts, lfw: Cuts, onsets: Sequence[dict[str, NDArray[Any]]]
) -> dict[str, Any]:
    """Score both forms; `onsets` are those of persons to choose on and, if looked at, to report."""
    known = valid.majority >= 0
    valid = valid.take(np.flatnonzero(known))
    truth = valid.majority
    spoken, _ = talking_clips(lfw, TALKERS)
    unseen = read_sequences(sorted(sequences.glob("test_*.npz")))
    report: dict[str, Any] = {}
    for precision, name in NAMES.items():
        session = open_session(folder / name)
        plain = read_pictures(session, valid.plain, flipped=False)
        mirrored = read_pictures(session, valid.plain, flipped=True)
        as_cut = read_pictures(session, valid.cut, flipped=False)
        found: dict[str, Any] = {
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            "bytes": (folder / name).stat().st_size,
            "ferplus_valid": {
                "plain": figures(truth, plain.argmax(1)),
                "flip averaged": figures(truth, mirrored.argmax(1)),
                "cut by the product": figures(truth, as_cut.argmax(1)),
            },
            "calibration": calibrate(as_cut, truth),
            "lfw_kept_out": lfw_figures(session, lfw, spoken),
            "studio_test": studio_figures(session, unseen),
            "london_036_045": onset_figures(session, onsets[0]),
        }
        if len(onsets) > 1:
            found["london_061_090"] = onset_figures(session, onsets[1])
        report[precision] = found
    return report


def moment_figures(run: Path, valid: Cuts, lfw: Cuts) -> dict[str, Any]:
    """Score what single moments show, by a run of ``teacher`` before clips are learned."""
    pair = load_pair(run)
    known = valid.take(np.flatnonzero(valid.majority >= 0))
    read, other = (read_all(pair, faces.cut, flipped=False).argmax(2) for faces in (known, lfw))
    return {
        role: {
            "ferplus_valid": figures(known.majority, read[k]),
            "lfw_kept_out": uar_of_persons(lfw.majority, other[k], lfw.person),
        }
        for k, role in enumerate(("student", "teacher"))
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx", type=Path, required=True, help="folder of the ONNX files")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--sequences", type=Path, required=True)
    add_data(parser)
    parser.add_argument("--london", type=Path, help="folder of the London Set")
    parser.add_argument("--report-persons", metavar="WHY", help="look at persons 061 to 090")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of its checkpoint")
    parser.add_argument("--teacher-with-lfw", type=Path, help="another, to see what LFW brings")
    parser.add_argument("--why", required=True, help="this look, for the log")
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
    log_look(options.why, options.onnx / NAMES["fp32"], LOOKS)
    valid = read_cuts(options.stills, options.ferplus, "ferplus_valid")
    lfw = read_cuts(options.stills, options.lfw, "lfw")
    lfw = lfw.take(np.flatnonzero(lfw_part(lfw.person) != "train"))
    forms = evaluate(options.onnx, options.sequences, valid, lfw, onsets)
    runs = {"without LFW": options.teacher, "with LFW": options.teacher_with_lfw}
    moments = {name: moment_figures(run, valid, lfw) for name, run in runs.items() if run}
    report = {"about": about, **forms, "single_moments": moments, "made": code}
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    for precision, found in forms.items():
        for name, part in found["ferplus_valid"].items():
            print(f"{precision} FER+ valid, {name}: {part['accuracy']:.4f}, UAR {part['uar']:.4f}")
        print(f"{precision} LFW kept out: {found['lfw_kept_out']}")
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
