"""The examination on real faces: everything that ships, on people it was not trained on.

    python -m training.evaluate real --data ../shared/data [--why WORDS] [--out FILE]

===========  =====================================================================================
ferplus      FER+ ``valid``, cut by the product; units against raters
lfw          Labeled Faces in the Wild, persons kept out (``training.persons``); units beside the
             teacher's blendshapes, where ``training.action_units.teacher`` has answered
london       Face Research Lab London Set, persons 061 to 090, by group; smile onsets
acted        CREMA-D, against the votes of those who saw the face alone
rest         a webcam clip of a face at rest (open_dbm), beside OpenFace 2.2
reading      people reading sentences (GRID)
moving       expressive adults (``media/lp_*``): spikes, jitter, steadiness
===========  =====================================================================================

What the product sees is kept in the user's cache, so that an examination that was stopped goes on;
the networks of stills run anew every time. Three minutes for the eyes on one core, then two for
each new pair of networks. Numbers only go into the record; every examination is a line in the log
of looks.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from affect_engines import load_card
from benchmarks.records import code_state
from realtime_affect.affect.worker import AffectConfig
from realtime_affect.errors import InputMissingError
from training.action_units.london import REPORTING
from training.action_units.traces import Trace, jitter, still_stretches
from training.real.cache import default_folder
from training.real.clips import watch_clip, watch_strip
from training.real.expressions import (
    LFW_CLASSES,
    judge_acted,
    judge_onsets,
    judge_steadiness,
    judge_stills,
)
from training.real.stills import (
    Portraits,
    read_expressions,
    read_ferplus,
    read_lfw,
    read_london,
    read_units,
)
from training.real.units import (
    judge_portraits,
    judge_ranks,
    judge_raters,
    judge_rest,
    read_answers,
    teacher_thresholds,
)
from training.reports import write_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.real.clips import Watched

REPORT: Final = Path("benchmarks/results/real_faces.json")
LOOKS: Final = Path("benchmarks/results/real_faces_looks.jsonl")
NETWORKS: Final = ("action_units", "ifdd_stream")
CODE: Final = ("training/real", "realtime_affect/affect", "realtime_affect/face",
               "realtime_affect/micro", "engines/affect_engines")  # fmt: skip
FOLDERS: Final = ("ferplus", "lfw_expressions", "london_faces", "real_video", "media")
_READERS: Final = ("s1",)  # of GRID's file names, where several clips are of one person


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is.

    Attributes
    ----------
    data : Path
        Folder of FOLDERS.
    cache : Path
        For what the product saw.
    teacher : Path
        Of the teacher's answers; need not exist.
    """

    data: Path
    cache: Path
    teacher: Path

    @property
    def ferplus(self) -> Path:
        """FER+'s pack."""
        return self.data / "ferplus" / "ferplus_train_valid.npz"

    @property
    def lfw(self) -> Path:
        """LFW's pack."""
        return self.data / "lfw_expressions" / "lfw_train.npz"

    @property
    def london(self) -> Path:
        """Folder of the London Set."""
        return self.data / "london_faces"


def examine(
    data: Path, why: str, out: Path | None = None, cache: Path | None = None
) -> dict[str, Any]:
    """Examine what ships, print the table and write the record.

    Parameters
    ----------
    data : Path
        Folder of FOLDERS.
    why : str
        For the log of looks.
    out : Path, optional
        JSON to write; default REPORT, and the networks' cards.
    cache : Path, optional
        Default: in the user's cache folder.

    Raises
    ------
    InputMissingError
        A folder is missing.
    """
    from training.real.table import real_faces_table, write_cards

    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    if missing:
        raise InputMissingError(
            thing=f"data {data}", got=f"no folder {missing[0]}", expected=", ".join(FOLDERS),
            hint="Name the folder that holds them with --data.",
        )  # fmt: skip
    cv2.setNumThreads(1)
    places = Places(
        data, cache or default_folder(), default_folder().parent / "action_units" / "teacher"
    )
    made = code_state(*CODE)
    start = time.monotonic()
    log_look(why)
    report: dict[str, Any] = {
        "made": made,
        "networks": {name: load_card(name).sha256 for name in NETWORKS},
        "precision": load_card("ifdd_stream").precision,
        "settings": {
            key: value
            for key, value in AffectConfig().model_dump().items()
            if key.startswith("expression_")
        },
    }
    for name, part in (
        ("ferplus", _ferplus), ("lfw", _lfw), ("london", _london), ("acted", _acted),
        ("rest", _rest), ("reading", _reading), ("moving", _moving),
    ):  # fmt: skip
        began = time.monotonic()
        report[name] = part(places)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    report["seconds"] = round(time.monotonic() - start)
    write_report(report, out or REPORT)
    if out is None:
        write_cards(report)
    print(real_faces_table(report))
    return report


def log_look(why: str, sets: Sequence[str] = FOLDERS) -> None:
    """Add a line to the log of looks at people kept out of training, who are in some of FOLDERS."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": why,
        "sets": [*sets],
        "weights_sha256": {name: load_card(name).sha256 for name in NETWORKS},
    }
    with LOOKS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _ferplus(places: Places) -> dict[str, Any]:
    stills = read_ferplus(places.ferplus, places.cache)
    known = stills.take(np.flatnonzero(stills.truth >= 0))
    found: dict[str, Any] = {
        "face_found": float(stills.sights.found.mean()),
        **judge_stills(known.truth, read_expressions(known.sights), known.person),
        "fp32": judge_stills(known.truth, read_expressions(known.sights, "fp32"), known.person),
    }
    agreed = stills.take(np.flatnonzero(stills.agreed >= 0))
    found["units"] = judge_raters(agreed, read_units(agreed.sights)[0])
    return found


def _lfw(places: Places) -> dict[str, Any]:
    validation, test = (read_lfw(places.lfw, places.cache, k) for k in ("validation", "test"))
    seen = [read_expressions(stills.sights) for stills in (validation, test)]
    found = judge_stills(
        np.concatenate([validation.truth, test.truth]), np.concatenate(seen),
        np.concatenate([validation.person, test.person]), LFW_CLASSES,
    )  # fmt: skip
    found["test_alone"] = judge_stills(test.truth, seen[1], test.person, LFW_CLASSES)
    known, asked = (
        read_answers(places.teacher, "lfw", stills.index) for stills in (validation, test)
    )
    if np.isfinite(asked).any():
        units = read_units(test.sights)
        found["units"] = judge_ranks(units, asked, teacher_thresholds(known), test.person)
    return found


def _london(places: Places) -> dict[str, Any]:
    portraits = read_london(places.london, places.cache, REPORTING)
    strips = {
        path.stem[:3]: watch_strip(path, places.cache)
        for path in sorted((places.london / "smile_onset").glob("*.jpg"))
        if int(path.stem[:3]) in REPORTING
    }
    return {
        "population_rest": _portraits(portraits, own=False),
        "own_rest": _portraits(portraits, own=True),
        "onsets": judge_onsets(strips),
    }


def _portraits(portraits: Portraits, *, own: bool) -> dict[str, Any]:
    rest = portraits.rest if own else None
    return judge_portraits(
        portraits, read_units(portraits.neutral, rest), read_units(portraits.smiling, rest),
        (
            read_expressions(portraits.neutral).argmax(axis=1),
            read_expressions(portraits.smiling).argmax(axis=1),
        ),
    )  # fmt: skip


def _acted(places: Places) -> dict[str, Any]:
    folder = places.data / "real_video" / "crema_d"
    clips = {p.stem: watch_clip(p, places.cache)[0] for p in sorted(folder.glob("*.flv"))}
    return judge_acted(clips, folder / "votes.csv")


def _rest(places: Places) -> dict[str, Any]:
    folder = places.data / "real_video" / "open_dbm"
    face = watch_clip(next(folder.glob("*.mp4")), places.cache)[0]
    units = judge_rest(face, next(folder.glob("*_openface.csv")))
    return {"units": units, "expression": judge_steadiness({"subj01": [face]})}


def _reading(places: Places) -> dict[str, Any]:
    clips: dict[str, list[Watched]] = {}
    for path in sorted((places.data / "real_video" / "grid").glob("*.mpg")):
        reader = path.stem.partition("_")[0]
        person = reader if reader in _READERS else path.stem
        clips.setdefault(person, []).append(watch_clip(path, places.cache)[0])
    return judge_steadiness(clips)


def _moving(places: Places) -> dict[str, Any]:
    clips = {p.stem: watch_clip(p, places.cache)
             for p in sorted((places.data / "media").glob("lp_*.mp4"))}  # fmt: skip
    faces = [face for own in clips.values() for face in own]
    spikes, minutes = sum(len(face.spikes) for face in faces), sum(f.observed_s for f in faces) / 60
    traces = [
        Trace(face.t_ns / 1e9, face.intensity.astype(np.float64),
              face.points.astype(np.float64), [])
        for face in faces
    ]  # fmt: skip
    trembling = {name: value for name, value in jitter(traces).items() if np.isfinite(value)}
    return {
        "spikes": spikes,
        "observed_minutes": minutes,
        "spikes_a_minute": spikes / minutes,
        "spikes_a_minute_interval": _poisson_interval(spikes, minutes),
        "jitter_rms": trembling,
        "worst_jitter_rms": max(trembling.values()),
        "still_frames": sum(s.stop - s.start for t in traces for s in still_stretches(t)),
        "expression": judge_steadiness({name: own[:1] for name, own in clips.items()}),
    }


def _poisson_interval(events: int, minutes: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a rate of events (Garwood, 1936)."""
    from scipy.stats import chi2

    low = chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    return float(low / minutes), float(chi2.ppf(0.975, 2 * (events + 1)) / 2 / minutes)
