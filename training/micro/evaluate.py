"""What the spotter of brief movements finds, misses and makes up.

    python -m training.micro.evaluate studio --clips FOLDER
    python -m training.micro.evaluate alarms --media FOLDER --cache FOLDER
    python -m training.micro.evaluate injected --media FOLDER --cache FOLDER
    python -m training.micro.evaluate still --media FOLDER

Each writes its part of ``benchmarks/results/micro_spotting.json``, and what README shows of all
parts there (``judged``, ``recall_by``, ``false_alarms``) anew. ``studio`` compares with what
was done in filmed clips (``training.micro.film``); ``alarms`` counts what is told of real faces in
which no brief movement is known; ``injected`` warps such faces by a movement of known times;
``still`` counts what is told of photographs that are shown as a camera would. Thresholds are those
that ship; they were chosen on validation clips, the first test people, and with the real ones in
view.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from rich.progress import track

from benchmarks.records import code_state
from training.micro.film import load_clip
from training.micro.real import (
    PLACES,
    follow,
    follow_faces,
    inject,
    least_moved,
    show_photograph,
    sits_still,
    there_and_back,
    watched_s,
)
from training.micro.replay import f1, faces_in, iou, match, seconds, spot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realtime_affect.types import FacialEvent
    from training.micro.film import Clip
    from training.micro.replay import Interval
    from training.synthetic.motion import Event

REPORT: Final = Path("benchmarks/results/micro_spotting.json")
WARM_UP_S: Final = 3.0
KNOWN_TEST: Final = 7
"""Test people with smaller numbers were in view while the settings were chosen."""
INTENSITIES: Final = (0.05, 0.1, 0.15, 0.2, 0.25, 0.35)
AMPLITUDES: Final = (0.005, 0.0075, 0.01, 0.02, 0.03)
INJECTED_S: Final = 0.3
ALARM_S: Final = 12.0  # of which the first three warm up
STILL_S: Final = 8.0
ANYWHERE_S: Final = 6.0


def _is_wanted(event: Event) -> bool:
    """Whether an event is of those that the spotter is asked to find: 0.12 s, 0.1, or more."""
    return event.offset_s - event.onset_s >= 0.12 and event.strength >= 0.1


def evaluate_studio(paths: Iterable[Path]) -> dict[str, Any]:
    """Compare spotted with scripted events, clip by clip, and sum up by split and frame rate.

    What was done or spotted in the first three seconds, while the spotter warms up, is left out.
    Spotted events that find a shorter or weaker one than is asked for are neither right nor wrong
    in ``wanted``. Test people who were in view while the settings were chosen have a group of
    their own.
    """
    groups: dict[str, dict[str, Any]] = {}
    for path in track(list(paths), "spotting"):
        clip = load_clip(path)
        split, number, _ = path.stem.split("_")
        known = ", people known" if split == "test" and int(number) < KNOWN_TEST else ""
        group = groups.setdefault(f"{split} {clip.fps:.0f} fps{known}", _new_group())
        _judge(clip, group)
    return {name: _summary(group) for name, group in sorted(groups.items())}


def _new_group() -> dict[str, Any]:
    return {"clips": 0, "seconds": 0.0, "blind_s": 0.0, "events": [], "spotted": 0, "false": [],
            "macro": [0, 0, 0]}  # fmt: skip


def _judge(clip: Clip, group: dict[str, Any]) -> None:
    """Add one clip to its group."""
    told, blind = spot(list(faces_in(clip)))
    brief = [seconds(event) for event in told if event.kind == "micro"]
    brief = [interval for interval in brief if interval[0] >= WARM_UP_S]
    done = [event for event in clip.events if event.kind == "micro" and event.onset_s >= WARM_UP_S]
    pairs = match([(e.onset_s, e.offset_s) for e in done], brief)
    found = {i for i, _ in pairs}
    group["events"] += [(event, i in found) for i, event in enumerate(done)]
    right = {j for _, j in pairs}
    for j, interval in enumerate(brief):
        if j not in right:
            group["false"].append(_beside(interval, clip.events))
    _judge_macro(clip, [seconds(event) for event in told if event.kind == "macro"], group["macro"])
    group["clips"] += 1
    group["spotted"] += len(brief)
    group["seconds"] += len(clip.seen) / clip.fps
    group["blind_s"] += sum(bool(why) and t_ns > WARM_UP_S * 1e9 for t_ns, why in blind) / clip.fps


def _judge_macro(clip: Clip, told: Sequence[Interval], counts: list[int]) -> None:
    done = [(e.onset_s, e.offset_s) for e in clip.events
            if e.kind == "macro" and e.onset_s >= WARM_UP_S]  # fmt: skip
    for k, n in enumerate((len(match(done, told)), len(told), len(done))):
        counts[k] += n


def _beside(interval: Interval, events: Sequence[Event]) -> str:
    """Say what else happened when something was spotted that was not done."""
    kinds = {e.kind for e in events if iou(interval, (e.onset_s, e.offset_s)) > 0.0}
    return "+".join(sorted(kinds)) or "nothing"


def _summary(group: dict[str, Any]) -> dict[str, Any]:
    events = group["events"]
    wanted = [hit for event, hit in events if _is_wanted(event)]
    false = group["false"]
    reasons = {reason: false.count(reason) for reason in sorted(set(false))}
    short = [h for e, h in events if e.offset_s - e.onset_s < 0.12]
    weak = [h for e, h in events if e.strength < 0.1]
    by_strength = {
        f"{low:g} to {high:g}": [sum(hits), len(hits)]
        for low, high in itertools.pairwise(INTENSITIES)
        for hits in [[h for e, h in events
                      if low <= e.strength < high and e.offset_s - e.onset_s >= 0.12]]
    }  # fmt: skip
    return {
        "clips": group["clips"],
        "minutes": round(group["seconds"] / 60, 2),
        "blind_share": round(group["blind_s"] / max(group["seconds"], 1e-9), 3),
        "wanted": f1(sum(wanted), sum(wanted) + len(false), len(wanted)),
        "all": f1(sum(h for _, h in events), group["spotted"], len(events)),
        "shorter_than_0.12_s": [sum(short), len(short)],
        "weaker_than_0.1": [sum(weak), len(weak)],
        "found_of_by_strength": by_strength,
        "false_alarms_beside": reasons,
        "macro": f1(*group["macro"]),
    }


def evaluate_alarms(media: Path, cache: Path) -> dict[str, Any]:
    """Count what is told of real faces, each looped there and back for twelve seconds."""
    faces: list[dict[str, Any]] = []
    for clip in track(sorted(media.glob("*.mp4")), "real faces"):
        for number, tracked in enumerate(follow_faces(clip, cache)):
            looped = there_and_back(tracked, ALARM_S)
            told, blind = spot(looped)
            brief = [event for event in told if event.kind == "micro"]
            faces.append({
                "clip": clip.stem, "face": number, "looped_s": _length_s(looped),
                "watched_s": watched_s(blind), "still": sits_still(tracked),
                "micro": [[*seconds(e), round(e.score, 2), *e.regions[:3]] for e in brief],
                "macro": len(told) - len(brief), "blind": _most(blind),
            })  # fmt: skip
    events = sum(len(face["micro"]) for face in faces)
    minutes = sum(face["watched_s"] for face in faces) / 60
    looped = sum(face["looped_s"] for face in faces) / 60
    return {
        "events": events,
        "on_still_faces": sum(len(face["micro"]) for face in faces if face["still"]),
        "still_faces": sum(face["still"] for face in faces),
        "eligible_face_minutes": round(minutes, 2),
        "gated_share": round(1 - minutes / max(looped, 1e-9), 3),
        "per_minute": events / max(minutes, 1e-9),
        "per_minute_at_most_95": _poisson_bound(events) / max(minutes, 1e-9),
        "faces": faces,
    }


def _length_s(faces: Sequence[tuple[int, Any]]) -> float:
    return (faces[-1][0] - faces[0][0]) / 1e9 if faces else 0.0


def _most(blind: Sequence[tuple[int, str]]) -> str:
    """Return what kept a face from being watched most of the time, or nothing."""
    kinds = ["".join(c for c in why if not c.isdigit()) for _, why in blind]
    most = max(set(kinds), key=kinds.count, default="")
    return next((why for (_, why), kind in zip(blind, kinds, strict=True) if kind == most), "")


def _poisson_bound(events: int) -> float:
    """Return the one-sided upper 95 % bound of a Poisson mean."""
    from scipy.stats import chi2

    return float(chi2.ppf(0.95, 2 * (events + 1)) / 2)


def evaluate_injected(media: Path, cache: Path) -> dict[str, Any]:
    """Warp real faces briefly at one place and see whether that is told.

    Every face of ``lp_*`` and ``pyfeat_*`` that can be watched for a second or more without the
    movement is warped at each place in turn, at each amplitude: six seconds into a loop of twelve,
    whatever else the face does then, and where it moves least (by its mesh). What is told at that
    time without the warp finds nothing.
    """
    hits: dict[str, list[tuple[float, str, bool]]] = {"anywhere": [], "least moved": []}
    used: dict[str, float] = {}
    clips = [p for p in sorted(media.glob("*.mp4")) if p.stem.startswith(("lp_", "pyfeat_"))]
    for clip in track(clips, "injecting"):
        for number, tracked in enumerate(follow_faces(clip, cache)):
            looped = there_and_back(tracked, ALARM_S)
            unwarped, blind = spot(looped)
            if not watched_s(blind) > 1.0:
                continue
            middle_s, moved = least_moved(looped, WARM_UP_S + 0.7, ALARM_S - 1.5)
            used[f"{clip.stem} {number}"] = round(moved, 4)
            onsets = {"anywhere": ANYWHERE_S, "least moved": middle_s - INJECTED_S / 2}
            for (when, onset_s), place, amplitude in itertools.product(
                onsets.items(), PLACES, AMPLITUDES
            ):
                faces = inject(looped, place, amplitude, onset_s, INJECTED_S)
                seen = [face for face in faces if face[0] / 1e9 < onset_s + 2.0]
                told = spot(seen)[0]
                hit = _finds(told, onset_s) and not _finds(unwarped, onset_s)
                hits[when].append((amplitude, place, hit))
    return {
        "faces_and_how_far_they_move_at_least": used,
        "seconds": INJECTED_S,
        **{when: _injected_summary(rows) for when, rows in hits.items()},
    }


def _finds(told: Sequence[FacialEvent], onset_s: float) -> bool:
    """Whether a movement injected at a time is among what is told."""
    brief = [seconds(event) for event in told if event.kind == "micro"]
    return bool(match([(onset_s, onset_s + INJECTED_S)], brief))


def _injected_summary(rows: Sequence[tuple[float, str, bool]]) -> dict[str, Any]:
    def found_of(wanted: list[bool]) -> list[int]:
        return [sum(wanted), len(wanted)]

    return {
        "recall_from_0.005": float(np.mean([hit for *_, hit in rows])) if rows else float("nan"),
        "found_of_by_amplitude": {
            f"{amplitude:g}": found_of([hit for a, _, hit in rows if a == amplitude])
            for amplitude in AMPLITUDES
        },
        "found_of_by_place": {
            place: found_of([hit for _, p, hit in rows if p == place]) for place in PLACES
        },
    }


def evaluate_still(media: Path) -> dict[str, Any]:
    """Count what is told of photographs, each shown for eight seconds as a camera would see it."""
    faces: list[dict[str, Any]] = []
    for photo in track(sorted(media.glob("*.jpg")), "photographs"):
        for number, tracked in enumerate(follow(show_photograph(photo, STILL_S))):
            told, blind = spot(tracked)
            faces.append({
                "photograph": photo.stem, "face": number, "watched_s": watched_s(blind),
                "micro": [[*seconds(e), round(e.score, 2)] for e in told if e.kind == "micro"],
                "macro": sum(e.kind == "macro" for e in told), "blind": _most(blind),
            })  # fmt: skip
    seen = [face for face in faces if face["watched_s"] > 0]
    events = sum(len(face["micro"]) for face in seen)
    minutes = sum(face["watched_s"] for face in seen) / 60
    return {
        "events": events,
        "faces_watched": len(seen),
        "eligible_face_minutes": round(minutes, 2),
        "gated_share": round(1 - minutes * 60 / max(STILL_S * len(faces), 1e-9), 3),
        "per_minute_at_most_95": _poisson_bound(events) / max(minutes, 1e-9),
        "faces": faces,
    }


def summed_up(report: dict[str, Any]) -> dict[str, Any]:
    """Return what README shows of a report's parts, as ``benchmarks/tables.py`` reads it."""
    judged: dict[str, Any] = {}
    recall_by: dict[str, Any] = {}
    for name, group in report.get("studio", {}).items():
        told = f"rendered, {name}"
        wanted = group["wanted"]
        judged[f"{told}, 0.12 to 0.5 s, strength 0.1 to 0.35"] = {
            "n": wanted["events"], **{key: wanted[key] for key in ("precision", "recall", "f1")}
        }  # fmt: skip
        recall_by[f"strength ({told})"] = _recalls(group["found_of_by_strength"])
        recall_by[f"shorter or weaker ({told})"] = _recalls(
            {"under 0.12 s": group["shorter_than_0.12_s"], "under 0.1": group["weaker_than_0.1"]}
        )
    for when in ("anywhere", "least moved"):
        found = report.get("injected", {}).get(when)
        if found:
            by = _recalls(found["found_of_by_amplitude"])
            recall_by[f"inter-ocular distances, injected into real faces, {when}"] = by
    false = {}
    for part, told in (("alarms", "real faces"), ("still", "photographs of faces, held still")):
        alarms = report.get(part)
        if alarms:
            false[told] = {
                "events": alarms["events"], "minutes": alarms["eligible_face_minutes"],
                "share_gated": alarms["gated_share"],
                "at_most_per_min": alarms["per_minute_at_most_95"],
            }  # fmt: skip
    return {"judged": judged, "recall_by": recall_by, "false_alarms": false}


def _recalls(found_of: dict[str, list[int]]) -> dict[str, Any]:
    return {name: {"n": n, "recall": hits / n} for name, (hits, n) in found_of.items() if n}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("studio", "alarms", "injected", "still"))
    parser.add_argument("--clips", type=Path, help="folder of filmed clips, for studio")
    parser.add_argument("--media", type=Path, help="folder of real clips")
    parser.add_argument("--cache", type=Path, default=Path("out/micro/real"))
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args()
    code = code_state("training/micro", "realtime_affect/micro", "realtime_affect/face")
    cv2.setNumThreads(1)
    if options.what == "studio":
        part = evaluate_studio(sorted(options.clips.glob("*_*.npz")))
    elif options.what == "alarms":
        part = evaluate_alarms(options.media, options.cache)
    elif options.what == "injected":
        part = evaluate_injected(options.media, options.cache)
    else:
        part = evaluate_still(options.media)
    kept = json.loads(options.report.read_text()) if options.report.exists() else {}
    kept[options.what] = part
    kept.setdefault("made", {})[options.what] = code
    kept.update(summed_up(kept))
    options.report.write_text(json.dumps(kept, indent=1, allow_nan=True) + "\n")
    print(json.dumps(part, indent=1))


if __name__ == "__main__":
    main()
