import json
import re

import pytest

from realtime_affect import analyze
from realtime_affect.errors import InputError, InputMissingError
from realtime_affect.outputs.manifest import NAME as MANIFEST
from realtime_affect.outputs.report import (
    NOTICE,
    Report,
    Section,
    Table,
    report_of_run,
    to_html,
    write_run_report,
)


def manifest(folder, *inputs, outcome="complete"):
    content = {
        "command": "analyze", "outcome": outcome, "begun": "2026-01-01", "finished": None,
        "inputs": list(inputs), "models": {"iris": "ab12"}, "versions": {"python": "3.11"},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(content), encoding="utf-8")


def test_every_text_is_escaped_and_nothing_is_asked_of_elsewhere():
    evil = "<script src='https://example.org/x.js'>"
    section = Section(evil, evil, (Table((evil,), ((evil,),)),), b"\x89PNG", evil)
    page = to_html(Report(evil, (section,)))
    assert "<script" not in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(?!data:)[a-z]+:""", page)
    assert "default-src 'none'" in page
    assert NOTICE in page


def test_a_run_that_was_killed_is_told_as_such(tmp_path):
    manifest(tmp_path, {"input": "clip.mp4", "outcome": "running"}, outcome="running")
    page = write_run_report(tmp_path).read_text("utf-8")
    assert "running, or killed" in page
    assert "clip.mp4" in page
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600


def test_shares_are_of_the_rows_on_which_an_expression_was_reported(tmp_path):
    rows = "face_id,expression\n" + "1,neutral\n" * 3 + "1,happiness\n2,anger\n2,\n"
    (tmp_path / "clip.csv").write_text(rows, encoding="utf-8")
    entry = {"input": "clip", "outcome": "complete", "files": {"rows": "elsewhere/clip.csv"}}
    (section,) = [s for s in report_of_moved(tmp_path, entry).sections if s.heading == "clip"]
    assert ("1", "neutral", "75%") in section.tables[2].rows
    assert ("2", "anger", "100%") in section.tables[2].rows


def report_of_moved(folder, entry):
    """Return the report of a run whose folder lies elsewhere than when it ran."""
    (folder / "timeline.png").write_bytes(b"\x89PNG")
    entry["files"]["timeline"] = "elsewhere/timeline.png"
    manifest(folder, entry)
    return report_of_run(folder)


def test_a_folder_without_a_run_and_a_damaged_record_are_refused(tmp_path):
    with pytest.raises(InputMissingError, match=r"summary\.json"):
        write_run_report(tmp_path)
    for content in ("{", "[]", "{}", "3"):
        (tmp_path / MANIFEST).write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match="record of a run"):
            write_run_report(tmp_path)


@pytest.mark.usefixtures("models")
def test_what_analyze_leaves_becomes_a_page_with_its_timeline(tmp_path):
    analyze("demo", out=tmp_path)
    page = write_run_report(tmp_path).read_text("utf-8")
    assert "data:image/png;base64,iVBOR" in page
    assert "happiness" in page
