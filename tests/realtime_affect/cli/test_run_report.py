import io
from pathlib import Path

import pytest
from rich.console import Console

from realtime_affect.cli.run_report import print_report
from realtime_affect.outputs.summary import InputSummary
from realtime_affect.runtime.stats import Percentiles


def summary(name="a/clip.mp4", **values):
    return InputSummary(
        name,
        **{
            "outcome": "complete",
            "frames": 120,
            "most_faces": 3,
            "tracks": 4,
            "fps": 29.97,
            "drops": {"frames": 5, "affect": 0, "video": 7},
            "stage_ms": {"vision": Percentiles(120, 4.25, 6.5, 7.25, 9.75, 11.0)},
            "files": {"rows": Path("out/clip.csv")},
            **values,
        },
    )


def printed(*summaries, width=80):
    stream = io.StringIO()
    print_report(summaries, Path("out"), Console(file=stream, width=width))
    return stream.getvalue()


def test_one_input_shows_counts_stages_drops_and_files_in_80_columns():
    text = printed(summary())
    assert "clip.mp4 120 3 4 30.0 5 complete" in " ".join(text.split())
    assert "vision 4.25 6.50 9.75 120" in " ".join(text.split())
    assert "dropped: 5 frames not analysed, 7 not in the video" in text
    assert "files in out: clip.csv, summary.json" in text


def test_many_inputs_have_a_line_each_and_no_stages():
    text = printed(*(summary(f"clip{n}.mp4") for n in range(3)))
    assert [f"clip{n}.mp4" in text for n in range(3)] == [True] * 3
    assert "vision" not in text


def test_a_failed_input_has_its_line_and_no_speed():
    text = printed(summary(), InputSummary("gone.mp4", error="x"))
    assert "gone.mp4 0 0 0 - 0 failed" in " ".join(text.split())


@pytest.mark.parametrize("name", ["[red]clip.mp4", "[bold] a [x].mp4"])
def test_brackets_in_names_are_shown_as_they_are(name):
    assert name in printed(summary(name, warnings=(f"{name} is cut",)), width=200)


def test_a_name_acts_on_no_terminal():
    text = printed(summary("a\x1b[2J\n.mp4", warnings=("\x9b2J",)), width=200)
    assert r"a\x1b[2J\n.mp4" in text
    assert r"\x9b2J" in text
    assert not set("\x1b\x9b") & set(text)


def test_warnings_are_shown():
    assert "truncated after frame 31" in printed(summary(warnings=("truncated after frame 31",)))


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ({"micro": 1, "macro": 4}, "1 micro-expression, 4 that lasted longer"),
        ({"micro": 0, "macro": 0}, "0 micro-expressions, 0 that lasted longer"),
    ],
)
def test_brief_movements_are_counted_where_they_were_looked_for(events, said):
    assert said in printed(summary(events=events))
    assert "movement" not in printed(summary())
