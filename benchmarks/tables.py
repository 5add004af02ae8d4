"""Write README's tables from the records: the newest record of each kind, nothing typed by hand.

python benchmarks/tables.py                     prints them
python benchmarks/tables.py --write [README]    puts them between the markers of README.md
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import records

from affect_engines import load_card
from realtime_affect.names import AU_OCCURRENCES, EXPRESSIONS, FACS_NAMES

README = records.REPOSITORY / "README.md"


def newest(name: str) -> dict[str, dict[str, Any]]:
    """Return the newest record of each clip, scenario or source, by its name."""
    path = records.RESULTS / f"{name}.jsonl"
    found = records.read(path) if path.exists() else []
    return dict(sorted({records.subject(record): record for record in found}.items()))


def peer_table() -> str:
    """CPU time of the whole product beside MediaPipe's face mesh."""
    rows = [
        "| clip | faces | whole product | its vision step | MediaPipe 0.10.21 face mesh "
        "| product / MediaPipe |",
        "|---" * 6 + "|",
    ]
    for clip, record in newest("peer_mediapipe").items():
        figures = record["figures"]
        times = (figures[f"{name}_cpu_ms"] for name in ("ours", "vision", "mediapipe"))
        cells = " | ".join(f"{cpu_ms:.2f} ms" for cpu_ms in times)
        rows.append(f"| {clip} | {figures['faces']} | {cells} | {figures['ratio']:.2f} |")
    return "\n".join([*rows, "", _provenance("peer_mediapipe")])


def latency_table() -> str:
    """Percentiles of every stage, by scenario."""
    parts = []
    for scenario, record in newest("latency").items():
        figures = record["figures"]
        parts += [
            f"`{scenario}`: {figures['frames_analysed']} frames analysed, "
            f"{figures['frames_dropped']} dropped, "
            f"first reading after {figures['first_reading_ms'] / 1e3:.1f} s.",
            "",
            "| milliseconds | p50 | p90 | p99 | max |",
            "|---|---|---|---|---|",
        ]
        for name, stage in figures["stage_ms"].items():
            if stage["n"]:
                cells = " | ".join(f"{stage[key]:.1f}" for key in ("p50", "p90", "p99", "max"))
                parts.append(f"| {name} | {cells} |")
        parts.append("")
    return "\n".join([*parts, _provenance("latency")])


def soak_table() -> str:
    """Slopes of memory and time."""
    lines = []
    for source, record in newest("soak").items():
        figures = record["figures"]
        lines.append(
            f"`{source}`, {record['config']['minutes']:g} minutes, {figures['frames']} frames, "
            f"{figures['frames_dropped']} dropped: "
            f"memory {figures['resident_slope_mib_per_min']:+.2f} MiB a minute, time a frame "
            f"{figures['median_slope_ms_per_min']:+.3f} ms a minute."
        )
    return "\n".join([*lines, "", _provenance("soak")])


def units_table() -> str:
    """Return what is known of each action unit: the evaluation report, the card made of it."""
    report = _evaluation()
    if report is None:
        return "No record yet."
    units = load_card("action_units").units
    rows = [
        "| unit | FACS name | trust | ICC | MAE | F1 | ICC before the neutral is known | real |",
        "|---|---|---|---|---|---|---|---|",
    ]
    own, population = (report["studio_test"][kind] for kind in ("calibrated", "uncalibrated"))
    for name in AU_OCCURRENCES:
        label = f"| {name} | {FACS_NAMES[name]} | "
        if units[name].trust == "none":
            rows.append(label + "none, always empty | | | | | |")
            continue
        cells = [f"{own[name][key]:.2f}" for key in ("icc", "mae", "f1")]
        cells.append(f"{population[name]['icc']:.2f}")
        real = report["ferplus_valid"]["auc"].get(name)
        cells.append(f"{real['auc']:.2f} {real['expression']} ({real['faces']})" if real else "")
        rows.append(label + " | ".join([units[name].trust, *cells]) + " |")
    return "\n".join(
        [*rows, "", _report_provenance("action_units", judged=("action_units", report))]
    )


def faces_table() -> str:
    """Return what image and neutral face bring, and what was found on real photographs."""
    report = _evaluation()
    if report is None:
        return "No record yet."
    rows = ["| what the network is given | mean ICC |", "|---|---|"]
    rows += [f"| {name} | {value:.3f} |" for name, value in report["ablation_mean_icc"].items()]
    if "skins" in report:
        rows += [
            "",
            "| skins worn in training, without real faces | mean ICC | smile AUC, 001 to 045 "
            "| false units a neutral face |",
            "|---|---|---|---|",
        ]
        rows += [
            f"| {kind} | {found['mean_icc']:.3f} | {found['smile_auc']:.3f} "
            f"| {found['false_units_a_neutral_face']:.2f} |"
            for kind, found in report["skins"].items()
        ]
    rows += [
        "",
        "| photographs | persons | neutral | smile AUC | smile accuracy "
        "| neutral faces that show the same false unit, at most |",
        "|---|---|---|---|---|---|",
    ]
    for key, text in (("london_001_045", "001 to 045"), ("london_061_090", "061 to 090")):
        for kind, neutral in (("uncalibrated", "population's"), ("calibrated", "own")):
            found = report[key][kind]
            rows.append(
                f"| {text} | {report[key]['persons']} | {neutral} | {found['smile_auc']:.3f} "
                f"| {found['smile_accuracy']:.3f} | {found['worst_false_units']} |"
            )
    return "\n".join(
        [*rows, "", _report_provenance("action_units", judged=("action_units", report))]
    )


def expression_table() -> str:
    """Return what the expression network scores, of the form that its card prefers."""
    report = _evaluation("ifdd_stream")
    if report is None:
        return "No record yet."
    found = report[load_card("ifdd_stream").precision]
    still, studio = found["ferplus_valid"], found["studio_test"]
    rows = ["| judged on | n | accuracy | UAR |", "|---|---|---|---|"]
    parts = [(f"FER+ `valid`, {name}", part) for name, part in still.items()]
    parts += [
        (f"rendered sequences, {text}", studio[name])
        for name, text in (("clear", "clear moments"), ("strongest", "strongest moment of each"))
    ]
    for name, part in parts:
        rows.append(
            f"| {name} | {part['n']} | {_with_interval(part, 'accuracy')} "
            f"| {_with_interval(part, 'uar')} |"
        )
    rows += ["", "| | " + " | ".join(EXPRESSIONS) + " |", "|---" * 9 + "|"]
    for name, recall in (
        ("recall, FER+ `valid`", still["plain"]["recall"]),
        ("recall, rendered, clear", studio["clear"]["recall"]),
    ):
        rows.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in recall.values()) + " |")
    onsets = found.get("london_061_090", found["london_036_045"])
    rows += [
        "",
        f"Smile onsets of {onsets['persons']} persons kept apart: neutral at first "
        f"{onsets['neutral_first']}, happiness at last {onsets['happiness_last']}. "
        f"Calibration error of the probabilities: {found['calibration']['ece']:.3f}.",
    ]
    return "\n".join([*rows, "", _report_provenance("ifdd_stream", judged=("ifdd_stream", found))])


def _with_interval(part: dict[str, Any], key: str) -> str:
    low, high = part[f"{key}_interval"]
    return f"{part[key]:.3f} ({low:.3f} to {high:.3f})"


def lifting_table() -> str:
    """Return what each way to split a clip scores on moments that say little on their own."""
    report = _evaluation("lifting_ablation")
    if report is None:
        return "No record yet."
    kinds = ("ambiguous", *report["moments"])
    rows = [
        "| split | " + " | ".join(kinds) + " | learned split is better by | clear moments, UAR |",
        "|---" * (len(kinds) + 3) + "|",
    ]
    for name, figures in report["mean"].items():
        cells = [f"{figures[kind]:.3f}" for kind in kinds]
        gain = report["learned_against"].get(name)
        told = f"{gain['gain']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})" if gain else ""
        rows.append(
            f"| {name} | " + " | ".join([*cells, told, f"{figures['clear_uar']:.3f}"]) + " |"
        )
    return "\n".join([*rows, "", _report_provenance("lifting_ablation")])


def spotting_table() -> str:
    """Return what the spotter of micro-expressions finds, misses and makes up.

    ``micro_spotting.json`` holds ``judged``: name to n, precision, recall and f1;
    ``recall_by``: what is varied, on what, to its values to n and recall; ``false_alarms``: name to
    events, minutes, share_gated and at_most_per_min (the 95 % bound of a Poisson rate).
    """
    report = _evaluation("micro_spotting")
    if report is None:
        return "No record yet."
    rows = ["| judged on | n | precision | recall | F1 |", "|---|---|---|---|---|"]
    for name, found in report["judged"].items():
        cells = " | ".join(f"{found[key]:.3f}" for key in ("precision", "recall", "f1"))
        rows.append(f"| {name} | {found['n']} | {cells} |")
    for varied, by_row in _families(report.get("recall_by", {})).items():
        columns = sorted({column for values in by_row.values() for column in values})
        rows += ["", f"| recall by {varied} | " + " | ".join(columns) + " |"]
        rows.append("|---" * (len(columns) + 1) + "|")
        for name, values in by_row.items():
            found = [values.get(column) for column in columns]
            cells = [f"{one['recall']:.2f} of {one['n']}" if one else "" for one in found]
            rows.append(f"| {name} | " + " | ".join(cells) + " |")
    alarms = report.get("false_alarms", {})
    if alarms:
        rows += [
            "",
            "| nothing is known to happen in | told | minutes | not looked at | at most a minute |",
            "|---|---|---|---|---|",
        ]
    for name, found in alarms.items():
        rows.append(
            f"| {name} | {found['events']} | {found['minutes']:.1f} "
            f"| {100 * found['share_gated']:.0f} % | {found['at_most_per_min']:.2f} |"
        )
    return "\n".join([*rows, "", _report_provenance("micro_spotting")])


def _families(recall_by: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Gather ``varied (judged on)`` and ``varied, judged on`` by what is varied."""
    families: dict[str, dict[str, Any]] = {}
    for name, values in recall_by.items():
        varied, _, judged = name.removesuffix(")").partition(" (")
        if not judged:
            varied, _, judged = name.rpartition(", ")
        families.setdefault(varied, {})[judged] = values
    return families


def decision_table() -> str:
    """Return what a decision of the expression network costs."""
    rows = ["| CPU time, one thread | least | median |", "|---|---|---|"]
    opened = ""
    for record in newest("expression").values():
        figures = record["figures"]
        rows += [
            f"| {name} | {cpu['min']:.2f} ms | {cpu['p50']:.2f} ms |"
            for name, cpu in figures["cpu_ms"].items()
        ]
        opened = ", ".join(f"{p} {ms:.0f} ms" for p, ms in figures["opening_ms"].items())
    if opened:
        rows += ["", f"From the file to the first answer: {opened}."]
    return "\n".join([*rows, "", _provenance("expression")])


_LEFT_OUT = {
    "linear": "60 components of the pixels and logistic regression",
    "reduced": "HTNet's published form, made small",
    "tuned": "sibling, highest level tuned in each fold",
    "whole": "sibling, tuned in each fold",
    "readout": "sibling, last layer anew in each fold",
    "joined": "mean of sibling, its last layer anew, and the linear one",
}


def micro_table() -> str:
    """Return what the classifier of micro-expressions scores, and what honest folds score."""
    live, looks, loso = (_evaluation(f"htnet_{name}") for name in ("live", "zero_shot", "loso"))
    if live is None or looks is None or loso is None:
        return "No record yet."
    studio = live["studio_test"]
    rows = ["| judged on | what | UF1 | UAR |", "|---|---|---|---|"]
    rows.append(
        f"| {studio['pairs']} rendered pairs, {studio['people']} people | shipped, four classes "
        f"| {_with_interval(studio, 'uf1')} | {_with_interval(studio, 'uar')} |"
    )
    told = [("sibling, never saw real flow, " + name, found) for name, found in looks.items()]
    told += [(_LEFT_OUT[name], found["last_epoch"]) for name, found in loso.items()]
    for name, found in told:
        rows.append(
            f"| {found['clips']} real flow images | {name} "
            f"| {_with_interval(found, 'uf1')} | {_with_interval(found, 'uar')} |"
        )
    rows += [
        f"| *the same runs, best epoch chosen on the test fold* | {_LEFT_OUT[name]} "
        f"| *{found['best_epoch_on_the_test_fold']['uf1']:.3f}* "
        f"| *{found['best_epoch_on_the_test_fold']['uar']:.3f}* |"
        for name, found in loso.items()
        if "best_epoch_on_the_test_fold" in found
    ]
    names = ("htnet_live", "htnet_zero_shot", "htnet_loso")
    return "\n".join([*rows, "", _report_provenance(*names, judged=("htnet_live", live))])


def rewrites_table() -> str:
    """Return what the exact rewrites of the published network save."""
    lines = [
        f"CPU time of a clip of IFDD as published, in onnxruntime: "
        f"{record['figures']['cpu_s']['published']:.2f} s as exported, "
        f"{record['figures']['cpu_s']['rewritten']:.2f} s rewritten "
        f"({record['figures']['ratio']:.2f} times less)."
        for record in newest("ifdd_rewrites").values()
    ]
    return "\n".join([*lines, "", _provenance("ifdd_rewrites")])


def engines_table() -> str:
    """Return what a run of each of our networks takes, by backend, and what could not be run."""
    rows = ["| network | run by | faces | p50 | p99 | differs from the CPU's fp32 by |"]
    rows += ["|---" * 6 + "|"]
    absent: dict[str, str] = {}
    for record in newest("engines").values():
        for network, figures in record["figures"].items():
            rows += [
                f"| {network} | {name} | {faces} | {times['p50_ms']:.2f} ms "
                f"| {times['p99_ms']:.2f} ms | {100 * engine['difference']:.2f} % |"
                for name, engine in figures["engines"].items()
                for faces, times in engine["faces"].items()
            ]
            absent |= {k: why for k, why in figures["skipped"].items() if " " not in k}
    rows += ["", *(f"Not run by {name}: {why}." for name, why in absent.items())]
    return "\n".join([*rows, "", _provenance("engines")])


def _evaluation(name: str = "action_units") -> dict[str, Any] | None:
    path = records.RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


TABLES = {
    "peer": peer_table,
    "latency": latency_table,
    "soak": soak_table,
    "units": units_table,
    "faces": faces_table,
    "expression": expression_table,
    "lifting": lifting_table,
    "spotting": spotting_table,
    "micro": micro_table,
    "decision": decision_table,
    "rewrites": rewrites_table,
    "engines": engines_table,
}


def filled(text: str) -> str:
    """Return README's text with every marked block made anew."""
    for name, table in TABLES.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        text = block.sub(lambda found, table=table: found[1] + table() + found[2], text)
    return text


def _provenance(name: str) -> str:
    """Say of which code and machine the figures of ``<name>.jsonl`` are.

    The load tells whether the machine was quiet: it counts the benchmark itself, about 1.
    """
    origins: dict[str, float] = {}
    for record in newest(name).values():
        machine = f"{record['machine']['cpu']}, {record['machine']['cores']} cores"
        note = record["config"].get("note")
        origin = records.origin(record, f" on {machine}{{load}}" + (f" ({note})" if note else ""))
        origins[origin] = max(origins.get(origin, 0.0), record["load_1min"])
    told = [origin.format(load=f", load {load:.1f}") for origin, load in origins.items()]
    return _signed(told, f"benchmarks/results/{name}.jsonl")


def _report_provenance(*names: str, judged: tuple[str, dict[str, Any]] | None = None) -> str:
    """Say of which code the figures of ``<name>.json`` are, and whether of the weights shipped.

    Under "made" stands the code of a report or of one of its parts, or each part's code by its
    name. `judged` is a card and what names the hash of the weights that were judged.
    """
    told: list[str] = []
    for name in names:
        report = _evaluation(name) or {}
        parts = [report, *(part for part in report.values() if isinstance(part, dict))]
        codes: list[dict[str, Any]] = []
        for made in (part["made"] for part in parts if "made" in part):
            codes += [made] if "code" in made else made.values()
        told += [records.origin(code) for code in codes] or ["its code and date are not recorded"]
    if judged is not None:
        card, found = judged
        sha256 = found.get("onnx_sha256") or found.get("sha256")
        if sha256 and sha256 not in _shipped(card):
            told.append("**other weights are shipped now**")
    return _signed(told, ", ".join(f"benchmarks/results/{name}.json" for name in names))


def _shipped(card: str) -> set[str]:
    folder = records.REPOSITORY / "engines/affect_engines/weights"
    files = folder.glob(f"{card}*.onnx")
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _signed(told: list[str], files: str) -> str:
    if not told:
        return "No record yet."
    return f"<sub>{' · '.join(dict.fromkeys(told))}; {files}</sub>"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, nargs="?", const=README, metavar="README")
    readme = parser.parse_args().write
    if readme:
        readme.write_text(filled(readme.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(table() for table in TABLES.values()))


if __name__ == "__main__":
    main()
