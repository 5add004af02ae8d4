"""Write the tables of README and docs/ from the records and the code, nothing typed by hand.

    python benchmarks/tables.py                      prints them
    python benchmarks/tables.py --write [PAGE ...]   puts them between the marks of the pages

A page holds a table between ``<!-- name -->`` and ``<!-- /name -->``; default: README.md and all of
docs/, and the Jetsons' guide. The newest record of each clip, scenario or source counts.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
from pathlib import Path
from typing import Any

import accuracy_tables
import corpora_tables
import jetson_budget
import plots
import records
import reliability
from peer_mediapipe import DELIVERS

from affect_engines.cards import list_cards, load_card
from realtime_affect.bench.table import bench_table
from realtime_affect.config import Config
from realtime_affect.measure import GROUPS
from realtime_affect.outputs.streams.channels import channels_of
from realtime_affect.outputs.streams.osc import osc_channels

PAGES = (
    records.REPOSITORY / "README.md",
    *sorted((records.REPOSITORY / "docs").glob("*.md")),
    records.REPOSITORY / "deploy/jetson/guide.md",
)


def peer_table() -> str:
    """CPU time of the whole product beside MediaPipe's face mesh."""
    rows = [
        "| clip | faces | whole product | its vision step | MediaPipe 0.10.21 face mesh "
        "| refined mesh | with blendshapes | product / face mesh |",
        "|---" * 8 + "|",
    ]
    skipped: dict[str, str] = {}
    for clip, record in records.newest("peer_mediapipe").items():
        figures = record["figures"]
        if "vision_cpu_ms" not in figures:  # of the time when only the vision step was measured
            continue
        skipped |= figures.get("skipped", {})
        names = ("ours", "vision", "mediapipe", "refined", "blendshapes")
        times = (figures.get(f"{name}_cpu_ms") for name in names)
        cells = " | ".join("-" if cpu_ms is None else f"{cpu_ms:.2f} ms" for cpu_ms in times)
        rows.append(f"| {clip} | {figures['faces']} | {cells} | {figures['ratio']:.2f} |")
    given = [f"- *{name}*: {what}" for name, what in DELIVERS.items()]
    rows += ["", "What each gives for its time:", "", *given]
    if skipped:
        told = "; ".join(f"`{name}`: {why}" for name, why in skipped.items())
        rows += ["", f"Not measured: {told}."]
    return "\n".join([*rows, "", records.signature("peer_mediapipe")])


def latency_table() -> str:
    """Return ages, cost and stages of every scenario, how they grow, and what was not run."""
    found = plots.scenarios()
    planned = sorted(path.stem for path in (records.REPOSITORY / "benchmarks/scenarios").iterdir())
    absent = [f"`{name}`" for name in planned if name not in found]
    parts = [bench_table({name: record["figures"] for name, record in found.items()})]
    parts += [plots.growth(found)] if found else []
    parts += [f"Not run: {', '.join(absent)}."] if absent else []
    parts += [f"![{what}]({path.name})" for path, what in plots.PICTURES.items() if path.exists()]
    return "\n\n".join([*parts, records.signature("latency")])


def soak_table() -> str:
    """Slopes of memory and time."""
    lines = []
    for source, record in records.newest("soak").items():
        figures = record["figures"]
        lines.append(
            f"`{source}`, {record['config']['minutes']:g} minutes, {figures['frames']} frames, "
            f"{figures['frames_dropped']} dropped: "
            f"memory {figures['resident_slope_mib_per_min']:+.2f} MiB a minute, time a frame "
            f"{figures['median_slope_ms_per_min']:+.3f} ms a minute."
        )
    return "\n".join([*lines, "", records.signature("soak")])


def window_table() -> str:
    """Return what a window really open paints while it records, and what creeps up."""
    heads = ("run", "painted a second", "dropped", "age p50", "p95", "CPU a frame", "docks")
    rows = [f"| {' | '.join((*heads, 'timeline', 'lost'))} |", "|---" * 9 + "|"]
    slopes = []
    for name, record in records.newest("window").items():
        figures = record["figures"]
        age, lost = figures["painted_ms"], sum(figures["lost"].values())
        rasters, lines = figures["timeline_paint_ms"].values()
        cpu_ms = figures.get("cpu_ms_per_frame")
        share = figures["frames_dropped"] / max(1, figures["frames_captured"])
        rows.append(
            f"| {name} | {figures['painted_fps']:.2f} | {share:.1%} | {age['p50']:.0f} ms "
            f"| {age['p95']:.0f} ms | {f'{cpu_ms:.1f} ms' if cpu_ms else '-'} "
            f"| {figures['docks_ms']['p50']:.1f} ms | {rasters:.1f} ms; "
            f"every series as a line, too: {lines:.1f} ms | {lost} |"
        )
        told = ", ".join(
            f"{what.replace('_mib', ' (MiB)').replace('_ms', ' (ms)')} {one['slope']:+.3f} "
            f"({one['low']:+.3f} to {one['high']:+.3f}, "
            f"{'flat' if one['flat'] else '**rising**'})"
            for what, one in figures.get("slopes_per_min", {}).items()
        )
        if told:  # of runs that are long enough
            slopes.append(f"{name}: slopes a minute with 95 % intervals: {told}.")
    return "\n".join([*rows, "", *slopes, "", records.signature("window")])


def again_table() -> str:
    """Return how far a live recording and the analysis of its video are apart."""
    rows = ["| measure | values | mean | 95 of 100 below | stated | largest |", "|---" * 6 + "|"]
    for record in records.newest("again").values():
        rows += [
            f"| {one['group']} | {one['n']} | {one['mean']:.3f} | {one['p95']:.3f} "
            f"| {one['stated']:g}{'' if one['within'] else ': **beyond**'} | {one['most']:.3f} |"
            for one in record["figures"]["differences"]
        ]
    return "\n".join([*rows, "", records.signature("again")])


def decision_table() -> str:
    """Return what a decision of the expression network costs."""
    rows = ["| CPU time, one thread | least | median |", "|---|---|---|"]
    opened = ""
    for record in records.newest("expression").values():
        figures = record["figures"]
        rows += [
            f"| {name} | {cpu['min']:.2f} ms | {cpu['p50']:.2f} ms |"
            for name, cpu in figures["cpu_ms"].items()
        ]
        opened = ", ".join(f"{p} {ms:.0f} ms" for p, ms in figures["opening_ms"].items())
    if opened:
        rows += ["", f"From the file to the first answer: {opened}."]
    return "\n".join([*rows, "", records.signature("expression")])


def interpreting_table() -> str:
    """Return what interpreting a decision costs."""
    rows = ["| CPU time a face and decision, one thread | p50 | p99 | max |", "|---" * 4 + "|"]
    for record in records.newest("interpretation").values():
        cpu = record["figures"]["cpu_ms"]
        cells = " | ".join(f"{cpu[key]:.3f} ms" for key in ("p50", "p99", "max"))
        rows.append(f"| interpretation, short line included | {cells} |")
        text = record["figures"]["text_cpu_ms"]["p50"]
        rows.append(f"| full text, where it is asked for | {text:.3f} ms | | |")
    return "\n".join([*rows, "", records.signature("interpretation")])


def rewrites_table() -> str:
    """Return what the exact rewrites of the published network save."""
    lines = [
        f"CPU time of a clip of IFDD as published, in onnxruntime: "
        f"{record['figures']['cpu_s']['published']:.2f} s as exported, "
        f"{record['figures']['cpu_s']['rewritten']:.2f} s rewritten "
        f"({record['figures']['ratio']:.2f} times less)."
        for record in records.newest("ifdd_rewrites").values()
    ]
    return "\n".join([*lines, "", records.signature("ifdd_rewrites")])


def engines_table() -> str:
    """Return what a run of each of our networks takes, by backend, and what could not be run."""
    rows = ["| network | run by | faces | p50 | p99 | differs from the CPU's fp32 by |"]
    rows += ["|---" * 6 + "|"]
    absent: dict[str, str] = {}
    for record in records.newest("engines").values():
        for network, figures in record["figures"].items():
            rows += [
                f"| {network} | {name} | {faces} | {times['p50_ms']:.2f} ms "
                f"| {times['p99_ms']:.2f} ms | {100 * engine['difference']:.2f} % |"
                for name, engine in figures["engines"].items()
                for faces, times in engine["faces"].items()
            ]
            absent |= {k: why for k, why in figures["skipped"].items() if " " not in k}
    rows += ["", *(f"Not run by {name}: {why}." for name, why in absent.items())]
    return "\n".join([*rows, "", records.signature("engines")])


def budget_table() -> str:
    """Return what the presets for Jetsons should need."""
    record = records.report("jetson_budget")
    return jetson_budget.table(record) if record else "No record yet."


def floors_table() -> str:
    """Return what each network multiplies and reads, and how much of that a face costs a second."""
    record = records.report("jetson_budget")
    if not record:
        return "No record yet."
    affect, fps = Config().affect, 30.0
    runs = {
        "face_landmark.tflite": fps, "action_units.onnx": fps,
        "eye_live.onnx": min(fps, affect.gaze_hz or fps),
        "ifdd_stream.onnx": jetson_budget.LOOKS_HZ,
    }  # fmt: skip
    rows = [
        "| network | MMAC a run | weights | runs a second and face at 30 fps | MMAC a second |",
        "|---" * 5 + "|",
    ]
    for name, each in runs.items():
        network = record["networks"].get(name)
        if network is None:  # counted before there was such a network
            continue
        rows.append(
            f"| `{name}` | {network['mmac']:.1f} | {network['bytes'] / 1e6:.2f} MB | {each:g} "
            f"| {each * network['mmac']:.0f} |"
        )
    rows += ["", f"<sub>counted; {records.origin([record])}</sub>"]
    return "\n".join(rows)


def networks_table() -> str:
    """Return what each network learned from and its limits, from its card."""
    rows = ["| network | licence | trained on | limits |", "|---" * 4 + "|"]
    rows += [
        f"| `{card.name}` | {card.licence} | {card.trained_on} | {card.limits} |"
        for card in map(load_card, list_cards())
        if card.has_file
    ]
    return "\n".join(rows)


def settings_table() -> str:
    """Return every setting with its default and meaning, from the code."""
    parts = []
    for name, section in Config.model_fields.items():
        kind = type(section.default)
        doc = _markdown(inspect.cleandoc(kind.__doc__ or ""))
        meanings = _attributes(doc)
        parts += [
            f"### `[{name}]`",
            "",
            doc.splitlines()[0],
            "",
            "| key | default | takes | meaning |",
            "|---|---|---|---|",
        ]
        parts += [
            f"| `{key}` | `{_toml(getattr(section.default, key))}` | {kind.takes(key)} "
            f"| {meanings.get(key, '')} |"
            for key in kind.model_fields
        ]
        parts.append("")
    return "\n".join(parts).rstrip()


def channels_table() -> str:
    """Return what streams carry, by group of measures, from the schema."""
    rows = ["| group | channels | OSC address | unit | what |", "|---" * 5 + "|"]
    found, by_osc = channels_of(GROUPS), osc_channels(GROUPS)
    for measure in dict.fromkeys(channel.measure for channel in found):
        ours = [channel for channel in found if channel.measure is measure]
        names = ", ".join(f"`{channel.name}`" for channel in ours)
        address = f"`{ours[0].address}`" if ours[0] in by_osc else ""
        address += ", ..." if address and len(ours) > 1 else ""
        words = " (OSC alone)" if ours[0].is_text else ""
        rows.append(
            f"| {measure.group} | {names}{words} | {address} | {measure.unit} | {measure.doc} |"
        )
    return "\n".join(rows)


def streams_table() -> str:
    """Return how old a reading is when a client has it, by stream."""
    rows = ["| from capture to the client's hands | p50 | p95 | p99 | readings | missed |"]
    rows += ["|---" * 6 + "|"]
    clock = ""
    for record in records.newest("streams").values():
        figures = record["figures"]
        for name, age in figures["age_ms"].items():
            cells = " | ".join(f"{age[key]:.1f} ms" for key in ("p50", "p95", "p99"))
            rows.append(f"| {name} | {cells} | {age['n']} | {age['missed']} |")
        lsl = figures["lsl"]
        clock = (
            f"LSL's clock is known to {lsl['uncertainty_us']:.1f} us; a receiver that corrects "
            f"for it finds frames within {lsl['largest_error_ms']:.3f} ms of their capture."
        )
    return "\n".join([*rows, "", *([clock, ""] if clock else []), records.signature("streams")])


def hostile_table() -> str:
    """Return what hostile peers cost the analysis, in the same run."""
    rows = ["| in the same run | frames analysed | dropped | one client got | memory |"]
    rows += ["|---" * 5 + "|"]
    for record in records.newest("hostile_peers").values():
        for name, periods in record["figures"]["periods"].items():
            sums = {key: sum(one[key] for one in periods) for key in periods[0]}
            memory = " to ".join(f"{periods[n]['resident_mib']:.0f}" for n in (0, -1))
            rows.append(
                f"| {name} | {sums['analysed']:.0f} | {sums['dropped']:.0f} "
                f"| {sums['listener_got']:.0f} | {memory} MiB |"
            )
    return "\n".join([*rows, "", records.signature("hostile_peers")])


def _attributes(doc: str) -> dict[str, str]:
    """Return what the Attributes of a numpydoc docstring say, by name."""
    text = doc.partition("Attributes\n----------\n")[2]
    text = re.split(r"\n\n\w[\w ]*\n-+\n", text)[0]
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", text):
        head, _, body = entry.partition("\n")
        meaning = " ".join(body.split())
        for name in head.partition(" :")[0].split(", "):
            found[name] = meaning
    return found


def _markdown(doc: str) -> str:
    """Turn a docstring's roles and double backquotes into Markdown's."""
    return re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", doc).replace("``", "`")


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


TABLES = {
    "interpreting": interpreting_table,
    "interpretation": accuracy_tables.interpretation_table,
    "trust": accuracy_tables.trust_table,
    "budget": budget_table,
    "networks": networks_table,
    "settings": settings_table,
    "channels": channels_table,
    "streams": streams_table,
    "hostile": hostile_table,
    "peer": peer_table,
    "latency": latency_table,
    "floors": floors_table,
    "soak": soak_table,
    "window": window_table,
    "again": again_table,
    "units": accuracy_tables.units_table,
    "faces": accuracy_tables.faces_table,
    "studio": accuracy_tables.studio_table,
    "expression": accuracy_tables.expression_table,
    "lifting": accuracy_tables.lifting_table,
    "real": accuracy_tables.real_table,
    "spotting": accuracy_tables.spotting_table,
    "micro": accuracy_tables.micro_table,
    "gaze": accuracy_tables.gaze_table,
    "decision": decision_table,
    "rewrites": rewrites_table,
    "engines": engines_table,
    "survival": reliability.survival_table,
    "faults": reliability.faults_table,
    "proofs": reliability.figures_table,
    "corpora": corpora_tables.throughput_table,
    "corpora_cost": corpora_tables.cost_table,
    "corpora_kill": corpora_tables.kill_table,
}


def filled(text: str) -> str:
    """Return a page's text with every marked block made anew."""
    for name, table in TABLES.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = block.sub(lambda found, table=table: f"{found[1]}{table()}\n{found[2]}", text)
    return text


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, nargs="*", metavar="PAGE")
    pages = parser.parse_args().write
    if pages is None:
        print("\n\n".join(table() for table in TABLES.values()))
        return
    for page in pages or PAGES:
        text = page.read_text(encoding="utf-8")
        if (made := filled(text)) != text:
            page.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
