"""Tables on corpora: throughput, memory, what an hour of video costs, what kills leave behind."""

from __future__ import annotations

from typing import Any

import records

PY_FEAT = "py-feat publishes 8.9 to 17.6 frames a second on one CPU thread"
_VIDEO_FPS = 30


def _figures(name: str, scenario: str) -> dict[str, Any] | None:
    record = records.newest(name).get(scenario)
    return None if record is None else dict(record["figures"])


def throughput_table() -> str:
    """Return frames a second a core; two workers against one; memory; the opening of networks."""
    speed, pair = _figures("corpora", "speed"), _figures("corpora", "two_against_one")
    held = _figures("corpora", "memory")
    rows: list[str] = []
    if speed is not None:
        rows += ["| one worker, one core | 1 face | 4 faces |", "|---|---|---|"]
        for size in ("480p", "720p"):
            cells = " | ".join(f"{speed[f'{n}_{size}']['fps']:.1f} frames/s" for n in (1, 4))
            rows.append(f"| {size} | {cells} |")
        rows += ["", f"{PY_FEAT}.", ""]
    if pair is not None:
        rows.append(
            f"- Two workers on a core each: {pair['fps_2']:.1f} frames a second, one on one: "
            f"{pair['fps_1']:.1f}; {pair['ratio']:.2f} times as many "
            f"({pair['inputs']} clips of the demo, 720p, two faces). A plain loop in the same "
            f"turns: {pair['control_ratio']:.2f} times. A frame costs {pair['cpu_ms_1']:.1f} ms of "
            f"a core with one worker and {pair['cpu_ms_2']:.1f} with two."
        )
        opened = [w for n in (1, 2) for w in pair[f"workers_{n}"]["networks_opened"]]
        seconds = [w for n in (1, 2) for w in pair[f"workers_{n}"]["networks_s"]]
        rows.append(
            f"- Networks: opened {max(opened)} time a worker, in {max(seconds):.2f} s at most."
        )
    if held is not None:
        memory = held["rss_mib"]
        tenth = memory[min(9, len(memory) - 1)]
        rows.append(
            f"- A worker's resident memory over {held['inputs']} inputs: {tenth:.0f} MiB after the "
            f"tenth, {max(memory):.0f} at most, {memory[-1]:.0f} after the last."
        )
    return "\n".join([*rows, "", records.signature("corpora")])


def cost_table() -> str:
    """Say what an hour of video costs on one core, and what each input costs on top."""
    speed = _figures("corpora", "speed")
    rows: list[str] = []
    if speed is not None:
        hour = f"core-hours for an hour, {_VIDEO_FPS} frames a second"
        rows += [f"| video | {hour} | and for each input, core-seconds |", "|---|---|---|"]
        for name, found in speed.items():
            faces, size = name.split("_")
            told = f"{size}, {faces} face{'s' * (faces != '1')}"
            beside_s = found["elapsed_s"] - found["frames"] / found["fps"]
            rows.append(f"| {told} | {_VIDEO_FPS / found['fps']:.1f} | {beside_s:.1f} |")
    return "\n".join([*rows, "", records.signature("corpora")])


def kill_table() -> str:
    """Say what was equal, missing and repeated after kills."""
    rows = [
        "| workers | clips | of the studio | killed | equal to `analyze` | results replaced |",
        "|---" * 6 + "|",
    ]
    for name, record in records.newest("corpora_kill").items():
        found = record["figures"]
        kinds = (("worker", "workers"), ("driver", "drivers"), ("node", "nodes"))
        killed = ", ".join(
            f"{found['killed'][kind]} {many if found['killed'][kind] != 1 else kind}"
            for kind, many in kinds
            if kind in found["killed"]
        )
        cells = (
            name, found["clips"], found["of_the_studio"], killed, found["equal_to_analyze"],
            found["results_replaced"],
        )  # fmt: skip
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*rows, "", records.signature("corpora_kill")])
