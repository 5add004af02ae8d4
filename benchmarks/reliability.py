"""What a facial pipeline must survive, and what proves it: tables from marks in the tests.

A test that proves the n-th of :data:`SURVIVES` carries ``@pytest.mark.survival(n)``; one that does
so with something in the place of hardware that a test machine lacks carries ``stand_in="what"``.
Long proofs are commands with records: :data:`COMMANDS`. A test that proves that the n-th of
:data:`FAULTS` is not in this product carries ``@pytest.mark.fault(n)``. ``make tables`` writes the
tables into ``docs/reliability.md``.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SURVIVES: Final = (
    "camera unplugged while it is read: the window goes on, offline is told within 2 s",
    "plugged in again: back within 5 s, ids are not used again",
    "a camera or stream that repeats its last image for ever",
    "a first read that fails, a second that works",
    "camera busy, not permitted, or none: a clear message and exit code",
    "the frame rate changes; variable rate: timestamps are the source's",
    "resolution or rotation changes inside a stream",
    "any size and format: 1x1, 8K, odd, grey, BGRA, 16 bit",
    "damaged, truncated and half images; a decoder that fails",
    "clocks that jump, timestamps that repeat or fall: time strictly increases",
    "nobody in view for hours: memory and time stay flat",
    "50 faces: bounded cost, a stated policy",
    "a face at the border; boxes without area, points outside",
    "two people cross; one leaves and returns",
    "mask, profile, a photograph of a face, a mirror",
    "clips too short, gaps inside them, a face lost in the middle",
    "a consumer that stalls: the newest wins, drops are counted, memory is flat",
    "a GPU that fails, a plan of another GPU, no driver: the CPU takes over, logged",
    "heat and power modes: less is done, and as fresh as ever",
    "a part that raises is started again, at most so often",
    "kill -9 while recording: video plays, rows are there, the run is known as unfinished",
    "disk full, read-only, removed, hung or pulled",
    "two runs at once; any name",
    "clients that come late, leave, never read",
    "the same input gives the same bytes",
    "damaged, oversized or external-data networks are refused",
    "a plan or network of another hash, and pickles, are refused",
    "hostile settings and names; the stream is for this machine alone",
    "nothing leaves the machine",
    "no secret in logs, results, health or names",
)
"""In the order of their numbers, from 1."""


FAULTS: Final = (
    "the overlay is stretched on images that are not 16:9",
    "the overlay lags the image",
    "signs of pitch and yaw flip",
    "the overlay drifts on recordings of variable rate",
    "recording starves the detection",
    "an overlay stays frozen after Stop",
    "the first recorded row is in another pixel scale",
    "seeking in NTSC video lands far away",
    "code for one vendor's GPU breaks the first run elsewhere",
    "a panel stands beside the wrong face",
    "panel and short form alternate",
    "gaze arrows on closed eyes",
    "a neutral face is confirmed for a blurred or laughing one, or before it is taken",
    "with more than eight faces nothing is shown of anyone",
    "letters with a modifier act as the letter alone",
    "a key that is held repeats its command and stops the painting",
    "Q or Esc ends a recording unasked",
    "the window closes after a clip",
    "angles of the head are never shown where the face fills the image",
    "text too small on square sources",
    "text of too little contrast",
    "ids and notice are lost on small images",
    "recording shows no sign",
    "frames are missing from the painted video",
    "a verdict stands beside units that it was not weighed by",
)
"""By their numbers, from 1: 1 to 9 were mended in a live peer, 10 to 25 in this window."""


@dataclass(frozen=True, slots=True)
class Command:
    """A proof that takes too long for a test: what to type, and whether its record holds."""

    chore: str
    record: str
    holds: Callable[[dict[str, Any]], bool]


def _is_flat(figures: dict[str, Any]) -> bool:
    return all(slope["flat"] for slope in figures["slopes_per_min"].values())


def _lost_little(figures: dict[str, Any]) -> bool:
    return all(
        found["most_rows_lost_s"] <= 1.0
        and found["all_rows_whole"]
        and found["all_unfinished"]
        and found["all_videos_play"]
        for found in figures.values()
    )


def _none_wrong(figures: dict[str, Any]) -> bool:
    return not figures["wrong"] and not figures["grew"]


COMMANDS: Final = {
    9: Command("make fuzz", "fuzz", _none_wrong),
    11: Command("make soak-service", "soak_service", _is_flat),
    21: Command("make kill", "kill", _lost_little),
    26: Command("make fuzz", "fuzz", _none_wrong),
}


@dataclass(frozen=True, slots=True)
class Proof:
    """A test that proves a number: where it is, and what stands in for what is not here."""

    number: int
    path: str
    test: str
    stand_in: str


def proofs(mark: str = "survival") -> list[Proof]:
    """Return every test that carries a mark, by file and line."""
    found = []
    for path in sorted((records.REPOSITORY / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if f"mark.{mark}" in text:
            found += list(_in_file(path.relative_to(records.REPOSITORY).as_posix(), text, mark))
    return found


def _in_file(path: str, text: str, name: str = "survival") -> Iterator[Proof]:
    for node in ast.walk(ast.parse(text)):
        for mark in getattr(node, "decorator_list", ()):
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == f"pytest.mark.{name}":
                stand_in = next((k.value for k in mark.keywords if k.arg == "stand_in"), None)
                said = ast.literal_eval(stand_in) if stand_in is not None else ""
                for number in mark.args:
                    yield Proof(ast.literal_eval(number), path, getattr(node, "name", ""), said)


def survival_table() -> str:
    """Return what is survived, by number: tests that prove it, commands with their records."""
    rows = ["| | survives | proved by |", "|---" * 3 + "|"]
    every = proofs()
    for number, what in enumerate(SURVIVES, start=1):
        cells = [_cell(proof) for proof in every if proof.number == number]
        if number in COMMANDS:
            cells.append(_of_record(COMMANDS[number]))
        rows.append(f"| {number} | {what} | {'; '.join(cells) or '**not proved**'} |")
    return "\n".join(rows)


def faults_table() -> str:
    """Return the known faults, by number, and the tests that each has."""
    every = proofs("fault")
    rows = ["| | fault | tested by |", "|---" * 3 + "|"]
    for number, what in enumerate(FAULTS, start=1):
        cells = [_cell(proof) for proof in every if proof.number == number]
        rows.append(f"| {number} | {what} | {'; '.join(cells) or '**not tested**'} |")
    return "\n".join(rows)


def _cell(proof: Proof) -> str:
    words = proof.test.removeprefix("test_").replace("_", " ")
    return f"[{words}](../{proof.path})" + (f" (with {proof.stand_in})" if proof.stand_in else "")


def _of_record(command: Command) -> str:
    found = list(records.newest(command.record).values())
    if not found:
        return f"`{command.chore}`: not recorded yet"
    newest = found[-1]
    holds = "holds" if command.holds(newest["figures"]) else "**does not hold**"
    return f"`{command.chore}`: {holds}, {records.origin([newest])}"


def figures_table() -> str:
    """Return what the newest records of long proofs say."""
    lines = []
    for name, sentence in (
        ("soak_service", _soak_sentence), ("kill", _kill_sentence), ("fuzz", _fuzz_sentence)
    ):  # fmt: skip
        newest = list(records.newest(name).values())
        if newest:
            lines.append(f"- {sentence(newest[-1])} ({records.origin([newest[-1]])})")
    sessions = records.report("kill_sessions")
    if sessions is not None:
        lines.append(f"- {_sessions_sentence(sessions)} ({records.origin([sessions['made']])})")
    return "\n".join(lines) or "No record yet."


def _soak_sentence(record: dict[str, Any]) -> str:
    figures = record["figures"]
    slopes = ", ".join(
        f"{name.replace('_mib', ' (MiB)').replace('_ms', ' (ms)')} {slope['slope']:+.3f} "
        f"({slope['low']:+.3f} to {slope['high']:+.3f})"
        for name, slope in figures["slopes_per_min"].items()
    )
    return (
        f"`make soak-service`: {record['config']['minutes']:g} minutes, {figures['outages']} "
        f"outages of the stream, {figures['clients']} clients, {figures['rows']} rows; slopes a "
        f"minute with 95 % intervals: {slopes}."
    )


def _kill_sentence(record: dict[str, Any]) -> str:
    parts = [
        f"`{command}` lost at most {found['most_rows_lost_s']:.2f} s of rows "
        f"and {found['most_video_lost_s']:.2f} s of video"
        for command, found in record["figures"].items()
    ]
    return f"`make kill`: killed {record['config']['times']} times each, " + ", ".join(parts) + "."


def _sessions_sentence(report: dict[str, Any]) -> str:
    return (
        f"`make kill`, sessions of the window: killed {report['killed']} times, "
        f"{report['opened_and_replayed_equal']} opened and replayed the rows byte for byte; lost "
        f"at most {report['results_lost_ms_most'] / 1e3:.2f} s of results and "
        f"{report['video_lost_ms_most'] / 1e3:.2f} s of video."
    )


def _fuzz_sentence(record: dict[str, Any]) -> str:
    figures = record["figures"]
    return (
        f"`make fuzz`: {sum(figures['cases'].values())} damaged files and rude clients of "
        f"{len(figures['cases'])} kinds in {record['config']['seconds']:g} s; "
        f"{len(figures['wrong'])} crashed, hung or were an internal error; "
        f"{len(figures['grew'])} kinds grew."
    )
