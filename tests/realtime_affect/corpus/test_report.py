import json
from html.parser import HTMLParser

import pytest

from realtime_affect.corpus.report import MEANS, write_corpus_report
from realtime_affect.errors import InputMissingError, UsageError
from realtime_affect.outputs.csv_events import EventWriter
from realtime_affect.outputs.csv_rows import RowWriter
from tests.realtime_affect.micro_world import facial_event
from tests.realtime_affect.outputs.test_csv_events import readings

pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
N = 50  # frames, 40 ms each


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.cells, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not any(name in ("src", "href") for name, _ in attrs)

    def handle_data(self, data):
        if data.strip():
            self.cells.append(data.strip())


def cells_of(page):
    text = Text()
    text.feed(page.read_text(encoding="utf-8"))
    assert "script" not in text.tags
    return text.cells


def entry(name, group, **more):
    base = {
        "input": name, "metadata": {"group": group, "id": name}, "outcome": "complete",
        "error": "", "frames": N, "frames_with_faces": N, "duration_s": (N - 1) * 0.04,
        "kind": "video", "files": {"rows": "a.csv", "events": "a.events.csv"},
    }  # fmt: skip
    return base | more


@pytest.fixture
def corpus(tmp_path):
    """Two inputs with a face and one spike, one that failed, one that was never begun."""
    nothing = {"metadata": {"group": "old", "id": "b"}, "outcome": "waiting", "error": ""}
    nothing |= {"frames": 0}
    entries = [
        entry("x/a.mp4", "old"),
        entry("y/a.mp4", "young <b>"),
        nothing | {"input": "bad.mp4", "outcome": "failed", "error": "got no video"},
        nothing | {"input": "late.mp4", "metadata": {"group": "young <b>", "id": "l"}},
    ]
    for one in entries[:2]:
        place = tmp_path / one["input"]
        place.mkdir(parents=True)
        rows = RowWriter(place / "a.csv")
        events = EventWriter(place / "a.events.csv")
        for reading in readings({1: [facial_event(1000)]}, N):
            rows.write(reading)
            events.write(reading)
        rows.close()
        events.close()
    content = {
        "outcome": "failed", "begun": "then", "finished": "now", "inputs": entries
    }  # fmt: skip
    (tmp_path / "corpus.json").write_text(json.dumps(content))
    return tmp_path


def test_the_page_says_what_was_found_by_group_by_input_and_what_failed(corpus):
    page, _ = write_corpus_report(corpus)
    cells = cells_of(page)
    after = cells[cells.index("By group") :]
    old = after[after.index("old") :][:9]
    # One spike in N frames of 40 ms in which the face was measured.
    a_minute = f"{60 / ((N - 1) * 0.04):.1f}"
    assert old == ["old", "2", "1", "50", "2.0", "100%", "0.75", "-", a_minute]
    assert "young <b>" in after  # as text, not as a tag
    assert "got no video" in cells
    assert cells[cells.index("AU02") + 1 :][:5] == ["0.25", "0.25", "0.25", "0.25", "0%"]
    assert "By id" in cells
    assert any("not a medical device" in cell for cell in cells)
    assert page.stat().st_mode & 0o777 == 0o600


def test_windows_hold_means_and_coverage_of_each_face_with_metadata(corpus):
    _, windows = write_corpus_report(corpus, window_ms=200)
    table = pq.read_table(windows)
    assert table.column_names == [
        *("input", "group", "id", "face_id", "start", "end", "coverage"), *MEANS
    ]  # fmt: skip
    rows = table.to_pylist()
    assert len(rows) == 2 * N * 40 // 200
    first = rows[0]
    assert (first["input"], first["group"], first["face_id"]) == ("x/a.mp4", "old", 1)
    assert (first["start"], first["end"], first["coverage"]) == (0.0, 0.2, 1.0)
    assert first["AU02_r"] == pytest.approx(0.25)
    assert first["valence"] is None  # nobody interpreted it
    assert table.schema.field("AU02_r").metadata[b"unit"] == b"0 to 5"


def test_groups_are_compared_by_what_is_asked_for(corpus):
    page, _ = write_corpus_report(corpus, ["group"])
    assert "By id" not in cells_of(page)
    with pytest.raises(UsageError, match="expected group, id"):
        write_corpus_report(corpus, ["age"])


def test_a_folder_without_a_corpus_is_refused(tmp_path):
    with pytest.raises(InputMissingError, match=r"corpus\.json"):
        write_corpus_report(tmp_path)
