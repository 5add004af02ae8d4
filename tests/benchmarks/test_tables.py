import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

EMPTY = (
    "before\n<!-- peer -->\nold\n<!-- /peer -->\nbetween\n<!-- soak -->\n\n<!-- /soak -->\nend\n"
)
PEER = {"faces": 2, "ours_cpu_ms": 3.14159, "mediapipe_cpu_ms": 6.28318, "ratio": 0.5}
PEER |= {"vision_cpu_ms": 1.5}
STAGE = {"n": 9, "p50": 1.04, "p90": 2.0, "p95": 2.46, "p99": 3.0, "max": 4.0}


@pytest.fixture
def add(script, recorded_in):
    """Add a record to the test's own results."""
    records = script("records")
    return lambda *record: records.append(records.new_record(*record))


def blocks():
    """Return every marked table of README and docs/: page and name."""
    guide = ROOT / "deploy/jetson/guide.md"
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), guide]
    return [
        pytest.param(page, name, id=f"{page.name} {name}")
        for page in pages
        for name in re.findall(r"^<!-- (\w+) -->$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]


@pytest.mark.parametrize(("page", "name"), blocks())
def test_each_table_is_what_records_and_code_say(script, page, name):
    tables, records = script("tables"), script("records")
    if records.code_state()["commit"] == "unknown":
        pytest.skip("no checkout: whether the code has changed since is not known here")
    text = page.read_text(encoding="utf-8")
    block = text.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]
    assert block == tables.TABLES[name](), (
        "run: make tables, or python benchmarks/tables.py --write"
    )


def test_every_table_has_its_place(script):
    assert {block.values[1] for block in blocks()} == set(script("tables").TABLES)


def test_every_setting_has_its_row_and_its_meaning(script):
    from realtime_affect.config import Config

    row = re.compile(r"^\| `(\w+)` \| `.*` \| .+ \| .+ \|$", re.MULTILINE)
    sections = [type(section.default) for section in Config.model_fields.values()]
    wanted = [key for section in sections for key in section.model_fields]
    assert row.findall(script("tables").settings_table()) == wanted


def test_engines_are_told_with_what_could_not_be_run(script, add):
    times = {"p50_ms": 1.234, "p99_ms": 2.0}
    engine = {"difference": 0.0123, "faces": {"1": times, "4": {**times, "p50_ms": 4.0}}}
    skipped = {"tensorrt": "no driver", "onnxruntime fp16": "fp16"}
    figures = {"units": {"engines": {"onnxruntime int8": engine}, "skipped": skipped}}
    add("engines", {"rounds": 3}, figures)
    rows = script("tables").engines_table().splitlines()
    assert "| units | onnxruntime int8 | 1 | 1.23 ms | 2.00 ms | 1.23 % |" in rows
    assert "| units | onnxruntime int8 | 4 | 4.00 ms | 2.00 ms | 1.23 % |" in rows
    assert "Not run by tensorrt: no driver." in rows
    assert not any("fp16" in row for row in rows)


def test_spotting_tells_what_is_found_what_it_depends_on_and_what_is_made_up(script, recorded_in):
    records = script("records")
    figures = {"n": 40, "precision": 0.5, "recall": 0.75, "f1": 0.6}
    report = {
        "judged": {"rendered films": figures},
        "recall_by": {
            "intensity (rendered)": {"0.05": {"n": 9, "recall": 1 / 3}},
            "intensity (filmed)": {"0.1": {"n": 4, "recall": 0.5}},
            "way, warped, anywhere": {"2": {"n": 3, "recall": 1.0}},
        },
        "false_alarms": {
            "real clips": {"events": 1, "minutes": 4.2, "share_gated": 0.25, "at_most_per_min": 1.1}
        },
    }
    records.RESULTS.mkdir(parents=True, exist_ok=True)
    path = records.RESULTS / "micro_spotting.json"
    path.write_text(json.dumps(report), encoding="utf-8")
    rows = script("accuracy_tables").spotting_table().splitlines()
    assert "| rendered films | 40 | 0.500 | 0.750 | 0.600 |" in rows
    assert "| recall by intensity | 0.05 | 0.1 |" in rows
    assert "| rendered | 0.33 of 9 |  |" in rows
    assert "| filmed |  | 0.50 of 4 |" in rows
    assert "| recall by way, warped | 2 |" in rows
    assert "| anywhere | 1.00 of 3 |" in rows
    assert "| real clips | 1 | 4.2 | 25 % | 1.10 |" in rows
    path.write_text(json.dumps({"judged": report["judged"]}), encoding="utf-8")
    assert "spotted" not in script("accuracy_tables").spotting_table()


def test_only_what_is_between_markers_is_replaced(script, add):
    add("peer_mediapipe", {"clip": "demo"}, PEER)
    made = script("tables").filled(EMPTY)
    assert "old" not in made
    assert "| demo | 2 | 3.14 ms | 1.50 ms | 6.28 ms | - | - | 0.50 |" in made
    head, _, rest = made.partition("<!-- peer -->")
    _, _, rest = rest.partition("<!-- /peer -->")
    middle, _, rest = rest.partition("<!-- soak -->")
    _, _, tail = rest.partition("<!-- /soak -->")
    assert (head, middle, tail) == ("before\n", "\nbetween\n", "\nend\n")


def test_filling_twice_changes_nothing_more(script, add):
    add("peer_mediapipe", {"clip": "demo"}, PEER)
    tables = script("tables")
    once = tables.filled(EMPTY)
    assert tables.filled(once) == once
    assert tables.filled("no markers here\n") == "no markers here\n"


def test_without_records_the_tables_say_so(script, recorded_in):
    tables = script("tables")
    made = {
        name: table()
        for name, table in tables.TABLES.items()
        if name
        not in ("settings", "networks", "channels", "survival", "faults")  # of the code alone
    }
    assert [name for name, text in made.items() if "No record yet." not in text] == []


def test_a_window_that_drops_or_grows_and_results_too_far_apart_are_shown(script, add):
    slope = {"slope": 2.0, "low": 1.0, "high": 3.0}
    figures = {
        "painted_fps": 24.5, "frames_captured": 200, "frames_dropped": 5, "painted_ms": STAGE,
        "docks_ms": STAGE, "timeline_paint_ms": {"rasters": 4.0, "lines": 9.0},
        "lost": {"results": 0, "video": 2},
        "slopes_per_min": {"memory_mib": slope | {"flat": False}, "files": slope | {"flat": True}},
    }  # fmt: skip
    add("window", {"scenario": "30 min"}, figures)
    made = script("tables").window_table()
    assert "| 30 min | 24.50 | 2.5% |" in made
    assert "memory (MiB) +2.000 (+1.000 to +3.000, **rising**)" in made
    one = {"group": "box, px", "n": 8, "mean": 1.0, "p95": 3.0, "most": 4.0, "stated": 2.0}
    add("again", {"source": "demo"}, {"differences": [one | {"within": False}]})
    assert "| box, px | 8 | 1.000 | 3.000 | 2: **beyond** | 4.000 |" in (
        script("tables").again_table()
    )


def test_the_newest_record_of_each_clip_makes_its_row(script, add):
    add("peer_mediapipe", {"clip": "demo"}, PEER | {"ratio": 0.9})
    add("peer_mediapipe", {"clip": "other"}, PEER | {"ratio": 0.7})
    add("peer_mediapipe", {"clip": "demo"}, PEER | {"ratio": 0.4})
    rows = script("tables").peer_table().splitlines()[2:4]
    assert [row.split(" | ")[-1] for row in rows] == ["0.40 |", "0.70 |"]


def scenario(faces, cpu_s, **changes):
    config = {"mode": "live", "faces": faces, "size_px": None, "fps": None, "window": False}
    figures = {
        "frames_analysed": 90, "frames_dropped": 10, "fps": 29.9, "cpu_s_per_frame": cpu_s,
        "stage_ms": {"age": STAGE, "mesh": STAGE, "jitter": STAGE, "painted": STAGE | {"n": 0}},
        "first_reading_ms": 249.0, "resident_mib": 400.0, "faces_by_frame": {str(faces): 90},
    }  # fmt: skip
    config |= {"scenario": f"faces_{faces}", "record": False, "source": "demo", **changes}
    return "latency", config, figures


def test_scenarios_have_a_row_each_and_say_how_cost_grows_and_what_was_not_run(script, add):
    for faces, cpu_s in ((1, 0.010), (2, 0.017), (6, 0.045)):
        add(*scenario(faces, cpu_s))
    table = script("tables").latency_table()
    assert (
        "| faces_1 | 1 | 29.9 | 10.0% | 1 / 2 / 2 / 3 / 4 | 1.0 | 0.2 s | 10.0 | 400 MiB |" in table
    )
    assert "| faces_6 | - | - | 1.0 / 2.5 | - | - | - |" in table
    assert "3.0 ms and 7.0 ms for each face; six faces 0.75 of six times one" in table
    assert "Not run: `faces_20`" in table
    assert "`gpu_tensorrt_4`" in table


def test_scenarios_of_an_older_form_are_left_out(script, add):
    name, config, figures = scenario(1, 0.01)
    del figures["cpu_s_per_frame"]
    add(name, config, figures)
    assert "| faces_1 | 1 |" not in script("tables").latency_table()


def test_soak_states_both_slopes_with_their_signs(script, add):
    figures = {
        "frames": 18000,
        "frames_dropped": 3,
        "resident_slope_mib_per_min": 0.034,
        "median_slope_ms_per_min": -0.0012,
    }
    add("soak", {"source": "demo", "minutes": 10.0}, figures)
    table = script("tables").soak_table()
    assert "10 minutes, 18000 frames, 3 dropped" in table
    assert "+0.03 MiB a minute" in table
    assert "-0.001 ms a minute" in table


def test_write_fills_the_pages_in_place(script, add, run_main, monkeypatch, tmp_path, capsys):
    tables = script("tables")
    pages = [tmp_path / "README.md", tmp_path / "page.md"]
    for page in pages:
        page.write_text(EMPTY, encoding="utf-8")
    monkeypatch.setattr(tables, "PAGES", pages)
    run_main("tables")
    assert "No record yet." in capsys.readouterr().out
    assert pages[0].read_text(encoding="utf-8") == EMPTY
    run_main("tables", "--write")
    assert {page.read_text(encoding="utf-8") for page in pages} == {tables.filled(EMPTY)} != {EMPTY}


def test_a_table_names_each_commit_and_machine_its_rows_come_from(script, recorded_in):
    records = script("records")
    for clip, commit, dirty in (
        ("a", "1234567", False),
        ("b", "1234567", False),
        ("c", "89", True),
    ):
        new = records.new_record("peer_mediapipe", {"clip": clip}, PEER)
        records.append(new | {"commit": commit, "dirty": dirty, "load_1min": len(clip) + 1.5})
    last = script("tables").peer_table().splitlines()[-1]
    assert last.count("at commit 1234567") == last.count("cores, load 2.5") == 1
    assert "at commit 89 with uncommitted changes on " in last


def test_a_report_tells_its_code_and_whether_its_weights_are_those_shipped(script, recorded_in):
    made = {"date": "2026-01-02", "commit": "abcdef1", "dirty": False, "code": {}}
    records = script("records")
    path = recorded_in / "one.json"
    path.write_text(json.dumps({"made": made}), encoding="utf-8")
    assert "measured 2026-01-02 at commit abcdef1" in records.report_signature("one")
    path.write_text(json.dumps({"a": {"made": made}, "b": {"made": made}}), encoding="utf-8")
    assert records.report_signature("one").count("abcdef1") == 1
    path.write_text(json.dumps({"made": {"a": made}}), encoding="utf-8")
    assert "abcdef1" in records.report_signature("one")
    path.write_text("{}", encoding="utf-8")
    assert "code and date of one are not recorded" in records.report_signature("one")
    (shipped,) = records.shipped("htnet_live")
    for sha256, told in ((shipped, False), ("0" * 64, True)):
        line = records.report_signature("one", judged=("htnet_live", {"sha256": sha256}))
        assert ("other weights are shipped now" in line) is told


def test_write_may_name_another_page(script, add, run_main, tmp_path):
    add("peer_mediapipe", {"clip": "demo"}, PEER)
    (tmp_path / "other.md").write_text(EMPTY, encoding="utf-8")
    run_main("tables", "--write", tmp_path / "other.md")
    assert "| demo |" in (tmp_path / "other.md").read_text(encoding="utf-8")
