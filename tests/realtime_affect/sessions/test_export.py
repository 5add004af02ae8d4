"""Passing a session on."""

from __future__ import annotations

import csv

import av
import pytest

from realtime_affect.sessions.export import export_session


@pytest.mark.fault(24)
def test_a_session_is_exported_as_video_tables_images_and_a_page(record, tmp_path):
    session = record(50, participant="P<3")
    session.note(names={1: "Anna"}, notes="quiet & calm", markers=[[7_500_000_000, "film; begins"]])
    shares = []
    written = export_session(session, tmp_path / "out", progress=shares.append)
    names = {path.name for path in written}
    assert {"annotated.mp4", "rows.csv", "events.csv", "markers.csv", "report.html"} <= names
    (image,) = [path for path in written if path.suffix == ".png"]
    assert image.name.startswith("spike-of-face-1-at-0.4")
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 50  # every frame, none left out
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for words in ("P&lt;3", "Anna", "quiet &amp; calm", "film; begins", "trained on", "image/png"):
        assert words in page
    assert "http" not in page.split("</style>")[1].split("trained on")[0]
    with (tmp_path / "out" / "markers.csv").open(encoding="utf-8") as stream:
        (marker,) = csv.DictReader(stream)
    assert marker == {"timestamp": "0.500000", "source_time_ns": "7500000000",
                      "words": "film; begins"}  # fmt: skip
    assert all(0 <= share <= 1 for share in shares)
    assert (tmp_path / "out" / "rows.csv").read_bytes() == (
        session.folder / "rows.csv"
    ).read_bytes()


def test_tables_become_parquet_and_a_report_goes_to_who_prints_it(record, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    session, printed = record(12, participant="P1"), []
    written = export_session(
        session, tmp_path, ("parquet", "pdf"),
        print_pdf=lambda report, path: printed.append((report.title, path.name)),
    )  # fmt: skip
    assert {path.name for path in written} == {"rows.parquet", "events.parquet", "report.pdf"}
    rows = parquet.read_table(tmp_path / "rows.parquet")
    with (session.folder / "rows.csv").open(encoding="utf-8") as stream:
        stored = list(csv.DictReader(stream))
    assert rows.num_rows == len(stored)
    assert set(rows["session"].to_pylist()) == {session.name}
    told = [None if x is None else round(x, 2) for x in rows["x"].to_pylist()]
    assert told == [float(row["x"]) if row["x"] else None for row in stored]
    assert printed == [(f"Session {session.name}", "report.pdf")]


def test_a_report_says_how_much_of_a_face_was_measured_and_how_well(record, tmp_path):
    export_session(record(12), tmp_path, ("report",))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    start = page.index("in view, of all frames")
    assert "<td>92%</td><td>100%</td><td>0.90</td>" in page[start : start + 800]


def test_only_what_is_asked_for_is_written(record, tmp_path):
    written = export_session(record(4), tmp_path / "out", ("tables",))
    assert {path.name for path in written} == {"rows.csv", "events.csv", "markers.csv"}
