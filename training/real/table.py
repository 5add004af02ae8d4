"""The record of an examination as a table for the docs and as lines for the cards."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from affect_engines import load_card

RECORD: Final = Path(__file__).resolve().parents[2] / "benchmarks/results/real_faces.json"
CARDS: Final = Path(__file__).resolve().parents[2] / "engines/affect_engines/cards"
SECTION: Final = "evaluation.real_faces"


def read_record(path: Path = RECORD) -> dict[str, Any] | None:
    """Return the newest examination, None where there is none."""
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def real_faces_table(report: dict[str, Any] | None = None) -> str:
    """Return the examination as two Markdown tables: everything, then groups of people."""
    report = report or read_record()
    if report is None:
        return "No record yet."
    rows = ["| measure | found | 95 % interval | of |", "|---|---|---|---|"]
    rows += ["| " + " | ".join(row) + " |" for row in _rows(report)]
    groups = [
        "| London 061 to 090 | persons | smile AUC | smile right | false units a face "
        "| neutral as neutral | smile as happiness |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in report["london"]["population_rest"]["groups"].items():
        keys = ("smile_auc", "smile_accuracy", "false_units_a_face", "neutral_as_neutral",
                "smile_as_happiness")  # fmt: skip
        cells = [name, str(found["persons"]), *(_number(found[key], 2) for key in keys)]
        groups.append("| " + " | ".join(cells) + " |")
    gap = report["london"]["population_rest"]["gap"]
    told = ", ".join(
        f"{label} {_number(gap[key]['gap'], 2)} ({gap[key]['best']} against {gap[key]['worst']})"
        for key, label in (("smile_accuracy", "smile right"), ("neutral_as_neutral",
                           "neutral as neutral"), ("smile_as_happiness", "smile as happiness"))
    )  # fmt: skip
    notes = [f"Gap between best and worst group of four persons or more: {told}.", ""]
    return "\n".join([*rows, "", *groups, "", *notes, *_units(report)])


def _units(report: dict[str, Any]) -> list[str]:
    """Return the table of units beside the teacher and raters."""
    raters, teacher = report["ferplus"]["units"], report["lfw"].get("units", {}).get("units", {})
    rest = report["rest"]["units"]["above_1"]
    rows = [
        "| unit | FER+ raters, AUC | rank agreement | present on LFW | teacher's "
        "| at rest above 1 |",
        "|---|---|---|---|---|---|",
    ]
    for name in sorted({*raters, *teacher}):
        seen, told = raters.get(name), teacher.get(name)
        rows.append("| " + " | ".join((
            name,
            "" if seen is None else f"{_number(seen['auc'], 2)} (n {seen['faces']})",
            "" if told is None else _number(told["spearman"], 2),
            "" if told is None else _share(told["fires"]),
            "" if told is None else _share(told["teacher_fires"]),
            "" if name == "AU45" else _share(rest.get(name, 0.0)),
        )) + " |")  # fmt: skip
    return rows


def _rows(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    ferplus, lfw, london = report["ferplus"], report["lfw"], report["london"]
    rest, reading, moving = report["rest"], report["reading"], report["moving"]
    faces = f"{ferplus['faces']} faces"
    rows = [
        _with_interval("FER+ `valid`, cut by the product: accuracy", ferplus["accuracy"], faces),
        _with_interval("the same: UAR of eight expressions", ferplus["uar"], faces),
        _with_interval(
            f"LFW, UAR of {len(lfw['recall'])} expressions", lfw["uar"],
            f"{lfw['faces']} faces of {lfw['persons']} persons kept out of training",
        ),
    ]  # fmt: skip
    if "test_alone" in lfw:
        alone = lfw["test_alone"]
        of = f"{alone['faces']} faces of {alone['persons']} persons"
        rows.append(_with_interval("the same, persons no choice was made on", alone["uar"], of))
    if "units" in lfw:
        units = lfw["units"]
        apart = ", ".join(f"{name} {_number(units['units'][name]['spearman'], 2)}"
                          for name in ("AU06", "AU14"))  # fmt: skip
        rows += [
            ("rank agreement with the teacher, LFW, mean of 11 units",
             _number(units["mean_spearman"], 3), _range(units["mean_spearman_interval"], 3),
             f"{units['faces']} faces of {units['persons']} persons; {apart}"),
            ("units present between half and twice as often as the teacher's",
             f"{units['within_half_and_twice']} of {len(units['units'])}", "", ""),
        ]  # fmt: skip
    for kind, told in (("population_rest", "population's rest"), ("own_rest", "own rest")):
        found = london[kind]
        persons = f"{found['persons']} persons"
        rows += [
            (f"London smiles, {told}: AUC", _number(found["smile_auc"], 3),
             _range(found["smile_auc_interval"], 3), persons),
            (f"London smiles, {told}: accuracy", _number(found["smile_accuracy"], 3),
             _range(found["smile_accuracy_interval"], 3), persons),
            (f"worst false unit of neutral faces, {told}", str(found["worst_false_units"]), "",
             persons),
        ]  # fmt: skip
    onsets = london["onsets"]["reported"]
    persons = f"{london['onsets']['persons']} persons, {onsets['found']} found"
    rows += [
        ("a smile's onset to its report, median", f"{_number(onsets['median_ms'], 0) or 'none'} ms",
         _range(onsets["median_ms_interval"], 0), persons),
        ("reported within 300 ms", _share(onsets["within_300_ms"]),
         _shares(onsets["within_300_ms_interval"]), persons),
    ]  # fmt: skip
    acted = report["acted"]
    rows.append((
        "acted clips (CREMA-D): overlap with raters' votes", _number(acted["overlap"], 2),
        _range(acted["overlap_interval_by_clip"], 2),
        f"{acted['clips']} clips of {acted['persons']} person; {acted['agree']} agree",
    ))  # fmt: skip
    still = rest["expression"]
    rows += [
        ("a face at rest: frames with a unit but AU45 above 1",
         _share(rest["units"]["any_but_AU45_above_1"]), "", f"{rest['units']['frames']} frames"),
        ("a face at rest: frames reported as another expression than neutral",
         _share(still["reported"]["not_neutral"]), "", f"{rest['units']['frames']} frames"),
    ]  # fmt: skip
    for told, found in (("reading aloud (GRID)", reading), ("expressive (`lp_*`)",
                                                          moving["expression"])):  # fmt: skip
        of = f"{found['clips']} clips of {found['persons']} persons, {found['minutes']:.1f} minutes"
        for kind, word in (("reported", "reported"), ("likeliest", "likeliest")):
            part = found[kind]
            rows.append((
                f"{told}: changes a minute of the {word} expression",
                f"{part['changes_a_minute']:.0f}", _range(part["changes_a_minute_interval"], 0), of,
            ))  # fmt: skip
        part = found["reported"]
        rows.append((f"{told}: frames not neutral", _share(part["not_neutral"]),
                     _shares(part["not_neutral_interval"]), of))  # fmt: skip
    rows += [
        ("spikes a minute observed (`lp_*`)", f"{moving['spikes_a_minute']:.1f}",
         _range(moving["spikes_a_minute_interval"], 1),
         f"{moving['spikes']} in {moving['observed_minutes']:.2f} minutes"),
        ("worst jitter of a unit on still faces, rms", _number(moving["worst_jitter_rms"], 3), "",
         f"{moving['still_frames']} frames"),
    ]  # fmt: skip
    return rows


def card_lines(report: dict[str, Any], name: str) -> list[str]:
    """Return what the card of a network says of an examination."""
    ferplus, lfw, london = report["ferplus"], report["lfw"], report["london"]
    lines = [f"[{SECTION}]"]
    if name == "ifdd_stream":
        onsets, reading = london["onsets"]["reported"], report["reading"]
        figures: dict[str, Any] = {
            "ferplus_valid_accuracy": ferplus["accuracy"]["value"],
            "ferplus_valid_uar": ferplus["uar"]["value"],
            "lfw_uar": lfw["uar"]["value"],
            "lfw_uar_interval": lfw["uar"]["interval"],
            "smile_onset_to_report_median_ms": onsets["median_ms"],
            "smile_onsets_found": onsets["found"],
            "smile_onsets": london["onsets"]["persons"],
            "acted_overlap_with_votes": report["acted"]["overlap"],
            "at_rest_not_neutral": report["rest"]["expression"]["reported"]["not_neutral"],
            "reading_reported_changes_a_minute": reading["reported"]["changes_a_minute"],
            "reading_likeliest_changes_a_minute": reading["likeliest"]["changes_a_minute"],
            "reading_not_neutral": reading["reported"]["not_neutral"],
        }
    else:
        figures = {
            "smile_auc": london["population_rest"]["smile_auc"],
            "smile_accuracy": london["population_rest"]["smile_accuracy"],
            "worst_false_units": london["population_rest"]["worst_false_units"],
            "at_rest_any_but_AU45_above_1": report["rest"]["units"]["any_but_AU45_above_1"],
            "worst_jitter_rms": report["moving"]["worst_jitter_rms"],
        }
        if "units" in lfw:
            units = lfw["units"]
            figures |= {
                "teacher_mean_spearman": units["mean_spearman"],
                "teacher_mean_spearman_interval": units["mean_spearman_interval"],
                "units_present_as_often": units["within_half_and_twice"],
            }
    return lines + [f"{key} = {_toml(value)}" for key, value in figures.items()]


def write_cards(report: dict[str, Any], folder: Path = CARDS) -> None:
    """Put an examination into the cards of the networks that were examined.

    A card of other weights than were examined loses what it said before.
    """
    for name, sha256 in report["networks"].items():
        path = folder / f"{name}.toml"
        text = without_section(path.read_text("utf-8"))
        if load_card(name).sha256 == sha256:
            text = text.rstrip("\n") + "\n\n" + "\n".join(card_lines(report, name)) + "\n"
        path.write_text(text, "utf-8")


def without_section(text: str) -> str:
    """Return a card's text without what an examination said."""
    return re.sub(
        rf"\n*^\[{re.escape(SECTION)}\]\n(?:(?!\[).*\n?)*", "\n", text, flags=re.MULTILINE
    )


def _toml(value: Any) -> str:
    if value is None:
        return "nan"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _with_interval(label: str, part: dict[str, Any], of: str) -> tuple[str, str, str, str]:
    return label, _number(part["value"], 3), _range(part["interval"], 3), of


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _range(bounds: list[float | None], digits: int) -> str:
    low, high = (_number(bound, digits) or "never" for bound in bounds)
    return f"{low} to {high}"


def _share(value: float | None) -> str:
    return f"{100 * value:.1f} %" if 0 < value < 0.1 else f"{100 * value:.0f} %"


def _shares(bounds: list[float]) -> str:
    return f"{_share(bounds[0])} to {_share(bounds[1])}"
