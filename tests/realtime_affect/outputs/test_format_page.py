"""The page of the formats."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from realtime_affect.outputs.format_page import format_page
from realtime_affect.schema import WITH_LANDMARKS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "output-format.md"


def test_the_page_is_current():
    made = "python -m realtime_affect.outputs.format_page > docs/output-format.md"
    assert PAGE.read_text(encoding="utf-8") == format_page(), f"make it anew: {made}"


def test_the_command_prints_the_page():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "realtime_affect.outputs.format_page"],
        capture_output=True, text=True, encoding="utf-8", timeout=250, check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.stdout == format_page()


def test_every_measure_and_column_is_on_it():
    page = format_page()
    for measure in WITH_LANDMARKS.measures:
        assert f"| `{measure.name}` |" in page
        for name in (*measure.row_columns[:1], *measure.event_columns):
            assert f"`{name}`" in page
