import json
import re


def test_a_record_has_all_that_is_needed_to_judge_it_and_is_json(script):
    records = script("records")
    record = records.new_record("speed", {"clip": "demo"}, {"cpu_ms": [1.5, 2.0]})
    assert set(record) == {
        "benchmark",
        "date",
        "commit",
        "dirty",
        "machine",
        "load_1min",
        "versions",
        "config",
        "figures",
    }
    assert json.loads(json.dumps(record)) == record
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", record["date"])
    assert re.fullmatch(r"[0-9a-f]{7,}|unknown", record["commit"])
    assert isinstance(record["dirty"], bool)
    assert set(record["versions"]) > {"python", "numpy", "opencv-contrib-python-headless"}
    assert all(record["versions"].values())


def test_the_machine_s_id_holds_all_its_facts_and_stays(script):
    records = script("records")
    machine = records.machine()
    facts = [str(value) for name, value in machine.items() if name != "id"]
    assert machine["id"].split(" / ") == facts
    assert machine["cores"] >= 1
    assert machine["memory_gib"] >= 1
    assert records.machine() == machine


def test_records_are_appended_and_read_in_order(script, tmp_path):
    records = script("records")
    made = [records.new_record("speed", {"round": n}, {"ms": n / 3}) for n in range(2)]
    paths = {records.append(record, tmp_path / "new" / "folder") for record in made}
    assert paths == {tmp_path / "new" / "folder" / "speed.jsonl"}
    assert records.read(paths.pop()) == made


def test_outside_a_repository_the_commit_is_unknown(script, tmp_path, monkeypatch):
    records = script("records")
    monkeypatch.setattr(records, "REPOSITORY", tmp_path / "gone")
    assert records.new_record("speed", {}, {})["commit"] == "unknown"


def test_what_is_no_number_is_null_in_the_file(script, tmp_path):
    records = script("records")
    figures = {"p50": float("nan"), "rounds": [1.0, float("inf")], "n": 0}
    path = records.append(records.new_record("speed", {}, figures), tmp_path)
    assert "NaN" not in path.read_text(encoding="utf-8")
    assert records.read(path)[0]["figures"] == {"p50": None, "rounds": [1.0, None], "n": 0}


def test_the_subject_is_the_clip_the_scenario_or_the_source(script):
    subject = script("records").subject
    assert subject({"config": {"clip": "a"}}) == "a"
    assert subject({"config": {"scenario": "b", "source": "demo"}}) == "b"
    assert subject({"config": {"source": "c"}}) == "c"
    assert subject({"config": {}}) == ""


def test_a_record_names_the_code_that_ran_not_the_code_at_its_end(script, monkeypatch):
    records = script("records")
    code = {"commit": "1234567", "dirty": True}
    record = records.new_record("speed", {}, {}, code)
    assert (record["commit"], record["dirty"]) == ("1234567", True)
    monkeypatch.setattr(records, "_git", lambda *arguments: "")
    assert records.code_state() == {"commit": "", "dirty": False}
